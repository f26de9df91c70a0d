#!/usr/bin/env python3
"""The arithmetic of docs/arithmetic.md, written from that text and not from our kernels, on a tiny model with generated weights.

Prints, per operation, the SHA-256 of its result: tests/arithmetic/golden.txt, which src/tensor/golden_test.cpp compares with
every implementation. `golden.py` prints it, `golden.py --check` compares. Needs numpy.
"""
import hashlib
import pathlib
import sys

import numpy as np

F = np.float32
D = np.float64
np.seterr(all="ignore")
K = F(12582912)


def generated(seed, count):
    """The fixture's bytes: the top byte of a linear congruential generator of 64 bits."""
    out = np.empty(count, np.uint8)
    state = seed
    for i in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out[i] = state >> 56
    return out


def generated_floats(seed, *shape):
    """(byte − 128) / 64."""
    return ((generated(seed, int(np.prod(shape))).astype(F) - F(128)) / F(64)).reshape(shape)


# ---- §2: block formats, as (dw, mw or None, h, codes) of every block: arrays [rows, blocks, ...]

SIZES = {"q4_0": (32, 18), "q4_1": (32, 20), "q5_0": (32, 22), "q5_1": (32, 24), "q8_0": (32, 34), "q4_k": (256, 144),
         "q5_k": (256, 176), "q6_k": (256, 210), "q2_k": (256, 84), "q3_k": (256, 110), "iq4_nl": (32, 18), "iq4_xs": (256, 136),
         "mxfp4": (32, 17)}
SCALES = {"q4_0": (0,), "q4_1": (0, 2), "q5_0": (0,), "q5_1": (0, 2), "q8_0": (0,), "q4_k": (0, 2), "q5_k": (0, 2), "q6_k": (208,),
          "q2_k": (80, 82), "q3_k": (108,), "iq4_nl": (0,), "iq4_xs": (0,), "mxfp4": ()}
IQ4 = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.int32)
FP4 = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], np.int32)


class Weights:
    def __init__(self, seed, kind, k, rows):
        elements, size = SIZES[kind]
        self.raw = generated(seed, rows * k // elements * size).reshape(rows, k // elements, size)
        for at in SCALES[kind]:  # a scale between 2^-8 and 2^-7: the low byte as generated, the high one set
            self.raw[:, :, at + 1] = 0x1C | (self.raw[:, :, at + 1] & 3)
        if kind == "mxfp4":  # exponents around that of 1
            self.raw[:, :, 0] = 115 + (self.raw[:, :, 0] & 15)
        self.kind, self.k = kind, k
        self.n = None
        self.dw, self.mw, self.h, self.code = self.blocks()

    def f16(self, at):
        return np.ascontiguousarray(self.raw[:, :, at:at + 2]).view(np.float16)[:, :, 0].astype(F)

    def blocks(self):
        raw, kind = self.raw, self.kind
        rows, count = raw.shape[:2]
        one = np.ones((rows, count, 2), np.int32)
        low = lambda q: (q & 15).astype(np.int32)
        high = lambda q: (q >> 4).astype(np.int32)
        if kind == "q8_0":
            return self.f16(0), None, one, raw[:, :, 2:].view(np.int8).astype(np.int32)
        if kind in ("iq4_nl", "mxfp4"):
            q = raw[:, :, -16:]
            code = (IQ4 if kind == "iq4_nl" else FP4)[np.concatenate([low(q), high(q)], -1)]
            if kind == "iq4_nl":
                return self.f16(0), None, one, code
            e = raw[:, :, 0].astype(np.uint32)
            small = np.left_shift(np.uint32(1), np.where(e < 2, 21 + e, 0).astype(np.uint32))
            return np.where(e < 2, small, (e - np.uint32(1)) << np.uint32(23)).astype(np.uint32).view(F), None, one, code
        if kind in ("q4_0", "q4_1", "q5_0", "q5_1"):
            minimum = kind.endswith("1")
            at = 4 if minimum else 2
            code = None
            if kind.startswith("q5"):
                bits = np.ascontiguousarray(raw[:, :, at:at + 4]).view("<u4")[:, :, 0]
                fifth = np.stack([(bits >> np.uint32(i)) & np.uint32(1) for i in range(32)], -1).astype(np.int32) * 16
                at += 4
            q = raw[:, :, at:at + 16]
            code = np.concatenate([low(q), high(q)], -1)
            if kind.startswith("q5"):
                code = code + fifth
            if not minimum:
                code = code - (16 if kind == "q5_0" else 8)
            return self.f16(0), self.f16(2) if minimum else None, one, code
        blocks = count * 8
        dw = np.empty((rows, count, 8), F)
        mw = np.empty((rows, count, 8), F)
        h = np.ones((rows, count, 8, 2), np.int32)
        code = np.empty((rows, count, 8, 32), np.int32)
        if kind == "q2_k":
            self.n = np.empty((rows, count, 8, 2), np.int32)
        for j in range(8):
            if kind in ("q2_k", "q3_k"):
                q = raw[:, :, (16 if kind == "q2_k" else 32) + 32 * (j // 4):][:, :, :32]
                code[:, :, j] = (q // 4**(j % 4)) % 4
                if kind == "q2_k":
                    for half in (0, 1):
                        s = raw[:, :, 2 * j + half]
                        h[:, :, j, half], self.n[:, :, j, half] = low(s), high(s)
                    dw[:, :, j], mw[:, :, j] = self.f16(80), F(0) - self.f16(82)
                    continue
                code[:, :, j] += 4 * ((raw[:, :, :32] >> j) & 1).astype(np.int32) - 4
                s = raw[:, :, 96:108].astype(np.int32)
                for half in (0, 1):
                    k = 2 * j + half
                    nibble = s[:, :, k] % 16 if k < 8 else s[:, :, k - 8] // 16
                    h[:, :, j, half] = nibble + 16 * ((s[:, :, 8 + k % 4] // 4**(k // 4)) % 4) - 32
                dw[:, :, j] = self.f16(108)
                continue
            if kind == "iq4_xs":
                t = np.ascontiguousarray(raw[:, :, 2:4]).view("<u2")[:, :, 0].astype(np.int32)
                z = (raw[:, :, 4 + j // 2].astype(np.int32) // 16**(j % 2)) % 16 + 16 * ((t // 4**j) % 4) - 32
                dw[:, :, j] = self.f16(0) * z.astype(F)
                q = raw[:, :, 8 + 16 * j:24 + 16 * j]
                code[:, :, j] = IQ4[np.concatenate([low(q), high(q)], -1)]
                continue
            if kind == "q6_k":
                n, g = j // 4, j % 4
                l = raw[:, :, 64 * n + 32 * (g % 2):][:, :, :32]
                t = raw[:, :, 128 + 32 * n:][:, :, :32]
                code[:, :, j] = (low(l) if g < 2 else high(l)) + 16 * ((t // 4**g) % 4).astype(np.int32) - 32
                c = raw[:, :, 192:208].view(np.int8).astype(np.int32)
                h[:, :, j, 0], h[:, :, j, 1] = c[:, :, 8 * n + 2 * g], c[:, :, 8 * n + 2 * g + 1]
                dw[:, :, j] = self.f16(208)
                continue
            s = raw[:, :, 4:16].astype(np.int32)
            if j < 4:
                sc, mn = s[:, :, j] % 64, s[:, :, j + 4] % 64
            else:
                sc = s[:, :, j + 4] % 16 + 16 * (s[:, :, j - 4] // 64)
                mn = s[:, :, j + 4] // 16 + 16 * (s[:, :, j] // 64)
            dw[:, :, j] = self.f16(0) * sc.astype(F)
            mw[:, :, j] = F(0) - self.f16(2) * mn.astype(F)
            q = raw[:, :, (16 if kind == "q4_k" else 48) + 32 * (j // 2):][:, :, :32]
            code[:, :, j] = low(q) if j % 2 == 0 else high(q)
            if kind == "q5_k":
                code[:, :, j] += 16 * ((raw[:, :, 16:48] >> j) & 1).astype(np.int32)
        shape = lambda x: x.reshape(rows, blocks, *x.shape[3:])
        if self.n is not None:
            self.n = shape(self.n)
        return shape(dw), None if kind in ("q6_k", "q3_k", "iq4_xs") else shape(mw), shape(h), shape(code)


# ---- §1, §3

def tree(lanes):
    """Over the first axis, of sixteen."""
    lanes = list(lanes)
    for s in (8, 4, 2, 1):
        for i in range(s):
            lanes[i] = lanes[i] + lanes[i + s]
    return lanes[0]


def lanes(terms):
    """Over the first axis: sixteen chains by position modulo 16, then the tree."""
    sums = [np.zeros(terms.shape[1:], F) for _ in range(16)]
    for i, term in enumerate(terms):
        sums[i % 16] = sums[i % 16] + term
    return tree(sums)


def exp(x):
    x = np.asarray(x, F)
    y = np.where(x > F(88), F(88), x)
    z = y * F(1.44269504088896341) + K
    n = z - K
    r = y - n * F(0.693359375)
    r = r - n * F(-2.12194440e-4)
    p = F(1.9875691500e-4) * r + F(1.3981999507e-3)
    for c in (8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        p = p * r + F(c)
    p = p * (r * r)
    p = p + r
    p = p + F(1)
    e = ((z.view(np.uint32) << np.uint32(23)) + np.uint32(0x3F800000)).view(F)
    return np.where(x < F(-87), F(0), p * e)


def silu(x):
    return x / (F(1) + exp(F(0) - x))


def gelu(x):
    u = (x * x) * x
    u = u * F(0.044715)
    u = u + x
    u = u * F(1.5957691216057308)
    t = F(1) - F(2) / (exp(u) + F(1))
    return (F(0.5) * x) * (F(1) + t)


def swiglu_oai(x, y, alpha, limit):
    x = np.where(x > limit, limit, x)
    y = np.where(F(0) - limit > y, F(0) - limit, np.where(y > limit, limit, y))
    return (x / (F(1) + exp(alpha * (F(0) - x)))) * (y + F(1))


def exp_d(x):
    n = np.floor(x * D(1.4426950408889634) + D(0.5))
    r = (x - n * D(0.693147180369123816490)) - n * D(1.90821492927058770002e-10)
    t = s = D(1)
    for i in range(1, 21):
        t = t * r
        t = t / D(i)
        s = s + t
    return np.ldexp(s, int(n))


def log_d(x):
    m, e = np.frexp(x)
    if m < D(0.70710678118654752440):
        m, e = m * D(2), e - 1
    y = (m - D(1)) / (m + D(1))
    y2, t, s = y * y, y, D(0)
    for i in range(1, 42, 2):
        s = s + t / D(i)
        t = t * y2
    s = D(2) * s
    return s + D(e) * D(0.69314718055994530942)


def sincos_d(a):
    n = np.floor(a * D(0.63661977236758134308) + D(0.5))
    r = a - n * D(1.57079632673412561417)
    r = r - n * D(6.07710050630396597660e-11)
    r = r - n * D(2.02226624879595063154e-21)
    r2 = r * r
    s, c = D(1.58969099521155010221e-10), D(-1.13596475577881948265e-11)
    for k in (-2.50507602534068634195e-08, 2.75573137070700676789e-06, -1.98412698298579493134e-04, 8.33333333332248946124e-03,
              -1.66666666666666324348e-01):
        s = s * r2 + D(k)
    for k in (2.08757232129817482790e-09, -2.75573143513906633035e-07, 2.48015872894767294178e-05, -1.38888888888741095749e-03,
              4.16666666666666019037e-02):
        c = c * r2 + D(k)
    s = r + (r * r2) * s
    c = (D(1) - D(0.5) * r2) + (r2 * r2) * c
    return [(s, c), (c, D(0) - s), (D(0) - s, D(0) - c), (D(0) - c, s)][int(n) % 4]


# ---- §4

def mul_mat(w, x):
    """x [columns, K] -> [columns, rows]"""
    if not isinstance(w, Weights):
        return lanes(np.stack([x[:, None, i] * w[None, :, i].astype(F) for i in range(x.shape[1])]))
    n = x.shape[0]
    total = np.zeros((n, len(w.raw)), F)
    segment = np.zeros_like(total)
    blocks = w.k // 32
    for b in range(blocks):
        part = x[:, 32 * b:32 * b + 32]
        amax = (part.view(np.uint32) % np.uint32(2**31)).max(1)
        if (amax >= 0x7F800000).any():
            return None
        amax = amax.view(F)
        tiny = amax < np.ldexp(F(1), -100)
        da = np.where(tiny, F(0), amax / F(127))
        v = np.where(tiny, F(0), F(127) / amax)
        q = ((part * v[:, None] + K) - K).astype(np.int32)
        ms = da * q.sum(1).astype(F)
        products = q[:, None, :] * w.code[None, :, b, :]
        s = w.h[None, :, b, 0] * products[:, :, :16].sum(2) + w.h[None, :, b, 1] * products[:, :, 16:].sum(2)
        p = s.astype(np.int32).astype(F) * (w.dw[None, :, b] * da[:, None])
        if w.n is not None:
            least = w.n[None, :, b, 0] * q[:, None, :16].sum(2) + w.n[None, :, b, 1] * q[:, None, 16:].sum(2)
            p = p + least.astype(np.int32).astype(F) * (w.mw[None, :, b] * da[:, None])
        elif w.mw is not None:
            p = p + w.mw[None, :, b] * ms[:, None]
        segment = segment + p
        if b % 16 == 15 or b == blocks - 1:
            total = total + segment
            segment = np.zeros_like(total)
    return total if np.isfinite(total).all() else None


# ---- §5

def get_rows(w, ids):
    x = (np.repeat(w.h, 16, -1) * w.code).astype(np.int32).astype(F) * w.dw[..., None]
    if w.n is not None:
        x = x + np.repeat(w.n, 16, -1).astype(F) * w.mw[..., None]
    elif w.mw is not None:
        x = x + w.mw[..., None]
    return x.reshape(len(w.raw), w.k)[ids]


def rms_norm(x, epsilon):
    s = F(1) / np.sqrt(lanes((x * x).T) / F(x.shape[1]) + F(epsilon))
    return x * s[:, None]


def norm(x, epsilon):
    mean = lanes(x.T) / F(x.shape[1])
    d = x - mean[:, None]
    s = F(1) / np.sqrt(lanes((d * d).T) / F(x.shape[1]) + F(epsilon))
    return d * s[:, None]


def rope(x, positions, rotated, halves, base, scale, factor, ext=0, first=0, last=0, divisors=None):
    """x [positions, heads, width]"""
    out = x.copy()
    logarithm = log_d(D(F(base)))
    for i in range(rotated // 2):
        f = exp_d((-(D(2 * i) / D(rotated))) * logarithm)
        if divisors is not None:
            f = f / D(divisors[i])
        if ext:
            w = D(F(last)) - D(F(first))
            y = min(max((D(i) - D(F(first))) / (w if w > D(0.001) else D(0.001)), D(0)), D(1))
            m = (D(1) - y) * D(F(ext))
            f = (f * D(F(scale))) * (D(1) - m) + f * m
        else:
            f = f * D(F(scale))
        for t, position in enumerate(positions):
            sine, cosine = sincos_d(D(position) * f)
            c, s = F(cosine) * F(factor), F(sine) * F(factor)
            a, b = (i, i + rotated // 2) if halves else (2 * i, 2 * i + 1)
            x0, x1 = x[t, :, a], x[t, :, b]
            out[t, :, a] = x0 * c - x1 * s
            out[t, :, b] = x0 * s + x1 * c
    return out


# ---- §6

def slope(bias, head, heads):
    if bias == 0:
        return F(1)
    n = 1
    while n * 2 <= heads:
        n *= 2
    e = D(head + 1) / D(n) if head < n else D(2 * (head - n) + 1) / D(2 * n)
    return F(exp_d((D(0) - D(F(bias)) * e) * D(0.693147180559945309417)))


def soft_max(x, mask, a, bias):
    """x [heads, rows, n], mask [rows, n]"""
    out = np.zeros_like(x)
    for head in range(x.shape[0]):
        for row in range(x.shape[1]):
            seen = (mask[row] > -np.inf) & (x[head, row] > -np.inf)
            z = x[head, row] * F(a) + slope(bias, head, x.shape[0]) * mask[row].astype(F)
            p = np.where(seen, exp(z - z[seen].max()), F(0))
            out[head, row] = p * (F(1) / lanes(p))
    return out


def flash_attention(q, k, v, mask, scale, bias=0, sinks=None):
    """q [queries, heads, D], k and v [cells, groups, D] f16, mask [queries, cells] f16 -> [queries, heads, D]"""
    out = np.zeros_like(q)
    for t in range(q.shape[0]):
        for head in range(q.shape[1]):
            group = head // (q.shape[1] // k.shape[1])
            state = None
            for begin in range(0, k.shape[0], 256):
                cells = [j for j in range(begin, min(begin + 256, k.shape[0])) if mask[t, j] > -np.inf]
                if not cells:
                    continue
                keys, values = k[:, group].astype(F), v[:, group].astype(F)
                steep = slope(bias, head, q.shape[1])
                x = np.array([lanes(q[t, head] * keys[j]) * F(scale) + steep * F(mask[t, j]) for j in cells], F)
                m = x.max()
                p = exp(x - m)
                sums, o = [F(0)] * 16, np.zeros(q.shape[2], F)
                for j, pj in zip(cells, p):
                    sums[j % 16] = sums[j % 16] + pj
                    o = o + pj * values[j]
                l = tree(sums)
                if state is None:
                    state = m, l, o
                    continue
                big, weight, sofar = state
                n = max(big, m)
                a, b = exp(big - n), exp(m - n)
                state = n, weight * a + l * b, sofar * a + o * b
            if state is not None and sinks is not None:
                big, weight, sofar = state
                n = max(big, sinks[head])
                a = exp(big - n)
                state = n, weight * a + exp(sinks[head] - n), sofar * a
            if state is not None:
                out[t, head] = state[2] * (F(1) / state[1])
    return out


# ---- the fixture

def fixture():
    """Yields (name, result), None for what must fail. Every tensor is generated from the number beside it."""
    tokens, positions, cells = [3, 39, 0, 7, 21], list(range(254, 259)), 272
    embedding = Weights(1, "q8_0", 256, 40)
    x = get_rows(embedding, tokens)
    yield "embedding", x
    n0 = rms_norm(x, 1e-5)
    yield "rms_norm", n0
    m0 = n0 * generated_floats(2, 256)[None]
    yield "mul", m0
    q = mul_mat(Weights(3, "q4_k", 256, 256), m0)
    yield "q", q
    k = mul_mat(Weights(4, "q5_0", 256, 128), m0)
    yield "k", k
    v = mul_mat(Weights(5, "q6_k", 256, 128), m0)
    yield "v", v
    q = rope(q.reshape(5, 4, 64), positions, 64, True, 10000, 1, 1)
    yield "q rotated", q
    k = rope(k.reshape(5, 2, 64), positions, 48, False, 500000, 0.5, 1.25)
    yield "k rotated", k
    keys = generated_floats(6, cells, 2, 64).astype(np.float16)
    values = generated_floats(7, cells, 2, 64).astype(np.float16)
    keys[positions] = k.astype(np.float16)
    values[positions] = v.reshape(5, 2, 64).astype(np.float16)
    yield "keys", keys
    yield "values", values
    mask = np.where(np.arange(cells)[None] <= np.array(positions)[:, None], np.float16(0), np.float16(-np.inf))
    attended = flash_attention(q, keys, values, mask, 0.125).reshape(5, 256)
    yield "attention", attended
    o = mul_mat(Weights(8, "q4_1", 256, 256), attended)
    yield "o", o
    r1 = o + x
    yield "add", r1
    n1 = norm(r1, 1e-5)
    yield "norm", n1
    g = mul_mat(Weights(9, "q5_k", 256, 1024), n1)
    yield "gate", g
    u = mul_mat(Weights(10, "q4_0", 256, 1024), n1)
    yield "up", u
    s = silu(g) * u
    yield "swiglu", s
    d = mul_mat(Weights(11, "q5_1", 1024, 256), s)
    yield "down", d
    r2 = d + r1
    yield "layer 0", r2
    n2 = rms_norm(r2, 1e-6)
    yield "logits", mul_mat(embedding, n2)
    yield "gelu", gelu(n2)
    plain = generated_floats(12, 24, 256) * F(64) / F(63)
    yield "logits f16", mul_mat(plain.astype(np.float16), n2)
    yield "logits bf16", mul_mat((plain.view(np.uint32) & np.uint32(0xFFFF0000)).view(F), n2)
    yield "logits f32", mul_mat(plain, n2)

    # The rest of the formats; experts, positions that are interpolated, biases by distance, sinks.
    for number, kind in ((20, "q2_k"), (21, "q3_k"), (22, "iq4_nl"), (23, "iq4_xs"), (24, "mxfp4")):
        w = Weights(number, kind, 512, 32)
        yield f"product {kind}", mul_mat(w, generated_floats(25, 3, 512))
        yield f"rows {kind}", get_rows(w, [5, 31, 0])
    experts = [Weights(30 + e, "q4_k", 256, 24) for e in range(4)]
    chosen = np.array([[2, 0], [3, 2], [1, 3]])
    score = soft_max(generated_floats(26, 1, 3, 4), np.zeros((3, 4), F), 1, 0)
    yield "soft_max", score
    yield "argsort", np.argsort(-score[0], axis=1, kind="stable").astype(np.int32)
    y = generated_floats(27, 3, 2, 256)
    yield "experts", np.stack([np.stack([mul_mat(experts[chosen[t, u]], y[t, u][None])[0] for u in (0, 1)]) for t in range(3)])
    away = np.where(np.arange(cells)[None] <= np.array(positions)[:, None],
                    (np.arange(cells)[None] - np.array(positions)[:, None]).astype(np.float16), np.float16(-np.inf))
    yield "biased", flash_attention(q, keys, values, away, 0.125, 8, generated_floats(28, 4))
    yield "soft_max biased", soft_max(generated_floats(29, 6, 5, cells), away, 0.5, 8)
    yield "yarn", rope(q, positions, 64, True, 10000, 0.25, 1.1386294, 1, 4, 17)
    yield "swiglu_oai", swiglu_oai(n2, r2, F(1.702), F(1.5))
    yield "gelu_quick", n2 * (F(1) / (F(1) + exp(F(0) - F(1.702) * n2)))

    # Zeros of both signs, denormals, blocks below 2^-100, the largest numbers; then what must fail.
    odd = generated_floats(13, 5, 256)
    bits = odd.view(np.uint32)
    bits[0, ::3] = 0x80000000
    bits[1, :64] = 0x00000001
    bits[2, 32:64] = 0x0D000000
    bits[3, 5] = 0x7B000000
    bits[4] = 0x80000000
    yield "odd values", mul_mat(Weights(9, "q5_k", 256, 1024), odd)
    for poison in (0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC12345, 0x7F800001):
        poisoned = odd.copy()
        poisoned.view(np.uint32)[2, 77] = poison
        yield f"poison {poison:08x}", mul_mat(Weights(9, "q5_k", 256, 1024), poisoned)

    # What may be infinite, and the numbers that are none which may come of it.
    x = generated_floats(40, 3, 64)
    x[0, 5] = x[1, 40] = np.inf
    x[0, 6] = x[1, 7] = x[2, 63] = -np.inf
    y = generated_floats(41, 3, 64) + F(8)
    number = lambda z: None if np.isnan(z).any() else z
    yield "infinite get_rows", number(x[[2, 0]])
    yield "infinite set_rows", number(x.astype(np.float16)[[1, 2, 0]])
    yield "infinite copy", number(x.T)
    yield "infinite concat", number(np.concatenate([x, y], 1))
    yield "infinite add", number(x + y)
    yield "infinite sub", number(y - x)
    yield "infinite mul", number(x * y)
    yield "infinite scale", number(x * F(-0.5) + F(3))
    yield "infinite neg", number(x * F(-1))
    yield "infinite clamp", number(np.where(F(-1) > x, F(-1), np.where(x > F(np.inf), F(np.inf), x)))
    yield "exp of infinite", exp(x)
    falling = np.where(x == np.inf, F(1), x)
    yield "soft_max of infinite", soft_max(falling[None], np.zeros((3, 64), F), 0.5, 0)
    yield "infinite minus itself", number(x - x)
    yield "infinite times zero", number(x * F(0) + F(1))
    large = generated_floats(40, 3, 64)
    large[1, 6], large[2, 0], large[2, 1] = 65520, -1e30, 65519
    yield "too large for F16", large.astype(np.float16)[[1, 2, 0]]
    yield "silu of infinite", None
    yield "rms_norm of infinite", number(rms_norm(x, 1e-5))
    yield "sum of infinite", None


def main():
    lines = []
    for name, result in fixture():
        told = "not finite" if result is None else hashlib.sha256(np.ascontiguousarray(result).tobytes()).hexdigest()
        lines.append(f"{name}: {told}")
    text = "\n".join(lines) + "\n"
    if sys.argv[1:] == ["--check"]:
        kept = (pathlib.Path(__file__).parent / "golden.txt").read_text()
        if kept != text:
            for old, new in zip(kept.split("\n"), lines):
                if old != new:
                    sys.exit(f"golden.txt says   {old}\nthe document says {new}")
            sys.exit("golden.txt has another number of lines")
        print(f"{len(lines)} results as in golden.txt")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
