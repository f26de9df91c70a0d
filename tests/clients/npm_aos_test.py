#!/usr/bin/env python3
"""The tutorial "run an AI on AO" typed into the console that npm has, @permaweb/aos 1.2.18 of 2023, at a pseudo-terminal, on `altiplano up`.

The normaliser is that of tests/e2e/tutorial_test.py. What this console has not is done beside it by ours: `.update` and `.load-blueprint`, and
the process is spawned with its wallet, since the console knows one scheduler by heart; it then finds it, as it finds its own. It shows what
a line gives and never what comes later: those lines of the tutorial are read from the results of the process, where other consoles read them.
"""
import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
import time
import urllib.request

import client as clients
import harness
from console_test import Typist, expect, plain
from harness import Failed
from tutorial_test import JOKER, WAR, Up, expect_lines, expect_llama

AOS = "ISShJH1ij-hPPt9St5UFFr_8Ys3Kj5cyg7zrMGt7H9s"  # the published module, which leads to ours on `altiplano up`
KEY = "process.stdout.write(JSON.stringify(require('crypto').generateKeyPairSync('rsa', " \
      "{ modulusLength: 4096, publicExponent: 65537 }).privateKey.export({ format: 'jwk' })))"


class Console(Typist):
    """npm's console, on a process of its wallet."""

    def __init__(self, up, wallet, module):
        folder, node = clients.installed()
        self.master, slave = pty.openpty()
        # Its spinner divides by the terminal's width.
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        environment = {**up.environment, "ALTIPLANO_NODE": up.url, "ARWEAVE_GRAPHQL": up.url + "/graphql", "AOS_SRC": module, "TERM": "xterm"}
        self.process = subprocess.Popen([node, "--import", clients.HERE / "npm_aos_units.mjs", folder / "node_modules/@permaweb/aos/bin/aos.js", wallet],
                                        stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True)
        os.close(slave)
        self.seen = self.all = ""

    def read(self):
        there = super().read()
        # Where its spinner is wiped away a line begins.
        self.seen = self.seen.replace("\x1b[0K", "\n")
        return there

    def say(self, line, part="\n"):
        """@return what is shown from the line's echo to the next prompt"""
        self.type(line)
        self.answered(part)
        return self.seen

    def edit(self, program):
        """Several lines. It opens its terminal anew for each, and loses what was typed before it has."""
        self.type(".editor")
        self.wait_for("<editor mode> use '.done' to submit or '.cancel' to cancel")
        for line in program.splitlines():
            time.sleep(0.3)
            self.type(line)
            self.wait_for(line.strip())
        time.sleep(0.3)
        self.say(".done")


def module_of(up, process):
    query = {"query": f'{{transactions(ids: ["{process}"]) {{edges {{node {{tags {{name value}}}}}}}}}}'}
    request = urllib.request.Request(up.url + "/graphql", data=json.dumps(query).encode(), headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        tags = json.load(answer)["data"]["transactions"]["edges"][0]["node"]["tags"]
    return next(tag["value"] for tag in tags if tag["name"] == "Module")


def printed(up, process):
    """What the process printed while nobody had typed."""
    with urllib.request.urlopen(f"{up.url}/cu/results/{process}?limit=1000", timeout=60) as answer:
        edges = json.load(answer)["edges"]
    return "\n".join(str(edge["node"]["Output"]["data"]) for edge in edges if edge["node"].get("Output", {}).get("print"))


def the_tutorial_typed_into_the_console_of_npm():
    with Up(ai=False) as up:
        folder, node = clients.installed()
        wallet = up.folder / "arweave.json"
        wallet.write_text(subprocess.run([node, "-e", KEY], check=True, capture_output=True, text=True).stdout)
        ours = {**up.environment, "ALTIPLANO_WALLET": str(wallet)}
        process = json.loads(subprocess.run([harness.PROGRAM, "--json", "spawn", "--module", AOS, "--tag", "Name=ai-demo"], check=True,
                                            capture_output=True, text=True, env=ours).stdout)["process"]

        def later(line):
            """Waits for a line of the tutorial that comes by itself."""
            end = time.monotonic() + 240
            while True:
                try:
                    return expect_lines(printed(up, process), line, "printed by itself")
                except Failed:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.3)

        console = Console(up, wallet, module_of(up, process))
        try:
            console.wait_for("aos computer:")
            expect(plain(console.seen), process)
            console.wait_for("aos> ")
            console.type("ao.id")
            console.answered(process)
            expect(plain(console.seen), "ai-demo@aos-2.0.4[Inbox:1]> ")
            # A line that is wrong is told, and the console goes on.
            expect(plain(console.say("nothing.at.all", "attempt to index a nil value")), "ai-demo@aos-")

            up.run("token", "transfer", process, "0.001")
            later("New Message From xU9...h10: Action = Credit-Notice")
            expect_lines(console.say(f'Send({{ Target = "{WAR}", Action = "Balance"}})', "Message added"),
                         '{\nreceive = function: 0x292a960,\nonReply = function: 0x28fd6e0,\noutput = "Message added to outbox"\n}', "balance")
            later("New Message From xU9...h10: Action = Balance-Notice")
            console.say("Inbox[#Inbox].Data", "\n1000000000")

            done = subprocess.run([harness.PROGRAM, "console", process], input=".update\n.load-blueprint apm\n.exit\n", capture_output=True, text=True,
                                  env=ours, timeout=120, check=True)
            expect_lines(done.stdout, "Updated AOS to version 2.0.0.rc2\nLoading... apm\n📦 Loaded APM Client", "done beside it")

            expect_lines(console.say("APM.update()", "request sent"), "📤 Update request sent", "update of the client")
            later("ℹ️ Attempting to load client 1.1.0\n📦 Loaded APM Client\n✨ Client has been updated to 1.1.0")
            expect_lines(console.say('APM.install("@sam/Llama-Herder")', "Download request sent"), "📤 Download request sent", "install")
            later("📦 Downloading package bKy3WSRCw5P0G4lOBtkwpChHSl8woPKh7FTUXvOCLrs | @sam/Llama-Herder@1.0.3\nAssignment added to outbox.")
            harness.wait_for(lambda: "true" in plain(console.say('APM.installed["@sam/Llama-Herder"] ~= nil', "e\n")).split("nil", 1)[1], 60)
            console.say('Llama = require("@sam/Llama-Herder")')
            expect_llama(console.say("Llama", "inferenceCallbacks"), "feeToken")

            console.edit('Llama.run(\n"What is the meaning of life?", -- Your prompt\n20, -- Number of tokens to generate\n'
                         "function(generated_text) -- Optional: A function to handle the response\nprint(generated_text)\n"
                         "table.insert(OUTPUTS, generated_text)\nend\n)")
            harness.wait_for(lambda: "count 1" in plain(console.say('"count " .. #OUTPUTS', "\ncount ")), 240)
            console.say("OUTPUTS", '{ "')
            console.say("Llama.lastFeePaid", "\n27")
            console.say(f'Send({{ Target = "{WAR}", Action = "Balance"}})', "Message added")
            harness.wait_for(lambda: "999999973" in plain(console.say("Inbox[#Inbox].Data")) or time.sleep(0.5), 60)

            console.edit(JOKER)
            later("Joke: <|user|>")
            console.say("JOKE_HISTORY", '{ "<|user|>" }')
            console.edit(JOKER.replace("\n30,\n", "\n3,\n"))
            harness.wait_for(lambda: "Could not find joke in: " in plain(printed(up, process)), 240)
            console.say('"jokes: " .. #JOKE_HISTORY', "\njokes: 1")
        except Failed:
            print(plain(console.all)[-6000:])
            raise
        finally:
            console.close()


if __name__ == "__main__":
    harness.main([the_tutorial_typed_into_the_console_of_npm])
