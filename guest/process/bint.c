/* Integers of a fixed width, wrapping in two's complement: `require(".bint")(256)`, the numbers of tokens.

   The names and meanings are those that programs for aos use (ao-protocol.md 8.3): `bint(bits)` gives the class of that
   width; its values are immutable, add and multiply modulo 2^bits, divide with // and % like Lua's integers (towards
   minus infinity) and print in base 10. In C, because a token transfer is mostly this. */
#include "bint.h"

#include <ctype.h>
#include <lauxlib.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* 4096 bits: a program may ask for a width, and pays for it at every operation. */
enum { limbs_max = 128, digits_max = 32 * limbs_max + 2 };

struct number {
    int limbs;
    uint32_t limb[];  /* the lowest first */
};

/* The class is upvalue 1 of every function: a table whose field `limbs` says how wide, and the metatable of its values. */
static int width(lua_State *L)
{
    lua_getfield(L, lua_upvalueindex(1), "limbs");
    const int limbs = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return limbs;
}

static struct number *push_zero(lua_State *L, int limbs)
{
    struct number *result = lua_newuserdata(L, sizeof *result + sizeof(uint32_t) * (size_t)limbs);
    result->limbs = limbs;
    memset(result->limb, 0, sizeof(uint32_t) * (size_t)limbs);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_setmetatable(L, -2);
    return result;
}

static struct number *push_copy(lua_State *L, const struct number *from)
{
    struct number *result = push_zero(L, from->limbs);
    memcpy(result->limb, from->limb, sizeof(uint32_t) * (size_t)from->limbs);
    return result;
}

static struct number *as_number(lua_State *L, int index)
{
    if (!lua_isuserdata(L, index) || !lua_getmetatable(L, index)) return NULL;
    const int same = lua_rawequal(L, -1, lua_upvalueindex(1));
    lua_pop(L, 1);
    return same ? lua_touserdata(L, index) : NULL;
}

/* ------------------------------------------------------------------------------------------- arithmetic on limbs */

static int negative(const struct number *a) { return (a->limb[a->limbs - 1] >> 31) != 0; }

static int is_zero(const struct number *a)
{
    for (int i = 0; i < a->limbs; i++)
        if (a->limb[i]) return 0;
    return 1;
}

static int compare_unsigned(const struct number *a, const struct number *b)
{
    for (int i = a->limbs - 1; i >= 0; i--)
        if (a->limb[i] != b->limb[i]) return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

static int compare(const struct number *a, const struct number *b)
{
    if (negative(a) != negative(b)) return negative(a) ? -1 : 1;
    return compare_unsigned(a, b);
}

static void add_to(struct number *a, const struct number *b)
{
    uint64_t carry = 0;
    for (int i = 0; i < a->limbs; i++) {
        carry += (uint64_t)a->limb[i] + b->limb[i];
        a->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static void subtract_from(struct number *a, const struct number *b)
{
    uint64_t borrow = 0;
    for (int i = 0; i < a->limbs; i++) {
        const uint64_t difference = (uint64_t)a->limb[i] - b->limb[i] - borrow;
        a->limb[i] = (uint32_t)difference;
        borrow = difference >> 63;
    }
}

static void negate(struct number *a)
{
    uint64_t carry = 1;
    for (int i = 0; i < a->limbs; i++) {
        carry += (uint32_t)~a->limb[i];
        a->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

/* result must be zero and neither a nor b. */
static void multiply(struct number *result, const struct number *a, const struct number *b)
{
    for (int i = 0; i < a->limbs; i++) {
        uint64_t carry = 0;
        for (int j = 0; i + j < a->limbs; j++) {
            carry += (uint64_t)a->limb[i] * b->limb[j] + result->limb[i + j];
            result->limb[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
    }
}

/* a = a * factor + more; the carry that does not fit is dropped. */
static void multiply_small(struct number *a, uint32_t factor, uint32_t more)
{
    uint64_t carry = more;
    for (int i = 0; i < a->limbs; i++) {
        carry += (uint64_t)a->limb[i] * factor;
        a->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

/* a = a / divisor, gives the rest. */
static uint32_t divide_small(struct number *a, uint32_t divisor)
{
    uint64_t rest = 0;
    for (int i = a->limbs - 1; i >= 0; i--) {
        rest = rest << 32 | a->limb[i];
        a->limb[i] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
    return (uint32_t)rest;
}

static void shift_left_one(struct number *a)
{
    for (int i = a->limbs - 1; i > 0; i--) a->limb[i] = a->limb[i] << 1 | a->limb[i - 1] >> 31;
    a->limb[0] <<= 1;
}

/* Unsigned: quotient must be zero; rest must be zero. The divisor is not zero. Bit by bit, but only over the bits that
   the dividend has. */
static void divide_unsigned(struct number *quotient, struct number *rest, const struct number *a, const struct number *b)
{
    int small = 1;
    for (int i = 1; i < b->limbs; i++)
        if (b->limb[i]) small = 0;
    if (small) {
        memcpy(quotient->limb, a->limb, sizeof(uint32_t) * (size_t)a->limbs);
        rest->limb[0] = divide_small(quotient, b->limb[0]);
        return;
    }
    int top = a->limbs * 32 - 1;
    while (top >= 0 && !(a->limb[top / 32] >> (top % 32) & 1)) top--;
    for (int bit = top; bit >= 0; bit--) {
        const int carried = (int)(rest->limb[rest->limbs - 1] >> 31);
        shift_left_one(rest);
        rest->limb[0] |= a->limb[bit / 32] >> (bit % 32) & 1;
        if (carried || compare_unsigned(rest, b) >= 0) {
            subtract_from(rest, b);
            quotient->limb[bit / 32] |= (uint32_t)1 << (bit % 32);
        }
    }
}

/* ---------------------------------------------------------------------------------------- from and to Lua values */

static struct number *push_integer(lua_State *L, int64_t value)
{
    struct number *result = push_zero(L, width(L));
    const uint64_t bits = (uint64_t)value;
    for (int i = 0; i < result->limbs; i++)
        result->limb[i] = i == 0 ? (uint32_t)bits : i == 1 ? (uint32_t)(bits >> 32) : value < 0 ? UINT32_MAX : 0;
    return result;
}

static int digit_of(int c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'z') return c - 'a' + 10;
    if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
    return 99;
}

/* [+-] digits of the base, nothing else but white space around. Pushes nothing and gives NULL when it is none. */
static struct number *push_text(lua_State *L, const char *text, size_t length, int base)
{
    const char *at = text, *end = text + length;
    while (at < end && isspace((unsigned char)*at)) at++;
    while (end > at && isspace((unsigned char)end[-1])) end--;
    const int minus = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) at++;
    if (base == 10 && end - at > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) { base = 16; at += 2; }
    if (at == end) return NULL;
    for (const char *c = at; c < end; c++)
        if (digit_of((unsigned char)*c) >= base) return NULL;
    struct number *result = push_zero(L, width(L));
    for (; at < end; at++) multiply_small(result, (uint32_t)base, (uint32_t)digit_of((unsigned char)*at));
    if (minus) negate(result);
    return result;
}

/* What a value is as an integer: pushes it, or pushes nothing and gives NULL. Floats count when they are whole. */
static struct number *push_value(lua_State *L, int index)
{
    struct number *number = as_number(L, index);
    if (number) return push_copy(L, number);
    if (lua_type(L, index) == LUA_TSTRING) {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        return push_text(L, text, length, 10);
    }
    if (lua_type(L, index) == LUA_TNUMBER) {
        int whole;
        const lua_Integer value = lua_tointegerx(L, index, &whole);
        if (whole) return push_integer(L, value);
    }
    return NULL;
}

/* Replaces the argument by its number. Copies nothing when it is one. */
static struct number *argument(lua_State *L, int index)
{
    struct number *number = as_number(L, index);
    if (number) return number;
    number = push_value(L, index);
    if (!number) {
        luaL_error(L, "value '%s' cannot be represented by a bint", luaL_tolstring(L, index, NULL));
        return NULL;
    }
    lua_replace(L, index);
    return number;
}

static lua_Number to_float(const struct number *a)
{
    lua_Number result = 0;
    for (int i = a->limbs - 1; i >= 0; i--) result = result * 4294967296.0 + a->limb[i];
    return negative(a) ? result - ldexp(1.0, 32 * a->limbs) : result;
}

/* Arithmetic with a fraction is float arithmetic, as with Lua's own integers. */
static int fraction(lua_State *L, int index) { return lua_type(L, index) == LUA_TNUMBER && !push_value(L, index); }

static lua_Number float_of(lua_State *L, int index)
{
    const struct number *number = as_number(L, index);
    return number ? to_float(number) : luaL_checknumber(L, index);
}

/* Digits of the magnitude, or of the bits when `as_unsigned`; pushes the text. */
static void push_digits(lua_State *L, const struct number *a, int base, int as_unsigned)
{
    char digits[digits_max];
    size_t at = sizeof digits;
    const int minus = !as_unsigned && negative(a);
    struct number *left = push_copy(L, a);
    if (minus) negate(left);
    do digits[--at] = "0123456789abcdefghijklmnopqrstuvwxyz"[divide_small(left, (uint32_t)base)];
    while (!is_zero(left));
    if (minus) digits[--at] = '-';
    lua_pop(L, 1);
    lua_pushlstring(L, digits + at, sizeof digits - at);
}

/* ------------------------------------------------------------------------------------------------- what Lua calls */

static int method_tobint(lua_State *L)
{
    if (as_number(L, 1)) {
        lua_settop(L, 1);
        return 1;
    }
    if (!push_value(L, 1)) lua_pushnil(L);
    return 1;
}

static int method_new(lua_State *L)
{
    argument(L, 1);
    lua_settop(L, 1);
    return 1;
}

static int method_call(lua_State *L)  /* bint(x): the class is the first argument */
{
    lua_remove(L, 1);
    return method_new(L);
}

static int method_fromuinteger(lua_State *L)
{
    int whole;
    const lua_Integer value = lua_tointegerx(L, 1, &whole);
    if (!whole) { lua_pushnil(L); return 1; }
    struct number *result = push_integer(L, value);
    for (int i = 2; i < result->limbs; i++) result->limb[i] = 0;
    return 1;
}

static int method_frominteger(lua_State *L)
{
    int whole;
    const lua_Integer value = lua_tointegerx(L, 1, &whole);
    if (whole) push_integer(L, value);
    else lua_pushnil(L);
    return 1;
}

static int check_base(lua_State *L, int index)
{
    const lua_Integer base = luaL_optinteger(L, index, 10);
    luaL_argcheck(L, base >= 2 && base <= 36, index, "a base is 2 to 36");
    return (int)base;
}

static int method_frombase(lua_State *L)
{
    size_t length;
    const char *text = lua_tolstring(L, 1, &length);
    if (!text || !push_text(L, text, length, check_base(L, 2))) lua_pushnil(L);
    return 1;
}

static int from_bytes(lua_State *L, int big)
{
    size_t length;
    const char *bytes = luaL_checklstring(L, 1, &length);
    struct number *result = push_zero(L, width(L));
    for (size_t i = 0; i < length && i < 4 * (size_t)result->limbs; i++) {
        const uint32_t byte = (unsigned char)(big ? bytes[length - 1 - i] : bytes[i]);
        result->limb[i / 4] |= byte << 8 * (i % 4);
    }
    return 1;
}
static int method_fromle(lua_State *L) { return from_bytes(L, 0); }
static int method_frombe(lua_State *L) { return from_bytes(L, 1); }

static int to_bytes(lua_State *L, int big)
{
    const struct number *a = argument(L, 1);
    const int trim = lua_toboolean(L, 2);
    const size_t length = 4 * (size_t)a->limbs;
    size_t used = length;
    if (trim)
        while (used > 1 && !(a->limb[(used - 1) / 4] >> 8 * ((used - 1) % 4) & 255)) used--;
    luaL_Buffer text;
    char *to = luaL_buffinitsize(L, &text, length);
    for (size_t i = 0; i < used; i++) to[big ? used - 1 - i : i] = (char)(a->limb[i / 4] >> 8 * (i % 4));
    luaL_pushresultsize(&text, used);
    return 1;
}
static int method_tole(lua_State *L) { return to_bytes(L, 0); }
static int method_tobe(lua_State *L) { return to_bytes(L, 1); }

static int method_tobase(lua_State *L)
{
    const struct number *a = argument(L, 1);
    const int base = check_base(L, 2);
    /* Unsigned unless in base 10, when nothing else is said. */
    const int as_unsigned = lua_isnoneornil(L, 3) ? base != 10 : lua_toboolean(L, 3);
    push_digits(L, a, base, as_unsigned);
    return 1;
}

static int method_tostring(lua_State *L)
{
    const struct number *a = as_number(L, 1);
    if (a) push_digits(L, a, 10, 0);
    else luaL_tolstring(L, 1, NULL);
    return 1;
}

static int64_t low_bits(const struct number *a)
{
    return (int64_t)((uint64_t)a->limb[0] | (a->limbs > 1 ? (uint64_t)a->limb[1] << 32 : 0));
}

static int method_tointeger(lua_State *L)
{
    const struct number *a = as_number(L, 1);
    if (a) {
        lua_pushinteger(L, low_bits(a));
        return 1;
    }
    int whole;
    const lua_Integer value = lua_tointegerx(L, 1, &whole);
    if (whole) lua_pushinteger(L, value);
    else lua_pushnil(L);
    return 1;
}

static int method_tonumber(lua_State *L)
{
    const struct number *a = as_number(L, 1);
    if (!a) {
        if (lua_isnumber(L, 1)) lua_pushnumber(L, lua_tonumber(L, 1));
        else lua_pushnil(L);
        return 1;
    }
    /* An integer as long as it is one. */
    struct number *back = push_integer(L, low_bits(a));
    if (compare(back, a) == 0) lua_pushinteger(L, low_bits(a));
    else lua_pushnumber(L, to_float(a));
    return 1;
}

static int boolean(lua_State *L, int value)
{
    lua_pushboolean(L, value);
    return 1;
}

static int is_one(const struct number *a)
{
    for (int i = 1; i < a->limbs; i++)
        if (a->limb[i]) return 0;
    return a->limb[0] == 1;
}

static int method_iszero(lua_State *L) { return boolean(L, is_zero(argument(L, 1))); }
static int method_isone(lua_State *L) { return boolean(L, is_one(argument(L, 1))); }
static int method_isneg(lua_State *L) { return boolean(L, negative(argument(L, 1))); }
static int method_ispos(lua_State *L)
{
    const struct number *a = argument(L, 1);
    return boolean(L, !negative(a) && !is_zero(a));
}
static int method_iseven(lua_State *L) { return boolean(L, !(argument(L, 1)->limb[0] & 1)); }
static int method_isodd(lua_State *L) { return boolean(L, argument(L, 1)->limb[0] & 1); }
static int method_isbint(lua_State *L) { return boolean(L, as_number(L, 1) != NULL); }
static int method_isintegral(lua_State *L)
{
    return boolean(L, as_number(L, 1) || (lua_type(L, 1) == LUA_TNUMBER && lua_isinteger(L, 1)));
}
static int method_isnumeric(lua_State *L) { return boolean(L, as_number(L, 1) || lua_type(L, 1) == LUA_TNUMBER); }

static int method_abs(lua_State *L)
{
    struct number *result = push_copy(L, argument(L, 1));
    if (negative(result)) negate(result);
    return 1;
}
static int method_unm(lua_State *L)
{
    negate(push_copy(L, argument(L, 1)));
    return 1;
}
static int method_bnot(lua_State *L)
{
    struct number *result = push_copy(L, argument(L, 1));
    for (int i = 0; i < result->limbs; i++) result->limb[i] = ~result->limb[i];
    return 1;
}

static int step(lua_State *L, int64_t by)
{
    const struct number *a = argument(L, 1);
    add_to(push_integer(L, by), a);
    return 1;
}
static int method_inc(lua_State *L) { return step(L, 1); }
static int method_dec(lua_State *L) { return step(L, -1); }

static int method_add(lua_State *L)
{
    if (fraction(L, 1) || (lua_settop(L, 2), fraction(L, 2))) {
        lua_pushnumber(L, float_of(L, 1) + float_of(L, 2));
        return 1;
    }
    lua_settop(L, 2);
    const struct number *a = argument(L, 1), *b = argument(L, 2);
    add_to(push_copy(L, a), b);
    return 1;
}
static int method_sub(lua_State *L)
{
    if (fraction(L, 1) || (lua_settop(L, 2), fraction(L, 2))) {
        lua_pushnumber(L, float_of(L, 1) - float_of(L, 2));
        return 1;
    }
    lua_settop(L, 2);
    const struct number *a = argument(L, 1), *b = argument(L, 2);
    subtract_from(push_copy(L, a), b);
    return 1;
}
static int method_mul(lua_State *L)
{
    if (fraction(L, 1) || (lua_settop(L, 2), fraction(L, 2))) {
        lua_pushnumber(L, float_of(L, 1) * float_of(L, 2));
        return 1;
    }
    lua_settop(L, 2);
    const struct number *a = argument(L, 1), *b = argument(L, 2);
    multiply(push_zero(L, a->limbs), a, b);
    return 1;
}
static int method_div(lua_State *L)  /* `/` is float division, as between Lua's integers */
{
    lua_pushnumber(L, float_of(L, 1) / float_of(L, 2));
    return 1;
}

/* Pushes quotient and rest, the quotient below. @param floor  towards minus infinity, else towards zero */
static void divide(lua_State *L, int floor_it)
{
    lua_settop(L, 2);
    const struct number *a = argument(L, 1), *b = argument(L, 2);
    if (is_zero(b)) luaL_error(L, "attempt to perform division by zero");
    struct number *x = push_copy(L, a), *y = push_copy(L, b);
    const int minus_a = negative(a), minus_b = negative(b);
    if (minus_a) negate(x);
    if (minus_b) negate(y);
    struct number *quotient = push_zero(L, a->limbs), *rest = push_zero(L, a->limbs);
    divide_unsigned(quotient, rest, x, y);
    if (minus_a != minus_b) negate(quotient);
    if (minus_a) negate(rest);
    if (floor_it && minus_a != minus_b && !is_zero(rest)) {
        struct number *one = push_integer(L, 1);
        subtract_from(quotient, one);
        add_to(rest, b);
        lua_pop(L, 1);
    }
}
static int method_idivmod(lua_State *L) { divide(L, 1); return 2; }
static int method_tdivmod(lua_State *L) { divide(L, 0); return 2; }
static int method_idiv(lua_State *L) { divide(L, 1); lua_pop(L, 1); return 1; }
static int method_tdiv(lua_State *L) { divide(L, 0); lua_pop(L, 1); return 1; }
static int method_mod(lua_State *L) { divide(L, 1); return 1; }
static int method_tmod(lua_State *L) { divide(L, 0); return 1; }
static int method_udivmod(lua_State *L)
{
    lua_settop(L, 2);
    const struct number *a = argument(L, 1), *b = argument(L, 2);
    if (is_zero(b)) luaL_error(L, "attempt to perform division by zero");
    struct number *quotient = push_zero(L, a->limbs), *rest = push_zero(L, a->limbs);
    divide_unsigned(quotient, rest, a, b);
    return 2;
}
static int method_udiv(lua_State *L) { method_udivmod(L); lua_pop(L, 1); return 1; }
static int method_umod(lua_State *L) { return method_udivmod(L) - 1; }

static int method_ipow(lua_State *L)
{
    lua_settop(L, 2);
    const struct number *base = argument(L, 1), *exponent = argument(L, 2);
    if (negative(exponent)) return luaL_error(L, "a negative power is no integer");
    struct number *power = push_copy(L, base), *left = push_copy(L, exponent), *result = push_integer(L, 1);
    struct number *scratch = push_zero(L, base->limbs);
    const size_t bytes = sizeof(uint32_t) * (size_t)base->limbs;
    while (!is_zero(left)) {
        if (left->limb[0] & 1) {
            memset(scratch->limb, 0, bytes);
            multiply(scratch, result, power);
            memcpy(result->limb, scratch->limb, bytes);
        }
        memset(scratch->limb, 0, bytes);
        multiply(scratch, power, power);
        memcpy(power->limb, scratch->limb, bytes);
        for (int i = 0; i < left->limbs; i++)
            left->limb[i] = left->limb[i] >> 1 | (i + 1 < left->limbs ? left->limb[i + 1] << 31 : 0);
    }
    lua_pop(L, 1);
    return 1;
}

/* base ^ exponent modulo modulus, all unsigned. The modulus must leave room for a product: at most half the width. */
static int method_upowmod(lua_State *L)
{
    lua_settop(L, 3);
    const struct number *base = argument(L, 1), *exponent = argument(L, 2), *modulus = argument(L, 3);
    if (is_zero(modulus)) return luaL_error(L, "attempt to perform division by zero");
    for (int i = modulus->limbs / 2; i < modulus->limbs; i++)
        if (modulus->limb[i]) return luaL_error(L, "upowmod takes a modulus of at most half the width of its numbers");
    const size_t bytes = sizeof(uint32_t) * (size_t)base->limbs;
    struct number *quotient = push_zero(L, base->limbs), *product = push_zero(L, base->limbs);
    struct number *power = push_zero(L, base->limbs), *left = push_copy(L, exponent), *result = push_zero(L, base->limbs);
    divide_unsigned(quotient, power, base, modulus);
    result->limb[0] = !is_one(modulus);
    for (; !is_zero(left);) {
        for (int square = !(left->limb[0] & 1); square < 2; square++) {
            struct number *target = square ? power : result;
            memset(product->limb, 0, bytes);
            multiply(product, target, power);
            memset(quotient->limb, 0, bytes);
            memset(target->limb, 0, bytes);
            divide_unsigned(quotient, target, product, modulus);
        }
        for (int i = 0; i < left->limbs; i++)
            left->limb[i] = left->limb[i] >> 1 | (i + 1 < left->limbs ? left->limb[i + 1] << 31 : 0);
    }
    return 1;
}

/* `^` stays an integer while both sides are and the power is not negative. */
static int method_pow(lua_State *L)
{
    if (fraction(L, 1) || (lua_settop(L, 2), fraction(L, 2))) {
        lua_pushnumber(L, pow(float_of(L, 1), float_of(L, 2)));
        return 1;
    }
    return method_ipow(L);
}

static int bitwise(lua_State *L, char what)
{
    lua_settop(L, 2);
    const struct number *a = argument(L, 1), *b = argument(L, 2);
    struct number *result = push_copy(L, a);
    for (int i = 0; i < a->limbs; i++)
        result->limb[i] = what == '&' ? a->limb[i] & b->limb[i] : what == '|' ? a->limb[i] | b->limb[i] : a->limb[i] ^ b->limb[i];
    return 1;
}
static int method_band(lua_State *L) { return bitwise(L, '&'); }
static int method_bor(lua_State *L) { return bitwise(L, '|'); }
static int method_bxor(lua_State *L) { return bitwise(L, '^'); }

/* Logical shifts, like Lua's. */
static int shift(lua_State *L, int64_t left)
{
    const struct number *a = argument(L, 1);
    struct number *result = push_zero(L, a->limbs);
    const int64_t bits = 32 * a->limbs;
    if (left <= -bits || left >= bits) return 1;
    for (int64_t to = 0; to < bits; to++) {
        const int64_t from = to - left;
        if (from >= 0 && from < bits) result->limb[to / 32] |= (a->limb[from / 32] >> (from % 32) & 1) << (to % 32);
    }
    return 1;
}
static int64_t distance(lua_State *L)
{
    const struct number *by = argument(L, 2);
    const int64_t count = low_bits(by);
    return count > 1 << 20 ? 1 << 20 : count < -(1 << 20) ? -(1 << 20) : count;
}
static int method_shl(lua_State *L) { lua_settop(L, 2); return shift(L, distance(L)); }
static int method_shr(lua_State *L) { lua_settop(L, 2); return shift(L, -distance(L)); }

/* Comparisons with a fraction are float comparisons; with what is no number, values differ. */
static int order(lua_State *L, int *known)
{
    *known = 1;
    if (fraction(L, 1) || (lua_settop(L, 2), fraction(L, 2))) {
        const lua_Number a = float_of(L, 1), b = float_of(L, 2);
        *known = a == a && b == b;
        return a < b ? -1 : a > b;
    }
    lua_settop(L, 2);
    return compare(argument(L, 1), argument(L, 2));
}
static int method_lt(lua_State *L) { int known; const int sign = order(L, &known); return boolean(L, known && sign < 0); }
static int method_le(lua_State *L) { int known; const int sign = order(L, &known); return boolean(L, known && sign <= 0); }
static int method_eq(lua_State *L)
{
    lua_settop(L, 2);
    for (int i = 1; i <= 2; i++) {
        const struct number *number = push_value(L, i);
        if (!number) return boolean(L, lua_rawequal(L, 1, 2));
        lua_settop(L, 2);
    }
    return boolean(L, compare(argument(L, 1), argument(L, 2)) == 0);
}
static int method_ult(lua_State *L) { lua_settop(L, 2); return boolean(L, compare_unsigned(argument(L, 1), argument(L, 2)) < 0); }
static int method_ule(lua_State *L) { lua_settop(L, 2); return boolean(L, compare_unsigned(argument(L, 1), argument(L, 2)) <= 0); }

static int extreme(lua_State *L, int wanted)
{
    lua_settop(L, 2);
    const int sign = compare(argument(L, 1), argument(L, 2));
    lua_pushvalue(L, sign == wanted ? 1 : 2);
    return 1;
}
static int method_min(lua_State *L) { return extreme(L, -1); }
static int method_max(lua_State *L) { return extreme(L, 1); }

static int method_zero(lua_State *L) { push_integer(L, 0); return 1; }
static int method_one(lua_State *L) { push_integer(L, 1); return 1; }
static int method_mininteger(lua_State *L)
{
    struct number *result = push_zero(L, width(L));
    result->limb[result->limbs - 1] = (uint32_t)1 << 31;
    return 1;
}
static int method_maxinteger(lua_State *L)
{
    method_mininteger(L);
    struct number *result = lua_touserdata(L, -1);
    for (int i = 0; i < result->limbs; i++) result->limb[i] = ~result->limb[i];
    return 1;
}

static const luaL_Reg methods[] = {
    { "new", method_new }, { "tobint", method_tobint }, { "parse", method_tobint }, { "frominteger", method_frominteger },
    { "fromuinteger", method_fromuinteger }, { "frombase", method_frombase }, { "fromstring", method_frombase },
    { "fromle", method_fromle }, { "frombe", method_frombe }, { "tole", method_tole }, { "tobe", method_tobe },
    { "tobase", method_tobase }, { "tostring", method_tostring }, { "tointeger", method_tointeger },
    { "touinteger", method_tointeger }, { "tonumber", method_tonumber }, { "iszero", method_iszero }, { "isone", method_isone },
    { "isneg", method_isneg }, { "ispos", method_ispos }, { "iseven", method_iseven }, { "isodd", method_isodd },
    { "isbint", method_isbint }, { "isintegral", method_isintegral }, { "isnumeric", method_isnumeric }, { "abs", method_abs },
    { "inc", method_inc }, { "dec", method_dec }, { "eq", method_eq }, { "lt", method_lt }, { "le", method_le },
    { "ult", method_ult }, { "ule", method_ule }, { "min", method_min }, { "max", method_max }, { "ipow", method_ipow },
    { "upowmod", method_upowmod }, { "udivmod", method_udivmod }, { "udiv", method_udiv }, { "umod", method_umod },
    { "idivmod", method_idivmod }, { "idiv", method_idiv }, { "mod", method_mod }, { "tdivmod", method_tdivmod },
    { "tdiv", method_tdiv }, { "tmod", method_tmod }, { "zero", method_zero }, { "one", method_one },
    { "mininteger", method_mininteger }, { "maxinteger", method_maxinteger },
    { "__add", method_add }, { "__sub", method_sub }, { "__mul", method_mul }, { "__div", method_div }, { "__idiv", method_idiv },
    { "__mod", method_mod }, { "__pow", method_pow }, { "__unm", method_unm }, { "__band", method_band }, { "__bor", method_bor },
    { "__bxor", method_bxor }, { "__bnot", method_bnot }, { "__shl", method_shl }, { "__shr", method_shr }, { "__eq", method_eq },
    { "__lt", method_lt }, { "__le", method_le }, { "__tostring", method_tostring }, { NULL, NULL },
};

/* bint(bits) -> the class of that width, one for each. */
static int class_of(lua_State *L)
{
    const lua_Integer bits = luaL_optinteger(L, 1, 256);
    luaL_argcheck(L, bits >= 64 && bits <= 32 * limbs_max && bits % 32 == 0, 1, "a width is 64 to 4096 bits, a multiple of 32");
    lua_rawgeti(L, lua_upvalueindex(1), bits);
    if (!lua_isnil(L, -1)) return 1;
    lua_pop(L, 1);

    lua_newtable(L);
    lua_pushinteger(L, bits / 32);
    lua_setfield(L, -2, "limbs");
    lua_pushinteger(L, bits);
    lua_setfield(L, -2, "bits");
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, -1);
    luaL_setfuncs(L, methods, 1);
    lua_newtable(L);
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, method_call, 1);
    lua_setfield(L, -2, "__call");
    lua_setmetatable(L, -2);

    lua_pushvalue(L, -1);
    lua_rawseti(L, lua_upvalueindex(1), bits);
    return 1;
}

int luaopen_bint(lua_State *L)
{
    lua_newtable(L);
    lua_pushcclosure(L, class_of, 1);
    return 1;
}
