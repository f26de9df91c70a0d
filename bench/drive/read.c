/* The guest of `bench drive`: reads the file /data/A..A as its message says, `OFFSET LENGTH`, through one buffer, and answers a
   number made of the first word of every 4 KiB, which whoever reads the same bytes comes to as well. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char buffer[1 << 20];
static char answer[256];

static uint64_t mixed(uint64_t sum, long bytes)
{
    for (long at = 0; at + 4096 <= bytes; at += 4096) {
        uint64_t word;
        memcpy(&word, buffer + at, sizeof word);
        sum = sum * 31 + word;
    }
    return sum;
}

const char *handle(const char *message, const char *env)
{
    (void)env;
    static const char name[] = "\"Data\":\"";
    const char *data = strstr(message, name);
    char *rest = (char *)"";
    long offset = data ? strtol(data + sizeof name - 1, &rest, 10) : 0;
    long left = strtol(rest, NULL, 10);
    uint64_t sum = 0;
    if (left > 0) {
        int file = open("/data/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", O_RDONLY);
        if (file < 0 || lseek(file, offset, SEEK_SET) != offset) return "{\"ok\":false,\"response\":\"no file\"}";
        while (left > 0) {
            long got = read(file, buffer, left < (long)sizeof buffer ? (size_t)left : sizeof buffer);
            if (got <= 0) return "{\"ok\":false,\"response\":\"the file ended\"}";
            sum = mixed(sum, got);
            left -= got;
        }
        close(file);
    }
    snprintf(answer, sizeof answer,
        "{\"ok\":true,\"response\":{\"Output\":{\"data\":\"%lld\"},\"Messages\":[],\"Spawns\":[],\"Assignments\":[]}}",
        (long long)(sum >> 1));
    return answer;
}
