"""What the tests that use the real program share: a node on a free port in a folder of its own, and its command line."""
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("ALTIPLANO_BIN", str(ROOT / "build" / "release" / "bin" / "altiplano"))


def guest(name):
    """The path of a guest module that ./dev setup built: "process" or "llama"."""
    return subprocess.run([ROOT / "guest" / name / "build"], check=True, capture_output=True, text=True).stdout.strip()


def model():
    return subprocess.run([ROOT / "guest" / "model" / "fetch"], check=True, capture_output=True, text=True).stdout.strip()


class Failed(Exception):
    """A command that ended with another exit code than the test expects."""


def parse(text):
    """The JSON document in what a command printed; None when it printed none, because it was killed or killed for."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def wait_for(condition, seconds=60):
    """Returns when the condition holds; a failure when it does not for too long."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failed("waited in vain")
        time.sleep(0.05)


class Node:
    """`altiplano node` on a port of its own. Used as a context manager; the folder goes with it."""

    data_is_apart = False  # the log in another folder than the results

    def __init__(self, folder=None, options=(), program=PROGRAM, environment=None):
        self.owned = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="altiplano-test-"))
        self.data = self.folder / "data"
        # A sanitized node takes its workers from another build: ALTIPLANO_NODE_OPTIONS="--worker-program PATH".
        self.options = list(options) + shlex.split(os.environ.get("ALTIPLANO_NODE_OPTIONS", ""))
        self.program = program
        self.environment = {**os.environ, **(environment or {}), "ALTIPLANO_WALLET": str(self.folder / "wallet.json"),
                            "XDG_STATE_HOME": str(self.folder / "state"), "NO_COLOR": "1"}
        self.process = None
        self.port = 0

    def start(self, *more, wait_s=60):
        log = open(self.folder / "node.log", "ab")
        self.process = subprocess.Popen(
            [self.program, "node", "--data", self.data, "--port", str(self.port), *self.options, *more],
            stdout=subprocess.PIPE, stderr=log, env=self.environment, start_new_session=True)
        log.close()
        # "ready URL" is the promise that it serves; a node that ends first says why on stderr.
        line = self.process.stdout.readline().decode()
        if not line.startswith("ready "):
            raise Failed(f"the node did not start: {line!r}\n{self.log()}")
        self.url = line.split()[1]
        self.environment["ALTIPLANO_NODE"] = self.url
        return self

    def stop(self, wait_s=60):
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(wait_s)
        self.process.stdout.close()
        self.process = None
        return status

    def kill(self):
        """kill -9 of the node and its workers: nothing gets to say goodbye."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        self.process = None

    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        path = self.folder / "node.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def run(self, *arguments, status=0, timeout=600, input=None):
        """The raw command: (stdout, stderr). Any other exit code than `status` is a failure."""
        done = subprocess.run([self.program, *map(str, arguments)], capture_output=True, env=self.environment, timeout=timeout, input=input)
        if status is not None and done.returncode != status:
            raise Failed(f"altiplano {' '.join(map(str, arguments))}: exit {done.returncode}, expected {status}\n"
                         f"{done.stdout.decode(errors='replace')}{done.stderr.decode(errors='replace')}\nnode log:\n{self.log()[-4000:]}")
        return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    def json(self, *arguments, status=0, timeout=600):
        """`altiplano --json ...`: the one document it prints."""
        out, _ = self.run("--json", *arguments, status=status, timeout=timeout)
        return json.loads(out)

    def get(self, path):
        """A path of the node, as JSON."""
        with urllib.request.urlopen(self.url + path, timeout=600) as answer:
            return json.load(answer)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        try:
            self.stop()
        except (subprocess.TimeoutExpired, OSError):
            self.process.kill()
        if kind is not None:
            sys.stderr.write(f"--- node log ({self.folder})\n{self.log()[-6000:]}\n")
        elif self.owned:
            shutil.rmtree(self.folder, ignore_errors=True)


def named(test, name):
    """A test made at run time, under the name that it is reported and chosen by."""
    test.__name__ = name
    return test


def main(tests):
    """Runs test functions by name; prints a line each; exit 1 when one fails."""
    chosen = [t for t in tests if len(sys.argv) < 2 or t.__name__ in sys.argv[1:]]
    failed = 0
    for test in chosen:
        began = time.monotonic()
        try:
            test()
            print(f"ok      {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception as error:  # a test ends in whatever way it ends; the next one still runs
            failed += 1
            import traceback
            traceback.print_exc()
            print(f"FAILED  {test.__name__}: {error}", flush=True)
    sys.exit(1 if failed or not chosen else 0)
