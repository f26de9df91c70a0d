#!/usr/bin/env python3
"""One byte changed by hand, in anything that a node keeps: `verify` says what, and exits 5. And everything that is only a
cache is deleted: all of it comes back, equal."""
import base64
import os
import shutil
import sqlite3
import struct
import subprocess

import harness


def lua_process(node, messages=3):
    module = node.json("put", harness.guest("process"), "--module")["id"]
    pid = node.json("spawn", "--module", module)["process"]
    for i in range(messages):
        node.json("eval", pid, f"Log = (Log or '') .. '{i}' return Log")
    return pid


def change(path, sql, *values):
    """One row of a node's database, while no node runs. `flip` changes one bit of the byte in the middle of a blob."""
    database = sqlite3.connect(path)
    database.create_function("flip", 1, lambda blob: blob[:len(blob) // 2] + bytes([blob[len(blob) // 2] ^ 1]) + blob[len(blob) // 2 + 1:])
    changed = database.execute(sql, values).rowcount
    database.commit()
    database.close()
    assert changed == 1, f"{changed} rows changed by {sql}"
    seal_pages(path)


def seal_pages(path):
    """The checksums of a database's pages as the store writes them (src/store/sqlite/checked.cpp): whoever changes a file on
    purpose can do that too, and is found by what is signed and recomputed."""
    content = bytearray(path.read_bytes())
    size = 4096
    assert content[20] == 8 and len(content) % size == 0
    for at in range(0, len(content), size):
        one, two = at & 0xffffffff, (at >> 32) + 1
        words = struct.unpack_from(f"<{(size - 8) // 4}I", content, at)
        for first, second in zip(words[::2], words[1::2]):
            one = one + first + two & 0xffffffff
            two = two + second + one & 0xffffffff
        struct.pack_into("<Q", content, at + size - 8, one << 32 | two)
    path.write_bytes(content)


def id_bytes(text):
    return base64.urlsafe_b64decode(text + "=")


def copy_of(node, what):
    """A copy of the stopped node's folder to be spoilt."""
    folder = node.folder / what
    shutil.copytree(node.data, folder)
    return folder


def verify(node, pid, data, status):
    return node.json("verify", pid, "--data", data, status=status)


def a_changed_byte_is_found_wherever_it_is():
    with harness.Node() as node:
        pid = lua_process(node)
        message = node.get(f"/~altiplano/log/{pid}/2")
        module = node.get(f"/~altiplano/process/{pid}")["module"]
        node.stop()
        assert verify(node, pid, node.data, 0)["slots"] == 4
        mine = id_bytes(pid)

        def spoilt(what, database, sql, *values):
            folder = copy_of(node, what.replace(" ", "-"))
            change(folder / database, sql, *values)
            error = verify(node, pid, folder, 5)
            assert error["error"], error
            return error

        error = spoilt("a result", "cache.db", "UPDATE results SET output = flip(output) WHERE process = ? AND nonce = 2", mine)
        assert error["code"] == "node.verify_differs" and "slot 2" in error["error"], error
        error = spoilt("a root", "cache.db", "UPDATE results SET state_root = flip(state_root) WHERE process = ? AND nonce = 1", mine)
        assert error["code"] == "node.verify_differs" and "state root" in error["error"], error
        error = spoilt("gas", "cache.db", "UPDATE results SET gas = gas + 1 WHERE process = ? AND nonce = 3", mine)
        assert "gas" in error["error"], error
        error = spoilt("an outcome", "cache.db", "UPDATE results SET kind = 1 WHERE process = ? AND nonce = 3", mine)
        assert "outcome" in error["error"], error
        for item, name in ((message["message"], "message"), (message["assignment"], "assignment")):
            error = spoilt(f"{name} header", "records.db", "UPDATE items SET header = flip(header) WHERE id = ?", id_bytes(item))
            assert error["code"] in ("weave.broken_item", "scheduler.broken_log", "units.bad_assignment"), error
        error = spoilt("message data", "records.db", "UPDATE items SET data = flip(data) WHERE id = ?", id_bytes(message["message"]))
        assert error["code"] == "scheduler.broken_log" and "slot 2" in error["error"], error
        spoilt("log entry", "records.db", "UPDATE log SET assignment = flip(assignment) WHERE process = ? AND nonce = 2", mine)
        error = spoilt("block", "records.db", "UPDATE blocks SET timestamp_ms = timestamp_ms + 1 WHERE height = ?", message["height"])
        assert error["code"] == "weave.broken_block", error

        folder = copy_of(node, "module")
        wasm = max((path for path in (folder / "blobs").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
        flip_file(wasm)
        error = verify(node, pid, folder, 5)
        assert error["code"] == "weave.broken_item" and module in error["error"], error


def flip_file(path):
    path.chmod(0o644)
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def a_changed_model_is_found():
    with harness.Node() as node:
        module = node.json("put", harness.guest("llama"), "--module")["id"]
        model = node.json("put", harness.model(), "--attest")["id"]
        asked = node.json("ask", "Hello?", "--module", module, "--model", model, "--tokens", 2)
        node.stop()
        assert verify(node, asked["process"], node.data, 0)["identical"]
        blob = max((path for path in (node.data / "blobs").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
        flip_file(blob)
        error = verify(node, asked["process"], node.data, 5)
        assert error["code"] == "weave.broken_item" and model in error["error"], error

        # The node itself does not compute with it either: the slot stays open, nothing wrong is recorded.
        for cache in ("cache.db", "cache.db-wal", "cache.db-shm"):
            (node.data / cache).unlink(missing_ok=True)
        node.start()
        error = node.json("result", asked["process"], "--slot", 1, status=5)
        assert error["code"] == "weave.broken_item", error


def a_forged_answer_is_found_at_the_speed_of_reading():
    with harness.Node() as node:
        module = node.json("put", harness.guest("llama"), "--module")["id"]
        model = node.json("put", harness.model(), "--attest")["id"]
        pid = node.json("ask", "Tell me about the sea.", "--module", module, "--model", model, "--tokens", 24)["process"]
        # Two texts in one message, one that chance has a part in, and one that ends before its limit.
        node.run("eval", pid, "llama = require('llama') local a = llama.complete('Blue and', {tokens = 10, stream = false}) "
                 "local b = llama.complete('Red and', {tokens = 10, seed = 7, repeat_penalty = 1.3, stream = false}) "
                 "return a .. '|' .. b .. '|' .. llama.chat('Say yes.', {tokens = 10, stop = {'.'}, stream = false})")
        node.json("eval", pid, "return 1 + 1")
        result = node.get(f"/~altiplano/result/{pid}/1")["result"]
        generated = result["response"]["Generated"]
        assert len(generated["Tokens"].split()) == 24 and len(generated["Logits"]) == 64, generated
        assert "Generated" not in node.get(f"/~altiplano/result/{pid}/3")["result"]["response"]
        node.stop()
        fast = node.json("verify", pid, "--fast", "--data", node.data)
        assert fast["identical"] and fast["slots"] == 4 and verify(node, pid, node.data, 0)["identical"]
        node.run("verify", pid, "--fast", "--from", 1, "--data", node.data, status=2)

        text = result["response"]["Messages"][0]["Data"]
        words = generated["Tokens"].split()
        forged = {"a word": (text[:40], text[:40].replace("sea", "sky") if "sea" in text[:40] else text[:39] + "~"),
                  "a token": (generated["Tokens"], " ".join(words[:10] + ["17"] + words[11:])),
                  "a number": (generated["Logits"], "0" * 64)}
        for what, (true, false) in forged.items():
            assert true != false, what
            folder = copy_of(node, what.replace(" ", "-"))
            change(folder / "cache.db", "UPDATE results SET output = CAST(replace(CAST(output AS TEXT), ?, ?) AS BLOB) "
                   "WHERE process = ? AND nonce = 1", true, false, id_bytes(pid))
            error = node.json("verify", pid, "--fast", "--data", folder, status=5)
            assert error["code"] == "node.verify_differs" and "slot 1" in error["error"], (what, error)


def what_is_only_a_cache_comes_back_equal():
    with harness.Node() as node:
        a = lua_process(node, 4)
        b = lua_process(node, 1)
        slot = node.json("send", a, "--action", "Eval", "--data", f"Send({{Target='{b}', Action='Hello'}})")["slot"]
        harness.wait_for(lambda: node.get(f"/~altiplano/process/{b}")["slots"] == 3)
        slots = [(a, i) for i in range(slot + 1)] + [(b, i) for i in range(3)]
        before = [node.json("result", pid, "--slot", i) for pid, i in slots]
        sent = node.get(f"/~altiplano/outbox/{a}/{slot}")
        node.stop()
        for name in ("cache.db", "cache.db-wal", "cache.db-shm"):
            (node.data / name).unlink(missing_ok=True)
        for name in ("images", "modules"):
            shutil.rmtree(node.data / name)
        node.start()
        assert [node.json("result", pid, "--slot", i) for pid, i in slots] == before
        assert node.get(f"/~altiplano/outbox/{a}/{slot}") == sent, "nothing is signed or sent again"
        assert node.get(f"/~altiplano/process/{b}")["slots"] == 3


def every_tracker_and_number_of_workers_gives_the_same():
    with harness.Node(options=["--workers", "1"]) as node:
        pids = [lua_process(node, 3) for _ in range(3)]
        expected = [node.json("result", pid, "--slot", slot) for pid in pids for slot in range(4)]
        node.stop()
        kept = ("VERSION", "keys", "records.db", "blobs")
        for tracker in ("kernel", "fault", "compare"):
            for workers in (1, 2, 3, 4):
                # Cold: only what is kept. --warm 0 puts every machine to sleep after each slot, so that the next one
                # goes on from an image; --image-gas 1 writes one after each.
                for options in ([], ["--warm", "0", "--image-gas", "1"]):
                    other = harness.Node(folder=node.folder / f"{tracker}-{workers}-{len(options)}", options=["--tracker", tracker, "--workers", str(workers), *options])
                    other.data.mkdir(parents=True)
                    for name in kept:
                        source = node.data / name
                        (shutil.copytree if source.is_dir() else shutil.copy)(source, other.data / name)
                    with other:
                        found = [other.json("result", pid, "--slot", slot) for pid in pids for slot in range(4)]
                        assert found == expected, (tracker, workers, options)
                    shutil.rmtree(other.folder)


def a_worker_that_computes_wrongly_is_caught():
    """A build of the worker in which one instruction of Lua's arithmetic is wrong: what it records is not what the log
    gives."""
    build = harness.ROOT / "guest" / "toolchain" / "build"
    subprocess.run([build, "module-wrong"], check=True, capture_output=True)
    folder = subprocess.run([build, "--path", "module-wrong"], check=True, capture_output=True, text=True).stdout.strip()
    with harness.Node(options=["--worker-program", os.environ["ALTIPLANO_WRONG_WORKER"]], environment={"ALTIPLANO_WRONG_MODULE": folder + "/wrong.wasm"}) as node:
        module = node.json("put", harness.guest("process"), "--module")["id"]
        pid = node.json("spawn", "--module", module)["process"]
        assert node.run("eval", pid, "local a, b = 20, 22 return a + b")[0] == "42\n", "whole numbers it still adds"
        wrong = node.run("eval", pid, "local a, b = 20.5, 21.5 return a + b")[0]
        assert wrong == "-1.0\n", wrong
        error = node.json("verify", pid, status=5)
        assert error["code"] == "node.verify_differs", error


def a_kernel_that_rounds_wrongly_is_caught_and_named():
    wrong = os.environ["ALTIPLANO_WRONG_KERNEL"]
    with harness.Node(program=wrong) as node:
        module = node.json("put", harness.guest("llama"), "--module")["id"]
        model = node.json("put", harness.model(), "--attest")["id"]
        pid = node.json("ask", "Hi", "--module", module, "--model", model, "--tokens", 1)["process"]
        error = node.json("verify", pid, "--reference", status=5)
        assert error["code"] == "node.verify_differs", error
        assert "slot 1" in error["error"] and "operation mul_mat" in error["error"] and "at position " in error["error"], error
        # Who has right kernels sees that the record is wrong, and that it is not his own machine.
        sound = subprocess.run([harness.PROGRAM, "--json", "--url", node.url, "verify", pid], capture_output=True, text=True)
        assert sound.returncode == 5 and "operation" not in sound.stdout + sound.stderr, sound


if __name__ == "__main__":
    harness.main([a_changed_byte_is_found_wherever_it_is, a_changed_model_is_found,
                  a_forged_answer_is_found_at_the_speed_of_reading, what_is_only_a_cache_comes_back_equal,
                  every_tracker_and_number_of_workers_gives_the_same, a_worker_that_computes_wrongly_is_caught,
                  a_kernel_that_rounds_wrongly_is_caught_and_named])
