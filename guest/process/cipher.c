/* What `require(".crypto")` offers beyond the common digests: AES in its modes, MORUS-1280, NORX64-4-1, BLAKE2b, MD2. Bytes in, bytes out;
   arguments are checked here, what programs see of it is lua/process/crypto.lua.

   By hand, for the reason of digest.c; FIPS 197, SP 800-38A, RFC 7693, RFC 1319, and the CAESAR submissions MORUS v2 and NORX v3. Not for
   secrets that somebody could time: a process has none that the node does not see. */
#include "cipher.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static uint64_t right64(uint64_t x, int by) { return x >> by | x << (64 - by); }
static uint64_t left64(uint64_t x, int by) { return x << by | x >> (64 - by); }

static uint64_t little64(const unsigned char *at)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | at[i];
    return value;
}

static void put_little64(unsigned char *at, uint64_t value)
{
    for (int i = 0; i < 8; i++) at[i] = (unsigned char)(value >> 8 * i);
}

static const unsigned char *bytes_of(lua_State *L, int at, size_t *length) { return (const unsigned char *)luaL_checklstring(L, at, length); }

/* ---------------------------------------------------------------------------------------------------------- AES */

static unsigned char box[256], inverse_box[256];

static unsigned char twice(unsigned char x) { return (unsigned char)(x << 1 ^ (x & 0x80 ? 0x1b : 0)); }

/* The S-box: the inverse in GF(2^8), then an affine map. p runs through the powers of 3, q through those of 1/3. */
static void make_boxes(void)
{
    unsigned char p = 1, q = 1;
    do {
        p = (unsigned char)(p ^ twice(p));
        q ^= (unsigned char)(q << 1);
        q ^= (unsigned char)(q << 2);
        q ^= (unsigned char)(q << 4);
        if (q & 0x80) q ^= 0x09;
        const unsigned x = q * 0x101U;
        box[p] = (unsigned char)(q ^ x >> 7 ^ x >> 6 ^ x >> 5 ^ x >> 4 ^ 0x63);
    } while (p != 1);
    box[0] = 0x63;
    for (int i = 0; i < 256; i++) inverse_box[box[i]] = (unsigned char)i;
}

struct aes { unsigned char key[15][16]; int rounds; };

static void aes_expand(struct aes *aes, const unsigned char *key, int key_bytes)
{
    const int words = key_bytes / 4;
    aes->rounds = words + 6;
    unsigned char *w = aes->key[0], power = 1;
    memcpy(w, key, (size_t)key_bytes);
    for (int i = words; i < 4 * (aes->rounds + 1); i++) {
        unsigned char t[4];
        memcpy(t, w + 4 * (i - 1), 4);
        if (i % words == 0) {
            const unsigned char first = t[0];
            t[0] = (unsigned char)(box[t[1]] ^ power), t[1] = box[t[2]], t[2] = box[t[3]], t[3] = box[first];
            power = twice(power);
        } else if (words > 6 && i % words == 4) {
            for (int j = 0; j < 4; j++) t[j] = box[t[j]];
        }
        for (int j = 0; j < 4; j++) w[4 * i + j] = w[4 * (i - words) + j] ^ t[j];
    }
}

static void xor_block(unsigned char *to, const unsigned char *with)
{
    for (int i = 0; i < 16; i++) to[i] ^= with[i];
}

static void mix_columns(unsigned char *s)
{
    for (int c = 0; c < 16; c += 4) {
        const unsigned char a = s[c], b = s[c + 1], d = s[c + 2], e = s[c + 3], all = a ^ b ^ d ^ e;
        s[c] ^= all ^ twice(a ^ b), s[c + 1] ^= all ^ twice(b ^ d), s[c + 2] ^= all ^ twice(d ^ e), s[c + 3] ^= all ^ twice(e ^ a);
    }
}

static void aes_encrypt(const struct aes *aes, unsigned char *s)
{
    xor_block(s, aes->key[0]);
    for (int round = 1; round <= aes->rounds; round++) {
        unsigned char t[16];
        for (int i = 0; i < 16; i++) t[i] = box[s[(i + 4 * (i % 4)) % 16]];
        if (round < aes->rounds) mix_columns(t);
        memcpy(s, t, 16);
        xor_block(s, aes->key[round]);
    }
}

static void aes_decrypt(const struct aes *aes, unsigned char *s)
{
    for (int round = aes->rounds; round > 0; round--) {
        xor_block(s, aes->key[round]);
        /* Mixing has order four: three times more undoes it. */
        if (round < aes->rounds)
            for (int i = 0; i < 3; i++) mix_columns(s);
        unsigned char t[16];
        for (int i = 0; i < 16; i++) t[(i + 4 * (i % 4)) % 16] = inverse_box[s[i]];
        memcpy(s, t, 16);
    }
    xor_block(s, aes->key[0]);
}

/* aes(encrypt, mode, key, iv, text) -> bytes. The text is filled up with zeros to whole blocks, as aos does. */
static int aes(lua_State *L)
{
    static const char *const modes[] = { "ECB", "CBC", "CFB", "OFB", "CTR", NULL };
    enum { ecb, cbc, cfb, ofb, ctr };
    const bool encrypt = lua_toboolean(L, 1);
    const int mode = luaL_checkoption(L, 2, "CBC", modes);
    size_t key_bytes, iv_bytes, length;
    const unsigned char *key = bytes_of(L, 3, &key_bytes), *iv = bytes_of(L, 4, &iv_bytes), *text = bytes_of(L, 5, &length);
    luaL_argcheck(L, key_bytes == 16 || key_bytes == 24 || key_bytes == 32, 3, "a key of AES has 16, 24 or 32 bytes");
    luaL_argcheck(L, iv_bytes <= 16, 4, "the initial vector of AES has at most 16 bytes");
    luaL_argcheck(L, length < SIZE_MAX - 16, 5, "too long");
    if (!box[0]) make_boxes();
    struct aes expanded;
    aes_expand(&expanded, key, (int)key_bytes);
    unsigned char chain[16] = { 0 };
    memcpy(chain, iv, iv_bytes);

    const size_t whole = (length + 15) / 16 * 16;
    luaL_Buffer buffer;
    unsigned char *to = (unsigned char *)luaL_buffinitsize(L, &buffer, whole);
    memset(to, 0, whole);
    memcpy(to, text, length);
    for (unsigned char *block = to; block < to + whole; block += 16) {
        unsigned char before[16], stream[16];
        memcpy(before, block, 16);
        memcpy(stream, chain, 16);
        switch (mode) {
        case ecb: encrypt ? aes_encrypt(&expanded, block) : aes_decrypt(&expanded, block); break;
        case cbc:
            if (encrypt) {
                xor_block(block, chain);
                aes_encrypt(&expanded, block);
                memcpy(chain, block, 16);
            } else {
                aes_decrypt(&expanded, block);
                xor_block(block, chain);
                memcpy(chain, before, 16);
            }
            break;
        case cfb:
            aes_encrypt(&expanded, stream);
            xor_block(block, stream);
            memcpy(chain, encrypt ? block : before, 16);
            break;
        case ofb:
            aes_encrypt(&expanded, chain);
            xor_block(block, chain);
            break;
        default:
            aes_encrypt(&expanded, stream);
            xor_block(block, stream);
            for (int i = 15; i >= 0 && ++chain[i] == 0; i--) {}
        }
    }
    luaL_pushresultsize(&buffer, whole);
    return 1;
}

/* ------------------------------------------------------------------------------------------------------ MORUS-1280 */

struct morus { uint64_t s[5][4]; };

static void turn_words(uint64_t s[4], int by)
{
    uint64_t t[4];
    for (int i = 0; i < 4; i++) t[(i + by) % 4] = s[i];
    memcpy(s, t, sizeof t);
}

static void morus_update(struct morus *m, const uint64_t block[4])
{
    static const int bits[5] = { 13, 46, 38, 7, 4 }, words[5] = { 1, 2, 3, 2, 1 };
    for (int r = 0; r < 5; r++) {
        uint64_t *a = m->s[r], *b = m->s[(r + 1) % 5], *c = m->s[(r + 2) % 5], *d = m->s[(r + 3) % 5];
        for (int i = 0; i < 4; i++) a[i] = left64(a[i] ^ (b[i] & c[i]) ^ d[i] ^ (r ? block[i] : 0), bits[r]);
        turn_words(d, words[r]);
    }
}

static void morus_stream(const struct morus *m, uint64_t out[4])
{
    for (int i = 0; i < 4; i++) out[i] = m->s[0][i] ^ m->s[1][(i + 1) % 4] ^ (m->s[2][i] & m->s[3][i]);
}

static void load_block(uint64_t words[4], const unsigned char *from, size_t length)
{
    unsigned char block[32] = { 0 };
    memcpy(block, from, length < 32 ? length : 32);
    for (int i = 0; i < 4; i++) words[i] = little64(block + 8 * i);
}

/* morus(encrypt, key, iv, text, associated) -> text, tag */
static int morus(lua_State *L)
{
    static const unsigned char constants[32] = { 0x00, 0x01, 0x01, 0x02, 0x03, 0x05, 0x08, 0x0d, 0x15, 0x22, 0x37, 0x59, 0x90, 0xe9, 0x79, 0x62,
        0xdb, 0x3d, 0x18, 0x55, 0x6d, 0xc2, 0x2f, 0xf1, 0x20, 0x11, 0x31, 0x42, 0x73, 0xb5, 0x28, 0xdd };
    static const uint64_t zero[4] = { 0 };
    const bool encrypt = lua_toboolean(L, 1);
    size_t key_bytes, iv_bytes, length, associated_bytes;
    const unsigned char *key = bytes_of(L, 2, &key_bytes), *iv = bytes_of(L, 3, &iv_bytes), *text = bytes_of(L, 4, &length);
    const unsigned char *associated = bytes_of(L, 5, &associated_bytes);
    luaL_argcheck(L, key_bytes == 16 || key_bytes == 32, 2, "a key of MORUS has 16 or 32 bytes");
    luaL_argcheck(L, iv_bytes == 16, 3, "the initial vector of MORUS has 16 bytes");

    struct morus m;
    memset(&m, 0, sizeof m);
    uint64_t keys[4];
    for (int i = 0; i < 4; i++) keys[i] = little64(key + 8 * i % (int)key_bytes);
    load_block(m.s[0], iv, 16);
    memcpy(m.s[1], keys, sizeof keys);
    memset(m.s[2], 0xff, sizeof m.s[2]);
    load_block(m.s[4], constants, 32);
    for (int i = 0; i < 16; i++) morus_update(&m, zero);
    for (int i = 0; i < 4; i++) m.s[1][i] ^= keys[i];

    uint64_t block[4], stream[4];
    for (size_t at = 0; at < associated_bytes; at += 32) {
        load_block(block, associated + at, associated_bytes - at);
        morus_update(&m, block);
    }
    luaL_Buffer buffer;
    unsigned char *to = (unsigned char *)luaL_buffinitsize(L, &buffer, length);
    for (size_t at = 0; at < length; at += 32) {
        const size_t here = length - at < 32 ? length - at : 32;
        load_block(block, text + at, here);
        morus_stream(&m, stream);
        unsigned char bytes[32];
        for (int i = 0; i < 4; i++) put_little64(bytes + 8 * i, block[i] ^ stream[i]);
        memcpy(to + at, bytes, here);
        if (!encrypt) load_block(block, bytes, here);
        morus_update(&m, block);
    }
    for (int i = 0; i < 4; i++) m.s[4][i] ^= m.s[0][i];
    const uint64_t lengths[4] = { (uint64_t)associated_bytes * 8, (uint64_t)length * 8, 0, 0 };
    for (int i = 0; i < 10; i++) morus_update(&m, lengths);
    morus_stream(&m, stream);
    luaL_pushresultsize(&buffer, length);
    unsigned char tag[16];
    put_little64(tag, stream[0]);
    put_little64(tag + 8, stream[1]);
    lua_pushlstring(L, (const char *)tag, sizeof tag);
    return 2;
}

/* ------------------------------------------------------------------------------------------------------ NORX64-4-1 */

enum { norx_rate = 96, norx_rounds = 4 };

static uint64_t norx_half(uint64_t x, uint64_t y) { return x ^ y ^ (x & y) << 1; }

static void norx_quarter(uint64_t *s, int a, int b, int c, int d)
{
    s[a] = norx_half(s[a], s[b]), s[d] = right64(s[a] ^ s[d], 8);
    s[c] = norx_half(s[c], s[d]), s[b] = right64(s[b] ^ s[c], 19);
    s[a] = norx_half(s[a], s[b]), s[d] = right64(s[a] ^ s[d], 40);
    s[c] = norx_half(s[c], s[d]), s[b] = right64(s[b] ^ s[c], 63);
}

static void norx_permute(uint64_t *s, int rounds)
{
    for (; rounds > 0; rounds--) {
        for (int i = 0; i < 4; i++) norx_quarter(s, i, 4 + i, 8 + i, 12 + i);
        for (int i = 0; i < 4; i++) norx_quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
    }
}

static void norx_pad(unsigned char block[norx_rate], const unsigned char *from, size_t length)
{
    memset(block, 0, norx_rate);
    memcpy(block, from, length);
    block[length] = 0x01;
    block[norx_rate - 1] |= 0x80;
}

static void norx_absorb(uint64_t *s, const unsigned char *data, size_t length, uint64_t domain)
{
    if (length == 0) return;
    for (bool last = false; !last; data += norx_rate, length -= norx_rate) {
        unsigned char block[norx_rate];
        last = length < norx_rate;
        if (last) norx_pad(block, data, length);
        else memcpy(block, data, norx_rate);
        s[15] ^= domain;
        norx_permute(s, norx_rounds);
        for (int i = 0; i < norx_rate / 8; i++) s[i] ^= little64(block + 8 * i);
        if (last) return;
    }
}

/* norx(encrypt, key, nonce, text, header, trailer) -> text, tag */
static int norx(lua_State *L)
{
    const bool encrypt = lua_toboolean(L, 1);
    size_t key_bytes, nonce_bytes, length, header_bytes, trailer_bytes;
    const unsigned char *key = bytes_of(L, 2, &key_bytes), *nonce = bytes_of(L, 3, &nonce_bytes), *text = bytes_of(L, 4, &length);
    const unsigned char *header = bytes_of(L, 5, &header_bytes), *trailer = bytes_of(L, 6, &trailer_bytes);
    luaL_argcheck(L, key_bytes == 32, 2, "a key of NORX has 32 bytes");
    luaL_argcheck(L, nonce_bytes == 32, 3, "a nonce of NORX has 32 bytes");
    uint64_t s[16], keys[4];
    for (int i = 0; i < 16; i++) s[i] = (uint64_t)i;
    norx_permute(s, 2);  /* what stays of this are the constants of the specification */
    for (int i = 0; i < 4; i++) {
        s[i] = little64(nonce + 8 * i);
        s[4 + i] = keys[i] = little64(key + 8 * i);
    }
    s[12] ^= 64, s[13] ^= norx_rounds, s[14] ^= 1, s[15] ^= 256;
    norx_permute(s, norx_rounds);
    for (int i = 0; i < 4; i++) s[12 + i] ^= keys[i];

    norx_absorb(s, header, header_bytes, 0x01);
    luaL_Buffer buffer;
    unsigned char *to = (unsigned char *)luaL_buffinitsize(L, &buffer, length);
    for (size_t at = 0; length > 0;) {
        const size_t here = length - at < norx_rate ? length - at : norx_rate;
        unsigned char stream[norx_rate], block[norx_rate];
        s[15] ^= 0x02;
        norx_permute(s, norx_rounds);
        for (int i = 0; i < norx_rate / 8; i++) put_little64(stream + 8 * i, s[i]);
        for (size_t i = 0; i < here; i++) to[at + i] = text[at + i] ^ stream[i];
        const unsigned char *const plain = encrypt ? text + at : to + at;
        if (here < norx_rate) norx_pad(block, plain, here);
        else memcpy(block, plain, norx_rate);
        for (int i = 0; i < norx_rate / 8; i++) s[i] ^= little64(block + 8 * i);
        if (here < norx_rate) break;
        at += here;
    }
    norx_absorb(s, trailer, trailer_bytes, 0x04);
    s[15] ^= 0x08;
    for (int i = 0; i < 2; i++) {
        norx_permute(s, norx_rounds);
        for (int k = 0; k < 4; k++) s[12 + k] ^= keys[k];
    }
    luaL_pushresultsize(&buffer, length);
    unsigned char tag[32];
    for (int i = 0; i < 4; i++) put_little64(tag + 8 * i, s[12 + i]);
    lua_pushlstring(L, (const char *)tag, sizeof tag);
    return 2;
}

/* ---------------------------------------------------------------------------------------------------------- BLAKE2b */

static void blake2b_block(uint64_t h[8], const unsigned char *block, uint64_t counted, bool last)
{
    static const uint64_t start[8] = { 0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1,
        0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179 };
    static const unsigned char order[10][16] = {
        { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }, { 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
        { 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 }, { 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
        { 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 }, { 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
        { 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 }, { 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
        { 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 }, { 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 },
    };
    uint64_t v[16], m[16];
    memcpy(v, h, 64);
    memcpy(v + 8, start, 64);
    v[12] ^= counted;
    if (last) v[14] = ~v[14];
    for (int i = 0; i < 16; i++) m[i] = little64(block + 8 * i);
    for (int round = 0; round < 12; round++) {
        const unsigned char *o = order[round % 10];
        for (int i = 0; i < 8; i++) {
            const int step = i / 4, a = i % 4, b = 4 + (a + step) % 4, c = 8 + (a + 2 * step) % 4, d = 12 + (a + 3 * step) % 4;
            v[a] += v[b] + m[o[2 * i]], v[d] = right64(v[d] ^ v[a], 32);
            v[c] += v[d], v[b] = right64(v[b] ^ v[c], 24);
            v[a] += v[b] + m[o[2 * i + 1]], v[d] = right64(v[d] ^ v[a], 16);
            v[c] += v[d], v[b] = right64(v[b] ^ v[c], 63);
        }
    }
    for (int i = 0; i < 8; i++) h[i] ^= v[i] ^ v[8 + i];
}

/* blake2b(text, bytes, key) -> bytes */
static int blake2b(lua_State *L)
{
    size_t length, key_bytes;
    const unsigned char *text = bytes_of(L, 1, &length), *key = bytes_of(L, 3, &key_bytes);
    const lua_Integer wanted = luaL_checkinteger(L, 2);
    luaL_argcheck(L, wanted >= 1 && wanted <= 64, 2, "BLAKE2b gives 1 to 64 bytes");
    luaL_argcheck(L, key_bytes <= 64, 3, "a key of BLAKE2b has at most 64 bytes");
    uint64_t h[8] = { 0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
        0x1f83d9abfb41bd6b, 0x5be0cd19137e2179 };
    h[0] ^= 0x01010000 ^ (uint64_t)key_bytes << 8 ^ (uint64_t)wanted;
    unsigned char block[128] = { 0 };
    uint64_t counted = 0;
    if (key_bytes) {
        memcpy(block, key, key_bytes);
        counted = 128;
        blake2b_block(h, block, counted, length == 0);
    }
    size_t at = 0;
    for (; length - at > 128; at += 128) blake2b_block(h, text + at, counted += 128, false);
    if (length > 0 || key_bytes == 0) {
        memset(block, 0, sizeof block);
        memcpy(block, text + at, length - at);
        blake2b_block(h, block, counted + (length - at), true);
    }
    unsigned char bytes[64];
    for (int i = 0; i < 8; i++) put_little64(bytes + 8 * i, h[i]);
    lua_pushlstring(L, (const char *)bytes, (size_t)wanted);
    return 1;
}

/* -------------------------------------------------------------------------------------------------------------- MD2 */

/* Its table is a permutation drawn from the digits of pi; as numbers below 256 in the order of RFC 1319. */
static const unsigned char pi_box[256] = {
    41, 46, 67, 201, 162, 216, 124, 1, 61, 54, 84, 161, 236, 240, 6, 19, 98, 167, 5, 243, 192, 199, 115, 140, 152, 147, 43, 217, 188, 76, 130, 202,
    30, 155, 87, 60, 253, 212, 224, 22, 103, 66, 111, 24, 138, 23, 229, 18, 190, 78, 196, 214, 218, 158, 222, 73, 160, 251, 245, 142, 187, 47, 238, 122,
    169, 104, 121, 145, 21, 178, 7, 63, 148, 194, 16, 137, 11, 34, 95, 33, 128, 127, 93, 154, 90, 144, 50, 39, 53, 62, 204, 231, 191, 247, 151, 3,
    255, 25, 48, 179, 72, 165, 181, 209, 215, 94, 146, 42, 172, 86, 170, 198, 79, 184, 56, 210, 150, 164, 125, 182, 118, 252, 107, 226, 156, 116, 4, 241,
    69, 157, 112, 89, 100, 113, 135, 32, 134, 91, 207, 101, 230, 45, 168, 2, 27, 96, 37, 173, 174, 176, 185, 246, 28, 70, 97, 105, 52, 64, 126, 15,
    85, 71, 163, 35, 221, 81, 175, 58, 195, 92, 249, 206, 186, 197, 234, 38, 44, 83, 13, 110, 133, 40, 132, 9, 211, 223, 205, 244, 65, 129, 77, 82, 106,
    220, 55, 200, 108, 193, 171, 250, 36, 225, 123, 8, 12, 189, 177, 74, 120, 136, 149, 139, 227, 99, 232, 109, 233, 203, 213, 254, 59, 0, 29, 57, 242,
    239, 183, 14, 102, 88, 208, 228, 166, 119, 114, 248, 235, 117, 75, 10, 49, 68, 80, 180, 143, 237, 31, 26, 219, 153, 141, 51, 159, 17, 131, 20 };

static int md2(lua_State *L)
{
    size_t length;
    const unsigned char *text = bytes_of(L, 1, &length);
    unsigned char state[48] = { 0 }, sum[16] = { 0 }, last = 0;
    const size_t padding = 16 - length % 16, blocks = (length + padding) / 16;
    for (size_t block = 0; block <= blocks; block++) {
        unsigned char bytes[16];
        for (size_t i = 0; i < 16; i++) {
            const size_t at = 16 * block + i;
            bytes[i] = block == blocks ? sum[i] : at < length ? text[at] : (unsigned char)padding;
        }
        for (int i = 0; i < 16; i++) {
            state[16 + i] = bytes[i];
            state[32 + i] = bytes[i] ^ state[i];
            if (block < blocks) last = sum[i] ^= pi_box[bytes[i] ^ last];
        }
        unsigned char t = 0;
        for (int round = 0; round < 18; round++) {
            for (int i = 0; i < 48; i++) t = state[i] ^= pi_box[t];
            t = (unsigned char)(t + round);
        }
    }
    lua_pushlstring(L, (const char *)state, 16);
    return 1;
}

int luaopen_cipher(lua_State *L)
{
    static const luaL_Reg functions[] = { { "aes", aes }, { "blake2b", blake2b }, { "md2", md2 }, { "morus", morus }, { "norx", norx }, { NULL, NULL } };
    luaL_newlib(L, functions);
    return 1;
}
