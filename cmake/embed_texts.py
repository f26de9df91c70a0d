#!/usr/bin/env python3
"""Writes a C++ source with the files under some folders as texts: embed_texts.py OUTPUT ROOT FOLDER...

Each *.lua below ROOT/FOLDER is found at run time as lua_text("FOLDER/..."), see src/cli/lua_texts.hpp.
"""
import pathlib
import sys

output, root, folders = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
files = sorted(file for folder in folders for file in (root / folder).rglob("*.lua"))
lines = ["// Made by cmake/embed_texts.py.", '#include "cli/lua_texts.hpp"', "", "namespace altiplano::cli {", "", "namespace {", ""]
for number, file in enumerate(files):
    data = file.read_bytes()
    body = ",".join(str(byte if byte < 128 else byte - 256) for byte in data) or "0"
    lines.append(f"constexpr char text_{number}[] = {{{body}}};")
lines += ["", "}  // namespace", "", "const std::vector<LuaText>& lua_texts()", "{", "    static const std::vector<LuaText> texts{"]
for number, file in enumerate(files):
    size = file.stat().st_size
    lines.append(f'        {{"{file.relative_to(root).as_posix()}", {{text_{number}, {size}}}}},')
lines += ["    };", "    return texts;", "}", "", "}  // namespace altiplano::cli", ""]
text = "\n".join(lines)
if not output.exists() or output.read_text() != text:
    output.write_text(text)
