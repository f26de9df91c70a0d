#!/usr/bin/env python3
"""Writes docs/errors.md from the rooms' errors.hpp, or with --check says whether it is up to date.

A code is `inline constexpr std::string_view name = "room.what";`, optionally followed by `///< when it comes`.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "errors.md"
# Long ones stand on two lines.
CODE = re.compile(r'^inline constexpr std::string_view \w+\s*=\s*"([\w.]+)";[ \t]*(?:///<[ \t]*(.*))?$', re.MULTILINE)
HEAD = """# Error codes

Programs match on the code; the sentence beside it says what was found and expected, with the values. Written by
`cmake/list_errors.py` from the rooms' `errors.hpp`.
"""


def page():
    lines = [HEAD]
    for header in sorted(ROOT.glob("src/*/errors.hpp")):
        rows = sorted({(code[1], (code[2] or "").strip()) for code in CODE.finditer(header.read_text())})
        if rows:
            lines.append(f"## {header.parent.name}\n")
            lines.append("| code | when |\n|---|---|")
            lines.extend(f"| `{code}` | {meaning} |" for code, meaning in rows)
            lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != page():
            print("docs/errors.md is not what the rooms' errors.hpp say: run cmake/list_errors.py")
            sys.exit(1)
    else:
        PAGE.write_text(page())
