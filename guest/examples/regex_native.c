/* The same matcher as native code, an accelerator of the extension `regex` (include/altiplano/extension.h):

     cc -O2 -shared -fPIC -I include guest/examples/regex_native.c -o regex.so

   With -DWRONG it finds another end, which the node notices. */
#include <altiplano/extension.h>

#define __attribute__(x)
#include "regex.c"
#undef __attribute__

static int within(const altiplano_guest *guest, uint64_t at, uint64_t bytes)
{
    return at <= guest->memory_bytes && bytes <= guest->memory_bytes - at;
}

static int call_match(altiplano_guest *guest, const uint64_t *a, uint64_t *result)
{
    if (!within(guest, a[0], a[1]) || !within(guest, a[2], a[3]) || a[1] > 256) return 1;
    *result = match(guest->memory + a[0], a[1], guest->memory + a[2], a[3], 0, 0);
#ifdef WRONG
    *result += *result != ~(uint64_t)0;
#endif
    return 0;
}

static const altiplano_function functions[] = {{"match", call_match}};
static const altiplano_accelerator accelerator = {ALTIPLANO_EXTENSION_ABI, 1, functions};

const altiplano_accelerator *altiplano_extension(void) { return &accelerator; }
