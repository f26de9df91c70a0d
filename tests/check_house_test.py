#!/usr/bin/env python3
"""The house check finds an include that goes up, one across, and each forbidden call; and nothing in a clean room."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).resolve().parent.parent / "cmake" / "check_house.py"

ROOMS = {
    "base": (0, [], {}),
    "low": (1, ["base"], {}),
    "beside": (1, ["base"], {}),
    "high": (5, ["low"], {}),
}


def findings(file, text):
    """What the check prints when `file` holds `text` in an otherwise clean house."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "cmake").mkdir()
        shutil.copy(CHECK, root / "cmake")
        for room, (floor, uses, _) in ROOMS.items():
            (root / "src" / room).mkdir(parents=True)
            used = "USES " + " ".join(uses) if uses else ""
            (root / "src" / room / "CMakeLists.txt").write_text(f"altiplano_room({room} FLOOR {floor} SOURCES a.cpp {used})\n")
        (root / "src" / file).write_text(text)
        run = subprocess.run([sys.executable, root / "cmake" / "check_house.py"], capture_output=True, text=True)
        return run.returncode, run.stdout


CASES = [
    ("low/a.cpp", '#include "base/a.hpp"\n// std::thread in words is fine\nconst char* s = "time(0)";\n', True),
    ("high/a.cpp", '#include "base/id.hpp"\n', True),
    ("low/a.cpp", '#include "high/a.hpp"\n', False),
    ("low/a.cpp", '#include "beside/a.hpp"\n', False),
    ("low/a.cpp", "auto t = std::chrono::steady_clock::now();\n", False),
    ("low/a.cpp", "std::thread t;\n", False),
    ("low/a.cpp", "std::mt19937 r;\n", False),
    ("low/a.cpp", "std::ifstream f;\n", False),
    ("low/a.cpp", "int f = ::open(p, 0);\n", False),
    ("base/a.cpp", "std::thread t;\n", True),
    ("low/a_test.cpp", "std::thread t;\n", True),
]

failed = 0
for file, text, clean in CASES:
    status, output = findings(file, text)
    if (status == 0) != clean:
        failed += 1
        print(f"not as expected (clean: {clean}): {file}: {text!r}\n{output}")
print(f"{len(CASES) - failed} as expected, {failed} not")
sys.exit(1 if failed else 0)
