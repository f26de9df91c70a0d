#!/usr/bin/env python3
"""The tutorial "run an AI on AO", typed into our console on `altiplano up`: the same lines in, the same lines out.

What may differ, and nothing else (the normaliser): ids of 43 characters and their short form "xU9...h10", addresses of functions, the version of
aos, the count of the inbox, the order of the fields of a table, leading and trailing spaces, the words of the model and how much was paid.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request

import harness
from console_test import Typist, expect, plain
from harness import Failed

WAR = "xU9zFkq3X2ZQ6olwNVvr1vUWIjc3kXTWr7xKQD6dh10"  # as printed in the tutorial


class Up:
    """`altiplano up` on a free port, in a folder of its own. Further options are handed on. The AI comes a moment after the rest:
    it is waited for, unless `ai` is False."""

    def __init__(self, *options, ai=True):
        self.options, self.ai = options, ai and "--no-ai" not in options

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="altiplano-up-"))
        self.environment = {**os.environ, "ALTIPLANO_WALLET": str(self.folder / "wallet.json"), "XDG_STATE_HOME": str(self.folder / "state"),
                            "NO_COLOR": "1"}
        harness.guest("llama")
        self.log = open(self.folder / "log", "w+")
        self.process = subprocess.Popen([harness.PROGRAM, "--json", "up", "--data", self.folder / "data", "--port", "0", "--model", harness.model(),
                                         *self.options],
                                        stdout=subprocess.PIPE, stderr=self.log, env=self.environment, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise Failed("up did not start: " + (self.folder / "log").read_text())
        self.made = json.loads(line)
        if self.ai and not json.loads(self.process.stdout.readline())["ai"]:
            raise Failed("up does not say when the AI is there")
        self.url = self.made["url"]
        self.environment["ALTIPLANO_NODE"] = self.url
        return self

    def run(self, *arguments, status=0):
        done = subprocess.run([harness.PROGRAM, *arguments], capture_output=True, text=True, env=self.environment, timeout=300)
        if done.returncode != status:
            raise Failed(f"altiplano {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def __exit__(self, kind, value, trace):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()
        if kind is not None:
            print((self.folder / "log").read_text()[-4000:])
        shutil.rmtree(self.folder, ignore_errors=True)


def normal(text):
    # A message that comes while the prompt stands wipes the line and takes its place.
    text = plain(text.replace("\r\x1b[K", "\n"))
    text = re.sub(r"^\S+@aos-[\w.]+\[Inbox:\d+\]> ", "", text, flags=re.M)
    text = re.sub(r"(?<![\w-])[\w-]{43}(?![\w-])", "ID", text)
    text = re.sub(r"(?<=From )\S{3}\.\.\.\S{3}", "IDS", text)
    text = re.sub(r"function: (builtin: )?0x[0-9a-f]+", "function", text)
    text = re.sub(r"aos-[\w.]+\[Inbox:\d+\]", "aos[Inbox]", text)
    text = re.sub(r"version \d[\w.]*", "version V", text)
    lines = [line.strip().rstrip(",") for line in text.splitlines()]
    return [line for line in lines if line]


def expect_lines(found, wanted, where):
    """Each wanted line is among those found; of a table the order of fields is free."""
    have = normal(found)
    for line in normal(wanted):
        if line not in have:
            raise Failed(f"{where}: the line {line!r} of the tutorial is missing in\n" + "\n".join(have))


LLAMA = """
{
feeBase = 0,
getPrices = function: 0x29a9120,
feeBump = 1.005,
herder = "wh5vB2IbqmIBUqgodOaTvByNFDPr73gbUq1bVOUtCrw",
calculateFee = function: 0x29a0e00,
run = function: 0x28d5d40,
Reference = 0,
printResponses = true,
lastMultiplier = 0,
feeToken = 0,
queueLength = 0,
token = "xU9zFkq3X2ZQ6olwNVvr1vUWIjc3kXTWr7xKQD6dh10",
inferenceCallbacks = {  }
}
"""


def expect_llama(shown, changed):
    """The package as the tutorial prints it; a line of it that is changed would be noticed."""
    expect_lines(shown, LLAMA, "Llama")
    try:
        expect_lines(shown, LLAMA.replace(f"{changed} = 0", f"{changed} = 1"), "Llama")
    except Failed:
        return
    raise AssertionError("a changed line was not noticed")


JOKER = '''
function CreatePrompt(systemPrompt, userContent)
return [[<|system|>
]] .. systemPrompt .. [[<|end|>
<|user|>
]] .. userContent .. [[<|end|>
<|assistant|>
]]
end
local userContent = "cats"
local prompt = CreatePrompt(
"Tell a joke on the given topic",
userContent
);
JOKE_HISTORY = JOKE_HISTORY or {}
Llama.run(
prompt,
30,
function(generated_text)
-- Match up until the first newline character
local joke = generated_text:match("^(.-)\\n")
if joke == nil then
return print("Could not find joke in: " .. generated_text)
end
print("Joke: " .. joke)
table.insert(JOKE_HISTORY, joke)
end
)
'''.strip()


def tell(typist, program, wanted):
    """Types a program in the editor, and waits for a line that it prints later."""
    typist.type(".editor")
    typist.wait_for("<editor mode>")
    for line in program.splitlines():
        os.write(typist.master, (line + "\n").encode())
    typist.type(".done")
    deadline = time.monotonic() + 240
    while not re.search(wanted, plain(typist.seen.replace("\r\x1b[K", "\n")), re.M):
        if time.monotonic() > deadline or not typist.read():
            raise Failed(f"{wanted} was not printed: " + plain(typist.seen))


def the_tutorial_line_by_line():
    with Up(ai=False) as up:
        type_the_tutorial(up)


def the_tutorial_on_AOs_own_module():
    """The same lines, typed into a process of AO's published aos2_0_6, which has no table OUTPUTS and is not ours to update."""
    folder = subprocess.run([harness.ROOT / "guest" / "published" / "fetch"], check=True, capture_output=True, text=True).stdout.strip()
    with Up(ai=False) as up:
        module = json.loads(up.run("--json", "put", f"{folder}/aos2_0_6.wasm", "--module", "--format", "wasm64-unknown-emscripten-draft_2024_02_15"))["id"]
        type_the_tutorial(up, module)


def type_the_tutorial(up, published=None):
    typist = Typist(up, "ai-demo", *(("--module", published) if published else ()))

    def say(line, part="\n", seconds=120):
        typist.type(line)
        typist.answered(part, seconds)
        return typist.seen

    try:
        typist.wait_for("ai-demo@aos-2.0.4[Inbox:1]>")
        if published:
            say("OUTPUTS = {}")
        else:
            expect_lines(say(".update", "Updated AOS"), "Updated AOS to version 2.0.0.rc2", "update")
        process = re.search(r"^\s*([\w-]{43})\s*$", plain(say("ao.id", "\n")), re.M)[1]

        # Money, by the wallet's transfer.
        up.run("token", "transfer", process, "0.001")
        typist.wait_for("Credit-Notice")
        expect_lines(typist.seen, "New Message From xU9...h10: Action = Credit-Notice", "transfer")
        expect_lines(say(f'Send({{ Target = "{WAR}", Action = "Balance"}})', "\n}"),
                     '{\nreceive = function: 0x292a960,\nonReply = function: 0x28fd6e0,\noutput = "Message added to outbox"\n}', "balance")
        typist.wait_for("Action = Balance-Notice")
        expect_lines(typist.seen, "New Message From xU9...h10: Action = Balance-Notice", "balance")
        expect(plain(say("Inbox[#Inbox].Data", "1000000000")), "1000000000")

        expect_lines(say(".load-blueprint apm", "Loaded APM"), "Loading... apm\n📦 Loaded APM Client", "blueprint")
        expect_lines(say("APM.update()", "request sent"), "📤 Update request sent", "update of the client")
        typist.wait_for("Client has been updated")
        expect_lines(typist.seen, "ℹ️ Attempting to load client 1.1.0\n📦 Loaded APM Client\n✨ Client has been updated to 1.1.0", "update of the client")
        expect_lines(say('APM.install("@sam/Llama-Herder")', "Download request sent"), "📤 Download request sent", "install")
        typist.wait_for("Assignment added to outbox.")
        expect_lines(typist.seen, "📦 Downloading package bKy3WSRCw5P0G4lOBtkwpChHSl8woPKh7FTUXvOCLrs | @sam/Llama-Herder@1.0.3\n"
                                  "Assignment added to outbox.", "install")
        deadline = time.monotonic() + 30
        while "true" not in plain(say('APM.installed["@sam/Llama-Herder"] ~= nil')):
            if time.monotonic() > deadline:
                raise Failed("the package does not arrive")
        say('Llama = require("@sam/Llama-Herder")')
        expect_llama(say("Llama", "inferenceCallbacks"), "feeBase")

        # The question of the tutorial: 1 + 6 words + 20 tokens.
        typist.type(".editor")
        typist.wait_for("<editor mode> use '.done' to submit or '.cancel' to cancel")
        for line in ["Llama.run(", '"What is the meaning of life?", -- Your prompt', "20, -- Number of tokens to generate",
                     "function(generated_text) -- Optional: A function to handle the response", "print(generated_text)",
                     "table.insert(OUTPUTS, generated_text)", "end", ")"]:
            os.write(typist.master, (line + "\n").encode())
        typist.type(".done")
        deadline = time.monotonic() + 240
        while "count 1" not in plain(say('"count " .. #OUTPUTS', "\ncount ")):
            if time.monotonic() > deadline:
                raise Failed("no answer of the AI: " + plain(typist.seen))
            time.sleep(1)
        answer = plain(say("OUTPUTS", "{ "))
        if not re.search(r'\{ ".+" \}', answer, re.S):
            raise Failed("OUTPUTS is not a list with the answer: " + answer)
        if not re.search(r"^27\s*$", plain(say("Llama.lastFeePaid", "27")), re.M):
            raise Failed("the sample prompt did not cost 27")
        say(f'Send({{ Target = "{WAR}", Action = "Balance"}})', "Message added")
        typist.wait_for("Action = Balance-Notice")
        expect(plain(say("Inbox[#Inbox].Data", "999999973")), "999999973")

        # The Joker: with a newline in what the model says there is a joke; with so few tokens that none comes the words say so.
        # What this model says is the same bytes everywhere.
        tell(typist, JOKER, r"^Joke: (.*)$")
        expect(plain(say("JOKE_HISTORY", "{ ")), '{ "<|user|>" }')
        tell(typist, JOKER.replace("\n30,\n", "\n3,\n"), r"^Could not find joke in: (.*)$")
        expect(plain(say('"jokes: " .. #JOKE_HISTORY', "\njokes: ")), "\njokes: 1\n")

        # Under its own flag the price is that of the true tokens, seven of the prompt: a worker counts them first.
        tell(typist, 'Llama.run("What is the meaning of life?", 20, function(text, err)\nprint("quoted: " .. tostring(err or Llama.lastFeePaid))\n'
                     "end, { Quote = true })", r"^quoted: 28$")
    finally:
        typist.close()


def without_wAR_the_error_reaches_the_callback():
    with Up() as up:
        typist = Typist(up, "poor")
        try:
            typist.wait_for("poor@aos-2.0.4[Inbox:1]>")
            typist.type(".load-blueprint apm")
            typist.wait_for("Loaded APM")
            typist.type('APM.install("@sam/Llama-Herder")')
            typist.wait_for("Assignment added to outbox.")
            deadline = time.monotonic() + 30
            while "function" not in plain(typist.seen):
                typist.type('return type((package.loaded["@sam/Llama-Herder"] or {}).run)')
                time.sleep(0.5)
                typist.read()
                if time.monotonic() > deadline:
                    raise Failed("the package does not arrive")
            typist.type('require("@sam/Llama-Herder").run("hello", 5, function(text, err) Why = err end)')
            typist.wait_for("Transfer Error: Insufficient Balance!")
            typist.type('"why: " .. tostring(Why)')
            typist.wait_for("why: Transfer Error: Insufficient Balance!")
        finally:
            typist.close()


def the_faucet_gives_once_a_day_and_says_that_it_has_no_value():
    with Up("--no-ai") as up:
        given = up.run("token", "faucet")
        expect(given, up.made["faucet"])
        expect(given, "10000000000000  test AR, no value")
        again = subprocess.run([harness.PROGRAM, "token", "faucet"], capture_output=True, text=True, env=up.environment, timeout=60)
        expect(again.stderr, "has had today's 10000000000000")
        up.run("token", "faucet", up.made["war"])
        # It alone mints, which Info shows; 1000 wAR that `up` gave to the wallet, and ten of today.
        asked = {"Target": up.made["war"], "Owner": "x" * 43, "Tags": [{"name": "Action", "value": "Info"}]}
        info = {tag["name"]: tag["value"] for tag in dry_run(up, WAR, {**asked, "Target": WAR})["Messages"][0]["Tags"]}
        if (info["Minter"], info["Note"]) != (up.made["faucet"], "test AR, no value"):
            raise Failed(f"the token's Info does not show its minter: {info}")
        me = json.loads(up.run("--json", "key"))["address"]
        harness.wait_for(lambda: balance(up, me) == "1010000000000000", 60)


def dry_run(up, process, message):
    request = urllib.request.Request(f"{up.url}/cu/dry-run?process-id={process}", data=json.dumps(message).encode(),
                                     headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def balance(up, account):
    return dry_run(up, up.made["war"], {"Owner": account, "Tags": [{"name": "Action", "value": "Balance"}]})["Messages"][0]["Data"]


def an_idle_node_writes_nothing():
    """Bytes that reach storage, of the node and its workers, and the times of all its files: the same five seconds later."""
    with Up() as up:
        def written():
            bytes_written = {pid: re.search(r"^write_bytes: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text(), re.M)[1] for pid in descendants(up.process.pid)}
            files = {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in (up.folder / "data").rglob("*") if path.is_file()}
            return bytes_written, files
        harness.wait_for(lambda: herd(up) == "1", 300)

        # What the start began goes on for a moment: deliveries, checkpoints.
        deadline = time.monotonic() + 120
        before = written()
        while True:
            time.sleep(5)
            after = written()
            if after == before:
                break
            if time.monotonic() > deadline:
                raise Failed(f"an idle node goes on writing: {set(map(str, after[0].items())) ^ set(map(str, before[0].items()))} "
                             f"{sorted(name for name in after[1] if after[1].get(name) != before[1].get(name))}")
            before = after


def herd(up):
    """How many workers the herder has, as it says to whoever asks."""
    answer = dry_run(up, up.made["herder"], {"Owner": "x" * 43, "Tags": [{"name": "Action", "value": "Info"}]})["Messages"]
    return {tag["name"]: tag["value"] for tag in answer[0]["Tags"]}.get("Workers", "0") if answer else "0"


def descendants(pid):
    own = [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    return [pid] + [one for child in own for one in descendants(child)]


def a_second_start_finds_everything_as_it_was():
    with Up() as up:
        first = up.made
        up.process.terminate()
        up.process.wait(60)
        again = subprocess.Popen([harness.PROGRAM, "--json", "up", "--data", up.folder / "data", "--port", "0", "--model", harness.model()],
                                 stdout=subprocess.PIPE, stderr=up.log, env=up.environment, text=True)
        second = json.loads(again.stdout.readline())
        again.terminate()
        again.wait(60)
        if {key: value for key, value in first.items() if key != "url"} != {key: value for key, value in second.items() if key != "url"}:
            raise Failed(f"other ids at the second start: {first} {second}")


if __name__ == "__main__":
    harness.main([the_tutorial_line_by_line, the_tutorial_on_AOs_own_module, without_wAR_the_error_reaches_the_callback, the_faucet_gives_once_a_day_and_says_that_it_has_no_value,
                  an_idle_node_writes_nothing, a_second_start_finds_everything_as_it_was])
