#!/usr/bin/env python3
"""A model cut short, a prompt longer than the context, a disk that is full: a clear error with a code, nothing half done,
and a node that stands."""
import os
import shutil
import subprocess

import harness


def ai_module(node):
    return node.json("put", harness.guest("llama"), "--module", "--name", "llama")["id"]


def a_model_that_is_cut_short_is_named():
    with harness.Node() as node:
        module = ai_module(node)
        cut = node.folder / "cut.gguf"
        with open(harness.model(), "rb") as whole:
            cut.write_bytes(whole.read(3 << 20))
        text = node.folder / "text.gguf"
        text.write_bytes(b"this is no model, but it is long enough to be looked at" * 2000)
        for file in (cut, text):
            model = node.json("put", file, "--attest")["id"]
            _, error = node.run("ask", "Hello?", "--module", module, "--model", model, status=1)
            assert "llama.model_invalid" in error, error
        unattested = node.json("put", harness.model())["id"]
        _, error = node.run("ask", "Hello?", "--module", module, "--model", unattested, status=1)
        assert "llama.model_missing" in error, error
        _, error = node.run("ask", "Hello?", "--module", module, status=2)
        assert "no --model" in error, error


def a_prompt_longer_than_the_context_is_measured():
    with harness.Node() as node:
        module = ai_module(node)
        model = node.json("put", harness.model(), "--attest")["id"]
        asked = node.json("ask", "word " * 4000, "--module", module, "--model", model, status=1)
        assert "llama.prompt_too_long" in asked["error"], asked
        again = node.json("ask", "What is the capital of France?", "--process", asked["process"], "--tokens", 8)
        assert "Paris" in again["answer"], again
        assert node.json("verify", asked["process"])["identical"]


def a_full_disk_loses_nothing():
    folder = harness.tempfile.mkdtemp(prefix="altiplano-full-")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True).returncode != 0:
        print("        left out: this user may not mount a small file system")
        os.rmdir(folder)
        return
    try:
        with harness.Node(folder=folder) as node:
            pid = node.json("spawn", "--module", node.json("put", harness.guest("process"), "--module")["id"])["process"]
            node.json("eval", pid, "Kept = 'yes'")
            filler = os.path.join(folder, "filler")
            with open(filler, "wb", buffering=0) as file:  # what was not written is not tried again at the end
                try:
                    while True:
                        file.write(b"x" * 65536)
                except OSError:
                    pass
            # Large and small: a blob, then messages until the records have no room either.
            big = harness.tempfile.NamedTemporaryFile()
            big.write(os.urandom(1 << 20))
            big.flush()
            error = node.json("put", big.name, status=1)
            assert error["code"].endswith("disk_full") and error["hint"], error
            acknowledged, refused = [], None
            for i in range(3000):
                out, _ = node.run("--json", "send", pid, "--action", "Eval", "--data", f"Last = {i} --" + "x" * 20000, status=None)
                answer = harness.parse(out)
                if "error" in answer:
                    refused = answer
                    break
                acknowledged.append((answer["id"], answer["slot"]))
            assert refused and refused["code"].endswith("disk_full"), refused
            assert node.json("status")["processes"] == 1, "the node stands"
            os.unlink(filler)
            # With room again it goes on, and everything that was acknowledged is there.
            assert node.run("eval", pid, "return Kept")[0] == "yes\n"
            for message, slot in acknowledged:
                assert node.get(f"/~altiplano/log/{pid}/{slot}")["message"] == message
            node.stop()
            node.start()
            assert node.run("eval", pid, "return Kept")[0] == "yes\n"
            assert node.json("verify", pid)["identical"]
            names = [name for _, _, files in os.walk(node.data / "blobs") for name in files]
            assert not any(name.endswith(".tmp") for name in names), names
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    harness.main([a_model_that_is_cut_short_is_named, a_prompt_longer_than_the_context_is_measured, a_full_disk_loses_nothing])
