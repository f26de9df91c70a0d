#!/usr/bin/env python3
"""Receipts: written from one node, checked on another data folder, by the bundle alone or with what a gateway gives."""
import json
import os
import random

import harness


def receipt(node, process, slot, *more):
    file = node.folder / f"receipt-{process[:6]}-{slot}-{len(more)}.json"
    node.run("receipt", process, "--slot", slot, "--output", file, *more)
    return file


def spawned(node):
    module = node.json("put", harness.guest("process"), "--module", "--name", "aos")["id"]
    process = node.json("spawn", "--module", module)["process"]
    for code in ("Count = 1", "Count = Count + 1 return Count", "error('boom')"):
        sent = node.json("send", process, "--action", "Eval", "--data", code)
        node.get(f"/~altiplano/result/{process}/{sent['slot']}")
    return process


def a_bundle_is_checked_where_no_node_is():
    with harness.Node() as node:
        process = spawned(node)
        files = {slot: receipt(node, process, slot, "--bundle") for slot in (0, 2, 3)}
        wanted = {slot: node.get(f"/~altiplano/result/{process}/{slot}")["state_root"] for slot in files}
        node.stop()
        for slot, file in files.items():
            found = node.json("check", file)
            assert found["identical"] and found["slot"] == str(slot) and found["state_root"] == wanted[slot], found
        node.start()


def without_a_bundle_the_weave_is_fetched_and_verified():
    with harness.Node() as node:
        process = spawned(node)
        file = receipt(node, process, 2)
        assert "bundle" not in json.loads(file.read_text())
        found = node.json("check", file, "--gateway", node.url, "--data", node.folder / "another")
        assert found["identical"] and (node.folder / "another" / "records.db").exists(), found
        # What the file says of where to ask is a stranger's word: this machine is not asked for it.
        refused = node.json("check", file, status=1)
        assert refused["code"] == "net.address_refused", refused
        assert node.json("receipt", process, "--slot", 99, status=3)["code"] == "node.not_computed"


def every_fact_that_is_changed_is_named():
    with harness.Node() as node:
        process = spawned(node)
        file = receipt(node, process, 1, "--bundle")
        whole = json.loads(file.read_text())
        copy = node.folder / "changed.json"
        other_id = "B" * 42 + "A"
        for name, value in whole["facts"].items():
            changed = json.loads(json.dumps(whole))
            changed["facts"][name] = other_id if len(value) == 43 else "7" if value != "7" else "8"
            copy.write_text(json.dumps(changed, separators=(",", ":")) + "\n")
            error = node.json("check", copy, status=5)
            assert error["code"] == "cli.receipt_differs" or name in ("process",), (name, error)
            assert name in error["error"] or name in ("process", "slot", "scheduler"), (name, error)
        del changed["facts"]["gas"]
        copy.write_text(json.dumps(changed))
        assert node.json("check", copy, status=5)


def a_changed_byte_of_a_bundle_is_a_mismatch():
    with harness.Node() as node:
        process = spawned(node)
        text = receipt(node, process, 1, "--bundle").read_bytes()
        whole = json.loads(text)
        copy = node.folder / "changed.json"
        chance = random.Random(7)
        places = [chance.randrange(len(text)) for _ in range(8)] + [text.index(b'"gateway"') + 12, text.rindex(b'"sha256"') + 12]
        # And one inside each item.
        places += [text.index(wire.encode()) + len(wire) // 2 for wire in whole["bundle"]["items"].values()]
        for place in places:
            changed = bytearray(text)
            changed[place] = ord("A") if changed[place] != ord("A") else ord("B")
            copy.write_bytes(bytes(changed))
            error = node.json("check", copy, status=5)
            assert error["error"], (place, error)


def an_answer_of_a_model_is_proved_with_all_that_it_needed():
    with harness.Node() as node:
        module = node.json("put", harness.guest("llama"), "--module", "--name", "llama")["id"]
        model = node.json("put", harness.model(), "--attest")["id"]
        asked = node.json("ask", "Name a colour.", "--module", module, "--model", model, "--tokens", 4)
        file = receipt(node, asked["process"], asked["slot"], "--bundle")
        assert model in json.loads(file.read_text())["bundle"]["items"]
        found = node.json("check", file)
        assert found["identical"] and found["state_root"] == asked["state_root"], found


if __name__ == "__main__":
    harness.main([a_bundle_is_checked_where_no_node_is, without_a_bundle_the_weave_is_fetched_and_verified, every_fact_that_is_changed_is_named,
                  a_changed_byte_of_a_bundle_is_a_mismatch, an_answer_of_a_model_is_proved_with_all_that_it_needed])
