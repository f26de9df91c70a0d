/* A process that uses the extension `regex`: spawn it with the tag Extension=<id of the extension>, then send `pattern|text`. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

__attribute__((import_module("regex"), import_name("match"))) uint64_t regex_match(const char *pattern, uint64_t pattern_bytes,
    const char *text, uint64_t text_bytes, void *scratch, uint64_t scratch_bytes);

static _Alignas(16) char scratch[65536];
static char answer[512];

const char *handle(const char *message, const char *env)
{
    (void)env;
    const char *data = strstr(message, "\"Data\":\"");
    const char *middle = data ? strchr(data += 8, '|') : NULL;
    const char *end = middle ? strchr(middle, '"') : NULL;
    char said[128] = "send pattern|text";
    if (end) {
        const uint64_t found = regex_match(data, (uint64_t)(middle - data), middle + 1, (uint64_t)(end - middle - 1), scratch, sizeof scratch);
        if (found == ~(uint64_t)0) snprintf(said, sizeof said, "no match");
        else snprintf(said, sizeof said, "from %u to %u", (unsigned)(found >> 32), (unsigned)found);
    }
    snprintf(answer, sizeof answer,
        "{\"ok\":true,\"response\":{\"Output\":{\"data\":\"%s\"},\"Messages\":[],\"Spawns\":[],\"Assignments\":[]}}", said);
    return answer;
}
