#!/usr/bin/env python3
"""`altiplano herd start`: a herder and workers of one's own, on a node that already has a token and a model."""
import json
import time

from harness import Failed
import harness
from tutorial_test import Up


def told(up, herder):
    """What the herder says of itself."""
    sent = json.loads(up.run("--json", "send", herder, "--action", "Info"))
    result = json.loads(up.run("--json", "result", herder, "--slot", str(sent["slot"])))
    tags = result["result"]["response"]["Messages"][0]["Tags"]
    return {tag["name"]: tag["value"] for tag in tags}


def a_herd_of_ones_own_takes_up_its_work_and_grows():
    with Up() as up:
        def start(*more):
            return json.loads(up.run("--json", "herd", "start", "--model", up.made["model"], "--name", "mine", "--tag", "Base-Fee=5", *more))

        first = start("--workers", "1")
        assert first["made"] and first["token"] == up.made["war"] and len(first["workers"]) == 1, first
        end = time.monotonic() + 240
        while up.made["model"] not in told(up, first["herder"]).get("Models", ""):
            if time.monotonic() > end:
                raise Failed(f"the worker does not register: {told(up, first['herder'])}")
            time.sleep(0.5)
        assert told(up, first["herder"])["Base-Fee"] == "5"
        second = start("--workers", "2")
        assert not second["made"] and second["herder"] == first["herder"] and second["workers"][0] == first["workers"][0], second
        assert len(set(second["workers"])) == 2, second


def without_modules_it_says_what_is_missing():
    with harness.Node() as node:
        error = node.json("herd", "start", "--model", "B" * 42 + "A", status=2)
        assert error["code"] == "cli.bad_argument" and "process.wasm" in error["hint"], error


if __name__ == "__main__":
    harness.main([a_herd_of_ones_own_takes_up_its_work_and_grows, without_modules_it_says_what_is_missing])
