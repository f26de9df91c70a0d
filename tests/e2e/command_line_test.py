#!/usr/bin/env python3
"""What a person at a terminal gets: answers, errors with a code and a hint, exit codes; and after every wrong input a node
that stands and has stored nothing of it."""
import json
import pathlib
import urllib.error
import urllib.request

import harness
import wasm


def put_module(node, path_or_bytes, *more, status=0):
    path = path_or_bytes
    if isinstance(path_or_bytes, bytes):
        path = node.folder / "module.wasm"
        path.write_bytes(path_or_bytes)
    return node.json("put", path, "--module", *more, status=status)["id"]


def lua(node, *more):
    """A Lua process: its id."""
    return node.json("spawn", "--module", put_module(node, harness.guest("process")), *more)["process"]


def height(node):
    return node.json("status")["height"]


def refused(node, code, *arguments, status=4):
    """The command fails with this code and exit status, says what to do, and the weave has not grown."""
    before = height(node)
    error = node.json(*arguments, status=status)
    assert error["code"] == code, error
    assert error["error"], error
    assert height(node) == before, "something was stored"
    _, text = node.run(*arguments, status=status)
    assert text.startswith(f"error  {code}: "), text


def post(node, path, body):
    request = urllib.request.Request(node.url + path, data=body, method="POST", headers={"Content-Type": "application/octet-stream"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["code"]


def a_process_computes_and_remembers():
    with harness.Node() as node:
        pid = lua(node)
        assert node.run("eval", pid, "return 1 + 1")[0] == "2\n"
        node.run("eval", pid, "Counter = (Counter or 0) + 1")
        assert node.run("eval", pid, "Counter = Counter + 1 return Counter")[0] == "2\n"
        result = node.json("result", pid, "--slot", 1)
        assert result["outcome"] == "result" and result["gas"] > 0, result
        verified = node.json("verify", pid)
        assert verified["identical"] and verified["slots"] == 4, verified


def an_error_keeps_the_memory():
    with harness.Node() as node:
        pid = lua(node)
        before = node.json("eval", pid, "Kept = 1 return Kept")["state_root"]
        failed = node.json("eval", pid, "Kept = 2 error('no')", status=1)
        assert failed["outcome"] == "error" and failed["state_root"] == before, failed
        assert node.run("eval", pid, "return Kept")[0] == "1\n"
        _, text = node.run("eval", pid, "return ((", status=1)
        assert text.startswith("error  cli.process_failed: "), text


def processes_send_to_each_other_and_to_wallets():
    with harness.Node() as node:
        a, b = lua(node), lua(node)
        wallet = node.json("key")["address"]
        slot = node.json("send", a, "--action", "Eval", "--data", f"Send({{Target='{b}', Action='Hello', Data='first'}}) Send({{Target='{b}', Action='Hello', Data='second'}}) "
                         f"Send({{Target='{wallet}', Data='to a wallet'}})")["slot"]
        harness.wait_for(lambda: all(entry["state"] == "accepted" for entry in node.get(f"/~altiplano/outbox/{a}/{slot}")["outbox"]))
        outbox = node.get(f"/~altiplano/outbox/{a}/{slot}")["outbox"]
        assert [entry["target"] for entry in outbox] == [b, b, wallet], outbox
        assert node.get(f"/~altiplano/log/{b}/1")["message"] == outbox[0]["id"]
        assert node.get(f"/~altiplano/log/{b}/2")["message"] == outbox[1]["id"]
        tags = {tag["name"]: tag["value"] for tag in node.get(f"/~altiplano/log/{b}/1")["tags"]}
        assert tags["From-Process"] == a and tags["Type"] == "Message", tags
        assert node.run("get", outbox[2]["id"])[0] == "to a wallet"
        for pid in (a, b):
            assert node.json("verify", pid)["identical"]


def a_spawned_process_is_announced_to_its_parent():
    with harness.Node() as node:
        pid = lua(node)
        module = node.get(f"/~altiplano/process/{pid}")["module"]
        slot = node.json("send", pid, "--action", "Eval", "--data", f"ao.spawn('{module}', {{Name='child'}})")["slot"]
        harness.wait_for(lambda: node.get(f"/~altiplano/process/{pid}")["slots"] == slot + 2)
        tags = {tag["name"]: tag["value"] for tag in node.get(f"/~altiplano/log/{pid}/{slot + 1}")["tags"]}
        assert tags["Action"] == "Spawned", tags
        child = node.get(f"/~altiplano/process/{tags['Process']}")
        assert child["slots"] == 1 and child["owner"] == node.json("status")["authority"], child


def a_module_stands_for_a_published_one_that_is_not_here():
    with harness.Node() as node:
        published = "ISShJH1ij-hPPt9St5UFFr_8Ys3Kj5cyg7zrMGt7H9s"
        refused(node, "compute.not_a_module", "spawn", "--module", published)
        # An item that says so itself stands for nothing: anybody may post one.
        module = put_module(node, harness.guest("process"), "--tag", f"Alias={published}")
        refused(node, "compute.not_a_module", "spawn", "--module", published)
        node.json("alias", "add", published, module)
        with urllib.request.urlopen(node.url + f"/{published}") as answer:
            assert answer.read(4) == b"\0asm" and answer.headers["Altiplano-Alias"] == f"{published}={module}"
        pid = node.json("spawn", "--module", published)["process"]
        assert node.run("eval", pid, "return ao.env.Module.Id")[0] == module + "\n"
        verified = node.json("verify", pid)
        assert verified["identical"], verified


def items_are_given_back_whole_and_in_parts():
    with harness.Node() as node:
        path = node.folder / "file"
        content = bytes(range(256)) * 2000
        path.write_bytes(content)
        item = node.json("put", path, "--content-type", "text/html")["id"]
        for where in (f"/{item}", f"/raw/{item}"):
            with urllib.request.urlopen(node.url + where) as answer:
                assert answer.read() == content
                assert answer.headers["Content-Type"] == "text/html" and answer.headers["Content-Security-Policy"] == "sandbox"
        def part(header):
            request = urllib.request.Request(node.url + f"/{item}", headers={"Range": header})
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        assert part("bytes=1-3") == (206, content[1:4])
        assert part("bytes=511990-") == (206, content[511990:])
        assert part("bytes=-5") == (206, content[-5:])
        assert part("bytes=9-1") == (200, content), "an invalid range is no range (ao-protocol.md 7.2)"
        head = urllib.request.urlopen(urllib.request.Request(node.url + f"/{item}", method="HEAD"))
        assert int(head.headers["Content-Length"]) == len(content) and head.read() == b""
        out = node.folder / "out"
        node.run("get", item, "-o", out)
        assert out.read_bytes() == content
        node.run("get", "A" * 43, status=3)
        node.run("get", "short", status=2)


def wrong_items_are_refused_and_not_stored():
    with harness.Node() as node:
        pid = lua(node)
        item = node.folder / "item"
        node.json("send", pid, "--data", "hello", "-o", item)
        wire = item.read_bytes()
        before = height(node)
        forged = bytearray(wire)
        forged[-1] ^= 1
        for path in ("/", "/tx"):
            assert post(node, path, bytes(forged)) == (400, "item.bad_signature")
            for cut in (0, 1, 70, 150):
                status, code = post(node, path, wire[:cut])
                assert (status, code) == (400, "item.truncated"), (cut, status, code)
            assert post(node, path, b"\xff" * 5000)[1] == "item.bad_signature_type"
        assert height(node) == before
        refused(node, "item.tag_bytes_over_limit", "send", pid, "--tag", "Long=" + "x" * 5000)
        refused(node, "scheduler.unknown_process", "send", "A" * 43, "--data", "x", status=3)
        refused(node, "scheduler.unknown_process", "eval", "A" * 43, "return 1", status=3)
        assert post(node, "/", wire)[0] == 202
        assert post(node, "/", wire)[1]["slot"] == 1, "the same item again is the same slot"
        assert node.run("eval", pid, "return 'still there'")[0] == "still there\n"


def modules_that_cannot_run_are_refused_at_spawn():
    with harness.Node() as node:
        for module, code in (
            (b"this is no wasm at all", "module.not_wasm"),
            (wasm.HEADER + b"\1\xff", "module.invalid"),
            (wasm.guest(wasm.CALL_ITSELF, memory=None), "module.no_memory"),
            (wasm.guest(wasm.CALL_ITSELF, memory=b"\x07\x02\x04"), "module.threads"),
        ):
            refused(node, code, "spawn", "--module", put_module(node, module))
        refused(node, "compute.unknown_format", "spawn", "--module", put_module(node, wasm.guest(wasm.CALL_ITSELF), "--format", "wasm128"))
        refused(node, "compute.not_a_module", "spawn", "--module", "B" * 42 + "A")
        good = put_module(node, harness.guest("process"))
        refused(node, "compute.bad_limit", "spawn", "--module", good, "--tag", "Memory-Limit=many")
        refused(node, "vm.memory_over_limit", "spawn", "--module", good, "--tag", "Memory-Limit=1-kb")
        assert node.json("status")["processes"] == 0
        node.json("spawn", "--module", good)


def what_never_ends_is_ended_by_its_own_limits():
    with harness.Node() as node:
        pid = lua(node, "--tag", "Compute-Limit=2000000000")
        root = node.json("eval", pid, "return 1")["state_root"]
        endless = node.json("eval", pid, "while true do end", status=1)
        assert endless["outcome"] == "guest_fault" and endless["text"].startswith("trap.out_of_gas: "), endless
        assert endless["gas"] == 2000000000 and endless["state_root"] == root, endless
        deep = node.json("eval", pid, "local function f() return 1 + f() end return f()", status=1)
        assert deep["outcome"] == "error" and "stack overflow" in json.dumps(deep), deep
        small = lua(node, "--tag", "Memory-Limit=64-mb")
        big = node.json("eval", small, "local t = {} while true do t[#t + 1] = string.rep('x', 1000000) .. #t end", status=1)
        assert big["outcome"] == "error" and "memory" in json.dumps(big), big
        assert node.run("eval", pid, "return 'fine'")[0] == "fine\n"

        wild = node.json("spawn", "--module", put_module(node, wasm.guest(wasm.CALL_ITSELF)))["process"]
        fault = node.json("result", wild, "--slot", 0, status=1)
        assert fault["outcome"] == "guest_fault" and fault["text"].startswith("trap.depth: "), fault
        assert node.json("verify", wild)["identical"]
        assert node.json("verify", pid)["identical"]


def usage_errors_are_told_apart():
    with harness.Node() as node:
        node.run("nonsense", status=2)
        node.run("send", status=2)
        node.run("--help", status=0)
        node.run("verify", "x", status=2)
        node.run("result", "A" * 43, "--slot", 0, status=3)
        node.run("verify", "A" * 43, status=3)
        hyphen = "-" + "A" * 42  # an id like any other: one in 64 begins so
        node.run("result", hyphen, "--slot", 0, status=3)
        node.run("get", hyphen, status=3)
        node.run("send", hyphen, "--data", "x", status=3)
        assert node.json("spawn", "--module", hyphen, status=4)["code"] == "compute.not_a_module"
        pid = lua(node)
        node.run("result", pid, "--slot", 99, status=3)
        node.run("verify", pid, "--slot", 99, status=3)
        node.run("send", pid, "--tag", "no-equals-sign", status=2)
        node.run("put", node.folder / "missing", status=3)
        _, text = harness.Node.run(node, "status", "--url", "http://127.0.0.1:1", status=1)
        assert "cli.no_node" in text and "hint   start one" in text, text
        other = harness.Node(folder=node.folder / "second")
        other.data = node.data
        try:
            other.folder.mkdir()
            other.start()
            raise AssertionError("two nodes on one folder")
        except harness.Failed:
            assert "node.folder_in_use" in other.log(), other.log()


def a_stranger_s_page_cannot_reach_the_node():
    with harness.Node() as node:
        request = urllib.request.Request(node.url + "/info", headers={"Host": "evil.example"})
        try:
            urllib.request.urlopen(request)
            raise AssertionError("a foreign Host was served")
        except urllib.error.HTTPError as error:
            assert error.code == 403 and json.load(error)["code"] == "node.bad_host"


if __name__ == "__main__":
    harness.main([a_process_computes_and_remembers, an_error_keeps_the_memory, processes_send_to_each_other_and_to_wallets, a_spawned_process_is_announced_to_its_parent,
                  a_module_stands_for_a_published_one_that_is_not_here, items_are_given_back_whole_and_in_parts, wrong_items_are_refused_and_not_stored, modules_that_cannot_run_are_refused_at_spawn,
                  what_never_ends_is_ended_by_its_own_limits, usage_errors_are_told_apart, a_stranger_s_page_cannot_reach_the_node])
