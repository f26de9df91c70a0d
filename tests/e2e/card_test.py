#!/usr/bin/env python3
"""A node with a graphics card, an emulated one: models are computed there, with the bits of the processor."""
import os
import pathlib
import signal

import harness

PROGRAM = os.environ["ALTIPLANO_EMULATED_CARD"]


def card_processes(node):
    found = []
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == node.process.pid and (status.parent / "cmdline").read_bytes().split(b"\0")[1] == b"card":
                found.append(int(status.parent.name))
        except (OSError, IndexError):  # ended meanwhile
            pass
    return found


def card_of(node):
    """What the status says of it, once it was tested."""
    said = []
    harness.wait_for(lambda: said.append(node.json("status")["card"]) or said[-1] != "being tested")
    return said[-1]


def ask(node, module, model):
    asked = node.json("ask", "Hi", "--module", module, "--model", model, "--tokens", 2)
    assert asked["generated_tokens"] > 0, asked
    verified = node.json("verify", asked["process"])
    assert verified["identical"] and verified["slots"] >= 2, verified
    return asked


def a_model_is_computed_on_the_card_and_checked_by_the_processor():
    notes = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"altiplano-card-notes-{os.getpid()}"
    with harness.Node(options=("--card", "on", "--worker-program", PROGRAM), environment={"ALTIPLANO_CARD_NOTES": str(notes)}) as node:
        assert card_of(node) == "a card made of fibers"
        module = node.json("put", harness.guest("llama"), "--module", "--name", "llama")["id"]
        model = node.json("model", "add", harness.model())[0]["id"]
        first = ask(node, module, model)
        runs = notes.read_text().splitlines()
        assert len(runs) >= first["generated_tokens"], runs
        assert sum(int(line.split()[0]) > 100 for line in runs) >= 2, runs  # a model's graphs, not only small ones

        # Weights are there once, however many processes use them.
        held = max(int(line.split()[2]) for line in runs)
        size = pathlib.Path(harness.model()).stat().st_size
        assert held > size / 2, (held, size)
        second = ask(node, module, model)
        assert second["answer"] == first["answer"]
        assert max(int(line.split()[2]) for line in notes.read_text().splitlines()) < held + size / 2

        # The card's process is lost in the middle of it all: the processor goes on, and the next worker has a card again.
        [card] = card_processes(node)
        os.kill(card, signal.SIGKILL)
        assert ask(node, module, model)["answer"] == first["answer"]
        before = len(notes.read_text().splitlines())
        assert ask(node, module, model)["answer"] == first["answer"]
        assert card_processes(node) not in ([], [card])
        assert len(notes.read_text().splitlines()) > before
    notes.unlink()


def a_node_without_a_card_says_why():
    with harness.Node(options=("--card", "on")) as node:
        assert "NVIDIA" in card_of(node)
    with harness.Node(options=("--card", "off")) as node:
        assert "card" not in node.json("status")
        assert card_processes(node) == []


if __name__ == "__main__":
    harness.main([a_model_is_computed_on_the_card_and_checked_by_the_processor, a_node_without_a_card_says_why])
