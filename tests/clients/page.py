"""docs/compatibility.md from the tests:   page.py   writes it,   page.py --check   says whether it is up to date.

A test is one call at the start of a line, `works("function: sentence", ...` or, where a client meets something else than it
would elsewhere, `differs("function: sentence", "why", ...`. The versions are those of package-lock.json.
"""
import dataclasses
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs" / "compatibility.md"

# Test file, package, what it is to its user.
CLIENTS = [
    ("aoconnect", "@permaweb/aoconnect", "legacy mode: MU_URL, CU_URL and GATEWAY_URL are the node's `/mu`, `/cu` and `/`"),
    ("aos", "@permaweb/aoconnect", "what the aos console 2.0.16 asks of its units: the console is published as a repository only, and runs by hand"),
    ("wao", "wao", "its classes get the node's port, as they get that of wao's own emulator"),
    ("loader", "@permaweb/ao-loader", "`tests/clients/ao-loader.cjs` stands in its place; the results of both are compared"),
    ("arweave", "arweave", "every function that talks to a node; host and port are the node's"),
    ("arbundles", "arbundles", "items are posted to `/tx`, messages to `/mu`"),
    ("graphql-js", "graphql", "asked which queries are right, beside the node"),
    ("openai", "openai", "the base URL is the node's `/v1`; PyPI's client of the same name runs in `tests/clients/openai_test.py`"),
    ("graphql", "ar-gql", "and graphql-request, graphql's tools and bare requests: the endpoint is `/graphql`"),
]

CALL = re.compile(r'^(works|differs)\(\s*"((?:[^"\\]|\\.)*)"(?:,\s*"((?:[^"\\]|\\.)*)")?', re.MULTILINE)


@dataclasses.dataclass
class Test:
    title: str
    reason: str  # empty when it works as elsewhere

    @property
    def function(self):
        return self.title.split(": ", 1)[0]

    @property
    def sentence(self):
        return self.title.split(": ", 1)[1]


def unescaped(text):
    return json.loads(f'"{text}"') if text else ""


def tests_of(file):
    tests = []
    for kind, title, reason in CALL.findall(file.read_text()):
        if (kind == "differs") != bool(reason) or ": " not in title:
            raise SystemExit(f"{file.name}: '{title}' must be works(\"function: sentence\", ... or differs(..., \"why\", ...")
        tests.append(Test(unescaped(title), unescaped(reason)))
    return tests


def version_of(package):
    return json.loads((HERE / "package-lock.json").read_text())["packages"][f"node_modules/{package}"]["version"]


def cell(text):
    return text.replace("|", "\\|")


def text():
    lines = [
        "# Compatibility: published clients, as they are installed",
        "",
        "Written by `tests/clients/page.py` from the tests in `tests/clients/`; each row is a test that runs in `./dev test`. What follows the clients is `tests/clients/by_hand.md`. Do not edit.",
        "",
    ]
    for name, package, note in CLIENTS:
        tests = tests_of(HERE / f"{name}.test.mjs")
        lines += [f"## {name}: {package} {version_of(package)}" if name not in package else f"## {package} {version_of(package)}", "", f"{note[0].upper()}{note[1:]}. {len(tests)} tests.", "",
                  "| function | what is shown | state |", "|---|---|---|"]
        lines += [f"| `{cell(t.function)}` | {cell(t.sentence)} | {cell('differs: ' + t.reason) if t.reason else 'works'} |" for t in tests]
        lines.append("")
    return "\n".join(lines) + "\n" + (HERE / "by_hand.md").read_text()


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text() != text():
            sys.exit("docs/compatibility.md is not what the tests say: run python3 tests/clients/page.py")
    else:
        PAGE.write_text(text())
