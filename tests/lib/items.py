"""Signed ANS-104 items, as a client of any unit brings them. The signature is OpenSSL's; the rest is ao-protocol.md 1."""
import base64
import hashlib
import pathlib
import subprocess
import tempfile


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_b64u(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def deep_hash(value):
    sha = lambda data: hashlib.sha384(data).digest()
    if isinstance(value, bytes):
        return sha(sha(b"blob%d" % len(value)) + sha(value))
    hashed = sha(b"list%d" % len(value))
    for one in value:
        hashed = sha(hashed + deep_hash(one))
    return hashed


def varint(number):
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag_bytes(tags):
    if not tags:
        return b""
    text = lambda value: varint(len(value)) + value
    return varint(len(tags)) + b"".join(text(name.encode()) + text(value.encode()) for name, value in tags) + b"\0"


class Wallet:
    """An Ed25519 key that follows from a number, or from the 32 bytes of its seed."""

    def __init__(self, seed):
        self.folder = tempfile.TemporaryDirectory()
        self.key = pathlib.Path(self.folder.name) / "key.der"
        self.key.write_bytes(bytes.fromhex("302e020100300506032b657004220420") + (seed if isinstance(seed, bytes) else bytes([seed]) * 32))
        self.owner = self._openssl("pkey", "-inform", "DER", "-in", self.key, "-pubout", "-outform", "DER")[-32:]
        self.address = b64u(hashlib.sha256(self.owner).digest())

    def _openssl(self, *arguments):
        return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True).stdout

    def item(self, tags, data=b" ", target="", anchor=b""):
        """(id, bytes) of a signed item."""
        raw_target, raw_tags = from_b64u(target) if target else b"", tag_bytes(tags)
        # A file for each: one wallet may sign in several threads.
        with tempfile.NamedTemporaryFile(dir=self.folder.name) as message:
            message.write(deep_hash([b"dataitem", b"1", b"2", self.owner, raw_target, anchor, raw_tags, data]))
            message.flush()
            signature = self._openssl("pkeyutl", "-sign", "-keyform", "DER", "-inkey", self.key, "-rawin", "-in", message.name)
        presence = lambda value: b"\x01" + value if value else b"\0"
        wire = (b"\x02\0" + signature + self.owner + presence(raw_target) + presence(anchor) + len(tags).to_bytes(8, "little")
                + len(raw_tags).to_bytes(8, "little") + raw_tags + data)
        return b64u(hashlib.sha256(signature).digest()), wire
