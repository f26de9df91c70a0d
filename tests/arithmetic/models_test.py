#!/usr/bin/env python3
"""The logits of a model of each architecture that the talk names, in a process: those that a program written from docs/arithmetic.md
alone came to (models.py)."""
import pathlib

import harness

import models

GOLDEN = pathlib.Path(__file__).parent / "golden_models.txt"
READING = """llama = require('llama')
assert(llama.load('/data/%s', {context = 64, batch = 32}))
local engine, tokens, rows = llama.engine, {%s}, {}
for i, token in ipairs(tokens) do
  if i == 1 then engine.start({token}) else engine.feed({token}) end
  rows[i] = engine.logits()
end
engine.start({1})
engine.start(tokens)
assert(engine.logits() == rows[#rows], 'one by one and all together')
return require('.crypto').digest.sha2_256(table.concat(rows)).asHex()"""


def every_architecture_gives_the_logits_of_the_document():
    golden = dict(line.split(": ") for line in GOLDEN.read_text().splitlines())
    with harness.Node() as node:
        module = node.json("put", harness.guest("llama"), "--module", "--name", "llama")["id"]
        me = node.json("key")["address"]
        process = node.json("spawn", "--module", module, "--tag", "Extension=WeaveDrive", "--tag", f"Attestor={me}")["process"]
        found = {}
        for name, model, _ in models.fixtures():
            file = pathlib.Path(node.folder) / f"{len(found)}.gguf"
            models.write(file, model)
            item = node.json("model", "add", file)[0]["id"]
            out, wrong = node.run("eval", process, READING % (item, ", ".join(map(str, models.TOKENS))), status=None)
            found[name] = "not finite" if "trap.tensor_not_finite" in out + wrong else out.strip() or wrong
        assert found == golden, {name: (found.get(name), golden[name]) for name in golden if found.get(name) != golden[name]}
        assert len(golden) == 26
        assert node.json("verify", process)["identical"]


if __name__ == "__main__":
    harness.main([every_architecture_gives_the_logits_of_the_document])
