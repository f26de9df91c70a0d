#!/usr/bin/env python3
"""kill -9 of the node, or of a worker, at random moments while messages come in: the next start goes on. What was
acknowledged is there, nothing is sent twice with different ids, and the recomputation gives the same.

  crash_test.py            some kills among Lua processes (CTest)
  crash_test.py --soak     ten kills of node and workers while a language model answers, and many more among Lua processes
"""
import os
import random
import signal
import sys
import threading
import time

import harness

SEED = int(os.environ.get("ALTIPLANO_TEST_SEED", random.randrange(1 << 30)))


def spawn_pair(node):
    module = node.json("put", harness.guest("process"), "--module")["id"]
    return [node.json("spawn", "--module", module)["process"] for _ in range(2)]


def check(node, a, b, acknowledged):
    """All that must hold after any number of crashes."""
    slots = node.get(f"/~altiplano/process/{a}")["slots"]
    for message, slot in acknowledged:
        assert node.get(f"/~altiplano/log/{a}/{slot}")["message"] == message, "an acknowledged message is gone"
    for slot in range(slots):
        node.json("result", a, "--slot", slot, status=None)
    harness.wait_for(lambda: node.json("status")["open_deliveries"] == 0 and node.get(f"/~altiplano/process/{a}")["computed"] == slots, 120)
    sent = []
    for slot in range(slots):
        for entry in node.get(f"/~altiplano/outbox/{a}/{slot}")["outbox"]:
            assert entry["state"] == "accepted", entry
            sent.append(entry["id"])
    received = [node.get(f"/~altiplano/log/{b}/{slot}")["message"] for slot in range(1, node.get(f"/~altiplano/process/{b}")["slots"])]
    assert received == sent, "what was sent arrived once, in order"
    assert len(set(sent)) == len(sent)
    for pid in (a, b):
        node.json("result", pid, "--slot", node.get(f"/~altiplano/process/{pid}")["slots"] - 1)
        assert node.json("verify", pid)["identical"]


def kills_among_lua_processes(kills):
    chance = random.Random(SEED)
    with harness.Node(options=["--image-gas", "3000000"]) as node:
        a, b = spawn_pair(node)
        acknowledged = []
        for kill in range(kills):
            victim = "node" if kill % 2 == 0 else "worker"
            stop = time.monotonic() + chance.uniform(0.05, 0.8)

            def end_it():
                time.sleep(max(0, stop - time.monotonic()))
                if victim == "node":
                    node.kill()
                    return
                for worker in workers(node):
                    os.kill(worker, signal.SIGKILL)

            killer = threading.Thread(target=end_it)
            killer.start()
            while killer.is_alive():
                out, _ = node.run("--json", "send", a, "--action", "Eval", "--data",
                                  f"Count = (Count or 0) + 1 for i = 1, 2 do Send({{Target='{b}', Action='Tick', Data=tostring(Count) .. '.' .. i}}) end return Count", status=None)
                answer = harness.parse(out)
                if answer and "slot" in answer:
                    acknowledged.append((answer["id"], answer["slot"]))
            killer.join()
            if victim == "node":
                node.start()
        assert acknowledged, "no message got through between the kills"
        check(node, a, b, acknowledged)
        print(f"        {kills} kills, {len(acknowledged)} messages acknowledged, seed {SEED}")


def workers(node):
    """Children of the node that run as workers, from the process table: a node about to die may not answer."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = open(f"/proc/{entry}/stat").read().rsplit(")", 1)[1].split()
                if int(fields[1]) == node.process.pid:
                    found.append(int(entry))
            except (OSError, IndexError):
                pass
    return found


def kills_while_a_model_answers(kills):
    chance = random.Random(SEED + 1)
    with harness.Node() as node:
        module = node.json("put", harness.guest("llama"), "--module")["id"]
        model = node.json("put", harness.model(), "--attest")["id"]
        asked = node.json("ask", "Say hello.", "--module", module, "--model", model, "--tokens", 4)
        pid, acknowledged = asked["process"], []
        for kill in range(kills):
            sent = node.json("send", pid, "--action", "Ask", "--data", f"Count to {kill + 3}.", "--tag", "Max-Tokens=12")
            acknowledged.append(sent)
            time.sleep(chance.uniform(0, 2.5))
            if kill % 2 == 0:
                node.kill()
                node.start()
            else:
                for worker in workers(node):
                    os.kill(worker, signal.SIGKILL)
        for sent in acknowledged:
            assert node.get(f"/~altiplano/log/{pid}/{sent['slot']}")["message"] == sent["id"]
            assert node.json("result", pid, "--slot", sent["slot"])["outcome"] == "result"
        verified = node.json("verify", pid)
        assert verified["identical"] and verified["slots"] == kills + 2, verified
        print(f"        {kills} kills while the model answered, {len(acknowledged)} answers, seed {SEED + 1}")


def a_node_survives_kills_of_itself_and_of_its_workers():
    kills_among_lua_processes(6)


def soak_lua():
    kills_among_lua_processes(60)


def soak_model():
    kills_while_a_model_answers(10)


if __name__ == "__main__":
    soak = "--soak" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--soak"]
    print(f"seed {SEED} (ALTIPLANO_TEST_SEED repeats it)")
    harness.main([soak_model, soak_lua] if soak else [a_node_survives_kills_of_itself_and_of_its_workers])
