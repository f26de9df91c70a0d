#!/usr/bin/env python3
"""The gateway's paths over real HTTP: a transaction of arweave-js uploaded in chunks while the node is killed, and what a browser
or a download tool asks."""
import base64
import json
import pathlib
import urllib.error
import urllib.request

import harness

VECTORS = json.loads((pathlib.Path(__file__).resolve().parent.parent / "vectors" / "transactions.json").read_text())


def pattern(size):
    """What the vectors' maker took as data."""
    return bytes((i * 7 + (i >> 8) * 13) & 255 for i in range(size))


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def ask(node, path, body=None, method=None, headers=None):
    """(status, headers, body) of any answer."""
    request = urllib.request.Request(node.url + path, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def post_json(node, path, value):
    status, _, body = ask(node, path, json.dumps(value).encode(), headers={"Content-Type": "application/json"})
    return status, json.loads(body)


def an_upload_in_chunks_outlives_kill_9():
    vector = next(one for one in VECTORS["transactions"] if one["name"] == "seven chunks")
    transaction, data = vector["transaction"], pattern(vector["size"])
    identity = transaction["id"]

    def chunk(node, index):
        part = vector["chunks"][index]
        status, answer = post_json(node, "/chunk", {
            "data_root": transaction["data_root"], "data_size": transaction["data_size"], "data_path": part["data_path"],
            "offset": part["offset"], "chunk": b64(data[part["begin"]:part["end"]])})
        assert status == 200, answer
        return answer["whole"]

    with harness.Node() as node:
        status, answer = post_json(node, "/tx", transaction)
        assert status == 200 and answer["pending"], answer
        for index in (6, 0, 3):
            assert not chunk(node, index)
        node.kill()
        node.start()
        assert json.loads(ask(node, "/tx/pending")[2]) == [identity]
        assert ask(node, f"/tx/{identity}/status")[0] == 202
        for index in (1, 2, 4):
            assert not chunk(node, index)
        node.kill()
        node.start()
        assert chunk(node, 5)
        node.kill()
        node.start()
        assert ask(node, f"/{identity}")[2] == data
        status = json.loads(ask(node, f"/tx/{identity}/status")[2])
        block = json.loads(ask(node, f"/block/height/{status['block_height']}")[2])
        assert block["txs"] == [identity], block
        place = json.loads(ask(node, f"/tx/{identity}/offset")[2])
        got, first = b"", int(place["offset"]) - int(place["size"]) + 1
        while len(got) < int(place["size"]):
            piece = json.loads(ask(node, f"/chunk/{first + len(got)}")[2])["chunk"]
            got += base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4))
        assert got == data
        assert post_json(node, "/tx", transaction)[0] == 208
        assert list((node.data / "uploads").iterdir()) == []


def a_bundle_s_members_are_there_at_once():
    bundle = VECTORS["bundles"]
    with harness.Node() as node:
        status, answer = post_json(node, "/tx", bundle["transaction"])
        assert status == 200 and answer["bundle"] == {"members": 5, "refused": 0, "refusals": []}, answer
        for member in bundle["members"] + bundle["inner"]["members"]:
            assert b64(ask(node, "/" + member["id"])[2]) == member["data"]


def a_download_tool_gets_what_it_asks_for():
    with harness.Node() as node:
        path = node.folder / "data.txt"
        path.write_bytes(pattern(200_000))
        identity = node.json("put", path, "--content-type", "text/plain")["id"]
        status, headers, body = ask(node, f"/{identity}", method="HEAD")
        assert (status, headers["Content-Length"], headers["Content-Type"], body) == (200, "200000", "text/plain", b"")
        status, headers, body = ask(node, f"/{identity}", headers={"Range": "bytes=199990-"})
        assert (status, body, headers["Content-Range"]) == (206, pattern(200_000)[-10:], "bytes 199990-199999/200000")
        status, headers, body = ask(node, f"/{identity}", headers={"Range": "bytes=0-3,-2"})
        assert status == 206 and headers["Content-Type"].startswith("multipart/byteranges"), headers
        assert int(headers["Content-Length"]) == len(body)
        assert pattern(200_000)[:4] in body and body.count(b"Content-Range") == 2
        # What WeaveDrive's clients send (ao-protocol.md 7.2).
        status, headers, body = ask(node, f"/{identity}", headers={"Range": "bytes=00500-50"})
        assert status == 200 and len(body) == 200_000
        assert ask(node, f"/{identity}", headers={"If-None-Match": f'"{identity}"'})[0] == 304
        status, headers, _ = ask(node, f"/{identity}", method="OPTIONS")
        assert status == 204 and headers["Access-Control-Allow-Origin"] == "*", headers


if __name__ == "__main__":
    harness.main([an_upload_in_chunks_outlives_kill_9, a_bundle_s_members_are_there_at_once, a_download_tool_gets_what_it_asks_for])
