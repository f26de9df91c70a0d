#!/usr/bin/env python3
"""docs/tutorial.md, typed from top to bottom: a newcomer who does what the page says sees what the page says.

In ```console blocks a line `> x` is typed at the prompt, `| x` in the editor, `$ x` in a shell; every other line must appear afterwards, in
order, `…` standing for anything. ```sh blocks are commands; PROCESS is the id that `ao.id` printed.
"""
import os
import re
import time

import harness
from console_test import Typist, plain
from harness import Failed
from tutorial_test import Up

PAGE = harness.ROOT / "docs" / "tutorial.md"
WORDS_A_MINUTE = 200


class Reader:
    def __init__(self, up):
        self.up, self.typist, self.process, self.at = up, None, None, 0

    def open_console(self, name):
        self.typist = Typist(self.up, name)
        self.typist.wait_for("]> ")

    def expect(self, line, seconds=240):
        """The line comes, after whatever was expected before it."""
        pattern = ".*".join(re.escape(part) for part in re.split(r"\s*…\s*", line.strip()))
        end = time.monotonic() + seconds
        while True:
            seen = plain(self.typist.seen.replace("\r\x1b[K", "\n"))
            found = re.search(pattern, seen[self.at:])
            if found:
                self.at += found.end()
                return
            if time.monotonic() > end or not self.typist.read():
                raise Failed(f"the page promises {line!r}; seen:\n{seen}")

    def type(self, line):
        self.at = 0
        self.typist.type(line)
        if not line.startswith(".editor"):
            self.expect(line.split("(")[0].split()[0])  # the echo
            self.expect("]>")
            self.at = 0

    def until_installed(self):
        """A reader looks up between two lines; a machine has to wait for the package."""
        end = time.monotonic() + 60
        while "yes it is" not in plain(self.typist.seen):
            if time.monotonic() > end:
                raise Failed("the package does not arrive")
            self.typist.type('package.loaded["@sam/Llama-Herder"] and ("yes" .. " it is")')
            time.sleep(0.5)
            self.typist.read()

    def console(self, block):
        for line in block:
            if line.startswith("$ altiplano console "):
                self.open_console(line.split()[-1])
            elif line.startswith("> "):
                if "require(" in line:
                    self.until_installed()
                if line.startswith("> #"):
                    self.until_counted(line[2:], block[block.index(line) + 1])
                self.type(line[2:])
                if line == "> ao.id":
                    self.process = re.search(r"^\s*([\w-]{43})\s*$", plain(self.typist.seen), re.M)[1]
            elif line.startswith("| "):
                os.write(self.typist.master, (line[2:] + "\n").encode())
                time.sleep(0.02)
            elif line.strip():
                self.expect(line)

    def until_counted(self, expression, wanted):
        """The AI takes its time: what counts its answers is asked until it is there."""
        end = time.monotonic() + 240
        while f"\n{wanted}" not in plain(self.typist.seen):
            if time.monotonic() > end:
                raise Failed(f"{expression} does not become {wanted}: {plain(self.typist.seen)}")
            self.typist.type(expression)
            time.sleep(1)
            self.typist.read()

    def shell(self, block):
        for line in block:
            if line != "altiplano up":
                self.up.run(*line.replace("PROCESS", self.process).split()[1:])


def blocks(text):
    return [(kind, body.splitlines()) for kind, body in re.findall(r"^```(sh|console)\n(.*?)^```$", text, re.M | re.S)]


def the_page_is_typed_from_top_to_bottom():
    found = blocks(PAGE.read_text())
    assert len(found) >= 8 and found[0] == ("sh", ["altiplano up"]), found
    with Up() as up:
        reader = Reader(up)
        try:
            for kind, block in found:
                (reader.shell if kind == "sh" else reader.console)(block)
        finally:
            if reader.typist:
                reader.typist.close()


def a_line_that_is_not_so_is_noticed():
    with Up() as up:
        reader = Reader(up)
        try:
            reader.console(["$ altiplano console demo", "> 1 + 1", "2"])
            try:
                reader.typist.type("1 + 1")
                reader.at = 0
                reader.expect("3 is not the answer", seconds=5)
                raise AssertionError("a wrong line was not noticed")
            except Failed:
                pass
        finally:
            reader.typist.close()


def it_is_read_in_less_than_ten_minutes():
    words = len(re.findall(r"\S+", PAGE.read_text()))
    assert words / WORDS_A_MINUTE < 10, f"{words} words"


if __name__ == "__main__":
    harness.main([the_page_is_typed_from_top_to_bottom, a_line_that_is_not_so_is_noticed, it_is_read_in_less_than_ten_minutes])
