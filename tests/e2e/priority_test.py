"""Long evaluations: beside programs that never rest, before short ones, and where low priority cannot be taken back, as in a
service without privileges."""
import os
import shutil
import subprocess
import sys
import threading

import harness
from harness import Node

LONG = "local n = 0 for i = 1, 100000000 do n = n + i % 3 end return n"


def may_be_raised():
    code = "import os; p = os.sched_param(0); os.sched_setscheduler(0, os.SCHED_IDLE, p); os.sched_setscheduler(0, os.SCHED_OTHER, p)"
    return subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode == 0


def a_worker_outlives_its_long_evaluations_without_the_privilege_to_raise_them():
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        print("skipped: only root has the privilege that is given up here")
        return
    with Node() as node:
        node.stop()
        wrapper = node.folder / "without_privilege"
        wrapper.write_text(f'#!/bin/sh\nexec setpriv --bounding-set=-sys_nice --inh-caps=-sys_nice "{harness.PROGRAM}" "$@"\n')
        wrapper.chmod(0o755)
        node.program = str(wrapper)
        node.start()
        pid = node.json("spawn", "--module", node.json("put", harness.guest("process"), "--module")["id"])["process"]
        node.json("eval", pid, "return 1")
        before = node.get("/~altiplano/status")["workers"]
        for _ in range(2):
            assert node.run("eval", pid, LONG)[0] == "100000000\n"
        assert len(before) == 1 and node.get("/~altiplano/status")["workers"] == before, before
        assert node.run("eval", pid, "return 2")[0] == "2\n"


def a_long_evaluation_ends_beside_programs_that_never_rest():
    with Node() as node:
        pid = node.json("spawn", "--module", node.json("put", harness.guest("process"), "--module")["id"])["process"]
        node.json("eval", pid, "return 1")
        worker, = node.get("/~altiplano/status")["workers"]
        hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
        try:
            assert node.run("eval", pid, "local n = 0 for i = 1, 30000000 do n = n + i % 3 end return n")[0] == "30000000\n"
        finally:
            for hog in hogs:
                hog.kill()
                hog.wait()
        # Without the privilege to raise it again it was never lowered, or another worker has the process now.
        if [worker] == node.get("/~altiplano/status")["workers"]:
            assert os.sched_getscheduler(worker) == os.sched_getscheduler(node.process.pid)


def a_short_message_behind_a_long_one_is_not_evaluated_idle():
    with Node() as node:
        pid = node.json("spawn", "--module", node.json("put", harness.guest("process"), "--module")["id"])["process"]
        node.json("eval", pid, "return 1")
        worker, = node.get("/~altiplano/status")["workers"]
        policies = set()
        ended = threading.Event()

        def watch():
            while not ended.wait(0.02):
                policies.add(os.sched_getscheduler(worker))

        watcher = threading.Thread(target=watch)
        watcher.start()
        # Both are asked for before the first has ended, so that the worker has the second while it evaluates the first.
        asked = [subprocess.Popen([node.program, "eval", pid, code], stdout=subprocess.PIPE, text=True, env=node.environment)
                 for code in (LONG, "return 2")]
        answers = [one.communicate()[0] for one in asked]
        after = os.sched_getscheduler(worker)
        ended.set()
        watcher.join()
        assert answers == ["100000000\n", "2\n"], answers
        own = os.sched_getscheduler(node.process.pid)
        assert after == own, after
        if own == os.SCHED_OTHER and may_be_raised():
            assert policies == {os.SCHED_OTHER, os.SCHED_IDLE}, policies


if __name__ == "__main__":
    harness.main([a_long_evaluation_ends_beside_programs_that_never_rest, a_short_message_behind_a_long_one_is_not_evaluated_idle,
                  a_worker_outlives_its_long_evaluations_without_the_privilege_to_raise_them])
