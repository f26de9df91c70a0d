#!/usr/bin/env python3
"""`altiplano herd start`: a herder and workers of one's own, on a node that already has a token and a model."""
import json
import re
import subprocess
import time

from harness import Failed
import harness
from console_test import plain
from market_test import Market
from tutorial_test import Up


def told(up, herder):
    """What the herder says of itself."""
    sent = json.loads(up.run("--json", "send", herder, "--action", "Info"))
    result = json.loads(up.run("--json", "result", herder, "--slot", str(sent["slot"])))
    tags = result["result"]["response"]["Messages"][0]["Tags"]
    return {tag["name"]: tag["value"] for tag in tags}


def a_herd_of_ones_own_takes_up_its_work_and_grows():
    with Up() as up:
        def start(*more):
            return json.loads(up.run("--json", "herd", "start", "--model", up.made["model"], "--name", "mine", "--tag", "Base-Fee=5", *more))

        first = start("--workers", "1")
        assert first["made"] and first["token"] == up.made["war"] and len(first["workers"]) == 1, first
        end = time.monotonic() + 240
        while up.made["model"] not in told(up, first["herder"]).get("Models", ""):
            if time.monotonic() > end:
                raise Failed(f"the worker does not register: {told(up, first['herder'])}")
            time.sleep(0.5)
        assert told(up, first["herder"])["Base-Fee"] == "5"
        second = start("--workers", "2")
        assert not second["made"] and second["herder"] == first["herder"] and second["workers"][0] == first["workers"][0], second
        assert len(set(second["workers"])) == 2, second


# A worker that keeps its jobs until it is told to do them.
HOLD = "Held = {} Handlers.prepend('Hold', { Action = 'Inference' }, function(msg) table.insert(Held, msg) end) return 1"
LET_GO = """Handlers.remove('Hold')
for _, handler in ipairs(Handlers.list) do
  if handler.name == 'Inference' then for _, msg in ipairs(Held) do handler.handle(msg) end end
end
return #Held"""


def the_place_in_the_queue_is_printed_when_it_changes_and_what_waits_can_be_taken_back():
    with Up() as up:
        market, made = Market(up), up.made
        harness.wait_for(lambda: market.eval(made["herder"], "return #Herder.worker_order") == "1", 600)
        environment = {**up.environment, "ALTIPLANO_WALLET": str(up.folder / "data" / "wallets" / "owner.json")}
        client = json.loads(subprocess.run([harness.PROGRAM, "--json", "spawn", "--module", "ISShJH1ij-hPPt9St5UFFr_8Ys3Kj5cyg7zrMGt7H9s"], check=True,
                                           capture_output=True, text=True, env=environment).stdout)["process"]
        package = (harness.ROOT / "lua" / "packages" / "llama-herder" / "client.lua").read_text()
        for published, local in (("wh5vB2IbqmIBUqgodOaTvByNFDPr73gbUq1bVOUtCrw", made["herder"]), ("xU9zFkq3X2ZQ6olwNVvr1vUWIjc3kXTWr7xKQD6dh10", made["war"])):
            package = package.replace(published, local)
        market.eval(client, f"Heard = {{}} Llama = (function()\n{package}\nend)() return 1")
        up.run("token", "transfer", client, "0.000000001")
        balance = lambda: int(market.eval(made["war"], f"return Balances['{client}'] or '0'"))
        harness.wait_for(lambda: balance() == 1000, 60)
        market.eval(made["workers"][0], HOLD)
        printed = lambda: plain("\n".join(str(edge["node"]["Output"]["data"]) for edge in market.get(f"/cu/results/{client}?limit=1000")["edges"]))

        def shown(line, times=1):
            try:
                harness.wait_for(lambda: len(re.findall(line, printed(), re.M)) == times, 120)
            except Failed:
                raise Failed(f"{line} was not printed {times} times:\n{printed()}") from None

        # Three jobs, one worker, which has the first of them.
        ask = "Llama.run('hello', 4, function(text, err) table.insert(Heard, {0} .. tostring(err)) end, {{ Fee = {1} }})"
        for number, fee in ((1, 60), (2, 50), (3, 40)):
            market.eval(client, ask.format(number, fee))
            shown(rf"^Job {number}: " + (r"running, about \d+ s$" if number == 1 else rf"queued, place {number - 1} in the queue, about \d+ s$"))
        harness.wait_for(lambda: balance() == 1000 - 150, 60)

        # The second is taken back: its money comes, its callback hears of it, the third moves up. The first is at work: it stays.
        market.eval(client, "Llama.cancel(2)")
        harness.wait_for(lambda: market.eval(client, "return table.concat(Heard, ' ')") == "2Refunded: cancelled by its client", 120)
        shown(r"^Job 3: queued, place 1 in the queue, about \d+ s$")
        market.eval(client, "Llama.cancel(1)")
        shown(r"^Job 1 is not cancelled: the job is running$")
        assert balance() == 1000 - 60 - 40, balance()

        assert market.eval(made["workers"][0], LET_GO) == "1"
        harness.wait_for(lambda: market.eval(client, "return table.concat(Heard, ' ', 2)") == "1nil 3nil", 240)
        shown(r"^Job 3: running, about \d+ s$")
        # Each change once, and nothing more: three places, two starts.
        lines = re.findall(r"^Job \d: .*$", printed(), re.M)
        assert len(lines) == 5, lines
        counts = market.eval(made["herder"], "return Herder.count.answered .. ' ' .. Herder.count.refunded .. ' ' .. #Herder.queue")
        assert (counts, balance()) == ("2 1 0", 1000 - 60 - 40), (counts, balance())


def without_modules_it_says_what_is_missing():
    with harness.Node() as node:
        error = node.json("herd", "start", "--model", "B" * 42 + "A", status=2)
        assert error["code"] == "cli.bad_argument" and "process.wasm" in error["hint"], error


if __name__ == "__main__":
    harness.main([a_herd_of_ones_own_takes_up_its_work_and_grows,
                  the_place_in_the_queue_is_printed_when_it_changes_and_what_waits_can_be_taken_back, without_modules_it_says_what_is_missing])
