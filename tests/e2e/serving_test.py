"""How a node serves: settings, health, counters, the access log, and what happens to requests when it stops."""
import json
import http.client
import os
import shutil
import tempfile
import threading
import urllib.error
import urllib.request

import harness
from harness import Node, wait_for


def metrics(node):
    return urllib.request.urlopen(node.url + "/metrics").read().decode()


def settings_come_from_flags_environment_file_and_defaults():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "node.toml")
        with open(path, "w") as file:
            file.write('port = 0\nhosts = ["ao.example"]\nconnections = 50\n')
        with Node(environment={"ALTIPLANO_CONFIG": path, "ALTIPLANO_CONNECTIONS": "60"}) as node:
            shown = node.json("config", "show", "--warm", "3")
            assert shown["hosts"]["value"] == ["ao.example"] and shown["hosts"]["from"] == f"{path}:2", shown["hosts"]
            assert shown["connections"]["value"] == 60 and shown["connections"]["from"] == "ALTIPLANO_CONNECTIONS"
            assert shown["warm"]["value"] == 3 and shown["warm"]["from"] == "--warm"
            assert shown["idle_s"]["from"] == "default"
            out, _ = node.run("config", "show", "--explain")
            assert "how long a connection may be silent" in out and "ALTIPLANO_IDLE_S, --idle-s" in out, out
            # The node runs with them: another name for it is served.
            connection = http.client.HTTPConnection("127.0.0.1", int(node.url.rsplit(":", 1)[1]))
            connection.request("GET", "/health", headers={"Host": "ao.example"})
            answer = connection.getresponse()
            assert answer.status == 200 and answer.read()
            connection.request("GET", "/health", headers={"Host": "other.example"})
            assert connection.getresponse().status == 403
        with open(path, "a") as file:
            file.write("conections = 1\n")
        _, err = Node(environment={"ALTIPLANO_CONFIG": path}).run("config", "show", status=4)
        assert f"{path}:4" in err and "did you mean 'connections'?" in err, err


def it_says_how_it_is():
    with Node() as node:
        assert node.get("/health") == {"status": "ok"}
        assert node.get("/ready") == {"status": "ready"}
        document = node.get("/openapi.json")
        assert document["openapi"] == "3.1.0"
        for path in ("/", "/su/{id}", "/cu/result/{message}", "/~altiplano/status", "/metrics"):
            assert path in document["paths"], path
        # A request is counted when its reply is out, which may be after the client had it.
        wait_for(lambda: 'altiplano_http_requests_total{route="/ready",method="GET",status="200"} 1' in metrics(node))
        assert "process_resident_memory_bytes" in metrics(node)


def the_access_log_has_a_line_for_each_request():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "access.jsonl")
        with Node(options=["--access-log", path]) as node:
            node.get("/info")
            try:
                node.get("/nothing/here")
            except urllib.error.HTTPError:
                pass
        lines = [json.loads(line) for line in open(path)]
        # A line is written after its reply went out, so two may change places.
        assert sorted((one["target"], one["status"]) for one in lines) == [("/info", 200), ("/nothing/here", 404)], lines
        assert all(one["method"] == "GET" and (one["route"] == "/info" or one["status"] == 404) for one in lines), lines
        assert all(one["ms"] >= 0 and one["peer"] == "127.0.0.1" and one["time"].endswith("Z") for one in lines)


def many_wait_for_results_and_others_are_served():
    """More wait than the server has threads; a stop tells them all."""
    with Node(options=["--threads", "2", "--workers", "1"]) as node:
        module = node.json("put", harness.guest("process"), "--module")["id"]
        process = node.json("spawn", "--module", module)["process"]
        # An endless loop; its gas lasts longer than this test.
        node.json("send", process, "--action", "Eval", "--data", "while true do end")
        answers = []

        def wait():
            connection = http.client.HTTPConnection("127.0.0.1", int(node.url.rsplit(":", 1)[1]), timeout=120)
            connection.request("GET", f"/~altiplano/result/{process}/1")
            answer = connection.getresponse()
            answers.append((answer.status, json.loads(answer.read()).get("code")))

        threads = [threading.Thread(target=wait) for _ in range(40)]
        for thread in threads:
            thread.start()
        wait_for(lambda: "altiplano_results_waited_for 40" in metrics(node))
        assert node.get("/health") == {"status": "ok"}
        assert node.stop() == 0
        for thread in threads:
            thread.join()
        assert answers == [(503, "compute.stopping")] * 40, answers


PUBLISHED = {name: name * 42 + "A" for name in ("M", "P", "D")}  # ids that nobody has


def published_ids_stand_for_what_is_here():
    aliases = f"{PUBLISHED['M']}=Name=the-module,{PUBLISHED['P']}=Name=the-bank,{PUBLISHED['D']}=Name=the-data"
    with Node(options=["--aliases", aliases]) as node:
        def local():
            return {one["for"]: one["local"] for one in node.get("/~altiplano/aliases")["aliases"]}
        assert set(local().values()) == {None}
        node.json("spawn", "--module", PUBLISHED["M"], status=4)
        module = node.json("put", harness.guest("process"), "--module", "--tag", "Name=the-module")["id"]
        bank = node.json("spawn", "--module", PUBLISHED["M"], "--tag", "Name=the-bank")["process"]
        assert local()["Name=the-module"] == module
        assert node.get(f"/~altiplano/process/{bank}")["module"] == module, "the real module is what is known of it"

        # A client's message, and one of a process, to the published id of the process.
        sent = node.json("eval", PUBLISHED["P"], "return ao.id")
        assert sent["process"] == bank, sent
        assert node.run("eval", PUBLISHED["P"], "return ao.id")[0].strip() == bank
        log = node.get(f"/~altiplano/log/{bank}/1")
        assert log["process"] == bank
        node.run("eval", bank, 'Handlers.add("Balance", { Action = "Balance" }, function(msg) msg.reply({ Data = "42" }) end)')
        asker = node.json("spawn", "--module", module)["process"]
        node.run("eval", asker, f'Send({{ Target = "{PUBLISHED["P"]}", Action = "Balance" }})')
        wait_for(lambda: node.run("eval", asker, "return #Inbox > 0 and Inbox[#Inbox].Data or 'none'")[0].strip() == "42")

        # Data under a published id.
        data = node.json("put", __file__, "--tag", "Name=the-data")["id"]
        assert node.run("get", PUBLISHED["D"])[0] == node.run("get", data)[0]
        out, _ = node.run("alias", "ls")
        assert f"{PUBLISHED['D']}" in out and f"{data} (Name=the-data, configuration)" in out, out

        # Added while it runs, and taken away; what the configuration says stays, and pages have no say.
        added = "N" * 42 + "A"
        assert node.run("get", added, status=3)
        node.run("alias", "add", added, data)
        assert node.run("get", added)[0] == node.run("get", data)[0]
        node.run("alias", "rm", PUBLISHED["D"], status=4)
        node.run("alias", "add", PUBLISHED["D"], data, status=4)
        node.run("alias", "add", "short", data, status=4)
        body = json.dumps({"published": "O" * 42 + "A", "for": data}).encode()
        try:
            urllib.request.urlopen(urllib.request.Request(node.url + "/~altiplano/aliases", data=body, headers={"Origin": "http://elsewhere.example"}))
            raise AssertionError("a page changed the table")
        except urllib.error.HTTPError as error:
            assert error.code == 403 and json.load(error)["code"] == "node.bad_host"
        module_file = node.folder / "copy.wasm"
        shutil.copy(harness.guest("process"), module_file)
        twin = node.json("module", "add", module_file, "--alias", "Q" * 42 + "A")["id"]
        out, _ = node.run("alias", "ls")
        assert f"{data} ({data}, added)" in out and f"{twin} ({twin}, added)" in out, out
        sent = urllib.request.urlopen(node.url + f"/{added}")
        assert sent.headers["Altiplano-Alias"] == f"{added}={data}"
        assert node.json("verify", bank)["identical"]
        node.stop()

        # What a process was given stays in its log; outside development nothing more is resolved.
        assert f"the alias {PUBLISHED['P']}={bank}" in node.log() and f"the alias {PUBLISHED['M']}={module}" in node.log()
        node.options = []
        node.start()
        assert node.run("get", added)[0] == node.run("get", data)[0], "what was added is kept"
        node.run("alias", "rm", added)
        node.run("get", added, status=3)
        node.stop()
        node.options = ["--no-development"]
        node.start()
        assert node.json("alias", "add", added, data, status=1)["code"] == "node.development_only"
        assert node.run("eval", bank, "return 1 + 1")[0].strip() == "2"
        assert node.json("verify", bank)["identical"]
        assert node.get("/~altiplano/aliases")["aliases"] == []


if __name__ == "__main__":
    harness.main([settings_come_from_flags_environment_file_and_defaults, it_says_how_it_is, the_access_log_has_a_line_for_each_request,
                  many_wait_for_results_and_others_are_served, published_ids_stand_for_what_is_here])
