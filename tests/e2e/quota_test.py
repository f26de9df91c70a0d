"""What an owner may take of a node: processes, its own and those that they spawn."""
import json
import urllib.error
import urllib.request

import harness
import items
from harness import Node, wait_for

SPAWNER = """
Handlers.add("More", { Action = "More" }, function (msg)
  for i = 1, tonumber(msg.Tags.Count) do Spawn(ao.env.Process.Tags.Module, { Data = "return " .. i, Number = tostring(i) }) end
end)
"""


def children(node, pid):
    return node.get(f"/~altiplano/items?Type=Process&From-Process={pid}")["ids"]


def an_owner_has_so_many_processes_and_those_that_its_processes_spawn_are_counted():
    with Node(options=["--processes-per-owner", "4"]) as node:
        module = node.json("put", harness.guest("process"), "--module")["id"]
        pid = node.json("spawn", "--module", module)["process"]
        node.json("eval", pid, SPAWNER)
        node.json("eval", pid, 'Send({ Target = ao.id, Action = "More", Count = "5" })')
        # One is there, three more fit; two are dead letters that say why, and nothing waits for them.
        wait_for(lambda: len(children(node, pid)) == 3)
        wait_for(lambda: len(node.get("/~altiplano/dead")["dead"]) == 2)
        for dead in node.get("/~altiplano/dead")["dead"]:
            assert "scheduler.over_quota" in dead["error"] and "at most 4" in dead["error"], dead
        assert node.json("spawn", "--module", module, status=4)["code"] == "scheduler.over_quota"
        # On the wire, as any client meets it; another owner is not concerned.
        tags = [("Data-Protocol", "ao"), ("Variant", "ao.TN.1"), ("Type", "Process"), ("Module", module),
                ("Scheduler", node.get("/info")["scheduler"])]
        for number, (seed, status) in enumerate([(9, 201)] * 4 + [(9, 429), (8, 201)]):
            _, item = items.Wallet(seed).item(tags + [("Number", str(number))])
            request = urllib.request.Request(node.url + "/mu", data=item, headers={"Content-Type": "application/octet-stream"})
            try:
                with urllib.request.urlopen(request, timeout=600) as answer:
                    got, said = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                got, said = error.code, error.read()
            assert got // 100 == status // 100 and (got == 429) == (status == 429), (number, got, said)
            if status == 429:
                assert json.loads(said)["code"] == "scheduler.over_quota", said

        # What is refused at the door is in no log: the process is what its log gives, whatever is allowed.
        assert node.json("eval", pid, "return 1 + 1")
        assert node.json("verify", pid)["identical"]
        node.stop()
        node.options = []
        node.start()
        assert node.json("dead", "push", "--all")["pushed"] == 2
        wait_for(lambda: len(children(node, pid)) == 5)
        assert node.json("verify", pid)["identical"]


if __name__ == "__main__":
    harness.main([an_owner_has_so_many_processes_and_those_that_its_processes_spawn_are_counted])
