#!/usr/bin/env python3
"""Memory beyond the walls, and the past of a process: across messages, restarts and restores, through the real program."""
import gzip
import hashlib
import os
import sys
import tempfile

import harness
import wasm

GIB = 1 << 30
PLACES = (1 << 32, 1 << 34, 1 << 36, 100 * GIB - 8)


def number(value):
    """i64.const"""
    out = bytearray(b"\x42")
    while True:
        byte = value & 0x7F
        value >>= 7
        if (value == 0 and not byte & 0x40) or (value == -1 and byte & 0x40):
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


LOAD, STORE, STORE8 = b"\x29\x03\x00", b"\x37\x03\x00", b"\x3c\x00\x00"
ADD, SUB, LESS, SIZE, GROW, DROP = b"\x7c", b"\x7d", b"\x54", b"\x3f\x00", b"\x40\x00", b"\x1a"


def far_counter(gib=100):
    """A guest that makes its memory so long, counts up at each of PLACES, and answers with the sum: 4, 8, 12..."""
    pages = gib * GIB // 65536
    body = SIZE + number(pages) + LESS + b"\x04\x40" + number(pages) + SIZE + SUB + GROW + DROP + b"\x0b"
    for at in PLACES:
        body += number(at) + number(at) + LOAD + number(1) + ADD + STORE
    text = b'{"ok":true,"response":{"Output":"00"}}\0'
    for i, byte in enumerate(text):
        body += number(2048 + i) + number(byte) + STORE8
    total = b"".join(number(at) + LOAD + (ADD if i else b"") for i, at in enumerate(PLACES))
    digit = text.index(b"00")
    body += number(2048 + digit) + total + number(10) + b"\x80" + number(48) + ADD + STORE8
    body += number(2048 + digit + 1) + total + number(10) + b"\x82" + number(48) + ADD + STORE8
    return wasm.guest(body + number(2048), memory=b"\x05\x02" + wasm.leb(1 << 24))


def put(node, module, *tags):
    path = node.folder / "module.wasm"
    path.write_bytes(module)
    return node.json("put", path, "--module")["id"]


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS"))


def output(node, pid, slot):
    return node.json("result", pid, "--slot", slot)["result"]["response"]["Output"]


def pages_beyond_64_gib_live_through_restarts_and_the_host_s_memory_stays_flat():
    with harness.Node(options=["--memory-offer", "1-tb"]) as node:
        module = put(node, far_counter())
        pid = node.json("spawn", "--module", module, "--tag", "Memory-Limit=18446744073709551615")["process"]
        for slot in range(3):
            if slot:
                node.json("send", pid, "--action", "Count")
            assert output(node, pid, slot) == f"{4 * (slot + 1):02}"
        for worker in node.get("/~altiplano/status")["workers"]:
            assert resident(worker) < 128 << 20, resident(worker)
        state = node.json("state", pid, "--slot", 2)
        assert state["memory_bytes"] == 100 * GIB and state["used_pages"] < 16, state
        node.stop()
        node.start()
        node.json("send", pid, "--action", "Count")
        assert output(node, pid, 3) == "16"
        assert node.get("/~altiplano/status")["memory_offer_bytes"] == 1 << 40
        offer = node.get("/~altiplano/offer")
        assert offer["memory_bytes"] == 1 << 40 and offer["now"]["image_bytes"] < 4 << 20, offer
        assert node.json("verify", pid)["slots"] == 4
        node.kill()
        node.start()
        node.json("send", pid, "--action", "Count")
        assert output(node, pid, 4) == "20"


def what_a_node_does_not_offer_is_refused_with_what_was_needed():
    with harness.Node() as node:
        module = put(node, far_counter())
        error = node.json("spawn", "--module", module, "--tag", "Memory-Limit=18446744073709551615", status=4)
        assert error["code"] == "compute.memory_not_offered", error
        assert "1099511627776 bytes" in error["error"] and "17179869184" in error["error"], error
    with harness.Node(options=["--memory-offer", "64-gb"]) as node:
        # Within the offer it runs, and fails by its own limit, which its result names.
        pid = node.json("spawn", "--module", put(node, far_counter()), "--tag", "Memory-Limit=50-gb")["process"]
        result = node.json("result", pid, "--slot", 0, status=1)
        assert result["outcome"] == "guest_fault", result
        assert "asked for 107374182400 bytes" in result["text"] and "allows 53687091200" in result["text"], result


def the_past_can_be_looked_at_and_gone_another_way():
    with harness.Node(options=["--checkpoints", "10", "--image-gas", "1"]) as node:
        pid = node.json("spawn", "--module", node.json("put", harness.guest("process"), "--module")["id"])["process"]
        for i in range(1, 6):
            node.json("eval", pid, f"Count = {i} return Count")
        assert node.run("read", pid, "--slot", 3, "--data", "return Count * 100")[0].split() == ["answer", "300"]
        forked = node.json("fork", pid, "--slot", 2, "--eval", "Count = Count + 40 return Count", "--eval", "return Count + 1")
        assert [r["outcome"] for r in forked["results"]] == ["result", "result"] and not forked["recorded"], forked
        assert "42" in str(forked["results"][0]["result"]) and "43" in str(forked["results"][1]["result"]), forked
        assert node.run("eval", pid, "return Count")[0] == "5\n", "nothing of it was recorded"
        states = [node.json("state", pid, "--slot", slot) for slot in range(7)]
        assert [s["state_root"] for s in states] == [node.json("result", pid, "--slot", slot)["state_root"] for slot in range(7)]
        changed = node.json("diff", pid, "--slots", "1..5")
        assert changed["pages"] > 0 and changed["bytes"] == 4096 * changed["pages"], changed
        assert node.json("diff", pid, "--slots", "4..4")["pages"] == 0
        assert node.json("state", pid, "--slot", 70, status=3)["code"] == "scheduler.unknown_slot"
        node.run("diff", pid, "--slots", "5", status=2)

        whole = node.json("verify", pid)
        parts = node.json("verify", pid, "--jobs", 2)
        assert parts["parts"] > 3 and parts["slots"] == whole["slots"] == 7 and parts["state_root"] == whole["state_root"], parts
        assert "trusted_checkpoint" not in parts, parts
        tail = node.json("verify", pid, "--from", 4, "--to", 5)
        assert tail["slots"] == 2 and tail["trusted_checkpoint"] == 3, tail


def a_checkpoint_goes_out_in_the_form_of_ao_and_is_checked():
    with harness.Node() as node:
        pid = node.json("spawn", "--module", node.json("put", harness.guest("process"), "--module")["id"])["process"]
        node.json("eval", pid, "Count = 7 return Count")
        path = os.path.join(tempfile.mkdtemp(), "memory.gz")
        out = node.json("checkpoint", "export", pid, "--slot", 1, "--output", path, "--publish")
        with open(path, "rb") as file:
            memory = gzip.decompress(file.read())
        os.remove(path)
        assert len(memory) == node.json("state", pid, "--slot", 1)["memory_bytes"]
        assert hashlib.sha256(memory).hexdigest() == out["sha256"]
        assert node.json("checkpoint", "check", out["id"])["identical"]
        # One that says what the log does not give.
        other = node.json("put", __file__, "--tag", "Type=Checkpoint", "--tag", f"Process={pid}", "--tag", "Nonce=0",
                          "--tag", f"SHA-256={out['sha256']}")["id"]
        assert not node.json("checkpoint", "check", other, status=5)["identical"]
        assert node.json("checkpoint", "check", pid, status=2)["code"] == "cli.bad_argument"

        disk = node.json("disk")
        assert disk["records"]["bytes"] > 0 and disk["modules"]["files"] > 0, disk
        assert disk["kept_bytes"] + disk["cache_bytes"] == sum(p["bytes"] for p in disk.values() if isinstance(p, dict)), disk
        assert node.json("offer")["now"]["awake"] == 1
        node.stop()
        node.start()
        assert node.json("disk", pid)["image_bytes"] > 0, "it went to sleep when the node stopped"


def six_gib():
    """A guest that fills 6 GiB by its first message, eight bytes of every 64, and checks them by every other one."""
    end, begin = 6 * GIB + 65536, 65536
    pages = end // 65536
    get, tee, put_local = b"\x20\x00", b"\x22\x00", b"\x21\x00"
    again = get + number(64) + ADD + tee + number(end) + LESS + b"\x0d\x00\x0b"  # br_if 0, end of the loop
    fill = number(begin) + put_local + b"\x03\x40" + get + get + STORE + again
    check = number(begin) + put_local + b"\x03\x40" + get + LOAD + get + b"\x52\x04\x40\x00\x0b" + again  # if other: unreachable
    grow = number(pages) + SIZE + SUB + GROW + DROP
    body = SIZE + number(pages) + LESS + b"\x04\x40" + grow + fill + b"\x05" + check + b"\x0b"
    text = b'{"ok":true,"response":{"Output":"all there"}}\0'
    for i, byte in enumerate(text):
        body += number(2048 + i) + number(byte) + STORE8
    return wasm.guest(body + number(2048), memory=b"\x05\x02" + wasm.leb(1 << 20))


def six_gib_are_filled_and_checked_across_a_restart():
    with harness.Node() as node:
        pid = node.json("spawn", "--module", put(node, six_gib()), "--tag", "Memory-Limit=7-gb")["process"]
        assert output(node, pid, 0) == "all there"
        node.stop(600)
        node.start()
        node.json("send", pid, "--action", "Check")
        assert output(node, pid, 1) == "all there"
        assert node.json("state", pid, "--slot", 1)["used_pages"] >= 6 * GIB // 4096


harness.main([*([six_gib_are_filled_and_checked_across_a_restart] if "--soak" in sys.argv and not sys.argv.remove("--soak") else []),
              pages_beyond_64_gib_live_through_restarts_and_the_host_s_memory_stays_flat,
              what_a_node_does_not_offer_is_refused_with_what_was_needed,
              the_past_can_be_looked_at_and_gone_another_way,
              a_checkpoint_goes_out_in_the_form_of_ao_and_is_checked])
