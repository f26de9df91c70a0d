"""Units in processes of their own, that find each other by URL alone.   split_test.py [--soak]"""
import http.server
import sys
import threading
import urllib.error
import urllib.request

import harness
import network_test
from harness import Node, wait_for
from pair import Pair, free_port

PONG = """
Handlers.add("Ball", { Action = "Ball" }, function (msg)
  Count = (Count or 0) + 1
  local left = tonumber(msg.Tags.Left)
  if left > 0 then
    Send({ Target = msg.From, Action = "Ball", Left = tostring(left - 1), Data = "\\0\\255 ball " .. left })
  end
end)
"""
THROW = 'Send({{ Target = "{0}", Action = "Ball", Left = "{1}" }})'


def count_in(node, process):
    return int(node.run("eval", process, "return Count or 0")[0])


def ping_pong(scheduler, computes, rounds):
    """Both throw the ball to each other until none is left; counts are exact, wherever one asks."""
    # A module of a megabyte: it is in the scheduler's weave, and comes to the other node by itself.
    module = scheduler.json("put", harness.guest("process"), "--module")["id"]
    ping = computes.json("spawn", "--module", module)["process"]
    pong = scheduler.json("spawn", "--module", module)["process"]
    for process in (ping, pong):
        computes.json("eval", process, PONG)
    computes.json("eval", ping, THROW.format(pong, rounds))
    wait_for(lambda: count_in(computes, ping) + count_in(computes, pong) == rounds + 1, 120)
    assert count_in(scheduler, pong) == rounds // 2 + 1
    assert count_in(scheduler, ping) == (rounds + 1) // 2
    return ping, pong


def two_nodes_play_by_url_only():
    port = free_port()
    with Node(options=["--units", "scheduler,gateway", "--compute-url", f"http://127.0.0.1:{port}/cu",
                       "--messenger-url", f"http://127.0.0.1:{port}/mu"]) as first:
        second = Node(options=["--units", "compute,messenger", "--scheduler-url", first.url + "/su", "--gateway-url", first.url])
        second.port = port
        second.environment["ALTIPLANO_WALLET"] = first.environment["ALTIPLANO_WALLET"]
        with second:
            ping, pong = ping_pong(first, second, 40)
            # The scheduler's node computed nothing itself; both say the same of every slot.
            assert first.get("/~altiplano/status")["workers"] == []
            slots = first.get(f"/su/~altiplano/process/{ping}")["slots"]
            for slot in range(slots):
                ours, theirs = (one.get(f"/~altiplano/result/{ping}/{slot}") for one in (first, second))
                assert ours == theirs, (slot, ours, theirs)
            assert first.get("/info")["weave"] == second.get("/info")["weave"]
            # What is sent to a wallet lies in the one weave that there is.
            wallet = second.json("key")["address"]
            second.json("eval", ping, f'Send({{ Target = "{wallet}", Action = "Letter", Data = "hello" }})')
            wait_for(lambda: first.get("/~altiplano/items?Action=Letter")["ids"])

            # The second node comes back and takes up where it was, from its own folder and the first node.
            second.kill()
            second.start()
            before = count_in(second, ping) + count_in(second, pong)
            second.json("eval", ping, THROW.format(pong, 5))
            wait_for(lambda: count_in(second, ping) + count_in(second, pong) == before + 6, 120)


class AoOnly(http.server.ThreadingHTTPServer):
    """Stands before a unit of ours and hides what is not AO's wire."""

    def __init__(self, target):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path.startswith("/~altiplano"):
                    status, out, kind = 404, b'{"error":"Not Found"}', "application/json"
                else:
                    request = urllib.request.Request(target + self.path, method=self.command, data=body if self.command == "POST" else None)
                    try:
                        with urllib.request.urlopen(request, timeout=100) as reply:
                            status, out, kind = reply.status, reply.read(), reply.headers["Content-Type"]
                    except urllib.error.HTTPError as error:
                        status, out, kind = error.code, error.read(), error.headers["Content-Type"]
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


def a_compute_unit_follows_a_scheduler_that_speaks_only_ao():
    with Node() as first:
        proxy = AoOnly(first.url + "/su")
        second = Node(options=["--units", "compute", "--scheduler-url", proxy.url, "--gateway-url", first.url])
        second.environment["ALTIPLANO_WALLET"] = first.environment["ALTIPLANO_WALLET"]
        with second:
            module = first.json("put", harness.guest("process"), "--module")["id"]
            process = first.json("spawn", "--module", module)["process"]
            first.json("eval", process, "Count = 41")
            first.json("send", process, "--action", "Eval", "--data", "Count = Count + 1; return Count")
            slots = first.get(f"/su/~altiplano/process/{process}")["slots"]
            assert slots == 3
            for slot in range(slots):
                ours, theirs = (one.get(f"/~altiplano/result/{process}/{slot}") for one in (first, second))
                assert ours == theirs, (slot, ours, theirs)
        proxy.shutdown()


def a_unit_that_is_nowhere_is_named():
    node = Node(options=["--units", "scheduler"])
    try:
        node.start()
        raise AssertionError("it started without a compute unit")
    except harness.Failed as failed:
        assert "node.no_unit" in str(failed) and "--compute-url" in str(failed), failed


def two_nodes_killed_twice_lose_and_double_no_message():
    network_test.ping_pong_loses_and_doubles_nothing(Pair)


def two_nodes_killed_twice_have_every_child_once():
    network_test.a_family_has_every_child_once(Pair)


def two_nodes_killed_twice_meet_cron_exactly():
    network_test.cron_is_met_exactly_over_a_day(Pair)


if __name__ == "__main__":
    sys.argv = [argument for argument in sys.argv if argument != "--soak"]
    harness.main([two_nodes_play_by_url_only, two_nodes_killed_twice_lose_and_double_no_message,
                  two_nodes_killed_twice_have_every_child_once, two_nodes_killed_twice_meet_cron_exactly, a_compute_unit_follows_a_scheduler_that_speaks_only_ao, a_unit_that_is_nowhere_is_named])
