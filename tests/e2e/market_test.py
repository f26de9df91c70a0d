#!/usr/bin/env python3
"""The market under load: a herd of four workers on one model, fifty clients, and everything that goes wrong at once. Every job ends
`answered` or `refunded` exactly once, and no unit of money is made or lost.

  market_test.py          60 jobs (CTest)
  market_test.py --soak   500 jobs
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import random
import re
import signal
import sys
import time
import urllib.parse
import urllib.request

import harness
from items import Wallet
from tutorial_test import Up

SOAK = "--soak" in sys.argv
JOBS, CLIENTS, WORKERS = (500, 50, 4) if SOAK else (60, 50, 4)
FUNDS = 1_000_000
SEED = int(os.environ.get("ALTIPLANO_SEED", "20261125"))
MiB = 1 << 20
MODEL = os.path.realpath(harness.model())  # used where it lies
# Keys and values of SmolLM2-135M: 30 layers, 3 heads of 64, two bytes each, for 2048 tokens.
CONTEXT = 30 * 2 * 3 * 64 * 2 * 2048


def development_wallet(name):
    """The same key that `altiplano up` makes from the name."""
    return Wallet(hashlib.sha256(f"altiplano development wallet: {name}".encode()).digest())


class Market:
    """What the test does with the herd, and what it sees of it."""

    def __init__(self, up):
        self.up, self.made = up, up.made
        self.owner = development_wallet("owner")
        self.clients = [Wallet(hashlib.sha256(f"client {number}".encode()).digest()) for number in range(CLIENTS)]

    def post(self, wire):
        request = urllib.request.Request(self.up.url + "/mu", data=wire, headers={"Content-Type": "application/octet-stream"})
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)

    def message(self, wallet, target, tags, data=b" ", anchor=b""):
        """(id, wire) of a message, not sent yet."""
        return wallet.item([("Data-Protocol", "ao"), ("Variant", "ao.TN.1"), ("Type", "Message"), *tags.items()], data, target, anchor)

    def get(self, path):
        with urllib.request.urlopen(self.up.url + path, timeout=300) as answer:
            return json.load(answer)

    def eval(self, process, code):
        """What the owner's Eval gives, read back from its result."""
        id, wire = self.message(self.owner, process, {"Action": "Eval"}, code.encode(), os.urandom(16).hex().encode())
        self.post(wire)
        result = self.get(f"/cu/result/{id}?process-id={process}")
        if result.get("Error"):
            raise harness.Failed(f"{code}: {result['Error']}")
        return result["Output"]["data"]

    def results(self, process):
        """Every message that the process has sent, in order, as (target, tags)."""
        sent, cursor = [], ""
        while True:
            page = self.get(f"/cu/results/{process}?limit=500" + (f"&from={cursor}" if cursor else ""))["edges"]
            for edge in page:
                for one in edge["node"]["Messages"]:
                    sent.append((one["Target"], {tag["name"]: tag["value"] for tag in one["Tags"]}))
            if len(page) < 500:
                return sent
            cursor = urllib.parse.quote(page[-1]["cursor"])

    def evaluators(self):
        """The node's workers: the processes of this machine that evaluate."""
        return [child for node in children(self.up.process.pid) for child in children(node)]


def maps_model(pid):
    try:
        return MODEL in pathlib.Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False


def resident(pid):
    """Bytes of memory that are there because of the process, shared ones divided among those who share them."""
    try:
        rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # ended meanwhile
        return 0
    return int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.M)[1]) * 1024


def children(pid):
    return [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def every_job_ends_once_and_no_unit_is_lost():
    chance = random.Random(SEED)
    with Up("--workers", str(WORKERS)) as up:
        market = Market(up)
        herder, token = market.made["herder"], market.made["war"]
        workers = market.made["workers"]
        harness.wait_for(lambda: market.eval(herder, "return #Herder.worker_order") == str(WORKERS), 900)

        # A worker that takes its job and says nothing more.
        hanging = workers[-1]
        market.eval(hanging, "Handlers.prepend('Hang', { Action = { 'Inference', 'Ping' } }, function() end)")
        market.eval(herder, f"Herder.deadline_base_ms, Herder.deadline_token_ms = {60000 if SOAK else 20000}, 100")

        # Wallets and their money.
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            mints = pool.map(lambda client: market.message(market.owner, market.made["faucet"], {"Action": "Fund", "Recipient": client.address,
                                                                                                 "Quantity": str(FUNDS)}), market.clients)
            for _, wire in mints:
                market.post(wire)
        harness.wait_for(lambda: market.eval(token, f"return Balances['{market.clients[-1].address}'] or ''") == str(FUNDS), 120)
        harness.wait_for(lambda: market.get("/~altiplano/status")["open_deliveries"] == 0, 120)
        supply = market.eval(token, "local s = 0 for _, b in pairs(Balances) do s = s + tonumber(b) end return string.format('%d', s)")

        # Jobs: payments that are right, generous, short, or for something that cannot be done.
        jobs = []
        for number in range(JOBS):
            client = number % CLIENTS
            words, tokens = chance.randint(1, 4), chance.randint(1, 3)
            needed = 1 + words + tokens
            kind = "short" if number % 10 == 3 else "wrong" if number % 10 == 7 else "paid"
            tags = {"Action": "Transfer", "Recipient": herder, "X-Reference": f"job {number}", "X-Prompt": " ".join(["word"] * words),
                    "X-Tokens": str(tokens), "Quantity": str(needed - 1 if kind == "short" else needed * chance.choice([1, 1, 2, 3]))}
            if kind == "wrong":
                tags["X-Tokens"] = chance.choice(["0", "many", "999999"])
            if kind == "paid" and number % 12 == 0:
                tags["X-Redundancy"] = "2"
                tags["Quantity"] = str(2 * needed)
            jobs.append((kind, client, tags))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            signed = list(pool.map(lambda job: market.message(market.clients[job[1]], token, job[2]), jobs))

        def send(number):
            market.post(signed[number][1])
            # What a client that lost its answer does: the same item again.
            if number % 6 == 0:
                market.post(signed[number][1])

        killed = 0
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            sending = [pool.submit(send, number) for number in range(JOBS)]
            for at in (1, 2, 3):
                harness.wait_for(lambda: ended(market) >= at * JOBS // 6, 600)
                for child in market.evaluators()[:1]:
                    os.kill(child, signal.SIGKILL)
                    killed += 1
            for one in sending:
                one.result()
        assert killed == 3, killed

        # Deadlines pass by Ticks, which anybody may send.
        def done():
            market.post(market.message(market.clients[0], herder, {"Action": "Tick"}, anchor=os.urandom(16).hex().encode())[1])
            return ended(market) >= JOBS
        harness.wait_for(done, 1200)
        harness.wait_for(lambda: market.get("/~altiplano/status")["open_deliveries"] == 0, 300)

        # Each job once: by what the herder sent, and by what it counted.
        answered, refunded, fees, given_back = {}, {}, {}, {}
        for target, tags in market.results(herder):
            if tags.get("Action") == "Inference-Response":
                key = (target, tags["X-Reference"])
                answered[key] = answered.get(key, 0) + 1
                fees[target] = fees.get(target, 0) + int(tags["Fee-Charged"])
            elif tags.get("Action") == "Transfer" and tags.get("X-Refund") == "whole":
                key = (tags["Recipient"], tags["X-Reference"])
                refunded[key] = refunded.get(key, 0) + 1
        for kind, client, tags in jobs:
            key = (market.clients[client].address, tags["X-Reference"])
            outcomes = answered.get(key, 0) + refunded.get(key, 0)
            assert outcomes == 1, f"{key} ended {outcomes} times"
            assert kind == "paid" or key in refunded, f"{key} was {kind} and is not refunded"
        assert len(answered) + len(refunded) == JOBS
        counted = json.loads(market.eval(herder, "return require('json').encode({ Herder.count.answered, Herder.count.refunded, #Herder.queue })"))
        assert counted == [len(answered), len(refunded), 0], counted

        # Money: each client paid its fees and nothing else; what the herder has is what was earned; the sum is what it was.
        balances = json.loads(market.eval(token, "return require('json').encode(Balances)"))
        for client in market.clients:
            assert int(balances[client.address]) == FUNDS - fees.get(client.address, 0), client.address
        earned = int(market.eval(herder, "local s = 0 for _, e in pairs(Herder.earned) do s = s + e end return s"))
        assert int(balances[herder]) == earned == sum(fees.values()), (balances[herder], earned, sum(fees.values()))
        assert str(sum(map(int, balances.values()))) == supply

        the_workers_share_their_model(market)
        the_manual_has_the_true_quote(market)
        long_prompts_are_answered_or_refused(market)
        balances = json.loads(market.eval(token, "return require('json').encode(Balances)"))
        assert str(sum(map(int, balances.values()))) == supply

        # Earnings leave by Withdraw, once.
        before = int(balances.get(market.owner.address, 0))
        mine = int(market.eval(herder, "return Herder.earned[Owner]"))
        for _ in range(2):
            market.post(market.message(market.owner, herder, {"Action": "Withdraw"}, anchor=os.urandom(16).hex().encode())[1])
        read = lambda: int(market.eval(token, f"return Balances['{market.owner.address}'] or 0"))
        harness.wait_for(lambda: read() != before, 120)
        assert read() == before + mine
        print(f"        seed {SEED}: {len(answered)} answered, {len(refunded)} refunded, "
              f"{market.eval(herder, 'return Herder.count.redispatched .. [[ given to another worker, ]] .. Herder.count.late')} late answers")


def the_workers_share_their_model(market):
    """Those that have it mapped hold it once, and beside it each its context and less than 64 MiB."""
    holders = [child for child in market.evaluators() if maps_model(child)]
    assert 1 <= len(holders) <= WORKERS, holders
    model = os.path.getsize(harness.model())
    # While a checkpoint is being written its buffers are there as well.
    try:
        harness.wait_for(lambda: sum(map(resident, holders)) < model + len(holders) * (CONTEXT + 64 * MiB), 30)
    finally:
        held = sum(map(resident, holders))
        print(f"        {len(holders)} workers hold {held / MiB:.0f} MiB: the model's {model / MiB:.0f}, and {(held - model) / len(holders) / MiB:.0f} each")


def long_prompts_are_answered_or_refused(market):
    """H19: a prompt longer than one batch of the engine is answered; one longer than the context is paid back, with the reason."""
    made, client = market.made, market.clients[0]
    # However slow the machine is now: no deadline. A digit is a token, and a tag has room for 3000 of them.
    market.eval(market.made["herder"], "Herder.deadline_base_ms = 900000")
    for prompt, reference in ((" ".join(["a"] * 600), "long"), ("7" * 3000, "too long")):
        market.post(market.message(client, made["war"], {"Action": "Transfer", "Recipient": made["herder"], "Quantity": "700", "X-Reference": reference,
                                                         "X-Prompt": prompt, "X-Tokens": "1"})[1])
    outcome = lambda reference: [tags for _, tags in market.results(made["herder"]) if tags.get("X-Reference") == reference and
                                 (tags["Action"] == "Inference-Response" or tags.get("X-Refund") == "whole")]
    harness.wait_for(lambda: time.sleep(0.5) or (outcome("long") and outcome("too long")), 600)
    answer, refund = outcome("long")[0], outcome("too long")[0]
    assert answer["Action"] == "Inference-Response" and int(answer["Prompt-Tokens"]) >= 600, answer
    assert refund["Action"] == "Transfer" and "Inference Error" in refund["X-Reason"] and refund["Quantity"] == "700", refund


def the_manual_has_the_true_quote(market):
    """What docs/herder.md says of the sample prompt's true tokens is what a worker counts."""
    herder = market.made["herder"]
    market.post(market.message(market.clients[0], herder, {"Action": "Quote", "Tokens": "20", "X-Reference": "sample"}, b"What is the meaning of life?")[1])
    quotes = lambda: [tags for _, tags in market.results(herder) if tags.get("Action") == "Quote-Response"]
    harness.wait_for(lambda: time.sleep(0.5) or quotes(), 300)
    tokens, fee = int(quotes()[0]["Prompt-Tokens"]), int(quotes()[0]["Fee"])
    assert fee == 1 + tokens + 20, quotes()
    page = " ".join((harness.ROOT / "docs" / "herder.md").read_text().split())
    assert f"has {tokens} tokens in SmolLM2, so the quote is 1 + {tokens} + 20 = **{fee} units**" in page, (tokens, fee)


def ended(market):
    time.sleep(0.3)  # each question is a slot of the herder
    return int(market.eval(market.made["herder"], "return Herder.count.answered + Herder.count.refunded"))


if __name__ == "__main__":
    sys.argv = [argument for argument in sys.argv if argument != "--soak"]
    harness.main([every_job_ends_once_and_no_unit_is_lost])
