#include "json.h"

#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { depth_max = 200, kept_bytes_max = 1 << 20 };

/* ------------------------------------------------------------------------------------------------------- text */

int json_reserve(struct json_text *to, size_t more)
{
    if (to->capacity - to->length >= more) return 1;
    if (more > SIZE_MAX / 2 - to->length) return 0;
    size_t capacity = to->capacity < 512 ? 1024 : to->capacity * 2;
    if (capacity < to->length + more) capacity = to->length + more;
    char *bytes = realloc(to->bytes, capacity);
    if (!bytes) return 0;
    to->bytes = bytes;
    to->capacity = capacity;
    return 1;
}

void json_clear(struct json_text *text)
{
    text->length = 0;
    if (text->capacity <= kept_bytes_max) return;
    free(text->bytes);
    text->bytes = NULL;
    text->capacity = 0;
}

int json_append_string(struct json_text *to, const char *bytes, size_t length)
{
    static const char hex[] = "0123456789abcdef";
    /* Six bytes a character is the worst case; asking for it at once would waste memory on every ordinary string. */
    if (!json_reserve(to, length + 2)) return 0;
    to->bytes[to->length++] = '"';
    size_t plain = 0;
    for (size_t i = 0; i <= length; i++) {
        const unsigned char c = i < length ? (unsigned char)bytes[i] : 0;
        if (i < length && c >= 0x20 && c != '"' && c != '\\') continue;
        if (!json_reserve(to, i - plain + 7)) return 0;
        memcpy(to->bytes + to->length, bytes + plain, i - plain);
        to->length += i - plain;
        plain = i + 1;
        if (i == length) break;
        char *out = to->bytes + to->length;
        *out++ = '\\';
        switch (c) {
        case '"': case '\\': *out++ = (char)c; break;
        case '\b': *out++ = 'b'; break;
        case '\f': *out++ = 'f'; break;
        case '\n': *out++ = 'n'; break;
        case '\r': *out++ = 'r'; break;
        case '\t': *out++ = 't'; break;
        default: *out++ = 'u'; *out++ = '0'; *out++ = '0'; *out++ = hex[c >> 4]; *out++ = hex[c & 15];
        }
        to->length = (size_t)(out - to->bytes);
    }
    to->bytes[to->length++] = '"';
    return 1;
}

/* ----------------------------------------------------------------------------------------------------- encode */

static void need(lua_State *L, int ok)
{
    if (!ok) luaL_error(L, "json: not enough memory for the text");
}

static void append(lua_State *L, struct json_text *to, const char *bytes, size_t length)
{
    need(L, json_reserve(to, length));
    memcpy(to->bytes + to->length, bytes, length);
    to->length += length;
}

struct key { const char *bytes; size_t length; };

static int by_bytes(const void *left, const void *right)
{
    const struct key *a = left, *b = right;
    const size_t shorter = a->length < b->length ? a->length : b->length;
    const int order = memcmp(a->bytes, b->bytes, shorter);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static void encode_value(lua_State *L, int index, struct json_text *to, int depth);

static void encode_number(lua_State *L, int index, struct json_text *to)
{
    char digits[48];
    int length;
    if (lua_isinteger(L, index)) {
        length = snprintf(digits, sizeof digits, "%lld", (long long)lua_tointeger(L, index));
    } else {
        const double number = lua_tonumber(L, index);
        if (number != number || number - number != 0) luaL_error(L, "json: %f is not a number of JSON", number);
        /* Fourteen digits are what AO's json writes: a float that holds a whole number comes out without a point. */
        length = snprintf(digits, sizeof digits, "%.14g", number);
    }
    append(L, to, digits, (size_t)length);
}

/* Which kind of table: the number of elements of a list, or -1 for an object. */
static lua_Integer list_length(lua_State *L, int index)
{
    lua_Integer count = 0, highest = 0;
    int names = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            names = 1;
        } else if (lua_isinteger(L, -2) && lua_tointeger(L, -2) > 0) {
            count++;
            if (lua_tointeger(L, -2) > highest) highest = lua_tointeger(L, -2);
        } else {
            luaL_error(L, "json: a table has a key of type %s", luaL_typename(L, -2));
        }
        if (names && count) luaL_error(L, "json: a table has both names and numbers as keys");
    }
    if (names) return -1;
    if (highest != count) luaL_error(L, "json: a list has holes: %I elements, the last at %I", count, highest);
    return count;
}

static void encode_object(lua_State *L, int index, struct json_text *to, int depth)
{
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) count++;
    /* In Lua's memory, so that an error below frees it. The names are owned by the table. */
    struct key *keys = lua_newuserdata(L, count * sizeof *keys);
    size_t i = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1), i++)
        keys[i].bytes = lua_tolstring(L, -2, &keys[i].length);

    /* Sorted, since the order of a Lua table follows its history and these bytes are compared between nodes. */
    qsort(keys, count, sizeof *keys, by_bytes);

    append(L, to, "{", 1);
    for (i = 0; i < count; i++) {
        if (i) append(L, to, ",", 1);
        need(L, json_append_string(to, keys[i].bytes, keys[i].length));
        append(L, to, ":", 1);
        lua_pushlstring(L, keys[i].bytes, keys[i].length);
        lua_rawget(L, index);
        encode_value(L, lua_gettop(L), to, depth + 1);
        lua_pop(L, 1);
    }
    append(L, to, "}", 1);
    lua_pop(L, 1);
}

static void encode_value(lua_State *L, int index, struct json_text *to, int depth)
{
    switch (lua_type(L, index)) {
    case LUA_TNIL: append(L, to, "null", 4); return;
    case LUA_TBOOLEAN:
        if (lua_toboolean(L, index)) append(L, to, "true", 4);
        else append(L, to, "false", 5);
        return;
    case LUA_TNUMBER: encode_number(L, index, to); return;
    case LUA_TSTRING: {
        size_t length;
        const char *bytes = lua_tolstring(L, index, &length);
        need(L, json_append_string(to, bytes, length));
        return;
    }
    case LUA_TTABLE: break;
    default: luaL_error(L, "json: a %s has no form in JSON", luaL_typename(L, index));
    }
    if (depth >= depth_max) luaL_error(L, "json: tables nested deeper than %d levels, or in a circle", (int)depth_max);
    luaL_checkstack(L, 6, "json");
    const lua_Integer elements = list_length(L, index);
    if (elements < 0) {
        encode_object(L, index, to, depth);
        return;
    }
    append(L, to, "[", 1);
    for (lua_Integer i = 1; i <= elements; i++) {
        if (i > 1) append(L, to, ",", 1);
        lua_rawgeti(L, index, i);
        encode_value(L, lua_gettop(L), to, depth + 1);
        lua_pop(L, 1);
    }
    append(L, to, "]", 1);
}

void json_encode(lua_State *L, int index, struct json_text *to)
{
    encode_value(L, lua_absindex(L, index), to, 0);
}

/* ----------------------------------------------------------------------------------------------------- decode */

struct reader {
    lua_State *L;
    const char *begin, *at, *end;
};

static int refuse(struct reader *in, const char *what)
{
    return luaL_error(in->L, "json: %s at byte %I", what, (lua_Integer)(in->at - in->begin + 1));
}

static int peek(struct reader *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\n' || *in->at == '\t' || *in->at == '\r')) in->at++;
    return in->at < in->end ? (unsigned char)*in->at : -1;
}

static int four_hex(struct reader *in, const char *at)
{
    if (in->end - at < 4) return -1;
    int value = 0;
    for (int i = 0; i < 4; i++) {
        const char c = at[i];
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
            : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Writes a code point as UTF-8. A surrogate without its other half is written in the same manner: three bytes. */
static char *put_utf8(char *out, unsigned code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 63));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 63));
        *out++ = (char)(0x80 | (code & 63));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 63));
        *out++ = (char)(0x80 | (code >> 6 & 63));
        *out++ = (char)(0x80 | (code & 63));
    }
    return out;
}

/* Reads one escape behind its backslash. */
static char *decode_escape(struct reader *in, char *out)
{
    const char c = in->at < in->end ? *in->at : 0;
    switch (c) {
    case '"': case '\\': case '/': *out++ = c; break;
    case 'b': *out++ = '\b'; break;
    case 'f': *out++ = '\f'; break;
    case 'n': *out++ = '\n'; break;
    case 'r': *out++ = '\r'; break;
    case 't': *out++ = '\t'; break;
    case 'u': {
        int code = four_hex(in, in->at + 1);
        if (code < 0) refuse(in, "an escape \\u without four hexadecimal digits");
        in->at += 4;
        if (code >= 0xd800 && code < 0xdc00 && in->end - in->at >= 7 && in->at[1] == '\\' && in->at[2] == 'u') {
            const int low = four_hex(in, in->at + 3);
            if (low >= 0xdc00 && low < 0xe000) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                in->at += 6;
            }
        }
        out = put_utf8(out, (unsigned)code);
        break;
    }
    default: refuse(in, "an unknown escape in a string");
    }
    in->at++;
    return out;
}

/* Pushes the string whose first quote has been read. */
static void decode_string(struct reader *in)
{
    const char *start = in->at;
    while (in->at < in->end && (unsigned char)*in->at >= 0x20 && *in->at != '"' && *in->at != '\\') in->at++;
    if (in->at < in->end && *in->at == '"') {
        lua_pushlstring(in->L, start, (size_t)(in->at - start));
        in->at++;
        return;
    }

    /* The length of the source bounds what it decodes to. Search the end first, so that a short string in a long
       document does not ask for the document's length. */
    const char *stop = in->at;
    while (stop < in->end && *stop != '"') stop += *stop == '\\' && in->end - stop > 1 ? 2 : 1;
    if (stop >= in->end) refuse(in, "a string without its end");
    luaL_Buffer buffer;
    char *const first = luaL_buffinitsize(in->L, &buffer, (size_t)(stop - start) + 4);
    memcpy(first, start, (size_t)(in->at - start));
    char *out = first + (in->at - start);
    for (;;) {
        const char *run = in->at;
        while ((unsigned char)*in->at >= 0x20 && *in->at != '"' && *in->at != '\\') in->at++;
        memcpy(out, run, (size_t)(in->at - run));
        out += in->at - run;
        const char c = *in->at;
        if (c == '"') break;
        if (c != '\\') refuse(in, "a control character in a string");
        in->at++;
        out = decode_escape(in, out);
    }
    in->at++;
    luaL_pushresultsize(&buffer, (size_t)(out - first));
}

static int digits(struct reader *in)
{
    const char *start = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9') in->at++;
    return in->at > start;
}

static void decode_number(struct reader *in)
{
    const char *start = in->at;
    const int negative = *in->at == '-';
    if (negative) in->at++;
    const char *first = in->at;
    if (!digits(in)) refuse(in, "a number without digits");
    if (*first == '0' && in->at - first > 1) refuse(in, "a number with a leading zero");
    int whole = in->at - first <= 19;
    uint64_t magnitude = 0;
    if (whole)
        for (const char *c = first; c < in->at; c++) magnitude = magnitude * 10 + (uint64_t)(*c - '0');
    if (magnitude > (uint64_t)INT64_MAX + (uint64_t)negative) whole = 0;
    if (in->at < in->end && *in->at == '.') {
        whole = 0;
        in->at++;
        if (!digits(in)) refuse(in, "a number without digits behind its point");
    }
    if (in->at < in->end && (*in->at == 'e' || *in->at == 'E')) {
        whole = 0;
        in->at++;
        if (in->at < in->end && (*in->at == '+' || *in->at == '-')) in->at++;
        if (!digits(in)) refuse(in, "a number without digits in its exponent");
    }
    if (whole)
        lua_pushinteger(in->L, (lua_Integer)(negative ? 0 - magnitude : magnitude));
    else
        lua_pushnumber(in->L, strtod(start, NULL));  /* every text here is followed by a zero byte, see json_decode */
}

static void decode_word(struct reader *in, const char *word)
{
    const size_t length = strlen(word);
    if ((size_t)(in->end - in->at) < length || memcmp(in->at, word, length) != 0) refuse(in, "an unknown word");
    in->at += length;
}

static void decode_value(struct reader *in, int depth);

/* A comma before the closing bracket is let through, here and in objects: AO's json does so, and forms that were
   published on the network contain it (llama-land.md 2.3). */
static void decode_list(struct reader *in, int depth)
{
    lua_newtable(in->L);
    in->at++;
    for (lua_Integer i = 1; peek(in) != ']'; i++) {
        decode_value(in, depth + 1);
        lua_rawseti(in->L, -2, i);
        const int next = peek(in);
        if (next == ',') in->at++;
        else if (next != ']') refuse(in, "a list without ',' or ']'");
    }
    in->at++;
}

static void decode_object(struct reader *in, int depth)
{
    lua_newtable(in->L);
    in->at++;
    while (peek(in) != '}') {
        if (*in->at != '"' || in->at >= in->end) refuse(in, "an object without a name in quotes");
        in->at++;
        decode_string(in);
        if (peek(in) != ':') refuse(in, "a name without ':'");
        in->at++;
        decode_value(in, depth + 1);
        lua_rawset(in->L, -3);
        const int next = peek(in);
        if (next == ',') in->at++;
        else if (next != '}') refuse(in, "an object without ',' or '}'");
    }
    in->at++;
}

static void decode_value(struct reader *in, int depth)
{
    if (depth >= depth_max) refuse(in, "nested deeper than 200 levels");
    luaL_checkstack(in->L, 8, "json");
    const int c = peek(in);
    switch (c) {
    case '{': decode_object(in, depth); break;
    case '[': decode_list(in, depth); break;
    case '"': in->at++; decode_string(in); break;
    case 't': decode_word(in, "true"); lua_pushboolean(in->L, 1); break;
    case 'f': decode_word(in, "false"); lua_pushboolean(in->L, 0); break;
    case 'n': decode_word(in, "null"); lua_pushnil(in->L); break;
    case -1: refuse(in, "the end where a value was expected"); break;
    default:
        if (c != '-' && (c < '0' || c > '9')) refuse(in, "a character that begins no value");
        decode_number(in);
    }
}

void json_decode(lua_State *L, const char *text, size_t length)
{
    struct reader in = { L, text, text, text + length };
    decode_value(&in, 0);
    if (peek(&in) != -1) refuse(&in, "something behind the value");
}

/* ------------------------------------------------------------------------------------------------- Lua module */

static int lua_encode(lua_State *L)
{
    static struct json_text text;
    luaL_checkany(L, 1);
    json_clear(&text);
    json_encode(L, 1, &text);
    lua_pushlstring(L, text.bytes, text.length);
    json_clear(&text);
    return 1;
}

static int lua_decode(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    json_decode(L, text, length);
    return 1;
}

int luaopen_json(lua_State *L)
{
    static const luaL_Reg functions[] = { { "encode", lua_encode }, { "decode", lua_decode }, { NULL, NULL } };
    luaL_newlib(L, functions);
    return 1;
}
