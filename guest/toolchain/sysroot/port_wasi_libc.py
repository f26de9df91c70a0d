#!/usr/bin/env python3
"""Turns the wasi-libc source tree of 2022-05-10 (written for wasm32) into a wasm64 one, in place.

usage: port_wasi_libc.py FOLDER

Every step checks that it found what it changes, so another version of wasi-libc fails here and not at run time.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])


def edit(path, change):
    file = ROOT / path
    before = file.read_text()
    after = change(before)
    if after == before:
        sys.exit(f"{path}: nothing to change was found; is this wasi-libc of 2022-05-10?")
    file.write_text(after)


def replace(path, old, new):
    edit(path, lambda text: text.replace(old, new))


def declare(header, declarations):
    """Adds declarations to a musl header, as the last ones inside its extern "C"."""
    closing = "#ifdef __cplusplus\n}"

    def insert(text):
        before, found, after = text.rpartition(closing)
        return before + declarations + found + after if found else text

    edit(f"libc-top-half/musl/include/{header}", insert)


# --- the WASI interface ---------------------------------------------------------------------------------------------

def allow_wasm64(text):
    """The asserts encode the 32-bit layout of structures that carry pointers; with i64 pointers the layout is the one
    that clang gives them, and the host follows it."""
    text = re.sub(r"#ifndef __wasm32__\n#error .*\n#endif\n", "", text)
    return re.sub(r"^_Static_assert\(.*\);\n", "", text, flags=re.M)


def widen_imports(text):
    """Pointers and sizes in the raw imports become i64. Which arguments those are stands in the wrapper around each
    import, so it is read from there."""
    chunks = re.split(r"(?=^(?:int32_t|void|_Noreturn void) __imported_)", text, flags=re.M)
    return "".join(map(widen_import, chunks))


def widen_import(chunk):
    declaration = re.match(r"(?:int32_t|void|_Noreturn void) (__imported_\w+)\(([^)]*)\)", chunk)
    if not declaration:
        return chunk
    name, parameters = declaration[1], declaration[2]
    call = re.search(re.escape(name) + r"\((.*)\);", chunk[declaration.end():])
    wrapper = re.search(r"^(?:__wasi_errno_t|_Noreturn void|void) __wasi_\w+\(\s*(.*?)\)\s*\{", chunk, re.M | re.S)
    wide = set(re.findall(r"size_t (\w+) = ", chunk))
    for parameter in wrapper[1].split(",") if wrapper else []:
        if "*" in parameter or re.search(r"\b(?:__wasi_size_t|size_t)\b", parameter):
            wide.update(re.findall(r"(\w+)\s*$", parameter))
    if not call or not call[1].strip():
        return chunk
    arguments = [a.strip() for a in call[1].split(",")]
    types = [p.split()[0] for p in parameters.split(",")]
    if len(arguments) != len(types):
        sys.exit(f"{name}: {len(arguments)} arguments for {len(types)} parameters")
    for i, argument in enumerate(arguments):
        variable = re.search(r"(\w+)$", argument)[1]
        if variable in wide or variable.startswith("retptr") or "&" in argument:
            types[i] = "int64_t"
            arguments[i] = re.sub(r"^\(int32_t\)", "(int64_t)", argument)
    chunk = chunk.replace(parameters, ", ".join(f"{t} arg{i}" for i, t in enumerate(types)), 1)
    return chunk.replace(f"{name}({call[1]});", f"{name}({', '.join(arguments)});")


edit("libc-bottom-half/headers/public/wasi/api.h", allow_wasm64)
edit("libc-bottom-half/sources/__wasilibc_real.c", widen_imports)

# --- the data model: LP64 -------------------------------------------------------------------------------------------

ARCH = "libc-top-half/musl/arch/wasm32"


def widen_limits(text):
    text = re.sub(r"(#define (?:INTPTR|PTRDIFF)_(MIN|MAX)\s+)INT32_(?:MIN|MAX)", r"\1INT64_\2", text)
    return re.sub(r"(#define (?:UINTPTR|SIZE)_MAX\s+)UINT32_MAX", r"\1UINT64_MAX", text)


edit(f"{ARCH}/bits/stdint.h", widen_limits)
edit(f"{ARCH}/bits/posix.h", lambda _: "#define _POSIX_V6_LP64_OFF64 1\n#define _POSIX_V7_LP64_OFF64 1\n")
edit(f"{ARCH}/atomic_arch.h", lambda text: text + (
    "#define a_cas_p(p, t, s) "
    "((void *)__sync_val_compare_and_swap((volatile long *)(p), (long)(t), (long)(s)))\n"))

# --- what our sysroot has beyond wasi-libc (sysroot/src/*.c) --------------------------------------------------------

declare("sys/stat.h", "int chmod(const char *, mode_t);\nint fchmod(int, mode_t);\n"
                      "int fchmodat(int, const char *, mode_t, int);\n")
declare("unistd.h", "ssize_t copy_file_range(int, off_t *, int, off_t *, size_t, unsigned);\n")
declare("stdlib.h", "int system(const char *);\nchar *realpath(const char *__restrict, char *__restrict);\n")
declare("stdio.h", "#define L_tmpnam 20\n")
edit("libc-top-half/musl/include/dirent.h", lambda text: text + "\n#ifndef DT_SOCK\n#define DT_SOCK 20\n#endif\n")
# llama.cpp maps files only where unistd.h says that files can be mapped *and* memory locked (it guards both with the
# second macro), and then wants to know the limit for locking. Ours is none, and locking fails.
edit("libc-top-half/musl/include/unistd.h", lambda text: text + (
    "\n#ifndef _POSIX_MAPPED_FILES\n#define _POSIX_MAPPED_FILES 200809L\n#endif\n"
    "\n#ifndef _POSIX_MEMLOCK_RANGE\n#define _POSIX_MEMLOCK_RANGE 200809L\n#endif\n"))
declare("sys/resource.h", "typedef unsigned long long rlim_t;\nstruct rlimit { rlim_t rlim_cur, rlim_max; };\n"
                          "#define RLIMIT_MEMLOCK 8\nint getrlimit(int, struct rlimit *);\n")
# The initialisers of a 64-bit pthread_mutex_t are one level deeper than musl's.
edit("libc-top-half/musl/include/pthread.h", lambda text: re.sub(
    r"^(#define PTHREAD_(?:MUTEX|RWLOCK|COND)_INITIALIZER) .*", r"\1 {{{0}}}", text, flags=re.M))

# --- the build: newer clang warns about more than the authors' did ---------------------------------------------------

replace("Makefile", "-Wall -Wextra -Werror", "-w")
