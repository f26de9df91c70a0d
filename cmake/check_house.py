#!/usr/bin/env python3
"""Checks what CMake cannot see: includes that go up or across floors, and direct use of what base/ injects.

Run by every build. A finding names file, line and rule; exit 1 when there is one.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SRC = ROOT / "src"

# What only base/ may do, since everything else gets it passed in (docs/architecture.md, "The simulator").
FORBIDDEN = {
    "clock": re.compile(r"\b(?:steady_clock|system_clock|high_resolution_clock)::now|\b(?:gettimeofday|clock_gettime|clock_nanosleep|nanosleep|usleep)\s*\(|\btime\s*\(\s*(?:NULL|nullptr|0)\s*\)|\bsleep_(?:for|until)\s*\("),
    "thread": re.compile(r"\bstd::(?:jthread|thread)\b(?!::id)|\bstd::async\b|\bpthread_create\s*\("),
    "chance": re.compile(r"\bstd::(?:random_device|mt19937|mt19937_64)\b|(?<![\w.:>])s?rand\s*\(|\bgetrandom\s*\(|\bRAND_bytes\s*\("),
    "file": re.compile(r"\bstd::[io]?fstream\b|\bfopen\s*\(|(?:^\s*|[=(!,;&|]\s*|return\s+)(?:::)?(?:open|openat|creat|unlink|mkstemp)\s*\("),
}

# Where a room's job is to talk to the kernel itself. Each line is a decision with its reason.
ALLOWED = {
    ("memory", "file"): "opens /proc/self/pagemap and anonymous memory files: both are the machine's memory, not data",
    ("vm", "thread"): "runs guests on a thread whose stack has a known size",
    ("compute", "file"): "hands descriptors to worker processes",
    ("compute", "thread"): "waits for worker processes",
    ("node", "thread"): "the HTTP server's own threads; the simulator replaces the whole server",
    ("node", "file"): "locks the data folder",
    ("cli", "clock"): "a program at a terminal: measures what it shows",
    ("cli", "thread"): "shows a stream while it waits for an answer",
    ("cli", "file"): "reads and writes the files that its user names",
}


def rooms():
    """room name -> (floor, set of rooms it says it uses), from the rooms' own CMakeLists.txt"""
    found = {}
    for lists in sorted(SRC.glob("*/CMakeLists.txt")):
        text = re.sub(r"#.*", "", lists.read_text())
        call = re.search(r"altiplano_room\(\s*(\w+)\s+FLOOR\s+(\d+)(.*?)\)", text, re.S)
        if not call:
            continue
        uses = re.search(r"\bUSES\b(.*?)(?:\b(?:SOURCES|NEEDS|SHOWS|TEST_NEEDS)\b|$)", call[3], re.S)
        found[call[1]] = (int(call[2]), set(uses[1].split()) if uses else set())
    return found


def reachable(room, house, seen=None):
    seen = set() if seen is None else seen
    for used in house[room][1]:
        if used in house and used not in seen:
            seen.add(used)
            reachable(used, house, seen)
    return seen


def code_lines(text):
    """Lines with comments and string literals blanked, so that words about a call are not taken for one."""
    text = re.sub(r'R"(\w*)\(.*?\)\1"', lambda m: '""' + "\n" * m[0].count("\n"), text, flags=re.S)
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)
    return [re.sub(r'//.*|"(?:\\.|[^"\\])*"', '""', line) for line in text.split("\n")]


def check(path, room, house, findings):
    text = path.read_text()
    is_test = path.name.endswith("_test.cpp")
    friends = reachable(room, house) | {room}
    for number, line in enumerate(text.split("\n"), 1):
        include = re.match(r'\s*#\s*include\s*"(\w+)/', line)
        if include and (SRC / include[1]).is_dir() and include[1] not in friends:
            other = house.get(include[1])
            floor = f"floor {other[0]}" if other else "not a room"
            findings.append(f"{path.relative_to(ROOT)}:{number}: {room} (floor {house[room][0]}) may not include {include[1]} ({floor}), or does not say that it uses it")
    if room == "base" or is_test:
        return
    for number, line in enumerate(code_lines(text), 1):
        for what, pattern in FORBIDDEN.items():
            if pattern.search(line) and (room, what) not in ALLOWED:
                findings.append(f"{path.relative_to(ROOT)}:{number}: direct use of a {what} outside base/: take it as a parameter ({line.strip()[:80]})")


def main():
    house = rooms()
    findings = []
    for room, (floor, uses) in house.items():
        for used in uses & house.keys():
            if house[used][0] >= floor:
                findings.append(f"src/{room}/CMakeLists.txt: {room} (floor {floor}) may not use {used} (floor {house[used][0]})")
        for path in sorted((SRC / room).rglob("*")):
            if path.suffix in (".cpp", ".hpp"):
                check(path, room, house, findings)
    print("\n".join(findings) if findings else f"{len(house)} rooms keep to their floors")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
