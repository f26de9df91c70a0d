/* Hashes and encodings for programs in a process: SHA-1, SHA-2, SHA-3, Keccak, MD5, MD4, and base64. What `require(".crypto")` and
   `require(".base64")` offer stands on these.

   By hand, since the guest has no library of them that does not bring a whole TLS stack; FIPS 180-4, FIPS 202, RFC 1320, RFC 1321. */
#include "digest.h"

#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------- hashes that eat blocks of 64 or 128 */

static uint32_t left32(uint32_t x, int by) { return x << by | x >> (32 - by); }
static uint32_t right32(uint32_t x, int by) { return x >> by | x << (32 - by); }
static uint64_t right64(uint64_t x, int by) { return x >> by | x << (64 - by); }

static uint32_t big32(const unsigned char *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }
static uint64_t big64(const unsigned char *at) { return (uint64_t)big32(at) << 32 | big32(at + 4); }

static const uint32_t k256[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static void sha256_block(uint32_t h[8], const unsigned char *block)
{
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++) w[i] = big32(block + 4 * i);
    for (int i = 16; i < 64; i++) {
        const uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (right32(a, 7) ^ right32(a, 18) ^ a >> 3) + w[i - 7] + (right32(b, 17) ^ right32(b, 19) ^ b >> 10);
    }
    memcpy(v, h, sizeof v);
    for (int i = 0; i < 64; i++) {
        const uint32_t s1 = right32(v[4], 6) ^ right32(v[4], 11) ^ right32(v[4], 25), s0 = right32(v[0], 2) ^ right32(v[0], 13) ^ right32(v[0], 22);
        const uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k256[i] + w[i];
        const uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) h[i] += v[i];
}

static void sha1_block(uint32_t h[5], const unsigned char *block)
{
    uint32_t w[80], v[5];
    for (int i = 0; i < 16; i++) w[i] = big32(block + 4 * i);
    for (int i = 16; i < 80; i++) w[i] = left32(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    memcpy(v, h, sizeof v);
    for (int i = 0; i < 80; i++) {
        const uint32_t f = i < 20 ? (v[1] & v[2]) | (~v[1] & v[3]) : i < 40 || i >= 60 ? v[1] ^ v[2] ^ v[3] : (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3]);
        const uint32_t k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
        const uint32_t next = left32(v[0], 5) + f + v[4] + k + w[i];
        v[4] = v[3], v[3] = v[2], v[2] = left32(v[1], 30), v[1] = v[0], v[0] = next;
    }
    for (int i = 0; i < 5; i++) h[i] += v[i];
}

static const uint32_t k_md5[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1,
    0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453,
    0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942,
    0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05,
    0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d,
    0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static void md5_block(uint32_t h[4], const unsigned char *block)
{
    static const int turns[4][4] = { { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 } };
    uint32_t w[16], a = h[0], b = h[1], c = h[2], d = h[3];
    for (int i = 0; i < 16; i++) w[i] = (uint32_t)block[4 * i + 3] << 24 | (uint32_t)block[4 * i + 2] << 16 | (uint32_t)block[4 * i + 1] << 8 | block[4 * i];
    for (int i = 0; i < 64; i++) {
        const int round = i / 16;
        const uint32_t f = round == 0 ? (b & c) | (~b & d) : round == 1 ? (d & b) | (~d & c) : round == 2 ? b ^ c ^ d : c ^ (b | ~d);
        const int from = round == 0 ? i : round == 1 ? (5 * i + 1) % 16 : round == 2 ? (3 * i + 5) % 16 : 7 * i % 16;
        const uint32_t next = b + left32(a + f + k_md5[i] + w[from], turns[round][i % 4]);
        a = d, d = c, c = b, b = next;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d;
}

static const uint64_t k512[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538, 0x59f111f1b605d019,
    0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3,
    0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65, 0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
    0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
    0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b, 0xa2bfe8a14cf10364, 0xa81a664bbc423001,
    0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb,
    0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c, 0xd186b8c721c0c207,
    0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
    0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a,
    0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

static void sha512_block(uint64_t h[8], const unsigned char *block)
{
    uint64_t w[80], v[8];
    for (int i = 0; i < 16; i++) w[i] = big64(block + 8 * i);
    for (int i = 16; i < 80; i++) {
        const uint64_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (right64(a, 1) ^ right64(a, 8) ^ a >> 7) + w[i - 7] + (right64(b, 19) ^ right64(b, 61) ^ b >> 6);
    }
    memcpy(v, h, sizeof v);
    for (int i = 0; i < 80; i++) {
        const uint64_t s1 = right64(v[4], 14) ^ right64(v[4], 18) ^ right64(v[4], 41), s0 = right64(v[0], 28) ^ right64(v[0], 34) ^ right64(v[0], 39);
        const uint64_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k512[i] + w[i];
        const uint64_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) h[i] += v[i];
}

struct family {
    const char *name;
    size_t block, length;  /* bytes */
    int words, word_bytes, big;  /* of the state; byte order of words and of the bit count */
    union { uint32_t h32[8]; uint64_t h64[8]; } start;
    void (*eat)(void *state, const unsigned char *block);
};

static void md4_block(uint32_t h[4], const unsigned char *block)
{
    static const int turns[3][4] = { { 3, 7, 11, 19 }, { 3, 5, 9, 13 }, { 3, 9, 11, 15 } };
    static const int third[16] = { 0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15 };
    uint32_t w[16], a = h[0], b = h[1], c = h[2], d = h[3];
    for (int i = 0; i < 16; i++) w[i] = (uint32_t)block[4 * i + 3] << 24 | (uint32_t)block[4 * i + 2] << 16 | (uint32_t)block[4 * i + 1] << 8 | block[4 * i];
    for (int i = 0; i < 48; i++) {
        const int round = i / 16, from = round == 0 ? i : round == 1 ? i % 4 * 4 + i % 16 / 4 : third[i % 16];
        const uint32_t f = round == 0 ? (b & c) | (~b & d) : round == 1 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
        const uint32_t next = left32(a + f + w[from] + (round == 0 ? 0 : round == 1 ? 0x5a827999U : 0x6ed9eba1U), turns[round][i % 4]);
        a = d, d = c, c = b, b = next;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d;
}

static void eat_md4(void *state, const unsigned char *block) { md4_block(state, block); }
static void eat_md5(void *state, const unsigned char *block) { md5_block(state, block); }
static void eat_sha1(void *state, const unsigned char *block) { sha1_block(state, block); }
static void eat_sha256(void *state, const unsigned char *block) { sha256_block(state, block); }
static void eat_sha512(void *state, const unsigned char *block) { sha512_block(state, block); }

static const struct family families[] = {
    { "md4", 64, 16, 4, 4, 0, { .h32 = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 } }, eat_md4 },
    { "md5", 64, 16, 4, 4, 0, { .h32 = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 } }, eat_md5 },
    { "sha1", 64, 20, 5, 4, 1, { .h32 = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 } }, eat_sha1 },
    { "sha2_256", 64, 32, 8, 4, 1,
        { .h32 = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 } }, eat_sha256 },
    { "sha2_512", 128, 64, 8, 8, 1,
        { .h64 = { 0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1,
              0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179 } }, eat_sha512 },
};

/* Upvalue 1 is the family. text -> bytes */
static int digest_blocks(lua_State *L)
{
    const struct family *family = lua_touserdata(L, lua_upvalueindex(1));
    size_t length;
    const unsigned char *text = (const unsigned char *)luaL_checklstring(L, 1, &length);
    union { uint32_t h32[8]; uint64_t h64[8]; } state;
    memcpy(&state, &family->start, sizeof state);
    size_t at = 0;
    for (; at + family->block <= length; at += family->block) family->eat(&state, text + at);

    /* A one bit, zeros, and the number of bits at the end of a block. */
    unsigned char rest[256] = { 0 };
    const size_t left = length - at, counter = family->block / 8;
    memcpy(rest, text + at, left);
    rest[left] = 0x80;
    const size_t padded = left + 1 + counter <= family->block ? family->block : 2 * family->block;
    for (size_t i = 0; i < 8; i++) {
        const unsigned char byte = (unsigned char)((uint64_t)length << 3 >> 8 * i);
        rest[family->big ? padded - 1 - i : padded - 8 + i] = byte;
    }
    for (size_t done = 0; done < padded; done += family->block) family->eat(&state, rest + done);

    unsigned char bytes[64];
    for (size_t i = 0; i < family->length; i++) {
        const size_t word = i / (size_t)family->word_bytes, in_word = i % (size_t)family->word_bytes;
        const uint64_t value = family->word_bytes == 4 ? state.h32[word] : state.h64[word];
        bytes[i] = (unsigned char)(value >> 8 * (family->big ? (size_t)family->word_bytes - 1 - in_word : in_word));
    }
    lua_pushlstring(L, (const char *)bytes, family->length);
    return 1;
}

/* --------------------------------------------------------------------------------------------------------- Keccak */

static void keccak_f(uint64_t a[25])
{
    static const uint64_t rounds[24] = {
        0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b, 0x0000000080000001,
        0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
        0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
        0x000000000000800a, 0x800000008000000a, 0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
    };
    for (int round = 0; round < 24; round++) {
        uint64_t c[5], b[25];
        for (int x = 0; x < 5; x++) c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        for (int i = 0; i < 25; i++) a[i] ^= c[(i + 4) % 5] ^ right64(c[(i + 1) % 5], 63);
        /* rho and pi: lane (x, y) turns by the triangular numbers and goes to (y, 2x + 3y). */
        b[0] = a[0];
        for (int t = 0, x = 1, y = 0; t < 24; t++) {
            const int turn = (t + 1) * (t + 2) / 2 % 64;
            const uint64_t lane = a[x + 5 * y];
            const int next = (2 * x + 3 * y) % 5;
            b[y + 5 * next] = turn ? lane << turn | lane >> (64 - turn) : lane;
            x = y, y = next;
        }
        for (int y = 0; y < 25; y += 5)
            for (int x = 0; x < 5; x++) a[y + x] = b[y + x] ^ (~b[y + (x + 1) % 5] & b[y + (x + 2) % 5]);
        a[0] ^= rounds[round];
    }
}

/* Upvalue 1: bytes of the digest; upvalue 2: the padding byte, 1 for Keccak and 6 for SHA-3. */
static int digest_keccak(lua_State *L)
{
    const size_t digest = (size_t)lua_tointeger(L, lua_upvalueindex(1)), rate = 200 - 2 * digest;
    const uint64_t padding = (uint64_t)lua_tointeger(L, lua_upvalueindex(2));
    size_t length;
    const unsigned char *text = (const unsigned char *)luaL_checklstring(L, 1, &length);
    uint64_t state[25] = { 0 };
    size_t at = 0;
    for (size_t i = 0; i < length; i++) {
        state[at / 8] ^= (uint64_t)text[i] << 8 * (at % 8);
        if (++at == rate) {
            keccak_f(state);
            at = 0;
        }
    }
    state[at / 8] ^= padding << 8 * (at % 8);
    state[(rate - 1) / 8] ^= (uint64_t)0x80 << 8 * ((rate - 1) % 8);
    keccak_f(state);
    char bytes[64];
    for (size_t i = 0; i < digest; i++) bytes[i] = (char)(state[i / 8] >> 8 * (i % 8));
    lua_pushlstring(L, bytes, digest);
    return 1;
}

/* -------------------------------------------------------------------------------------------------------- encodings */

static int encode_hex(lua_State *L)
{
    size_t length;
    const unsigned char *bytes = (const unsigned char *)luaL_checklstring(L, 1, &length);
    luaL_Buffer text;
    char *to = luaL_buffinitsize(L, &text, 2 * length);
    for (size_t i = 0; i < length; i++) {
        to[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        to[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    luaL_pushresultsize(&text, 2 * length);
    return 1;
}

static int hex_digit(int c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; }

static int decode_hex(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    luaL_argcheck(L, length % 2 == 0, 1, "hex digits come in pairs");
    luaL_Buffer bytes;
    char *to = luaL_buffinitsize(L, &bytes, length / 2);
    for (size_t i = 0; i < length / 2; i++) {
        const int high = hex_digit((unsigned char)text[2 * i]), low = hex_digit((unsigned char)text[2 * i + 1]);
        luaL_argcheck(L, high >= 0 && low >= 0, 1, "not a hex digit");
        to[i] = (char)(high << 4 | low);
    }
    luaL_pushresultsize(&bytes, length / 2);
    return 1;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int encode_base64(lua_State *L)
{
    size_t length;
    const unsigned char *bytes = (const unsigned char *)luaL_checklstring(L, 1, &length);
    luaL_Buffer text;
    char *to = luaL_buffinitsize(L, &text, (length + 2) / 3 * 4);
    size_t made = 0;
    for (size_t i = 0; i < length; i += 3) {
        const uint32_t three = (uint32_t)bytes[i] << 16 | (i + 1 < length ? (uint32_t)bytes[i + 1] << 8 : 0) | (i + 2 < length ? bytes[i + 2] : 0);
        for (int digit = 0; digit < 4; digit++)
            to[made++] = i + (size_t)digit > length ? '=' : base64_digits[three >> (18 - 6 * digit) & 63];
    }
    luaL_pushresultsize(&text, made);
    return 1;
}

/* Takes both alphabets; what is neither, white space and padding included, is passed over, as aos does. */
static int decode_base64(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    luaL_Buffer bytes;
    char *to = luaL_buffinitsize(L, &bytes, length / 4 * 3 + 3);
    size_t made = 0;
    uint32_t bits = 0;
    int have = 0;
    for (size_t i = 0; i < length; i++) {
        const char c = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
        const char *digit = c ? memchr(base64_digits, c, 64) : NULL;
        if (!digit) continue;
        bits = bits << 6 | (uint32_t)(digit - base64_digits);
        if ((have += 6) >= 8) to[made++] = (char)(bits >> (have -= 8));
    }
    luaL_pushresultsize(&bytes, made);
    return 1;
}

int luaopen_digest(lua_State *L)
{
    static const luaL_Reg encodings[] = {
        { "to_hex", encode_hex }, { "from_hex", decode_hex }, { "to_base64", encode_base64 }, { "from_base64", decode_base64 }, { NULL, NULL },
    };
    static const struct { const char *name; int bytes, padding; } sponges[] = {
        { "keccak256", 32, 1 }, { "keccak512", 64, 1 }, { "sha3_256", 32, 6 }, { "sha3_512", 64, 6 },
    };
    luaL_newlib(L, encodings);
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        lua_pushlightuserdata(L, (void *)&families[i]);
        lua_pushcclosure(L, digest_blocks, 1);
        lua_setfield(L, -2, families[i].name);
    }
    for (size_t i = 0; i < sizeof sponges / sizeof *sponges; i++) {
        lua_pushinteger(L, sponges[i].bytes);
        lua_pushinteger(L, sponges[i].padding);
        lua_pushcclosure(L, digest_keccak, 2);
        lua_setfield(L, -2, sponges[i].name);
    }
    return 1;
}
