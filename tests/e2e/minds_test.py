#!/usr/bin/env python3
"""Several processes that answer by one model at once: all finish, with what one alone says, and with --soak in fair shares, beside one
copy of the model; then, most of them asleep at any time, they are asked at random, and every answer is computed again."""
import os
import pathlib
import random
import sys
import threading
import time

import harness

SOAK = "--soak" in sys.argv
COUNT = 24 if SOAK else 6
SHARE_MAX = 1.5
WAITED_MAX_S = 2  # by a short message, with a few milliseconds of computing and two programs started in it


def many_minds_at_once():
    with harness.Node(options=("--warm", str(COUNT + 1))) as node:
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
        assert not SOAK or (share < SHARE_MAX and waited < WAITED_MAX_S), (share, waited)
        each, together = of_the_model(node)
        size = pathlib.Path(harness.model()).stat().st_size / (1 << 20)
        print(f"{len(each)} workers show {min(each):.0f} to {max(each):.0f} MiB of the model's {size:.0f}, all together {together:.0f} MiB", flush=True)
        assert len(each) == COUNT and together < 1.05 * size, (each, together)
        if SOAK:
            node.stop()
            node.options = ["--warm", "6"]
            node.start()
            asked_at_random(node, processes)


def of_the_model(node):
    """What each worker has of the model's file in memory, and what they have of it all together, in MiB."""
    each, together, file = [], 0, harness.model()
    for child in children(node.process.pid):
        kib = {"Rss": 0, "Pss": 0}
        name = ""
        for line in pathlib.Path(f"/proc/{child}/smaps").read_text().splitlines():
            field, _, rest = line.partition(":")
            if field in kib:
                kib[field] += int(rest.split()[0]) if name == file else 0
            elif "-" in field.split(" ")[0]:
                name = line.split(maxsplit=5)[5] if len(line.split(maxsplit=5)) == 6 else ""
        if kib["Rss"]:
            each.append(kib["Rss"] / 1024)
            together += kib["Pss"] / 1024
    return each, together


def asked_at_random(node, processes):
    """Four that ask, 96 questions in all, six processes awake at most; then every process is computed again from its log."""
    chance = random.Random(24)
    left = [(chance.choice(processes), chance.choice(["Rome", "A cat", "Once", "In 1969", "Water"]), chance.randint(1, 16)) for _ in range(96)]
    asked, lock = {}, threading.Lock()

    def ask():
        while True:
            with lock:
                if not left:
                    return
                process, prompt, tokens = left.pop()
                asked[process] = asked.get(process, 0) + 1
            node.run("eval", process, f"llama.setPrompt('{prompt}') return llama.run({tokens})")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(asked.values()) == 96, asked
    harness.wait_for(lambda: node.get("/~altiplano/offer")["now"]["awake"] <= 6)  # those that are too many go when nobody waits
    awake = node.get("/~altiplano/offer")["now"]["awake"]
    slots = [node.json("verify", process) for process in processes]
    assert all(one["identical"] for one in slots), slots
    print(f"96 questions to {len(asked)} of {len(processes)} processes, {awake} awake; {sum(one['slots'] for one in slots)} slots computed again, identical", flush=True)


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
        # In the kernel's idle class, which shows the nice value from before, or with a small share beside who computes without rest.
        small = (min(own + 10, 19), os.SCHED_OTHER)
        lowered = seen - {(own, os.SCHED_OTHER)}
        assert lowered and lowered <= {small, (own, os.SCHED_IDLE), (small[0], os.SCHED_IDLE)}, seen
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
