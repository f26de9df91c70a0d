#!/usr/bin/env python3
"""`altiplano model`: a file used where it lies, split models, tokenizers, and what is left when a file goes."""
import os
import pathlib
import shutil
import subprocess
import unicodedata

import gguf
import harness


def process_of(node, module):
    me = node.json("key")["address"]
    return node.json("spawn", "--module", module, "--tag", "Extension=WeaveDrive", "--tag", f"Attestor={me}")["process"]


def a_model_is_used_where_it_lies():
    with harness.Node() as node:
        module = node.json("put", harness.guest("llama"), "--module", "--name", "llama")["id"]
        before = sum(os.lstat(f).st_size for f in node.data.rglob("*") if not os.path.isdir(f))
        file = node.folder / "model.gguf"
        shutil.copyfile(harness.model(), file)
        model = node.json("model", "add", file)[0]["id"]
        after = sum(os.lstat(f).st_size for f in node.data.rglob("*") if not os.path.isdir(f))
        assert after - before < 10 << 20, "no second copy"

        listed = node.json("model", "ls")
        assert [m["id"] for m in listed] == [model] and listed[0]["tags"]["Architecture"] == "llama", listed
        shown = node.json("model", "show", model)
        assert shown["tags"]["Chat"] == "yes" and int(shown["size"]) == file.stat().st_size, shown
        asked = node.json("ask", "Name a colour.", "--module", module, "--model", model, "--tokens", 4)
        assert asked["answer"].strip(), asked
        # Also where nothing is shown the pieces' times are taken; on a busy machine they may come too late to count.
        again = (node.json("ask", "Count to ten.", "--process", asked["process"], "--tokens", 12) for _ in range(5))
        assert any(float(one["tokens_per_second"]) > 0 for one in again)
        assert [p["id"] for p in node.json("model", "ps", model)] == [asked["process"]]
        assert node.json("model", "verify", model)["valid"]
        verified = node.json("verify", asked["process"])
        assert verified["identical"] and verified["slots"] >= 2, verified

        # In use it stays; a file that is changed is found out, and one that goes is missed by its name.
        out, said = node.run("model", "rm", model, status=None)
        assert asked["process"] in out + said, out + said
        with open(file, "r+b") as changed:
            changed.seek(-1, os.SEEK_END)
            last = changed.read(1)
            changed.seek(-1, os.SEEK_END)
            changed.write(bytes([last[0] ^ 1]))
        out, said = node.run("model", "verify", model, status=None)
        assert "weave.broken_item" in out + said, out + said
        assert node.json("model", "rm", model, "--force")["removed"] == model
        assert file.exists()

        # What is no whole model is refused with what is wrong.
        broken = node.folder / "broken.gguf"
        broken.write_bytes(file.read_bytes()[:1 << 20])
        out, said = node.run("model", "add", broken, status=None)
        assert "its tensors need" in out + said or "inside its head" in out + said, out + said
        broken.write_bytes(b"PK\3\4 no model")
        out, said = node.run("model", "add", broken, status=None)
        assert "no GGUF file" in out + said, out + said


def a_split_model_says_what_the_whole_one_says():
    with harness.Node() as node:
        module = node.json("put", harness.guest("llama"), "--module", "--name", "llama")["id"]
        process = process_of(node, module)
        parts = [p["id"] for p in node.json("model", "add", *gguf.split(harness.model(), node.folder, 3))]
        assert [m["tags"]["Part"] for m in node.json("model", "ls")] in (["1 of 3", "2 of 3", "3 of 3"], ["3 of 3", "2 of 3", "1 of 3"])
        whole = node.json("model", "add", harness.model())[0]["id"]
        say = "llama.set({stream = false}) llama.setPrompt('The capital of France is') return llama.run(6)"
        paths = ", ".join(f"'/data/{part}'" for part in parts)
        of_parts = node.run("eval", process, f"llama = require('llama') assert(llama.load({{{paths}}})) {say}")[0]
        of_whole = node.run("eval", process, f"assert(llama.load('/data/{whole}')) {say}")[0]
        assert of_parts == of_whole and of_parts.strip(), (of_parts, of_whole)
        out, said = node.run("eval", process, f"return tostring(select(2, llama.load({{'/data/{parts[0]}', '/data/{parts[2]}'}})))")
        assert "llama.model_invalid" in out, out + said


def tokenizers_cut_text_as_the_engine_says():
    """The vocabularies in llama.cpp's source package, with the texts and tokens beside them."""
    source = pathlib.Path(subprocess.run([harness.ROOT / "guest/toolchain/build", "--path", "llama-source"], check=True,
                                         capture_output=True, text=True).stdout.strip()) / "src" / "models"
    with harness.Node() as node:
        process = process_of(node, node.json("put", harness.guest("llama"), "--module", "--name", "llama")["id"])
        scripts, checked = set(), 0
        for name in ("llama-bpe", "llama-spm", "gpt-2", "phi-3", "qwen2", "falcon", "bert-bge", "starcoder"):
            texts = (source / f"ggml-vocab-{name}.gguf.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
            wanted = [line.split() for line in (source / f"ggml-vocab-{name}.gguf.out").read_text().splitlines()]
            texts = texts[:len(wanted)]
            scripts |= {unicodedata.name(c, "?").split()[0] for text in texts for c in text if c.isalpha()}
            model = node.json("model", "add", source / f"ggml-vocab-{name}.gguf")[0]["id"]
            listed = ", ".join('"' + "".join(f"\\{b:03d}" for b in text.encode()) + '"' for text in texts)
            code = (f"llama = require('llama') assert(llama.load('/data/{model}', {{words_only = true}})) local lines = {{}} "
                    f"for i, text in ipairs({{{listed}}}) do lines[i] = table.concat(llama.engine.tokenize(text, false, false), ' ') end "
                    "return table.concat(lines, '\\n')")
            found = [line.split() for line in node.run("eval", process, code)[0].removesuffix("\n").split("\n")]
            for text, ours, theirs in zip(texts, found, wanted):
                assert ours == theirs, (name, text, ours, theirs)
                checked += 1
        assert {"LATIN", "CYRILLIC", "KHMER", "CJK"} <= scripts and checked > 300, (scripts, checked)

        # The package's texts have four scripts. Of six, what comes back is what went in, and without the weights nothing else works.
        six = "Ω λόγος · привет мир · नमस्ते दुनिया · مرحبا بالعالم · こんにちは世界 · 안녕하세요"
        model = node.json("model", "add", source / "ggml-vocab-llama-bpe.gguf")[0]["id"]
        back = node.run("eval", process, f"assert(llama.load('/data/{model}', {{words_only = true}})) return llama.detokenize(llama.tokenize('{six}'))")[0]
        assert back == six + "\n", back
        out, said = node.run("eval", process, "llama.setPrompt('x')", status=1)
        assert "only the tokenizer is loaded" in out + said, out + said


if __name__ == "__main__":
    harness.main([a_model_is_used_where_it_lies, a_split_model_says_what_the_whole_one_says, tokenizers_cut_text_as_the_engine_says])
