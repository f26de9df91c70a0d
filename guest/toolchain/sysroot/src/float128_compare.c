/* Comparisons of 128-bit floats. clang's wasm64 code expects them to return a 32-bit int; the compiler runtime that we
   build declares a 64-bit long, and a call through the wrong signature traps. These come first in the link. */
typedef unsigned __int128 bits128;

enum { less = -1, equal = 0, greater = 1 };

static bits128 bits_of(long double value)
{
    union { long double value; bits128 bits; } same = { .value = value };
    return same.bits;
}

static const bits128 magnitude_mask = ((bits128)1 << 127) - 1;
static const bits128 infinity = (bits128)0x7fff << 112;

static int is_nan(bits128 bits) { return (bits & magnitude_mask) > infinity; }

/* Sign and magnitude order like the numbers, but reversed where both are negative. */
static int compare(long double left, long double right, int unordered)
{
    const bits128 a = bits_of(left), b = bits_of(right);
    if (is_nan(a) || is_nan(b)) return unordered;
    if (((a | b) & magnitude_mask) == 0) return equal;  /* +0 and -0 */
    if (a == b) return equal;
    const __int128 x = (__int128)a, y = (__int128)b;
    const int both_negative = x < 0 && y < 0;
    return (x < y) != both_negative ? less : greater;
}

int __letf2(long double a, long double b) { return compare(a, b, greater); }
int __lttf2(long double a, long double b) { return compare(a, b, greater); }
int __eqtf2(long double a, long double b) { return compare(a, b, greater); }
int __netf2(long double a, long double b) { return compare(a, b, greater); }
int __cmptf2(long double a, long double b) { return compare(a, b, greater); }
int __getf2(long double a, long double b) { return compare(a, b, less); }
int __gttf2(long double a, long double b) { return compare(a, b, less); }
int __unordtf2(long double a, long double b) { return is_nan(bits_of(a)) || is_nan(bits_of(b)); }
