#!/usr/bin/env python3
"""AO's units as their clients meet them: every endpoint of /su, /mu and /cu with its shape, its order of checks and its errors
(ao-protocol.md 3-5), and that what users of the original suffered from does not happen here (13)."""
import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request

import harness
import items

ALICE = items.Wallet(1)
BOB = items.Wallet(2)
MESSAGE = [("Data-Protocol", "ao"), ("Variant", "ao.TN.1"), ("Type", "Message")]


def ask(node, method, path, body=None, headers=None):
    """(status, JSON or text)"""
    request = urllib.request.Request(node.url + path, data=body, method=method, headers=headers or {"Content-Type": "application/octet-stream"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def get(node, path):
    status, answer = ask(node, "GET", path)
    assert status == 200, (path, status, answer)
    return answer


def refused(node, status, words, method, path, body=None):
    found, answer = ask(node, method, path, body)
    assert found == status and words in answer["error"] and answer["code"], (path, found, answer)


def process_item(node, wallet=ALICE, code="", more=()):
    info = node.get("/info")
    tags = [("Data-Protocol", "ao"), ("Variant", "ao.TN.1"), ("Type", "Process"), ("Module", node.module), ("Scheduler", info["scheduler"]),
            ("Authority", info["authority"]), ("On-Boot", "Data"), *more]
    node.anchors = getattr(node, "anchors", 0) + 1
    return wallet.item(tags, code.encode() or b" ", anchor=b"%032d" % node.anchors)


def message_item(node, target, tags=(), data=b" ", wallet=ALICE):
    node.anchors = getattr(node, "anchors", 0) + 1
    return wallet.item([*MESSAGE, *tags], data, target, b"%032d" % node.anchors)


def spawned(node, **options):
    pid, wire = process_item(node, **options)
    status, answer = ask(node, "POST", "/mu", wire)
    assert (status, answer["message"], answer["id"]) == (202, "Processing DataItem", pid), answer
    return pid


def sent(node, target, **options):
    message, wire = message_item(node, target, **options)
    status, answer = ask(node, "POST", "/mu/", wire)
    assert status == 202 and answer["id"] == message, answer
    return message


class Units(harness.Node):
    def __enter__(self):
        super().__enter__()
        self.module = self.json("put", harness.guest("process"), "--module")["id"]
        return self


def tags_of(node):
    return {tag["name"]: tag["value"] for tag in node["tags"]}


def the_scheduler_has_every_endpoint():
    with Units() as node:
        root = get(node, "/su")
        assert isinstance(root["timestamp"], str) and len(root["address"]) == 43, root
        now = get(node, "/su/timestamp")
        assert isinstance(now["timestamp"], str) and len(now["block_height"]) == 12, now
        pid, wire = process_item(node)
        status, answer = ask(node, "POST", "/su", wire)
        assert status == 200 and answer["id"] == pid and isinstance(answer["timestamp"], int), answer
        assert ask(node, "POST", "/su", wire) == (status, answer), "the same item again has the same answer"
        message, wire = message_item(node, pid, data=b"\xff\xfe binary")
        status, answer = ask(node, "POST", "/su/", wire)
        assert status == 200 and answer["id"] == message, answer
        second = sent(node, pid)

        # The page: the process first, timestamps that grow, tags in the order of 2.3, data as the original serves it.
        page = get(node, f"/su/{pid}?process-id={pid}")
        assert page["page_info"] == {"has_next_page": False}, page["page_info"]
        nodes = [edge["node"] for edge in page["edges"]]
        assert [one["message"]["id"] for one in nodes] == [pid, message, second]
        assert nodes[1]["message"]["data"] == "\ufffd\ufffd binary" and nodes[1]["message"]["target"] == pid
        times = [int(edge["cursor"]) for edge in page["edges"]]
        assert times == sorted(set(times)), times
        for nonce, one in enumerate(nodes):
            names = [tag["name"] for tag in one["assignment"]["tags"]]
            order = ["Process", "Epoch", "Nonce", "Hash-Chain", "Block-Height", "Timestamp", "Data-Protocol", "Type", "Variant"]
            order += ["Message"] if nonce else []
            assert names[:len(order)] == order, names
            tags = tags_of(one["assignment"])
            assert tags["Nonce"] == str(nonce) and tags["Epoch"] == "0" and len(tags["Block-Height"]) == 12, tags
            assert one["assignment"]["target"] == "" and ("Message" in tags) == (nonce > 0)
        # Both paging modes: from is exclusive, to inclusive.
        ids = lambda query: [edge["node"]["message"]["id"] for edge in get(node, f"/su/{pid}?process-id={pid}&{query}")["edges"]]
        assert ids(f"from={times[0]}") == [message, second] and ids(f"from={times[0]}&to={times[1]}") == [message]
        assert ids("from-nonce=-1&to-nonce=0") == [pid] and ids("from-nonce=0") == [message, second]
        assert [edge["cursor"] for edge in get(node, f"/su/{pid}?process-id={pid}&from-nonce=0")["edges"]] == ["1", "2"]
        page = get(node, f"/su/{pid}?process-id={pid}&limit=2")
        assert page["page_info"]["has_next_page"] and len(page["edges"]) == 2
        rest = get(node, f"/su/{pid}?process-id={pid}&limit=2&from={page['edges'][-1]['cursor']}")
        assert [edge["node"]["message"]["id"] for edge in rest["edges"]] == [second] and not rest["page_info"]["has_next_page"]

        # One message, by its own id or its assignment's; the process; the newest.
        one = get(node, f"/su/{message}?process-id={pid}&show-anchor=1")
        assert items.from_b64u(one["message"]["anchor"]).isdigit() and get(node, f"/su/{one['assignment']['id']}?process-id={pid}")["message"]["id"] == message
        shown = get(node, f"/su/processes/{pid}")
        assert shown["process_id"] == pid and isinstance(shown["timestamp"], int) and len(shown["block"]) == 12 and shown["owner"]["address"] == ALICE.address
        assert get(node, f"/su/{pid}/latest")["message"]["id"] == second

        # Errors: 400 for everything, in the order of the original's checks.
        refused(node, 400, "Message or Process not found", "GET", f"/su/{BOB.address}?process-id={BOB.address}")
        refused(node, 400, "Message or Process not found", "GET", f"/su/{BOB.address}?process-id={pid}")
        refused(node, 400, "process-id", "GET", f"/su/{message}")
        refused(node, 400, "Message or Process not found", "GET", f"/su/processes/{BOB.address}")
        refused(node, 400, "You must set both", "POST", f"/su?process-id={pid}")
        broken = bytearray(wire)
        broken[-1] ^= 1
        refused(node, 400, "", "POST", "/su", bytes(broken))
        refused(node, 400, "Type tag not present", "POST", "/su", ALICE.item([("Data-Protocol", "ao")], target=pid)[1])
        refused(node, 400, "Unsupported Type tag value", "POST", "/su", ALICE.item([("Type", "Odd")], target=pid)[1])
        refused(node, 400, "Data-Protocol tag not present", "POST", "/su", ALICE.item([("Type", "Message")], target=pid)[1])
        refused(node, 400, "+link", "POST", "/su", message_item(node, pid, tags=[("x", "y+link")])[1])
        refused(node, 400, "Message or Process not found", "POST", "/su", message_item(node, BOB.address)[1])
        assert len(get(node, f"/su/{pid}?process-id={pid}")["edges"]) == 3, "nothing refused was stored"


def the_scheduler_says_where_it_is():
    with Units() as node:
        address = get(node, "/su")["address"]
        where = lambda: node.get(f"/~altiplano/items?Type=Scheduler-Location&owner={address}")["ids"]
        assert len(where()) == 1
        port = node.url.rsplit(":", 1)[1]
        node.stop()
        node.port = int(port)
        node.options.append("--no-alias-ports")
        node.start()
        assert len(where()) == 1, "the same place is said once"


def items_of_the_weave_are_assigned():
    with Units() as node:
        code = 'ao.addAssignable("all", function() return true end) Seen = {} Handlers.add("seen", function() return true end, function(m) Seen[#Seen + 1] = tostring(m.Data) .. (m.Anchor and "+" or "-") end)'
        a, b = spawned(node, code=code), spawned(node, code=code)
        data, wire = ALICE.item([("Note", "n")], b"from the weave")
        assert ask(node, "POST", "/tx", wire)[0] == 200
        status, answer = ask(node, "POST", f"/mu?process-id={a}&assign={data}")
        assert status == 202 and answer["message"] == "Processing Assignment" and len(answer["id"]) == 43, answer
        assignment = answer["id"]
        assert ask(node, "POST", f"/mu?process-id={a}&assign={data}")[1]["id"] == assignment, "once"
        one = get(node, f"/su/{assignment}?process-id={a}")
        assert one["message"] is None and tags_of(one["assignment"])["Message"] == data, one
        status, answer = ask(node, "POST", f"/su?process-id={b}&assign={data}&exclude=Data,Anchor")
        assert status == 200 and [tag["value"] for tag in get(node, f"/su/{answer['id']}?process-id={b}")["assignment"]["tags"] if tag["name"] == "Exclude"] == ["Data", "Anchor"]
        assert get(node, f"/cu/result/{assignment}?process-id={a}")["Output"] is not None
        seen = lambda pid, number: get(node, f"/cu/result/{sent(node, pid, tags=[('Action', 'Eval')], data=f'return Seen[{number}]'.encode())}?process-id={pid}")["Output"]["data"]
        assert seen(a, 1) == "from the weave+", seen(a, 1)
        assert seen(b, 1) == "nil-", "what was excluded is not there"
        # The base layer: only what lies deep enough.
        young, wire = ALICE.item([("Note", "young")], b"young")
        assert ask(node, "POST", "/tx", wire)[0] == 200
        refused(node, 400, "blocks on top", "POST", f"/su?process-id={a}&assign={young}&base-layer")
        shallow = spawned(node, more=[("Settlement-Depth", "1")])
        assert ask(node, "POST", f"/su?process-id={shallow}&assign={young}&base-layer")[0] == 200
        refused(node, 400, "not in this weave", "POST", f"/su?process-id={a}&assign={BOB.address}")
        refused(node, 400, "You must set both process-id and assign to send an assignment, not just one", "POST", f"/mu?process-id={a}")
        refused(node, 400, "You must set both", "POST", f"/mu?assign={data}")
        # By a process: ao.assign.
        third, wire = ALICE.item([("Note", "third")], b"by a process")
        assert ask(node, "POST", "/tx", wire)[0] == 200
        before = node.get(f"/~altiplano/process/{b}")["slots"]
        sent(node, a, tags=[("Action", "Eval")], data=f"Assign({{ Processes = {{ '{b}' }}, Message = '{third}' }})".encode())
        harness.wait_for(lambda: node.get(f"/~altiplano/process/{b}")["slots"] == before + 1)
        assert node.get(f"/~altiplano/log/{b}/{before}")["message"] == third


def the_messenger_signs_nothing_for_a_client():
    with Units() as node:
        authority = node.get("/info")["authority"]
        pid = spawned(node, code="Handlers.add('x', function(m) return m.Action == 'X' end, function(m) Send({ Target = m.To, Data = 'x' }) end)")
        assert ask(node, "GET", "/mu")[1] == "ao messenger unit"
        refused(node, 400, "'body': A valid and signed data item must be provided as the body.", "POST", "/mu", b"nothing")
        # Whoever pretends to come from a forwarder that the process trusts is refused (4.2), and Pushed-For is not taken over.
        refused(node, 400, "Invalid From-Process value", "POST", "/mu", message_item(node, pid, tags=[("From-Process", authority)])[1])
        forged = sent(node, pid, tags=[("Action", "X"), ("To", BOB.address), ("Pushed-For", "made up")])
        slot = node.get(f"/~altiplano/slot/{pid}/{forged}")["slot"]
        harness.wait_for(lambda: [one["state"] for one in node.get(f"/~altiplano/outbox/{pid}/{slot}")["outbox"]] == ["accepted"])
        trace = get(node, f"/mu?debug=1&process={pid}")
        assert not trace["pageInfo"]["hasNextPage"] and len(trace["edges"]) == 1, trace
        found = trace["edges"][0]["node"]
        assert (found["type"], found["state"], found["target"]) == ("MESSAGE", "accepted", BOB.address), found
        assert get(node, f"/mu?debug=1&process={pid}&message={found['id']}")["edges"] == trace["edges"]
        assert ask(node, "GET", f"/mu?debug=1&process={pid}&message={pid}&spawn={pid}")[0] == 422
        # Pushed again it is the same item.
        status, answer = ask(node, "POST", f"/mu/push/{forged}/0?process-id={pid}")
        assert status == 202 and answer["message"] == "Processing Message Result" and answer["pushed"] == found["id"], answer
        refused(node, 400, "'number' parameter must be a valid number", "POST", f"/mu/push/{forged}/x?process-id={pid}")
        assert ask(node, "POST", f"/mu/push/{forged}/7?process-id={pid}")[0] == 404
        refused(node, 400, "Push is disabled", "POST", "/mu/push-result/x/0", b"{}")
        # A message to a wallet is stored for it; at our own door a mistyped process is an error.
        wallet, wire = message_item(node, BOB.address)
        assert ask(node, "POST", "/", wire)[0] == 404
        assert ask(node, "POST", "/mu", wire) == (202, {"message": "Processing DataItem", "id": wallet})
        assert ask(node, "GET", f"/{wallet}")[0] == 200
        # Only the owner has a process watched.
        refused(node, 403, "only its owner", "POST", f"/mu/monitor/{pid}", message_item(node, pid, wallet=BOB)[1])
        refused(node, 400, "Signed data item is required", "POST", f"/mu/monitor/{pid}", b"")
        assert ask(node, "POST", f"/mu/monitor/{pid}", message_item(node, pid)[1]) == (200, "Monitoring process")
        refused(node, 400, "Process already being monitored", "POST", f"/mu/monitor/{pid}", message_item(node, pid)[1])
        assert ask(node, "DELETE", f"/mu/monitor/{pid}", message_item(node, pid)[1]) == (200, "Process deleted")
        refused(node, 400, "Process monitor not found", "DELETE", f"/mu/monitor/{pid}", message_item(node, pid)[1])


def refused_messages_are_seen_and_pushed_again():
    with Units() as node:
        pid = spawned(node, code="Handlers.add('x', function(m) return m.Action == 'X' end, function(m) Send({ Target = 'nobody' }) Spawn('no module', {}) end)")
        sent(node, pid, tags=[("Action", "X")])
        harness.wait_for(lambda: len(node.get(f"/~altiplano/dead?process={pid}")["dead"]) == 2)
        dead = node.get("/~altiplano/dead")["dead"]
        assert "messenger.bad_outgoing" in dead[0]["error"] and "scheduler.bad_tag" in dead[1]["error"], dead
        listed = node.json("dead", "ls")["dead"]
        assert listed == dead
        assert node.json("dead", "push", "--all")["pushed"] == 2
        harness.wait_for(lambda: [one["state"] for one in node.get(f"/~altiplano/dead?process={pid}")["dead"]] == ["dead", "dead"])
        assert node.json("dead", "push", pid, "1", "1")["pushed"] == 1
        assert node.json("dead", "push", pid, "9", "9", status=3)["code"] == "messenger.unknown_delivery"


def the_compute_unit_has_every_endpoint():
    with Units() as node:
        root = get(node, "/cu")
        assert len(root["address"]) == 43 and isinstance(root["timestamp"], int), root
        code = "Handlers.add('e', function(m) return m.Action == 'E' end, function() error('asked for') end) Handlers.add('c', function(m) return m.Action == 'C' end, function(m) N = (N or 0) + 1 m.reply({ Data = tostring(N) }) end)"
        a, b = spawned(node, code=code), spawned(node, code="")
        messages = [sent(node, a, tags=[("Action", action)]) for action in "CECCE"]
        result = lambda message, of=a: get(node, f"/cu/result/{message}?process-id={of}")
        for message, count in zip([messages[0], messages[2], messages[3]], "123"):
            answer = result(message)
            assert answer["Messages"][0]["Data"] == count and answer["Spawns"] == [] and answer["Assignments"] == [] and "Error" not in answer, answer
        failed = result(messages[1])
        assert "asked for" in failed["Error"] and failed["Messages"] == [], failed
        assert result(a)["Output"] is not None, "the process's own id is its first message"
        # The original's cache knows the message id alone; here another process is another question.
        refused(node, 404, "Message or Process not found", "GET", f"/cu/result/{messages[0]}?process-id={b}")
        refused(node, 400, "process-id", "GET", f"/cu/result/{messages[0]}")

        # Pages: results with an Error are left out, pages are full and the end is exact; cursors are what aos reads.
        result(messages[4])
        page = get(node, f"/cu/results/{a}?limit=2")
        assert page["pageInfo"]["hasNextPage"] and len(page["edges"]) == 2
        rest = get(node, f"/cu/results/{a}?limit=2&from={page['edges'][-1]['cursor'].replace('+', '%2B')}")
        assert not rest["pageInfo"]["hasNextPage"] and [edge["node"]["Messages"][0]["Data"] for edge in rest["edges"]] == ["2", "3"]
        cursor = json.loads(base64.b64decode(rest["edges"][-1]["cursor"]))
        assert cursor["ordinate"] == "4" and cursor["sort"] == "ASC" and isinstance(cursor["timestamp"], int), cursor
        down = get(node, f"/cu/results/{a}?sort=DESC&limit=1")
        assert json.loads(base64.b64decode(down["edges"][0]["cursor"]))["ordinate"] == "4" and down["pageInfo"]["hasNextPage"]
        assert len(get(node, f"/cu/results/{a}?from={cursor['timestamp']}")["edges"]) == 0
        # Whatever the order, `from` is the lower end and left out, `to` the upper and taken in; a cursor brings its order along.
        at = {"ASC": {}, "DESC": {}}
        for sort in at:
            for edge in get(node, f"/cu/results/{a}?sort={sort}")["edges"]:
                at[sort][json.loads(base64.b64decode(edge["cursor"]))["ordinate"]] = urllib.parse.quote(edge["cursor"])
        assert list(at["ASC"]) == ["0", "1", "3", "4"] and list(at["DESC"]) == ["4", "3", "1", "0"], at
        time_of = lambda slot: node.get(f"/~altiplano/log/{a}/{slot}")["timestamp"]
        slots = lambda query: [json.loads(base64.b64decode(edge["cursor"]))["ordinate"] for edge in get(node, f"/cu/results/{a}?{query}")["edges"]]
        for query, expected in [
                (f"from={at['DESC']['1']}", ["4", "3"]), (f"from={at['ASC']['1']}&sort=DESC", ["3", "4"]),
                (f"from={at['DESC']['4']}", []), (f"to={at['DESC']['3']}&sort=DESC", ["3", "1", "0"]),
                (f"from={at['DESC']['0']}&to={at['DESC']['3']}", ["3", "1"]), (f"sort=DESC&from={time_of(1)}", ["4", "3"]),
                (f"sort=DESC&to={time_of(3)}&limit=2", ["3", "1"]), (f"from={time_of(0)}&to={time_of(3)}", ["1", "3"])]:
            assert slots(query) == expected, (query, slots(query), expected)
        assert get(node, f"/cu/cron/{a}") == {"edges": [], "pageInfo": {"hasNextPage": False}}
        refused(node, 400, "neither a time nor a cursor", "GET", f"/cu/results/{a}?from=x")

        # A dry run is true to the process that is asked, and changes nothing.
        body = json.dumps({"Owner": ALICE.address, "Tags": [{"name": "Action", "value": "C"}]}).encode()
        dry = lambda of: ask(node, "POST", f"/cu/dry-run?process-id={of}", body, {"Content-Type": "application/json"})
        assert dry(a)[1]["Messages"][0]["Data"] == "4" and dry(a)[1]["Messages"][0]["Data"] == "4"
        assert dry(b)[0] == 200 and dry(b)[1]["Messages"] == [], "the same body to another process"
        assert result(sent(node, a, tags=[("Action", "C")]))["Messages"][0]["Data"] == "4"
        refused(node, 404, "not found", "POST", f"/cu/dry-run?process-id={BOB.address}", body)


def a_process_that_slept_long_says_that_it_is_parked():
    with Units() as node:
        clock = node.folder / "clock"
        node.stop()
        clock.write_text("1800000000000")
        node.environment["ALTIPLANO_TEST_WALL_CLOCK"] = str(clock)
        node.start()
        pid = spawned(node, code="N = 0 Handlers.add('t', function(m) return m.Cron end, function() N = N + 1 end)", more=[("Cron-Interval", "1-second")])
        assert get(node, f"/cu/result/{pid}?process-id={pid}")
        clock.write_text("1800000030000")
        ticks = get(node, f"/cu/cron/{pid}")["edges"]
        assert len(ticks) == 30
        # The newest first, then what is newer than those: nothing yet; and what lies between two.
        newest = get(node, f"/cu/cron/{pid}?sort=DESC&limit=5")["edges"]
        times = lambda edges: [json.loads(base64.b64decode(edge["cursor"]))["timestamp"] for edge in edges]
        assert times(newest) == times(ticks)[:-6:-1]
        between = lambda low, high: get(node, f"/cu/cron/{pid}?from={urllib.parse.quote(low['cursor'])}&to={urllib.parse.quote(high['cursor'])}")["edges"]
        assert get(node, f"/cu/cron/{pid}?from={urllib.parse.quote(newest[0]['cursor'])}")["edges"] == []
        assert times(between(newest[4], newest[0])) == times(newest)[:4] and times(between(ticks[3], ticks[7])) == times(ticks)[4:8]
        clock.write_text("1800000200000000")
        refused(node, 503, "is parked", "GET", f"/cu/cron/{pid}")
        late = sent(node, pid)
        refused(node, 503, "is parked", "GET", f"/cu/result/{late}?process-id={pid}")
        state = node.get(f"/~altiplano/process/{pid}")["cron"]
        assert state["state"] == "parked" and state["due"] > 100_000, state
        # Up to an explicit time it goes on.
        assert node.json("cron", pid, "--until", "1800000032000")["evaluated"] == 2
        assert len(get(node, f"/cu/cron/{pid}?to=1800000035000")["edges"]) == 35
        status, answer = ask(node, "POST", "/mu", process_item(node, more=[("Cron-Interval", "100-ms")])[1])
        assert status == 422 and "cannot be less than 1 second" in answer["error"], answer
        status, answer = ask(node, "POST", "/mu", process_item(node, more=[("Cron-Tag-Action", "x")])[1])
        assert status == 422 and "Unmatched Cron-Tag" in answer["error"], answer


def keys_of_every_kind_sign_assignments():
    for kind, length in (("arweave", 512), ("ethereum", 65)):
        with Units(options=["--scheduler-key", kind, "--authority-key", kind]) as node:
            pid = spawned(node)
            message = sent(node, pid)
            one = get(node, f"/su/{message}?process-id={pid}")
            assert len(items.from_b64u(one["assignment"]["owner"]["key"])) == length, one["assignment"]["owner"]
            assert node.json("verify", pid, "--slot", 1)["identical"]


if __name__ == "__main__":
    harness.main([the_scheduler_has_every_endpoint, the_scheduler_says_where_it_is, items_of_the_weave_are_assigned,
                  the_messenger_signs_nothing_for_a_client, refused_messages_are_seen_and_pushed_again,
                  the_compute_unit_has_every_endpoint, a_process_that_slept_long_says_that_it_is_parked,
                  keys_of_every_kind_sign_assignments])
