#!/usr/bin/env python3
"""Our runtime and AO's published aos2_0_6: the same messages, and which answers are not the same bytes. What differs must be what
docs/aos-differences.md lists, in its order; --update writes the list, --show prints both answers.

  runtime_test.py [--update] [--show [NAME...]]
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import harness
from runtime_cases import CASES

ROOT = harness.ROOT
PAGE = ROOT / "docs" / "aos-differences.md"
BEGIN, END = "<!-- made by tests/differential/runtime_test.py --update -->", "<!-- end -->"
OWNER, ID, MODULE, AUTHORITY = "O" * 43, "P" * 43, "M" * 43, "U" * 43
PUBLISHED = ("wasm64-unknown-emscripten-draft_2024_02_15", "aos2_0_6")


def tags(fields):
    return [{"name": name, "value": value} for name, value in fields.items()]


class Runtime:
    """One process of a module, on our virtual machine."""

    def __init__(self, wasm, form):
        self.folder = tempfile.TemporaryDirectory()
        self.program = subprocess.Popen([os.environ["ALTIPLANO_EVALUATOR"], self.folder.name + "/modules"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.module = self.ask({"load": str(wasm), "format": form})["module"]
        self.state, self.slot = "", 0
        self.process = {"Id": ID, "Owner": OWNER, "Tags": tags({"Data-Protocol": "ao", "Variant": "ao.TN.1", "Type": "Process", "Name": "suite", "Authority": AUTHORITY, "Module": MODULE})}
        self.send({"Id": ID, "Tags": {"Type": "Process", "Name": "suite"}})

    def ask(self, question):
        self.program.stdin.write(json.dumps(question) + "\n")
        self.program.stdin.flush()
        answer = json.loads(self.program.stdout.readline())
        if "error" in answer:
            raise harness.Failed(str(answer))
        return answer

    def send(self, fields):
        message = {"Id": f"m{self.slot:042}", "From": OWNER, "Target": ID, "Data": "", "Module": MODULE, "Block-Height": "100",
                   "Timestamp": 1700000000000 + self.slot, "Nonce": self.slot, "Cron": False, **fields}
        message.setdefault("Owner", message["From"])
        message["Tags"] = tags(message.get("Tags", {}))
        self.slot += 1
        into = f"{self.folder.name}/state{self.slot % 2}"
        done = self.ask({"module": self.module, "state": self.state, "into": into, "gas": 10**15, "timestamp": message["Timestamp"],
                         "message": json.dumps(message), "env": json.dumps({"Process": self.process, "Module": {"Id": MODULE, "Owner": OWNER, "Tags": []}})})
        if "fault" in done:
            return {"Error": done["sentence"]}
        answer = json.loads(done["output"])
        answer = answer["response"] if answer.get("ok") else {"Error": str(answer.get("response"))}
        # As a compute unit does: after an error the memory is what it was.
        if answer.get("Error"):
            return {"Error": answer["Error"]}
        self.state = into
        return shown(answer)

    def close(self):
        self.program.stdin.close()
        self.program.wait()


def shown(answer):
    """What a client reads of a result. An address that a value has in memory is that of the module."""
    output = answer.get("Output") or {}
    data = output.get("data", "") if isinstance(output, dict) else output
    if isinstance(data, dict):
        data = data.get("output", "")
    # Tags as a set: AO's come in the order in which the table happens to lie in memory.
    order = lambda one: {**one, "Tags": sorted(one["Tags"], key=lambda tag: (tag["name"], str(tag["value"])))} if isinstance(one.get("Tags"), list) else one
    sent = lambda name: [order(one) for one in answer.get(name) or []]
    return {"data": re.sub(r"(function|table|userdata|thread): (builtin: )?0x[0-9a-f]+", r"\1", str(data)), "prompt": output.get("prompt") if isinstance(output, dict) else None,
            "Messages": sent("Messages"), "Spawns": sent("Spawns"), "Assignments": sent("Assignments")}


def answers():
    """(name, ours, theirs) for each case."""
    ours = Runtime(harness.guest("process"), "wasm64-wasi-altiplano_1")
    folder = subprocess.run([ROOT / "guest" / "published" / "fetch"], check=True, capture_output=True, text=True).stdout.strip()
    theirs = Runtime(f"{folder}/{PUBLISHED[1]}.wasm", PUBLISHED[0])
    for name, what in CASES:
        fields = {"Tags": {"Action": "Eval"}, "Data": what} if isinstance(what, str) else what
        yield name, ours.send(json.loads(json.dumps(fields))), theirs.send(json.loads(json.dumps(fields)))
    ours.close()
    theirs.close()


def listed():
    text = PAGE.read_text()
    return text[text.index(BEGIN) + len(BEGIN):text.index(END)].strip()


def brief(answer):
    text = answer.get("Error") if "Error" in answer else answer["data"] if answer["data"] else json.dumps(answer["Messages"])
    text = re.sub(r"\x1b\[\d*m", "", str(text)).replace("\n", "⏎").replace("|", "¦")
    return "`" + (text if len(text) <= 90 else text[:87] + "...").replace("`", "'") + "`"


def what_differs_is_what_the_page_lists():
    names = [name for name, _ in CASES]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    found = [(name, ours, theirs) for name, ours, theirs in answers() if ours != theirs]
    page = f"{len(CASES) - len(found)} of {len(CASES)} answers are the same bytes.\n\n| message | here | aos2_0_6 |\n|---|---|---|\n"
    page += "\n".join(f"| {name} | {brief(ours)} | {brief(theirs)} |" for name, ours, theirs in found)
    if "--update" in OPTIONS:
        text = PAGE.read_text()
        PAGE.write_text(text[:text.index(BEGIN) + len(BEGIN)] + "\n" + page + "\n" + text[text.index(END):])
    print(f"        {len(CASES) - len(found)} of {len(CASES)} the same")
    assert page == listed(), "docs/aos-differences.md lists other differences; look at them, then run this with --update"


if __name__ == "__main__":
    OPTIONS = sys.argv[1:]
    sys.argv = sys.argv[:1]
    if "--show" in OPTIONS:
        wanted = [one for one in OPTIONS if not one.startswith("--")]
        for name, ours, theirs in answers():
            if ours != theirs and (not wanted or name in wanted):
                print(f"--- {name}\nours   {json.dumps(ours)}\ntheirs {json.dumps(theirs)}")
    else:
        harness.main([what_differs_is_what_the_page_lists])
