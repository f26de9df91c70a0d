#!/usr/bin/env python3
"""PyPI's client of OpenAI's API, installed by pinned hash, against the node's door; then a node that is bound wider and wants a key."""
import os
import pathlib
import subprocess
import sys

import client as clients
import harness

HERE = pathlib.Path(__file__).resolve().parent


def installed():
    """The folder of the packages of requirements.txt, in the cache; installed once."""
    wanted = (HERE / "requirements.txt").read_bytes()
    cache = pathlib.Path(os.environ.get("ALTIPLANO_CACHE", pathlib.Path.home() / ".cache" / "altiplano"))
    folder = cache / ("python-clients-" + __import__("hashlib").sha256(wanted + sys.version.encode()).hexdigest()[:16])
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
                        "--only-binary", ":all:", "--upgrade", "--target", folder, "-r", HERE / "requirements.txt"], check=True)
        (folder / "complete").touch()
    return folder


def door_of(node, key="none is needed"):
    sys.path.insert(0, str(installed()))
    import openai
    return openai, openai.OpenAI(base_url=node.url + "/v1", api_key=key, max_retries=0)


def the_python_client_asks_and_listens():
    with harness.Node() as node:
        clients.put_model(node)
        openai, door = door_of(node)
        assert [model.id for model in door.models.list()] == ["smollm2"]
        ask = {"model": "smollm2", "temperature": 0, "max_tokens": 16, "messages": [{"role": "user", "content": "Name a colour."}]}
        raw = door.chat.completions.with_raw_response.create(**ask)
        answer = raw.parse()
        text = answer.choices[0].message.content
        assert text and answer.usage.completion_tokens <= 16, answer
        assert raw.headers["x-altiplano-process"] == answer.altiplano["process"], raw.headers
        # Whoever doubts it recomputes it.
        verified = node.json("verify", answer.altiplano["process"])
        assert verified["identical"] and verified["state_root"] == answer.altiplano["state_root"], verified
        pieces = [chunk.choices[0].delta.content or "" for chunk in door.chat.completions.create(**ask, stream=True)]
        assert "".join(pieces) == text and len(pieces) > 3, pieces
        raw_text = door.completions.create(model="smollm2", prompt="One, two, three,", temperature=0, max_tokens=4)
        assert raw_text.choices[0].text, raw_text
        for wrong, kind in [({"model": "gpt-4"}, openai.NotFoundError), ({"temperature": 9}, openai.BadRequestError)]:
            try:
                door.chat.completions.create(**{**ask, **wrong})
                raise AssertionError(f"{wrong} was not refused")
            except kind as error:
                assert error.body["message"], error
        # The same workers after a restart: nothing is made anew, and nothing is forgotten.
        node.stop()
        node.start()
        again = door_of(node)[1].chat.completions.create(**ask)
        assert again.altiplano["process"] == answer.altiplano["process"] and again.choices[0].message.content == text, again


def a_door_that_is_bound_wider_asks_for_a_key():
    key = "0123456789abcdef-key"
    with harness.Node(options=["--api-keys", key]) as node:
        node.environment["ALTIPLANO_API_KEY"] = key
        openai, stranger = door_of(node, "wrong")
        ask = {"model": "smollm2", "messages": [{"role": "user", "content": "hello"}]}
        for call in (lambda: stranger.chat.completions.create(**ask), lambda: stranger.models.list()):
            try:
                call()
                raise AssertionError("a stranger was served")
            except openai.AuthenticationError as error:
                assert error.code == "invalid_api_key", error
        friend = door_of(node, key)[1]
        assert list(friend.models.list()) == []


def a_page_of_somebody_else_is_not_served():
    with harness.Node() as node:
        openai, door = door_of(node)
        for origin, served in [("http://evil.example", False), ("http://localhost:3000", True), ("http://127.0.0.1.evil.example", False)]:
            try:
                door.models.list(extra_headers={"Origin": origin})
                assert served, origin
            except openai.PermissionDeniedError as error:
                assert not served and error.code == "door.foreign_origin", error


if __name__ == "__main__":
    harness.main([the_python_client_asks_and_listens, a_door_that_is_bound_wider_asks_for_a_key, a_page_of_somebody_else_is_not_served])
