#!/usr/bin/env python3
"""./dev soak big [f16]: a model of the talk's size, 4.7 GB of generated weights in the shape of Llama 3 8B: stored where it lies, attested, opened by
a process, a prompt answered, recomputed equal; a second worker costs less than 5 % of the model's memory. Takes 5 GB of disk and of page
cache, and some minutes; the file is removed at the end. ALTIPLANO_BIG=FOLDER says where it may lie.
With f16 the same model unquantised, 16.1 GB: four times what 32 bits address."""
import os
import pathlib
import subprocess
import sys
import time

import gguf
import harness

sys.path.insert(0, str(harness.ROOT / "bench" / "share"))


def resident_mib(node):
    import share  # bench/share: PSS of a node and its workers
    return share.resident_mib(node.process.pid)


F16 = sys.argv[1:] == ["f16"]


def own_mib(node):
    """Anonymous memory of the node and its workers."""
    import share
    return sum(int(line.split()[1]) for pid in share.family(node.process.pid)
               for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Anonymous:")) / 1024


def main():
    source = pathlib.Path(subprocess.run([harness.ROOT / "guest/toolchain/build", "--path", "llama-source"], check=True,
                                         capture_output=True, text=True).stdout.strip()) / "src" / "models"
    folder = pathlib.Path(os.environ.get("ALTIPLANO_BIG", "/tmp"))
    file = folder / f"altiplano-8b-{os.getpid()}.gguf"
    began = time.monotonic()

    def say(what):
        print(f"{time.monotonic() - began:7.1f} s  {what}", flush=True)

    try:
        (gguf.llama3_8b_f16 if F16 else gguf.llama3_8b)(file, source / "ggml-vocab-llama-bpe.gguf")
        say(f"written: {file.stat().st_size / 1e9:.2f} GB")
        with harness.Node(options=("--memory-offer", "24-gb") if F16 else ()) as node:
            module = node.json("put", harness.guest("llama"), "--module", "--name", "llama")["id"]
            model = node.json("model", "add", file, timeout=3600)[0]["id"]
            say(f"added and attested: {model}")
            me = node.json("key")["address"]
            answers, growth = [], []
            for _ in range(2):
                before = resident_mib(node)
                process = node.json("spawn", "--module", module, "--tag", "Extension=WeaveDrive", "--tag", f"Attestor={me}",
                                    "--tag", f"Memory-Limit={24 if F16 else 8}-gb")["process"]
                code = (f"llama = require('llama') assert(llama.load('/data/{model}', {{context = 64, batch = 32}})) llama.set({{stream = false}}) "
                        "llama.setPrompt('The capital of France is') return llama.run(2)")
                answers.append(node.run("eval", process, code, timeout=3600)[0])
                growth.append(resident_mib(node) - before)
                say(f"answered {answers[-1]!r}; {growth[-1]:.0f} MiB more are resident, {own_mib(node):.0f} MiB of all that are no file's")
            # What a node takes for itself does not follow the model: the rest is the file's pages, which the kernel takes back.
            assert own_mib(node) < 1200, own_mib(node)
            assert answers[0] == answers[1] and answers[0].strip(), answers
            model_mib = file.stat().st_size / (1 << 20)
            assert growth[1] < 0.05 * model_mib, f"the second worker took {growth[1]:.0f} MiB, {100 * growth[1] / model_mib:.1f} % of the model"
            verified = node.json("verify", process, timeout=3600)
            assert verified["identical"], verified
            say(f"recomputed: identical, {verified['slots']} slots; the second worker cost {100 * growth[1] / model_mib:.2f} % of the model's memory")
    finally:
        file.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
