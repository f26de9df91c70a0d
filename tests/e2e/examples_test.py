#!/usr/bin/env python3
"""The examples of guest/examples, as their README runs them: programs in C, C++, Rust and Lua open what lies in the weave."""
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess

import harness

FOLDER = pathlib.Path(subprocess.run([harness.ROOT / "guest" / "examples" / "build"], check=True, capture_output=True, text=True).stdout.strip())
TEXT = "".join(f"line {i}\n" for i in range(1000))


def put_text(node, text, name="text", *more):
    path = node.folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return node.json("put", path, *more)["id"]


def spawn(node, module, *more):
    me = node.json("key")["address"]
    return node.json("spawn", "--module", module, "--tag", "Extension=WeaveDrive", "--tag", f"Attestor={me}", *more)["process"]


def output(node, pid, data):
    slot = node.json("send", pid, "--data", data)["slot"]
    result = node.get(f"/~altiplano/result/{pid}/{slot}")["result"]
    response = result.get("response", result)
    said = response.get("Output") if isinstance(response, dict) else response
    return said.get("data") if isinstance(said, dict) else said


def c_cpp_and_rust_open_what_lies_in_the_weave():
    with harness.Node() as node:
        text = put_text(node, TEXT, "text", "--attest")
        hidden = put_text(node, "secret", "secret")
        for name, bits in (("count", 64), ("count-cpp", 64), ("count-rs", 32)):
            module = node.json("put", FOLDER / f"{name}.wasm", "--module", "--format", f"wasm{bits}-wasi-altiplano_1")["id"]
            pid = spawn(node, module)
            for question in (1, 2):
                said = output(node, pid, text)
                assert said == f"1000 lines, {len(TEXT)} bytes, question {question}", (name, said)
            assert "may not read it" in str(output(node, pid, hidden)), name
            assert output(node, pid, text).endswith("question 3"), "a failure leaves no trace"
            assert node.json("verify", pid)["identical"]


def lua_opens_it_too_and_what_the_weave_says_of_itself():
    with harness.Node() as node:
        module = node.json("put", harness.guest("process"), "--module")["id"]
        pid = spawn(node, module)
        text = put_text(node, TEXT, "text", "--attest")
        node.json("eval", pid, (harness.ROOT / "guest" / "examples" / "count.lua").read_text())
        assert output(node, pid, text).strip() == f"1000 lines, {len(TEXT)} bytes, question 1"
        # What lies in the weave about itself, by the package, and AO's idiom for a whole file.
        package = (harness.ROOT / "lua" / "packages" / "weavedrive" / "WeaveDrive.lua").read_text()
        node.json("eval", pid, f"Drive = (function() {package} end)()")
        assert node.run("eval", pid, f"return Drive.getTx('{text}').data_size")[0].strip() == str(len(TEXT))
        assert node.run("eval", pid, f"return Drive.getDataItem('{text}').data.size")[0].strip() == str(len(TEXT))
        assert node.run("eval", pid, "return Drive.getBlock(1).height")[0].strip() == "1"
        assert node.run("eval", pid, "return tostring(Drive.getBlock(1000000000))")[0].strip() == "nil"
        assert node.run("eval", pid, f"local f = io.open('/data/{text}') return #f:read(f:seek('end'))")[0].strip() == str(len(TEXT))


def an_unmodified_sqlite_opens_a_database_of_the_weave():
    with harness.Node() as node:
        file = node.folder / "tables.db"
        with sqlite3.connect(file) as made:
            made.execute("create table lakes (name text, depth integer)")
            made.executemany("insert into lakes values (?, ?)", [("Titicaca", 281), ("Poopo", None)] + [(f"Lake {i}", i % 7) for i in range(20_000)])
            made.execute("create index by_name on lakes (name)")
        made.close()
        tables = put_text(node, file.read_bytes(), "item", "--attest")
        text = put_text(node, TEXT, "text", "--attest")
        hidden = put_text(node, file.read_bytes() + b"\0", "hidden")
        pid = spawn(node, node.json("put", FOLDER / "tables.wasm", "--module")["id"])
        for asked, answered in (("select count(*), sum(depth), max(name) from lakes", "20002|60278|Titicaca"),
                                ("select name, depth from lakes where name in ('Titicaca', 'Poopo') order by name", "Poopo|null;Titicaca|281"),
                                ("select depth from lakes where name = 'Lake 19999'", "0"), ("pragma integrity_check", "ok")):
            assert output(node, pid, f"{tables} {asked}") == answered, (asked, output(node, pid, f"{tables} {asked}"))
        assert "readonly" in output(node, pid, f"{tables} delete from lakes")
        assert "not a database" in output(node, pid, f"{text} select 1 from lakes")
        assert "unable to open" in output(node, pid, f"{hidden} select 1 from lakes")
        assert node.json("verify", pid)["identical"]


def an_extension_of_others_is_used_offered_and_recomputed():
    """docs/extensions.md, as written there."""
    with harness.Node() as node:
        function = "match/6 = 2000 + 16*2 + 64*4"
        extension = node.json("extension", "add", FOLDER / "regex.wasm", "--name", "regex", "--function", function)["id"]
        listed = {one["name"]: one for one in node.get("/extensions")}
        assert listed["regex"]["id"] == extension and listed["regex"]["functions"] == [function] and listed["tensor"]["own"], listed
        module = node.json("put", FOLDER / "grep.wasm", "--module")["id"]
        pid = node.json("spawn", "--module", module, "--tag", f"Extension={extension}")["process"]
        for said, found in (("b+|aabbb", "from 2 to 5"), ("^b|ab", "no match"), ("[x-z]o?.$|hello zo!", "from 6 to 9"), ("|", "from 0 to 0")):
            assert output(node, pid, said) == found, (said, output(node, pid, said))
        fault = node.json("send", pid, "--data", "a" * 300 + "|" + "a" * 300)["slot"]
        assert node.get(f"/~altiplano/result/{pid}/{fault}")["outcome"] == "guest_fault"
        assert output(node, pid, "b+|aabbb") == "from 2 to 5"

        # Without it in the list new processes are refused by its name, while the old one goes on.
        assert node.json("extension", "rm", extension)["removed"]
        refused = node.json("spawn", "--module", module, "--tag", f"Extension={extension}", status=3)
        assert refused["code"] == "compute.unknown_extension" and "regex" in refused["error"], refused
        assert output(node, pid, "b+|aabbb") == "from 2 to 5"
        assert node.json("verify", pid)["identical"]
        for arguments in (("--name", "tensor", "--function", function), ("--name", "regex", "--function", "match"), ("--name", "regex")):
            node.json("extension", "add", FOLDER / "regex.wasm", *arguments, status=4)
        node.json("extension", "add", FOLDER / "count.wasm", "--name", "count", "--function", "handle/2 = 1", status=4)


def native_code_is_used_and_dropped_when_it_differs():
    with harness.Node() as node:
        def built(name, *flags):
            library = node.folder / f"{name}.so"
            subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *flags, "-I", harness.ROOT / "include",
                            harness.ROOT / "guest" / "examples" / "regex_native.c", "-o", library], check=True)
            return library

        function = "match/6 = 2000 + 16*2 + 64*4"
        extension = node.json("extension", "add", FOLDER / "regex.wasm", "--name", "regex", "--function", function)["id"]
        module = node.json("put", FOLDER / "grep.wasm", "--module")["id"]

        def questions(pid):
            for said, found in (("b+|aabbb", "from 2 to 5"), ("^b|ab", "no match"), ("[x-z]o?.$|hello zo!", "from 6 to 9")):
                assert output(node, pid, said) == found, (said, output(node, pid, said))
            fault = node.json("send", pid, "--data", "a" * 300 + "|" + "a" * 300)["slot"]
            assert node.get(f"/~altiplano/result/{pid}/{fault}")["outcome"] == "guest_fault"
            assert node.json("verify", pid)["identical"]

        for library, alarms in ((built("right"), 0), (built("wrong", "-DWRONG"), 1)):
            node.stop()
            node.start()  # workers that know nothing of the library before
            node.json("extension", "accelerate", extension, library)
            questions(node.json("spawn", "--module", module, "--tag", f"Extension={extension}")["process"])
            assert node.log().count("ALARM: the accelerator of regex.match") >= alarms and (alarms or "ALARM" not in node.log()), node.log()
        # What one worker found holds for all of the node, until the operator puts another library there.
        seen = node.log().count("ALARM")
        node.stop()
        node.start()
        again = node.json("spawn", "--module", module, "--tag", f"Extension={extension}")["process"]
        questions(again)
        assert node.log().count("ALARM") in (0, seen), node.log()
        (alarm,) = (node.folder / "data" / "accelerators").glob("*.alarm")
        assert "regex.match" in alarm.read_text(), alarm.read_text()
        node.json("extension", "accelerate", extension, node.folder / "right.so")
        assert not alarm.exists()
        node.json("extension", "slow", extension)
        not_one = node.folder / "text.so"
        not_one.write_text("no library")
        assert node.json("extension", "accelerate", extension, not_one, status=4)["code"] == "announced.bad_accelerator"


def the_page_about_extensions_is_true():
    """docs/extensions.md: what it says to type in sections 1 and 4, typed."""
    page = (harness.ROOT / "docs" / "extensions.md").read_text()
    sections = re.split(r"^## ", page, flags=re.M)
    with harness.Node() as node:
        def typed(text, folder):
            bin = next(pathlib.Path(os.environ.get("ALTIPLANO_CACHE", pathlib.Path.home() / ".cache" / "altiplano")).glob("guest-sysroot-*/bin"))
            script = f'PATH="{bin}:$PATH"; altiplano() {{ "{harness.PROGRAM}" "$@"; }}; cd "{folder}"\n{text}\n'
            return subprocess.run(["bash", "-euc", script], env=node.environment, check=True, capture_output=True, text=True).stdout

        work = node.folder / "work"
        work.mkdir()
        shutil.copy(harness.ROOT / "guest" / "examples" / "regex.c", work)
        compiling = re.search(r"^ +w64cc (?:.*\\\n)*.*", sections[1], flags=re.M)[0]
        typed(compiling, work)
        assert (work / "regex.wasm").read_bytes() == (FOLDER / "regex.wasm").read_bytes()

        known, said = {"folder": ""}, ""
        lines = [line.strip() for line in sections[4].splitlines() if re.match(r" {4}(folder=|altiplano )", line)]
        assert len(lines) == 5, lines
        for line in lines[1:]:
            for name, value in known.items():
                line = re.sub(rf"\b{name}\b(?!=)", value, line) if name.isupper() else line
            said = typed(f"{lines[0]}\n{line}", harness.ROOT)
            named = {"extension": "EXTENSION", "put": "MODULE", "spawn": "PID"}.get(line.split()[1])
            if named:
                known[named] = re.search(r"(?<![\w-])[\w-]{43}(?![\w-])", said)[0]
        assert output(node, known["PID"], "b+|aabbb") == "from 2 to 5"


if __name__ == "__main__":
    harness.main([c_cpp_and_rust_open_what_lies_in_the_weave, lua_opens_it_too_and_what_the_weave_says_of_itself, an_unmodified_sqlite_opens_a_database_of_the_weave,
                  an_extension_of_others_is_used_offered_and_recomputed, native_code_is_used_and_dropped_when_it_differs,
                  the_page_about_extensions_is_true])
