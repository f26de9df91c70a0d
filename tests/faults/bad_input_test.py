"""Every endpoint of the route table gets what no client of good will sends: each answers in JSON, and the node stays as it is.

The endpoints come from the node's own OpenAPI document, so a new one is tested without a line here.
"""
import json
import os
import resource
import socket
import time
import urllib.request

import harness

CONNECTIONS = int(os.environ.get("ALTIPLANO_BAD_CONNECTIONS", "1500"))  # ./dev soak: 10000

BROKEN = {
    "long": "A" * 5000,
    "utf8": "%FF%FE%C0%80",
    "nul": "%00",
    "dots": "..%2f..%2fetc%2fpasswd",
    "number": "18446744073709551616",
    "minus": "-1",
    "id": "A" * 43,
    "blank": "%20",
}
BODIES = {
    "nothing": b"",
    "text": b"hello",
    "broken UTF-8": b'{"a":"\xff\xfe\xc0\x80"}',
    "open JSON": b'{"query": "' + b"{" * 50,
    "deep JSON": b"[" * 100_000,
    "wrong types": b'{"query": 7, "variables": [], "Tags": "x", "Data": {}, "format": "2", "quantity": null, "chunk": 1}',
    "a list": b"[1, 2, 3]",
    "an item cut short": b"\x01\x00" + b"s" * 300,
    "an item of no type": b"\xff\xff" + b"\0" * 2000,
    "tags without end": b"\x02\x00" + b"s" * 64 + b"o" * 32 + b"\0\0" + b"\xff" * 16 + b"x" * 100,
    "zeros": bytes(100_000),
}
# Where nobody waits for the end of what is asked: events go on for as long as the client listens.
ENDLESS = ("/~altiplano/console/{process}",)


class Raw:
    """One connection, by hand."""

    def __init__(self, port, timeout=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.file = self.socket.makefile("rb")

    def ask(self, method, path, body=b"", headers=()):
        """(status, headers, body); None when the other side closed first."""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n" + "".join(f"{one}\r\n" for one in headers) + "\r\n"
        try:
            self.socket.sendall(head.encode("latin-1") + body)
        except OSError:
            pass  # refused before the body was out: the answer says why
        return self.answer(method == "HEAD")

    def answer(self, head=False):
        try:
            line = self.file.readline()
        except OSError:
            return None
        if not line:
            return None
        status = int(line.split()[1])
        headers = {}
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        body = b"" if head or status in (204, 304) else self.file.read(length)
        return status, headers, body

    def close(self):
        self.file.close()
        self.socket.close()


class Asker:
    """Keeps a connection for as long as the node does."""

    def __init__(self, node):
        self.port = int(node.url.rsplit(":", 1)[1])
        self.connection = None

    def ask(self, method, path, body=b"", headers=()):
        if self.connection is None:
            self.connection = Raw(self.port)
        answer = self.connection.ask(method, path, body, headers)
        if answer is None:  # it had been closed between two requests
            self.connection.close()
            self.connection = Raw(self.port)
            answer = self.connection.ask(method, path, body, headers)
        if answer is None or answer[1].get("connection") == "close":
            self.connection.close()
            self.connection = None
        return answer


def memory_of(node):
    for line in open(f"/proc/{node.process.pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    raise AssertionError("no VmRSS")


def must_be_error(answer, what):
    """An answer that refuses is JSON with error and code; none is a failure of the node itself."""
    assert answer is not None, f"{what}: the connection was closed without an answer"
    status, headers, body = answer
    if status < 400:
        return
    assert status < 500 or status in (501, 502, 503, 504), f"{what}: {status} {body[:300]}"
    if what.startswith("HEAD"):
        return  # has no body to look at
    assert headers.get("content-type", "").startswith("application/json"), f"{what}: {status} {headers} {body[:200]}"
    said = json.loads(body)
    if "/v1/" in what and isinstance(said.get("error"), dict):  # as OpenAI's clients know it
        assert {"message", "type", "code"} <= said["error"].keys(), f"{what}: {body[:300]}"
        return
    assert isinstance(said, dict) and isinstance(said.get("error", said.get("errors")), (str, list)), f"{what}: {body[:300]}"
    assert "code" in said or "errors" in said, f"{what}: {body[:300]}"


def filled(path, value):
    parts = []
    for part in path.split("/"):
        parts.append(value if part.startswith("{") else part)
    return "/".join(parts)


def every_endpoint_answers_bad_input_in_json():
    with harness.Node() as node:
        asker = Asker(node)
        paths = node.get("/openapi.json")["paths"]
        assert len(paths) > 25, sorted(paths)
        asked = 0
        memory = None
        for turn in range(2):
            for path, methods in sorted(paths.items()):
                if path in ENDLESS:
                    continue
                for name, value in BROKEN.items() if "{" in path else [("plain", "")]:
                    target = filled(path, value)
                    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "BREW"):
                        answer = asker.ask(method, target)
                        must_be_error(answer, f"{method} {path} with {name}")
                        if method.lower() not in methods and method != "HEAD" and "{" not in path:
                            assert answer[0] >= 400 or path == "/", f"{method} {path}: {answer[0]}"
                        asked += 1
                    must_be_error(asker.ask("GET", target + "?process-id=%FF&from=x&to=-9&limit=zz&sort=up&" + "a=b&" * 500), f"GET {path}?...")
                for method in methods:
                    if method == "get":
                        continue
                    for name, body in BODIES.items():
                        for kind in ("application/json", "application/octet-stream"):
                            target = filled(path, BROKEN["id"])
                            must_be_error(asker.ask(method.upper(), target, body, [f"Content-Type: {kind}"]), f"{method} {path} with {name}")
                            must_be_error(asker.ask(method.upper(), target + "?process-id=" + "A" * 43, body), f"{method} {path}?process-id with {name}")
                            asked += 2
            if turn == 0:
                memory = memory_of(node)
        grown = memory_of(node) - memory
        print(f"        {asked} requests to {len(paths)} paths; memory {memory} MiB, then {grown:+} MiB")
        assert grown < 32, f"{grown} MiB more after the same requests again"
        assert node.get("/health") == {"status": "ok"}


def headers_and_targets_have_limits():
    with harness.Node() as node:
        port = int(node.url.rsplit(":", 1)[1])
        for head, status in (
                (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
                (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 431),
                (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: 1\r\n" % i for i in range(200)) + b"\r\n", 431),
                (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
                (b"GET / HTTP/1.1\r\n\r\n", 403),
                (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
                (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), 400),
                (b"POST /tx HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx", 400),
                (b"POST /tx HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\nx", 400),
                (b"POST /tx HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400)):
            raw = Raw(port)
            raw.socket.sendall(head)
            answer = raw.answer()
            raw.close()
            assert answer and answer[0] == status, (head[:60], answer)
            must_be_error(answer, str(head[:60]))


def slow_drips_are_let_go():
    with harness.Node(options=["--idle-s", "2", "--header-s", "2", "--body-rate", "1000"]) as node:
        port = int(node.url.rsplit(":", 1)[1])
        header, body, silent = Raw(port), Raw(port), Raw(port)
        header.socket.sendall(b"GET /info HTTP/1.1\r\n")
        body.socket.sendall(b"POST /tx HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        gone = set()
        end = time.monotonic() + 30
        while len(gone) < 2 and time.monotonic() < end:
            for name, one, drop in (("header", header, b"X-A: 1\r\n"), ("body", body, b"x")):
                try:
                    one.socket.send(drop)
                except OSError:
                    gone.add(name)
            time.sleep(0.2)
        assert gone == {"header", "body"}, gone
        assert silent.answer() is None
        assert node.get("/health") == {"status": "ok"}


def more_connections_than_it_takes_leave_it_as_it_is():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(CONNECTIONS, limit[1] - 100 if limit[1] != resource.RLIM_INFINITY else CONNECTIONS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    with harness.Node(options=["--connections", "1000"]) as node:
        port = int(node.url.rsplit(":", 1)[1])
        node.get("/info")
        before = memory_of(node)
        kept, refused = [], set()
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", port), timeout=30)
            one.sendall(b"GET /in")  # and no more: each holds its place
            one.setblocking(False)
            kept.append(one)

        def all_others_are_told():
            for number, one in enumerate(kept):
                if number in refused:
                    continue
                try:
                    told = one.recv(12).startswith(b"HTTP/1.1 503")
                except BlockingIOError:
                    continue
                except OSError:
                    told = True  # it was told and closed before it had spoken
                if told:
                    refused.add(number)
            return len(refused) >= count - 1000

        harness.wait_for(all_others_are_told)
        refused = len(refused)
        grown = memory_of(node) - before
        print(f"        {count} connections, {refused} refused, {grown:+} MiB")
        assert count - refused >= 900, "those that there was room for were kept"
        assert grown < 150, f"{grown} MiB for 1000 connections"
        for one in kept:
            one.close()
        harness.wait_for(lambda: is_up(node))
        after = memory_of(node) - before
        assert after < 150, f"{after} MiB stayed"
        # A header that never came whole holds up no stop.
        half = Raw(port)
        half.socket.sendall(b"GET /info HTTP/1.1\r\nHost: loc")
        began = time.monotonic()
        assert node.stop() == 0
        assert time.monotonic() - began < 8, "it waited for a request that had not come"


def as_many_connections_as_it_may_take_are_served_and_cost_little():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    # Both ends of each are of one user, though of two programs.
    count = min(CONNECTIONS, limit[1] - 200)
    with harness.Node(options=["--connections", str(count + 100)]) as node:
        port = int(node.url.rsplit(":", 1)[1])
        node.get("/info")
        before = memory_of(node)
        kept = []
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", port), timeout=60)
            kept.append(one)
        # Each asks twice, all of them open all the time; some let their bodies drip meanwhile.
        grown = []
        for turn in range(2):
            for number, one in enumerate(kept):
                if number % 50 == 7:
                    one.sendall(b"POST /tx HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n" if turn == 0 else b"x")
                else:
                    one.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for number, one in enumerate(kept):
                if number % 50 != 7:
                    answer = b""
                    while not answer.endswith(b"}\n"):
                        piece = one.recv(4096)
                        assert piece, f"connection {number} was closed: {answer}"
                        answer += piece
                    assert answer.startswith(b"HTTP/1.1 200"), answer
            grown.append(memory_of(node) - before)
        print(f"        {count} connections, all served twice; {grown[0]:+} MiB, then {grown[1]:+} MiB")
        assert grown[0] * 1024 < 64 * 1024 + 24 * count, f"{grown[0]} MiB for {count} connections"
        assert grown[1] - grown[0] < 32, "more requests over them cost nothing more"
        for one in kept:
            one.close()
        harness.wait_for(lambda: is_up(node))
        assert node.get("/health") == {"status": "ok"}


def is_up(node):
    try:
        return urllib.request.urlopen(node.url + "/health", timeout=10).status == 200
    except OSError:
        return False


if __name__ == "__main__":
    harness.main([every_endpoint_answers_bad_input_in_json, headers_and_targets_have_limits, slow_drips_are_let_go,
                  more_connections_than_it_takes_leave_it_as_it_is, as_many_connections_as_it_may_take_are_served_and_cost_little])
