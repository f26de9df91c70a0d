"""Small wasm modules for tests, put together byte by byte: enough to be accepted, refused, or to run wild."""


def leb(number):
    out = bytearray()
    while True:
        byte = number & 0x7F
        number >>= 7
        out.append(byte | (0x80 if number else 0))
        if not number:
            return bytes(out)


def vector(items):
    return leb(len(items)) + b"".join(items)


def section(number, content):
    return bytes([number]) + leb(len(content)) + content


def name(text):
    return leb(len(text)) + text.encode()


I64 = b"\x7e"
HEADER = b"\0asm\1\0\0\0"


def guest(handle, memory=b"\x04\x02"):
    """A wasm64 guest of our ABI whose handle($message, $env) has the body `handle` (bytes of instructions). malloc
    always gives the same place; `memory` is the memory's limits: 64-bit, two pages."""
    types = section(1, vector([b"\x60" + vector([I64]) + vector([I64]), b"\x60" + vector([I64]) + vector([]),
                               b"\x60" + vector([I64, I64]) + vector([I64])]))
    functions = section(3, vector([b"\0", b"\1", b"\2"]))
    memories = section(5, vector([memory])) if memory else b""
    exports = [name("malloc") + b"\0\0", name("free") + b"\0\1", name("handle") + b"\0\2"]
    if memory:
        exports.append(name("memory") + b"\2\0")
    bodies = [b"\0\x42\x80\x08\x0b", b"\0\x0b", b"\0" + handle + b"\x0b"]  # i64.const 1024; nothing; ours
    code = section(10, vector([leb(len(body)) + body for body in bodies]))
    return HEADER + types + functions + memories + section(7, vector(exports)) + code


CALL_ITSELF = b"\x20\x00\x20\x01\x10\x02"  # local.get 0, local.get 1, call 2
