#!/usr/bin/env python3
"""The console as a person types into it: over a pipe, and over a pseudo-terminal with messages that arrive meanwhile."""
import contextlib
import os
import pty
import re
import select
import subprocess
import time

import harness
from harness import Node, Failed


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


def expect(text, part):
    if part not in text:
        raise Failed(f"expected {part!r} in:\n{text}")


class Typist:
    """`altiplano console` on a pseudo-terminal."""

    def __init__(self, node, *arguments, environment=()):
        self.master, slave = pty.openpty()
        variables = {**node.environment, "ALTIPLANO_NODE": node.url, "TERM": "xterm"}
        variables.pop("NO_COLOR", None)
        variables.update(environment)
        self.process = subprocess.Popen([harness.PROGRAM, "console", *arguments], stdin=slave, stdout=slave, stderr=slave,
                                        env=variables, start_new_session=True)
        os.close(slave)
        self.seen = self.all = ""

    def read(self):
        """Takes in what is shown within a moment. @return False at the end"""
        if select.select([self.master], [], [], 0.2)[0]:
            try:
                text = os.read(self.master, 65536).decode(errors="replace")
                self.seen += text
                self.all += text
            except OSError:
                return False
        return True

    def wait_for(self, part, seconds=180):
        end = time.monotonic() + seconds
        while part not in plain(self.seen):
            if time.monotonic() > end:
                raise Failed(f"{part!r} did not come; seen so far:\n{plain(self.seen)}")
            if not self.read():
                break
        expect(plain(self.seen), part)

    def answered(self, part="\n", seconds=180, prompt="]> "):
        """Waits for `part`, then for the prompt that comes after it: the one before it is the echo of the line that was typed."""
        self.wait_for(part, seconds)
        end = time.monotonic() + seconds
        while prompt not in plain(self.seen).split(part, 1)[1]:
            if time.monotonic() > end or not self.read():
                raise Failed(f"no prompt came after {part!r}; seen so far:\n{plain(self.seen)}")

    def type(self, line):
        self.seen = ""
        os.write(self.master, (line + "\n").encode())

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@contextlib.contextmanager
def home():
    """A node that has the module of a console."""
    with Node() as node:
        node.run("put", harness.guest("process"), "--module", "--name", "aos")
        yield node


def piped(node, lines, *arguments):
    done = subprocess.run([harness.PROGRAM, "console", *arguments], input="\n".join(lines) + "\n", capture_output=True, text=True,
                          env={**node.environment, "ALTIPLANO_NODE": node.url}, timeout=120)
    return done.returncode, done.stdout, done.stderr


def lines_are_evaluated_and_commands_obeyed():
    with home() as node:
        the_lines(node, node.folder)


def the_lines(node, folder):
    (folder / "lib").mkdir()
    (folder / "lib" / "words.lua").write_text("return { hello = 'hello from a file' }\n")
    (folder / "main.lua").write_text("local words = require('lib.words')\nGreeting = words.hello\nreturn Greeting\n")
    (folder / "wrong.lua").write_text("local a = 1\nerror('line two')\n")
    code, out, err = piped(node, [
        "1 + 1", "Name", "{ a = 1 }", "error('boom')", "nonsense here",
        ".editor", "Total = 0", "for i = 1, 10 do", "  Total = Total + i", "end", "oops", ".delete", ".done", "Total",
        ".editor", "Total = -1", ".cancel", "Total",
        f".load {folder}/main.lua", "Greeting", f".load {folder}/wrong.lua", f".load {folder}/none.lua", ".load main.txt",
        ".dryrun", "Total = 99", ".dryrun", "Total", ".load-blueprint token", "Ticker", ".load-blueprint nothing", ".nope", ".help",
        ".update", "print('\\27]0;title\\7\\27[2Jgone?')", ".exit"], "demo")
    if code != 0:
        raise Failed(err)
    out = plain(out)
    for part in ["demo@aos-2.0.4[Inbox:1]> \n2\n", "\ndemo\n", "a = 1", "error: ", '[string "aos"]:1: boom', "syntax error near",
                 "<editor mode> use '.done' to submit or '.cancel' to cancel", "\n55\n", "hello from a file", "line two",
                 "cli.no_lua_file: file not found", ".load function requires a *.lua file", "dryrun mode: nothing is recorded",
                 "Loading... token\nLoaded Token: PNTS", "\nPNTS\n", "there is no blueprint 'nothing'", "there is no command '.nope'",
                 ".load-blueprint NAME", "Updated AOS to version 2.0.4", "]0;title[2Jgone?"]:
        expect(out, part)
    # As whole lines: a path or an id that is shown may hold "-1" by chance.
    if "\n-1\n" in out or "\n99\n" in out:
        raise Failed("what was cancelled or only tried was kept:\n" + out)


def a_name_is_a_process_of_ours_once():
    with home() as node:
        the_names(node)


def the_names(node):
    code, out, _ = piped(node, ["ao.id"], "again")
    code, second, _ = piped(node, ["ao.id"], "again")
    found = [re.search(r"^([\w-]{43})$", plain(text), re.M) for text in (out, second)]
    if not all(found) or found[0][1] != found[1][1]:
        raise Failed(f"two processes for one name: {out} {second}")
    code, third, _ = piped(node, ["Name"], found[0][1])
    expect(plain(third), "\nagain\n")


def without_a_module_it_says_how_to_store_one():
    with Node() as empty:
        code, _, err = piped(empty, ["1"], "x")
        expect(err, "altiplano put")
        if code != 2:
            raise Failed(f"exit {code}")
        _, err = empty.run("console", "x", "--url", "http://127.0.0.1:9", status=1)
        expect(err, "cli.no_node")


def messages_appear_while_somebody_types():
    with home() as node:
        the_typing(node)


def the_typing(node):
    typist = Typist(node, "live")
    try:
        typist.wait_for("live@aos-2.0.4[Inbox:1]>")
        if "\x1b[32mlive" not in typist.seen:
            raise Failed("the prompt has no colours on a terminal: " + repr(typist.seen))
        typist.type("ao.id")
        typist.answered()
        process = re.search(r"^([\w-]{43})$", plain(typist.seen), re.M)[1]
        os.write(typist.master, b"1 + 4")
        node.run("send", process, "--action", "Hello-There")
        typist.wait_for("New Message From")
        typist.wait_for("Action = Hello-There")
        typist.wait_for("[Inbox:2]> 1 + 4")
        typist.type("0")
        typist.wait_for("\n41\n")
        # A message that comes before anything is typed does not bring the last line back.
        node.run("send", process, "--action", "Once-More")
        typist.wait_for("Action = Once-More")
        typist.type('"only " .. "this"')
        typist.wait_for("\nonly this\n")
        typist.type(".load-bl\t tok\t")
        typist.wait_for("Loaded Token")
        typist.type(".exit")
        typist.process.wait(30)
        if typist.process.returncode != 0:
            raise Failed(f"exit {typist.process.returncode}")
    finally:
        typist.close()


def live_lines_stop_and_go_and_cron_is_run_when_asked():
    with home() as node:
        typist = Typist(node, "clock", "--cron", "1-second")
        try:
            typist.wait_for("clock@aos-2.0.4[Inbox:")  # a first tick may have come already
            typist.type("ao.id")
            typist.answered()
            process = re.search(r"^([\w-]{43})$", plain(typist.seen), re.M)[1]

            # Paused, a message is in the inbox and nothing is said; live, it is told.
            typist.type(".pause")
            typist.answered("\n")
            node.run("send", process, "--action", "While-Paused")
            # Ticks lie in the inbox as well, one for each second until now.
            typist.type('local n = 0 for _, m in ipairs(Inbox) do if m.Action == "While-" .. "Paused" then n = n + 1 end end return "arrived " .. n')
            typist.answered("\narrived 1\n")
            for _ in range(10):  # two seconds: the console looks twice in one
                typist.read()
            if "While-Paused" in plain(typist.seen):
                raise Failed("a paused console tells what arrives: " + plain(typist.seen))
            typist.type(".live")
            typist.wait_for("Action = While-Paused")

            typist.type('Handlers.add("Cron", "Cron", function() print("tick " .. "tock") end)')
            typist.answered()
            typist.type(".monitor")
            typist.wait_for("the node runs the cron of this process")
            typist.wait_for("tick tock")
            typist.type(".unmonitor")
            typist.wait_for("the node leaves the cron of this process alone")
        finally:
            typist.close()


def what_is_typed_is_found_again_and_finished():
    with home() as node:
        typist = Typist(node, "typing")
        try:
            typist.wait_for("typing@aos-2.0.4[Inbox:1]>")
            # A program of several lines, pasted: one message, and one answer.
            typist.type("function Twice(n)\n  if n then\n    return 2 * n\n  end\nend")
            typist.answered("end\n")
            typist.type('"twice " .. Twice(21)')
            typist.answered("\ntwice 42\n")
            # An empty line gives up what has no end.
            typist.type("Broken = {")
            typist.answered("{\n", prompt=">> ")
            typist.type("")
            typist.answered("\n")
            typist.type('"broken is " .. tostring(Broken)')
            typist.answered("\nbroken is nil\n")

            # Tab finishes the names of globals, of what is in them and of handlers, those of this very session too.
            typist.type('Handlers.add("Greeter-Of-Mine", "Greet", function() end) Marvellous = { depth = 7 }')
            typist.answered()
            typist.type("Marvell\t.depth + 1")
            typist.answered("\n8\n")
            typist.type("Marvellous.de\t + 2")
            typist.answered("\n9\n")
            typist.type('#"Greeter-O\t"')
            typist.answered("\n15\n")

            # The history is searched, in this session and in the next.
            typist.type('"needle " .. 1 + 1')
            typist.answered("\nneedle 2\n")
            typist.type('"hay"')
            typist.answered("\nhay\n")
            typist.type("\x12needle\n")  # Enter takes what was found, and again evaluates it
            typist.answered("\nneedle 2\n")
            typist.type(".exit")
            typist.process.wait(30)
        finally:
            typist.close()
        typist = Typist(node, "typing")
        try:
            typist.wait_for("typing@aos-2.0.4[Inbox:1]>")
            typist.type("\x12needle\n")  # Enter takes what was found, and again evaluates it
            typist.answered("\nneedle 2\n")
        finally:
            typist.close()


def a_pad_is_the_users_editor_and_colours_are_the_users_choice():
    with home() as node:
        pad = node.folder / "pad"
        pad.write_text("#!/bin/sh\nprintf 'Padded = 6 * 7\\nreturn \"padded \" .. Padded' > \"$1\"\n")
        pad.chmod(0o755)
        typist = Typist(node, "pad", environment={"EDITOR": str(pad), "NO_COLOR": "1"})
        try:
            typist.wait_for("pad@aos-2.0.4[Inbox:1]>")
            typist.type(".pad")
            typist.answered("\npadded 42\n")
            # Colours of the prompt, of values and of errors are left out; what steers the terminal always is.
            typist.type("{ text = 'x', error = 1 }")
            typist.answered("\n}\n")
            typist.type("error('red?')")
            typist.answered("error: ")
            typist.type("print('\\27[31mred\\27[0m \\27[2J\\27]0;title\\7' .. 'end')")
            typist.answered("end\n")
            if re.search(r"\x1b\[\d*(;\d+)*m", typist.all) or "\x1b[2J" in typist.all.split("print(")[-1] or "\x1b]0" in typist.all:
                raise Failed("escapes of the guest or colours reach the terminal: " + repr(typist.all))
        finally:
            typist.close()


def errors_point_at_the_line():
    with home() as node:
        (node.folder / "lib").mkdir()
        (node.folder / "lib" / "deep.lua").write_text("local M = {}\n\nfunction M.go()\n  local nothing\n  return nothing.at\nend\nreturn M\n")
        (node.folder / "top.lua").write_text("local deep = require('lib.deep')\nlocal x = 1\nlocal found = deep.go()\nreturn found\n")
        (node.folder / "syntax.lua").write_text("local a = 1\nlocal b = = 2\n")
        code, out, err = piped(node, [f".load {node.folder}/top.lua", f".load {node.folder}/syntax.lua", ".editor", "local y = 1", "", "y.z.q = 1", ".done"],
                               "pointing")
        out = plain(out)
        for part in ["deep.lua:5: attempt to index a nil value (local 'nothing')", "syntax.lua:2: unexpected symbol near '='", ":3: attempt to index a number value (local 'y')", "at top.lua:3: in "]:
            expect(out, part)


if __name__ == "__main__":
    harness.main([lines_are_evaluated_and_commands_obeyed, a_name_is_a_process_of_ours_once, without_a_module_it_says_how_to_store_one,
                  messages_appear_while_somebody_types, live_lines_stop_and_go_and_cron_is_run_when_asked,
                  what_is_typed_is_found_again_and_finished, a_pad_is_the_users_editor_and_colours_are_the_users_choice, errors_point_at_the_line])
