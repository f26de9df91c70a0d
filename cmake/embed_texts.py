#!/usr/bin/env python3
"""Writes a C++ source with the files under some folders as texts: embed_texts.py OUTPUT ROOM ROOT FOLDER...

Each *.lua below ROOT/FOLDER is in lua_texts() of that room, whose lua_texts.hpp declares it, as "FOLDER/...".
"""
import pathlib
import sys

output, room, root, folders = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4:]
files = sorted(file for folder in folders for file in (root / folder).rglob("*.lua"))
lines = ["// Made by cmake/embed_texts.py.", f'#include "{room}/lua_texts.hpp"', "", f"namespace altiplano::{room} {{", "", "namespace {", ""]
for number, file in enumerate(files):
    data = file.read_bytes()
    body = ",".join(str(byte if byte < 128 else byte - 256) for byte in data) or "0"
    lines.append(f"constexpr char text_{number}[] = {{{body}}};")
lines += ["", "}  // namespace", "", "const std::vector<LuaText>& lua_texts()", "{", "    static const std::vector<LuaText> texts{"]
for number, file in enumerate(files):
    size = file.stat().st_size
    lines.append(f'        {{"{file.relative_to(root).as_posix()}", {{text_{number}, {size}}}}},')
lines += ["    };", "    return texts;", "}", "", f"}}  // namespace altiplano::{room}", ""]
text = "\n".join(lines)
if not output.exists() or output.read_text() != text:
    output.write_text(text)
