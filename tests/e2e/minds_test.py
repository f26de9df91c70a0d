#!/usr/bin/env python3
"""Several processes that answer by one model at once: all finish, with what one alone says, and with --soak in fair shares."""
import sys
import threading
import time

import harness

SOAK = "--soak" in sys.argv
COUNT = 24 if SOAK else 6
SHARE_MAX = 1.5


def many_minds_at_once():
    with harness.Node() as node:
        module = node.json("put", harness.guest("llama"), "--module", "--name", "llama")["id"]
        model = node.json("model", "add", harness.model())[0]["id"]
        me = node.json("key")["address"]
        processes = [node.json("spawn", "--module", module, "--tag", "Extension=WeaveDrive", "--tag", f"Attestor={me}")["process"] for _ in range(COUNT)]
        for process in processes:
            node.run("eval", process, f"llama = require('llama') assert(llama.load('/data/{model}', {{context = 256}})) llama.set({{stream = false}}) return 1")
        ask = f"llama.setPrompt('The capital of France is') return llama.run({64 if SOAK else 6})"
        alone = node.run("eval", processes[0], ask)[0]
        assert alone.strip(), alone
        answers, took = {}, {}

        def one(process):
            began = time.monotonic()
            answers[process] = node.run("eval", process, ask.replace("return", "llama.setPrompt('Other') llama.setPrompt('The capital of France is') return"))[0]
            took[process] = time.monotonic() - began

        threads = [threading.Thread(target=one, args=(process,)) for process in processes]
        for thread in threads:
            thread.start()
        # Who only asks for a sum does not wait for all of them.
        short = node.json("spawn", "--module", module)["process"]
        began = time.monotonic()
        assert node.run("eval", short, "return 1 + 1")[0] == "2\n"
        waited = time.monotonic() - began
        for thread in threads:
            thread.join()
        assert set(answers.values()) == {alone}, answers
        share = max(took.values()) / min(took.values())
        print(f"{COUNT} processes: {min(took.values()):.1f} to {max(took.values()):.1f} s, max/min {share:.2f}; a short message beside them {waited:.2f} s", flush=True)
        assert not SOAK or share < SHARE_MAX, share


if __name__ == "__main__":
    sys.argv = [a for a in sys.argv if a != "--soak"]
    harness.main([many_minds_at_once])
