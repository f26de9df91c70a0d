"""Checkpoints in AO's form between nodes: one goes on where another got to, on its word, and whoever doubts it computes."""
import gzip
import hashlib
import os
import shutil
import tempfile

import harness
from harness import Node

BEGINS_AT = 3  # after which slot the other node goes on


def counted(node, slots):
    """A process that counted that far."""
    pid = node.json("spawn", "--module", node.json("put", harness.guest("process"), "--module")["id"])["process"]
    for i in range(1, slots + 1):
        node.json("eval", pid, f"Count = (Count or 0) + {i} return Count")
    return pid


def one_node_computes_what_another_s_checkpoint_leads_to():
    """The compute unit of a second node, which has nothing but the first one's log and weave, by their URLs."""
    with Node() as first:
        pid = counted(first, 5)
        id = first.json("checkpoint", "export", pid, "--slot", BEGINS_AT, "--publish")["id"]
        signer = first.json("key")["address"]
        second = Node(options=["--units", "compute", "--scheduler-url", first.url + "/su", "--gateway-url", first.url,
                               "--messenger-url", first.url + "/mu"])
        with second:
            assert second.json("checkpoint", "import", id, status=4)["code"] == "compute.signer_not_trusted"
            second.stop()
            second.start("--checkpoint-signers", signer)
            taken = second.json("checkpoint", "import", id)
            state = first.get(f"/~altiplano/result/{pid}/{BEGINS_AT}")["state_root"]
            assert (taken["slot"], taken["state_root"], taken["verified"]) == (BEGINS_AT, state, False), taken
            for slot in range(BEGINS_AT + 1, 6):
                ours, theirs = (one.get(f"/~altiplano/result/{pid}/{slot}") for one in (first, second))
                assert ours == theirs, (slot, ours, theirs)
            early = second.json("result", pid, "--slot", BEGINS_AT - 1, status=3)
            assert early["code"] == "compute.before_checkpoint" and id in early["error"], early
            assert second.get(f"/~altiplano/process/{pid}")["trusted"] == {"slot": BEGINS_AT, "checkpoint": id, "signer": signer}
            # Once it computed the log itself it knows.
            assert second.json("checkpoint", "verify", pid)["verified"]
            assert second.get(f"/~altiplano/trusted/{pid}")["verified"]
            assert "trusted" not in second.get(f"/~altiplano/process/{pid}")
            assert second.json("checkpoint", "import", id, status=4)["code"] == "compute.computed_already"


def forget_results(node):
    node.stop()
    for name in ("cache.db", "cache.db-wal", "cache.db-shm"):
        (node.data / name).unlink(missing_ok=True)
    shutil.rmtree(node.data / "images")


def a_node_that_lost_its_results_goes_on_and_verify_says_what_was_not_verified():
    with Node() as node:
        pid = counted(node, 4)
        id = node.json("checkpoint", "export", pid, "--slot", BEGINS_AT, "--publish")["id"]
        signer = node.json("key")["address"]
        text = tempfile.mkdtemp()
        path = os.path.join(text, "memory.gz")
        node.json("checkpoint", "export", pid, "--slot", BEGINS_AT, "--output", path)
        before = node.json("result", pid, "--slot", 4)["state_root"]
        forget_results(node)
        node.start("--checkpoint-signers", signer)
        out = node.run("checkpoint", "import", id)[0]
        assert "nobody computed this state here" in out, out
        assert node.run("eval", pid, "return Count")[0] == "10\n"
        assert node.json("result", pid, "--slot", 4)["state_root"] == before
        assert node.get(f"/~altiplano/process/{pid}")["computed"] == 6

        part = node.json("verify", pid, "--from", BEGINS_AT + 1)
        assert part["trusted_checkpoint"] == BEGINS_AT and part["slots"] == 2, part
        assert part["taken_in"] == {"slot": BEGINS_AT, "checkpoint": id, "signer": signer, "identical": False}, part
        assert "not verified" in node.run("verify", pid, "--from", BEGINS_AT + 1)[0]
        whole = node.json("verify", pid)
        assert whole["slots"] == 2 and whole["taken_in"]["identical"] and "trusted_checkpoint" not in whole, whole

        # One that lies: by its tags and its hash it is what it says, and so it is believed, until somebody computes.
        with open(path, "rb") as file:
            memory = bytearray(gzip.decompress(file.read()))
        at = len(memory) - 100
        memory[at] ^= 1
        with open(path, "wb") as file:
            file.write(gzip.compress(bytes(memory), 1))
        tags = {"Data-Protocol": "ao", "Type": "Checkpoint", "Content-Encoding": "gzip", "Process": pid, "Nonce": BEGINS_AT,
                "Module": node.get(f"/~altiplano/process/{pid}")["module"], "SHA-256": hashlib.sha256(memory).hexdigest()}
        false = node.json("put", path, *(part for name, value in tags.items() for part in ("--tag", f"{name}={value}")))["id"]
        shutil.rmtree(text)
        forget_results(node)
        node.start("--checkpoint-signers", signer)
        node.json("checkpoint", "import", false)
        assert node.json("result", pid, "--slot", 4)["state_root"] != before
        wrong = node.json("verify", pid, status=5)
        assert wrong["code"] == "node.verify_differs" and false in wrong["error"], wrong
        assert node.json("checkpoint", "verify", pid, status=5)["code"] == "compute.disagreement"
        assert node.json("result", pid, "--slot", 5, status=5)["code"] == "compute.disagreement"

        # What the sentence advises: everything is then computed from the log.
        forget_results(node)
        node.start()
        assert node.json("result", pid, "--slot", 5)["outcome"] == "result"
        assert node.json("result", pid, "--slot", 4)["state_root"] == before
        assert node.json("verify", pid)["slots"] == 6


if __name__ == "__main__":
    harness.main([one_node_computes_what_another_s_checkpoint_leads_to,
                  a_node_that_lost_its_results_goes_on_and_verify_says_what_was_not_verified])
