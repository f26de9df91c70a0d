#!/usr/bin/env python3
"""Whole models by docs/arithmetic.md alone: a tiny one with generated weights for each architecture that the talk names, of one layer
and of two, its graph as the engine builds it, computed by the functions of golden.py.

`models.py` prints the SHA-256 of all logits of each: golden_models.txt, which models_test.py compares with what a
process says of the same files; `models.py --check` compares. Needs numpy.
"""
import functools
import hashlib
import pathlib
import sys
import zlib

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import golden
import gguf
from gguf import F32, TEXT, U32, entry
from golden import F, Weights, flash_attention, gelu, generated_floats, get_rows, mul_mat, norm, rms_norm, rope, silu

TOKENS = [3, 39, 0, 7, 21]
WIDTH, HEADS, GROUPS, HEAD, FEED, WORDS, CONTEXT, EPSILON = 256, 4, 2, 64, 512, 64, 64, 1e-5
NUMBERS = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "q2_k": 10, "q3_k": 11, "q4_k": 12, "q5_k": 13, "q6_k": 14,
           "iq4_nl": 20, "iq4_xs": 23}
KINDS = [kind for kind in NUMBERS if kind not in ("f32", "f16", "q2_k")] + ["f16", "q2_k"]


@functools.cache
def weights(name, kind, k, rows):
    """A matrix: what mul_mat takes, and its bytes."""
    seed = zlib.crc32(name.encode())
    if kind == "f16":
        plain = (generated_floats(seed, rows, k) / F(16)).astype(np.float16)
        return plain, plain.tobytes()
    made = Weights(seed, kind, k, rows)
    return made, made.raw.tobytes()


@functools.cache
def floats(name, *shape):
    """Between 0.5 and 1.5 for what multiplies, around zero for what is added."""
    made = generated_floats(zlib.crc32(name.encode()), *shape) / F(4)
    return made + F(1) if name.endswith(".weight") else made


class Model:
    """Tensors as they are asked for, in the order of a file; each matrix has a format of its own."""

    def __init__(self, architecture, layers, odd=None):
        self.architecture, self.layers, self.odd, self.tensors = architecture, layers, odd, {}

    def matrix(self, name, k, rows, kind=None):
        key = f"{self.architecture} {name}"
        kind = kind or KINDS[zlib.crc32(key.encode()) % len(KINDS)]
        made, data = weights(key, kind, k, rows)
        self.tensors[name + ".weight"] = ([k, rows], NUMBERS[kind], data)
        return made

    def vector(self, name, *shape):
        made = floats(f"{self.architecture} {name}", *shape)
        if name == "output_norm.weight" and self.odd is not None:
            made = made.copy()
            made.view(np.uint32)[5::16] = self.odd
        self.tensors[name] = (list(reversed(shape)), NUMBERS["f32"], made.tobytes())
        return made

    def product(self, name, x, rows, bias=False):
        out = mul_mat(self.matrix(name, x.shape[1], rows), x)
        return out + self.vector(name + ".bias", rows) if bias else out

    def rms(self, name, x):
        return rms_norm(x, EPSILON) * self.vector(name + ".weight", x.shape[1])

    def ln(self, name, x):
        return norm(x, EPSILON) * self.vector(name + ".weight", x.shape[1]) + self.vector(name + ".bias", x.shape[1])

    def embedded(self):
        return get_rows(self.matrix("token_embd", WIDTH, WORDS, "q8_0"), TOKENS)

    def qkv(self, at, x, fused, bias=False):
        """As heads: queries, keys, values."""
        rows = (HEADS * HEAD, GROUPS * HEAD, GROUPS * HEAD)
        if fused:
            parts = np.split(self.product(f"{at}.attn_qkv", x, sum(rows), bias), (rows[0], rows[0] + rows[1]), 1)
        else:
            parts = [self.product(f"{at}.attn_{which}", x, n, bias) for which, n in zip("qkv", rows)]
        return [np.ascontiguousarray(part).reshape(len(TOKENS), -1, HEAD) for part in parts]

    def attended(self, at, q, k, v, scale, bias=False, window=None):
        """Cells are positions; keys and values are kept as F16."""
        position = np.arange(len(TOKENS))
        distance = position[:, None] - position[None]
        seen = (distance >= 0) & (distance < (window or len(TOKENS)))
        mask = np.where(seen, np.float16(0), np.float16(-np.inf))
        out = flash_attention(q, k.astype(np.float16), v.astype(np.float16), mask, scale).reshape(len(TOKENS), -1)
        return self.product(f"{at}.attn_output", out, WIDTH, bias)

    def logits(self, x, output=True, bias=False):
        if not output:
            return mul_mat(self.matrix("token_embd", WIDTH, WORDS, "q8_0"), x)
        return self.product("output", x, WORDS, bias)


def turned(q, k, rotated, halves, base, divisors=None):
    positions = range(len(TOKENS))
    return [rope(x, positions, rotated, halves, base, 1, 1, divisors=divisors) for x in (q, k)]


def scaled(x, by):
    return x * F(by) + F(0)


def gpt2(m):
    x = m.embedded() + m.vector("position_embd.weight", CONTEXT, WIDTH)[:len(TOKENS)]
    for layer in range(m.layers):
        at = f"blk.{layer}"
        q, k, v = m.qkv(at, m.ln(f"{at}.attn_norm", x), True, True)
        x = m.attended(at, q, k, v, 0.125, True) + x
        up = gelu(m.product(f"{at}.ffn_up", m.ln(f"{at}.ffn_norm", x), FEED, True))
        x = m.product(f"{at}.ffn_down", up, WIDTH, True) + x
    return m.logits(m.ln("output_norm", x), output=False)


def gated(m, at, x, act):
    return m.product(f"{at}.ffn_down", act(m.product(f"{at}.ffn_gate", x, FEED)) * m.product(f"{at}.ffn_up", x, FEED), WIDTH)


def llama(m):
    divisors = m.vector("rope_freqs.weight", HEAD // 2)
    x = m.embedded()
    for layer in range(m.layers):
        at = f"blk.{layer}"
        q, k, v = m.qkv(at, m.rms(f"{at}.attn_norm", x), False)
        q, k = turned(q, k, HEAD, False, 500000, divisors)
        x = m.attended(at, q, k, v, 0.125) + x
        x = gated(m, at, m.rms(f"{at}.ffn_norm", x), silu) + x
    return m.logits(m.rms("output_norm", x))


def qwen2(m):
    x = m.embedded()
    for layer in range(m.layers):
        at = f"blk.{layer}"
        q, k, v = m.qkv(at, m.rms(f"{at}.attn_norm", x), False, True)
        q, k = turned(q, k, HEAD, True, 1000000)
        x = m.attended(at, q, k, v, 0.125) + x
        x = gated(m, at, m.rms(f"{at}.ffn_norm", x), silu) + x
    return m.logits(m.rms("output_norm", x), output=False)


def phi2(m):
    x = m.embedded()
    for layer in range(m.layers):
        at = f"blk.{layer}"
        n = m.ln(f"{at}.attn_norm", x)
        q, k, v = m.qkv(at, n, False, True)
        q, k = turned(q, k, 32, True, 10000)
        attended = m.attended(at, scaled(q, 0.125), k, v, 1, True)
        x = attended + m.product(f"{at}.ffn_down", gelu(m.product(f"{at}.ffn_up", n, FEED, True)), WIDTH, True) + x
    return m.logits(m.ln("output_norm", x), bias=True)


def phi3(m):
    x = m.embedded()
    for layer in range(m.layers):
        at = f"blk.{layer}"
        q, k, v = m.qkv(at, m.rms(f"{at}.attn_norm", x), True)
        q, k = turned(q, k, HEAD, True, 10000)
        x = m.attended(at, scaled(q, 0.125), k, v, 1) + x
        both = m.product(f"{at}.ffn_up", m.rms(f"{at}.ffn_norm", x), 2 * FEED)
        x = x + m.product(f"{at}.ffn_down", silu(both[:, :FEED]) * both[:, FEED:], WIDTH)
    return m.logits(m.rms("output_norm", x))


def falcon(m):
    x = m.embedded()
    for layer in range(m.layers):
        at = f"blk.{layer}"
        n = m.ln(f"{at}.attn_norm", x)
        q, k, v = m.qkv(at, m.ln(f"{at}.attn_norm_2", x), True)
        q, k = turned(q, k, HEAD, True, 10000)
        attended = m.attended(at, q, k, v, 0.125)
        x = m.product(f"{at}.ffn_down", gelu(m.product(f"{at}.ffn_up", n, FEED)), WIDTH) + attended + x
    return m.logits(m.ln("output_norm", x))


def per_head(m, name, x):
    return (m.rms(name, x.reshape(-1, HEAD))).reshape(x.shape)


def openelm(m):
    x = m.embedded()
    for layer in range(m.layers):
        at = f"blk.{layer}"
        q, k, v = m.qkv(at, m.rms(f"{at}.attn_norm", x), True)
        q, k = turned(per_head(m, f"{at}.attn_q_norm", q), per_head(m, f"{at}.attn_k_norm", k), HEAD, True, 10000)
        x = x + m.attended(at, q, k, v, 0.125)
        x = gated(m, at, m.rms(f"{at}.ffn_norm", x), silu) + x
    return m.logits(m.rms("output_norm", x), output=False)


def gemma3(m):
    x = scaled(m.embedded(), 16)
    for layer in range(m.layers):
        at = f"blk.{layer}"
        windowed = layer % 2 == 0
        q, k, v = m.qkv(at, m.rms(f"{at}.attn_norm", x), False)
        q, k = turned(per_head(m, f"{at}.attn_q_norm", q), per_head(m, f"{at}.attn_k_norm", k), HEAD, True, 10000 if windowed else 1000000)
        x = m.rms(f"{at}.post_attention_norm", m.attended(at, scaled(q, 0.125), k, v, 1, window=3 if windowed else None)) + x
        x = m.rms(f"{at}.post_ffw_norm", gated(m, at, m.rms(f"{at}.ffn_norm", x), gelu)) + x
    return m.logits(m.rms("output_norm", x), output=False)


# What each says of itself besides what all say: whether its norms are RMS, the base and width of its rotation, more keys.
ARCHITECTURES = {gpt2: (False, 10000, HEAD, []), llama: (True, 500000, HEAD, []), phi2: (False, 10000, 32, []), phi3: (True, 10000, HEAD, []),
                 falcon: (False, 10000, HEAD, []), qwen2: (True, 1000000, HEAD, []), openelm: (True, 10000, HEAD, []),
                 gemma3: (True, 1000000, HEAD, [("attention.sliding_window", U32, 3), ("attention.sliding_window_pattern", U32, 2),
                                                ("rope.freq_base_swa", F32, 10000)])}


# Bits of weights that no training makes: minus zero, denormals, infinity, numbers that are none.
ODD = {"minus zero": 0x80000000, "denormal": 0x00000123, "infinite": 0xFF800000, "not a number": 0xFFC12345, "signalling": 0x7F800001}


def fixtures():
    """(name, model with its tensors, logits of every position); no logits where computing must fail"""
    for build in ARCHITECTURES:
        for layers in (1, 2):
            model = Model(build.__name__, layers)
            logits = build(model)
            assert logits is not None and np.isfinite(logits).all(), build
            yield f"{build.__name__} {layers}", model, logits
    for name, bits in ODD.items():
        for build in (llama, gpt2):
            model = Model(build.__name__, 1, bits)
            yield f"{build.__name__} 1, {name}", model, build(model)


def write(path, model):
    is_rms, base, rotated, more = next(about for build, about in ARCHITECTURES.items() if build.__name__ == model.architecture)
    say = [("context_length", U32, CONTEXT), ("embedding_length", U32, WIDTH), ("block_count", U32, model.layers), ("feed_forward_length", U32, FEED),
           ("attention.head_count", U32, HEADS), ("attention.head_count_kv", U32, GROUPS), ("attention.key_length", U32, HEAD),
           ("attention.value_length", U32, HEAD), ("attention.layer_norm_rms_epsilon" if is_rms else "attention.layer_norm_epsilon", F32, EPSILON),
           ("rope.freq_base", F32, base), ("rope.dimension_count", U32, rotated), ("vocab_size", U32, WORDS), *more]
    entries = [entry("general.architecture", TEXT, model.architecture), entry("tokenizer.ggml.model", TEXT, "none")]
    entries += [entry(f"{model.architecture}.{key}", kind, value) for key, kind, value in say]
    with open(path, "wb") as out:
        out.write(gguf.head(entries, [(name, extents, kind, len(data)) for name, (extents, kind, data) in model.tensors.items()]))
        for _, _, data in model.tensors.values():
            out.write(data + bytes(gguf.aligned(len(data))))


def told(logits):
    if logits is None:
        return "not finite"
    return hashlib.sha256(np.ascontiguousarray(logits, F).tobytes()).hexdigest()


def main():
    text = "".join(f"{name}: {told(logits)}\n" for name, _, logits in fixtures())
    if sys.argv[1:] != ["--check"]:
        print(text, end="")
        return
    kept = (pathlib.Path(__file__).parent / "golden_models.txt").read_text()
    if kept != text:
        sys.exit(f"golden_models.txt says\n{kept}the document says\n{text}")
    print(f"{len(kept.splitlines())} models as in golden_models.txt")


if __name__ == "__main__":
    main()
