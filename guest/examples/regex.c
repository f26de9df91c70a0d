/* The reference module of the extension `regex`: where a pattern first matches a text. docs/extensions.md walks through it.

     match(pattern, its bytes, text, its bytes, scratch, its bytes) -> begin * 2^32 + end, or all ones when there is none

   A pattern knows c . [a-z] [^a-z] \c and * + ? behind each of these, ^ at its beginning and $ at its end; the longest match of
   each part wins. Nothing here may become data: no strings, no tables, no initialised variables. */
#include <stdint.h>

typedef const unsigned char *bytes;

/* One part of a pattern: what it matches, and where the next begins. */
static bytes part_end(bytes p, bytes end)
{
    if (*p == '\\') return p + 2 <= end ? p + 2 : end;
    if (*p != '[') return p + 1;
    bytes at = p + 1;
    if (at < end && *at == '^') at++;
    if (at < end) at++;  /* the first may be a closing bracket */
    while (at < end && *at != ']') at++;
    return at < end ? at + 1 : end;
}

static int fits(bytes p, bytes end, unsigned char c)
{
    if (*p == '\\') return p + 1 < end && p[1] == c;
    if (*p == '.') return 1;
    if (*p != '[') return *p == c;
    bytes at = p + 1;
    const int negated = at < end && *at == '^';
    if (negated) at++;
    int found = 0;
    for (int first = 1; at < end && (first || *at != ']'); first = 0) {
        if (at + 2 < end && at[1] == '-' && at[2] != ']') {
            found |= c >= at[0] && c <= at[2];
            at += 3;
        } else {
            found |= c == *at++;
        }
    }
    return found != negated;
}

/* Where a match of [p, end) that begins at `text` ends, or null. Calls nest once per part of the pattern. */
static bytes match_here(bytes p, bytes end, bytes text, bytes text_end)
{
    if (p == end) return text;
    if (*p == '$' && p + 1 == end) return text == text_end ? text : 0;
    bytes after = part_end(p, end);
    const unsigned char times = after < end ? *after : 0;
    if (times != '*' && times != '+' && times != '?')
        return text < text_end && fits(p, end, *text) ? match_here(after, end, text + 1, text_end) : 0;
    bytes most = text;
    while (most < text_end && fits(p, end, *most) && (times != '?' || most == text)) most++;
    for (bytes least = times == '+' ? text + 1 : text; most >= least; most--) {
        bytes found = match_here(after + 1, end, most, text_end);
        if (found) return found;
    }
    return 0;
}

__attribute__((export_name("match"))) uint64_t match(
    bytes pattern, uint64_t pattern_bytes, bytes text, uint64_t text_bytes, uint64_t scratch, uint64_t scratch_bytes)
{
    (void)scratch, (void)scratch_bytes;
    bytes end = pattern + pattern_bytes, text_end = text + text_bytes;
    const int anchored = pattern_bytes > 0 && *pattern == '^';
    if (pattern_bytes > 256) __builtin_trap();  /* calls nest once per part: the stack has room for these */
    for (bytes at = text; at <= text_end; at++) {
        bytes found = match_here(pattern + anchored, end, at, text_end);
        if (found) return (uint64_t)(at - text) << 32 | (uint64_t)(found - text);
        if (anchored) break;
    }
    return ~(uint64_t)0;
}
