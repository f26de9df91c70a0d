#!/usr/bin/env python3
"""Several processes that answer by one model at once: all finish, with what one alone says, and with --soak in fair shares."""
import os
import pathlib
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


def priorities(node):
    """(nice, policy) of each thread of the node's workers."""
    found = []
    for stat in (path for child in children(node.process.pid) for path in pathlib.Path(f"/proc/{child}/task").glob("*/stat")):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            found.append((int(fields[16]), int(fields[38])))
        except OSError:  # ended meanwhile
            pass
    return found


def children(pid):
    return [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def what_takes_long_keeps_a_share_of_the_machine_and_is_as_before_afterwards():
    with harness.Node() as node:
        process = node.json("spawn", "--module", node.json("put", harness.guest("process"), "--module")["id"])["process"]
        node.run("eval", process, "return 1")
        own = os.getpriority(os.PRIO_PROCESS, node.process.pid)
        assert set(priorities(node)) == {(own, os.SCHED_OTHER)}, priorities(node)
        done = threading.Event()

        def long():
            node.run("eval", process, "local sum = 0 for i = 1, 200000000 do sum = sum + i % 7 end return sum")
            done.set()

        thread = threading.Thread(target=long)
        thread.start()
        seen = set()
        while not done.wait(0.05):
            seen |= set(priorities(node))
        thread.join()
        # Not the kernel's idle class, in which nobody beside other busy programs ever ends.
        assert seen == {(own, os.SCHED_OTHER), (min(own + 10, 19), os.SCHED_OTHER)}, seen
        node.run("eval", process, "return 1")
        assert set(priorities(node)) == {(own, os.SCHED_OTHER)}, priorities(node)


def threads(node):
    """Of all its workers together."""
    return sum(len(list(pathlib.Path(f"/proc/{child}/task").iterdir())) for child in children(node.process.pid))


def graphs_take_the_processors_that_they_may_and_the_answer_shows_it_not():
    found = []
    for option in (), ("--tensor-threads", "1"):
        with harness.Node(options=option) as node:
            module = node.json("put", harness.guest("llama"), "--module", "--name", "llama")["id"]
            model = node.json("model", "add", harness.model())[0]["id"]
            asked = node.json("ask", "Name a colour.", "--module", module, "--model", model, "--tokens", 6)
            found.append(threads(node))
            # Recomputed by one thread.
            assert node.json("verify", asked["process"])["identical"]
    assert found[0] - found[1] == os.cpu_count() - 1, found


if __name__ == "__main__":
    sys.argv = [a for a in sys.argv if a != "--soak"]
    harness.main([many_minds_at_once, graphs_take_the_processors_that_they_may_and_the_answer_shows_it_not, what_takes_long_keeps_a_share_of_the_machine_and_is_as_before_afterwards])
