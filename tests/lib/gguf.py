"""GGUF files as tests need them: taken apart, cut into parts, and written with made-up weights."""
import pathlib
import random
import struct

MAGIC, VERSION, ALIGNMENT = b"GGUF", 3, 32
U16, U32, I32, F32, BOOL, TEXT, ARRAY = 2, 4, 5, 6, 7, 8, 9
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
BLOCKS = {0: (4, 1), 1: (2, 1), 2: (18, 32), 3: (20, 32), 6: (22, 32), 8: (34, 32), 12: (144, 256), 14: (210, 256)}  # type -> bytes and elements of a block
Q4_0, Q5_0, Q8_0, Q4_K, Q6_K, F16_TYPE, F32_TYPE = 2, 6, 8, 12, 14, 1, 0


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key, kind, value):
    """One key and value as bytes; `kind` (ARRAY, element kind) is a list."""
    packed = {U16: "<H", U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}
    one = lambda k, v: text(v) if k == TEXT else struct.pack(packed[k], v)
    if isinstance(kind, tuple):
        return text(key) + struct.pack("<IIQ", ARRAY, kind[1], len(value)) + b"".join(one(kind[1], v) for v in value)
    return text(key) + struct.pack("<I", kind) + one(kind, value)


def aligned(size):
    return -size % ALIGNMENT


class Model:
    """The head of a file: entries {key: bytes of the whole entry}, tensors [(name, extents, type, offset, bytes)]."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.file = open(path, "rb")
        assert self.file.read(4) == MAGIC
        _, count, keys = struct.unpack("<IQQ", self.file.read(20))
        self.entries, self.tensors = {}, []
        for _ in range(keys):
            begin = self.file.tell()
            key = self.text()
            self.skip(self.number("<I"))
            end = self.file.tell()
            self.file.seek(begin)
            self.entries[key.decode()] = self.file.read(end - begin)
        for _ in range(count):
            name, dimensions = self.text(), self.number("<I")
            extents = [self.number("<Q") for _ in range(dimensions)]
            kind, offset = self.number("<I"), self.number("<Q")
            elements = 1
            for extent in extents:
                elements *= extent
            size, block = BLOCKS[kind]
            self.tensors.append((name, extents, kind, offset, elements // block * size))
        self.data = self.file.tell() + aligned(self.file.tell())

    def number(self, form):
        return struct.unpack(form, self.file.read(struct.calcsize(form)))[0]

    def text(self):
        return self.file.read(self.number("<Q"))

    def skip(self, kind):
        if kind == TEXT:
            self.text()
        elif kind == ARRAY:
            kind, count = self.number("<I"), self.number("<Q")
            if kind == TEXT:
                for _ in range(count):
                    self.text()
            else:
                self.file.seek(SIZES[kind] * count, 1)
        else:
            self.file.seek(SIZES[kind], 1)


def head(entries, tensors):
    """tensors: (name, extents, type, bytes) in the order of their data."""
    out, offset = [MAGIC, struct.pack("<IQQ", VERSION, len(tensors), len(entries)), *entries], 0
    for name, extents, kind, size in tensors:
        out.append(text(name) + struct.pack("<I", len(extents)) + b"".join(struct.pack("<Q", e) for e in extents) + struct.pack("<IQ", kind, offset))
        offset += size + aligned(size)
    data = b"".join(out)
    return data + bytes(aligned(len(data)))


def split(path, folder, parts):
    """Cuts a model into files, as llama.cpp names and numbers them. @return their paths"""
    model, made = Model(path), []
    share = -(-len(model.tensors) // parts)
    for part in range(parts):
        tensors = model.tensors[part * share:(part + 1) * share]
        entries = [entry("split.no", U16, part), entry("split.count", U16, parts), entry("split.tensors.count", I32, len(model.tensors))]
        if part == 0:
            entries += model.entries.values()
        target = pathlib.Path(folder) / f"part-{part + 1:05d}-of-{parts:05d}.gguf"
        with open(target, "wb") as out:
            out.write(head(entries, [(name, extents, kind, size) for name, extents, kind, _, size in tensors]))
            for _, _, _, offset, size in tensors:
                model.file.seek(model.data + offset)
                out.write(model.file.read(size) + bytes(aligned(size)))
        made.append(target)
    return made


def tokenizer(vocabulary):
    return [e for key, e in Model(vocabulary).entries.items() if key.startswith("tokenizer.")]


def generated(path, entries, tensors):
    """A file with weights that nobody trained, written as it is made. tensors: (name, extents, type)"""
    sized = []
    for name, extents, kind in tensors:
        size, block = BLOCKS[kind]
        elements = extents[0] * (extents[1] if len(extents) > 1 else 1)
        sized.append((name, extents, kind, elements // block * size))
    chance = random.Random(1)
    with open(path, "wb") as out:
        out.write(head(entries, sized))
        for name, extents, kind, size in sized:
            if kind == F32_TYPE:
                out.write(struct.pack("<f", 1.0) * extents[0])
            else:
                # One row of blocks with a fitting scale, repeated with another beginning each time: as many different bytes as a page has.
                block_bytes, _ = BLOCKS[kind]
                row = b"".join(block_of(kind, chance) for _ in range(4096))
                left = size
                while left:
                    shift = chance.randrange(4096) * block_bytes
                    piece = (row[shift:] + row[:shift])[:left]
                    out.write(piece)
                    left -= len(piece)
            out.write(bytes(aligned(size)))


def block_of(kind, chance):
    """A block of weights around zero, some hundredths large."""
    half = lambda x: struct.pack("<e", x)
    if kind == F16_TYPE:
        return half(chance.uniform(-0.03, 0.03))
    if kind == Q4_0:
        return half(0.003) + chance.randbytes(16)
    if kind == Q5_0:
        return half(0.0015) + chance.randbytes(20)
    if kind == Q8_0:
        return half(0.0002) + chance.randbytes(32)
    if kind == Q4_K:  # the minimum is half of what the scale spans
        return half(0.0002) + half(0.0015) + bytes([15] * 8 + [0xff] * 4) + chance.randbytes(128)
    return chance.randbytes(192) + bytes(b % 16 for b in chance.randbytes(16)) + half(0.0003)  # Q6_K


def llama_shape(path, vocabulary, words, width, layers, feed, heads, kv_heads, base, head_format, body_format=Q4_0):
    """A model of the Llama family."""
    head_width = width // heads
    kv = kv_heads * head_width
    entries = tokenizer(vocabulary)
    entries += [entry("general.architecture", TEXT, "llama"), entry("general.name", TEXT, "Generated"), entry("general.file_type", U32, 1 if body_format == F16_TYPE else 2),
                entry("llama.context_length", U32, 8192), entry("llama.embedding_length", U32, width), entry("llama.block_count", U32, layers),
                entry("llama.feed_forward_length", U32, feed), entry("llama.attention.head_count", U32, heads),
                entry("llama.attention.head_count_kv", U32, kv_heads), entry("llama.rope.freq_base", F32, base),
                entry("llama.rope.dimension_count", U32, head_width), entry("llama.vocab_size", U32, words),
                entry("llama.attention.layer_norm_rms_epsilon", F32, 1e-5)]
    tensors = [("token_embd.weight", [width, words], body_format), ("output.weight", [width, words], head_format), ("output_norm.weight", [width], F32_TYPE)]
    for layer in range(layers):
        for name, extents in (("attn_q", [width, width]), ("attn_k", [width, kv]), ("attn_v", [width, kv]), ("attn_output", [width, width]),
                              ("ffn_gate", [width, feed]), ("ffn_up", [width, feed]), ("ffn_down", [feed, width])):
            tensors.append((f"blk.{layer}.{name}.weight", extents, body_format))
        tensors += [(f"blk.{layer}.{name}_norm.weight", [width], F32_TYPE) for name in ("attn", "ffn")]
    generated(path, entries, tensors)


def llama3_8b(path, vocabulary):
    """The shape of Llama 3 8B, with its vocabulary out of `vocabulary`: 4.7 GB."""
    llama_shape(path, vocabulary, words=128256, width=4096, layers=32, feed=14336, heads=32, kv_heads=8, base=500000.0, head_format=Q6_K)


def llama3_8b_f16(path, vocabulary):
    """The same unquantised: 16.1 GB."""
    llama_shape(path, vocabulary, words=128256, width=4096, layers=32, feed=14336, heads=32, kv_heads=8, base=500000.0, head_format=F16_TYPE,
                body_format=F16_TYPE)


def llama_1_1b(path, vocabulary):
    """The shape of TinyLlama 1.1B, with the vocabulary of Llama 2 out of `vocabulary`: 0.6 GB."""
    llama_shape(path, vocabulary, words=32000, width=2048, layers=22, feed=5632, heads=32, kv_heads=4, base=10000.0, head_format=Q6_K)


def gemma3_270m(path, vocabulary):
    """The shape of Gemma 3 270M as its files in Q4_K are: rows of 640 are no whole blocks of 256, so that most tensors have Q5_0 and
    the embeddings Q8_0. With the vocabulary of Gemma 4, which has as many words, out of `vocabulary`."""
    width, layers, feed, words, head_width, heads = 640, 18, 2048, 262144, 256, 4
    values = {"context_length": 32768, "embedding_length": width, "block_count": layers, "feed_forward_length": feed, "attention.head_count": heads,
              "attention.head_count_kv": 1, "attention.key_length": head_width, "attention.value_length": head_width,
              "attention.sliding_window": 512}
    entries = tokenizer(vocabulary)
    entries += [entry("general.architecture", TEXT, "gemma3"), entry("general.name", TEXT, "Generated"), entry("general.file_type", U32, 15),
                entry("gemma3.attention.layer_norm_rms_epsilon", F32, 1e-6), entry("gemma3.rope.freq_base", F32, 1e6)]
    entries += [entry(f"gemma3.{key}", U32, value) for key, value in values.items()]
    tensors = [("token_embd.weight", [width, words], Q8_0), ("output_norm.weight", [width], F32_TYPE)]
    for layer in range(layers):
        for name, extents, kind in (("attn_q", [width, heads * head_width], Q5_0), ("attn_k", [width, head_width], Q5_0),
                                    ("attn_v", [width, head_width], Q5_0), ("attn_output", [heads * head_width, width], Q4_K),
                                    ("ffn_gate", [width, feed], Q5_0), ("ffn_up", [width, feed], Q5_0), ("ffn_down", [feed, width], Q4_K)):
            tensors.append((f"blk.{layer}.{name}.weight", extents, kind))
        tensors += [(f"blk.{layer}.{name}.weight", [width], F32_TYPE)
                    for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")]
        tensors += [(f"blk.{layer}.{name}.weight", [head_width], F32_TYPE) for name in ("attn_q_norm", "attn_k_norm")]
    generated(path, entries, tensors)
