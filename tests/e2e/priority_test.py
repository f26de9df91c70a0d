"""Long evaluations where low priority cannot be taken back, as in a service without privileges."""
import os
import shutil

import harness
from harness import Node

LONG = "local n = 0 for i = 1, 200000000 do n = n + i % 3 end return n"


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
            assert node.run("eval", pid, LONG)[0] == "200000001\n"
        assert len(before) == 1 and node.get("/~altiplano/status")["workers"] == before, before
        assert node.run("eval", pid, "return 2")[0] == "2\n"


if __name__ == "__main__":
    harness.main([a_worker_outlives_its_long_evaluations_without_the_privilege_to_raise_them])
