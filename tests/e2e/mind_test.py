#!/usr/bin/env python3
"""A model in a process: what it said is said again by the specification itself, the reference module in wasm."""
import harness


def an_answer_is_the_same_by_the_reference_module():
    with harness.Node() as node:
        module = node.json("put", harness.guest("llama"), "--module", "--name", "llama")["id"]
        model = node.json("put", harness.model(), "--attest")["id"]
        asked = node.json("ask", "Name a colour.", "--module", module, "--model", model, "--tokens", 6)
        assert asked["answer"].strip(), asked
        assert asked["generated_tokens"] > 0, asked
        by_own_code = node.json("verify", asked["process"])
        by_reference = node.json("verify", asked["process"], "--reference")
        assert by_own_code["identical"] and by_reference["identical"], (by_own_code, by_reference)
        assert by_own_code["slots"] == by_reference["slots"] >= 2
        assert by_own_code["state_root"] == by_reference["state_root"]


if __name__ == "__main__":
    harness.main([an_answer_is_the_same_by_the_reference_module])
