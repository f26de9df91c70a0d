/* A process in C: counts the lines and bytes of the item that a message names in its data.

   Between messages only memory stays, so `asked` goes on counting. The answer is the JSON that the host wants; whatever is wrong is
   an answer with "ok": false, after which the memory is as it was before. */
#include <stdio.h>
#include <string.h>

#define ID_LENGTH 43

static char answer[512];
static int asked;

static const char *failed(const char *why)
{
    snprintf(answer, sizeof answer, "{\"ok\":false,\"response\":\"%s\"}", why);
    return answer;
}

/* Where the data of a message begins: the only member of that name that the host writes. */
static const char *data_of(const char *message)
{
    static const char name[] = "\"Data\":\"";
    const char *at = strstr(message, name);
    return at ? at + sizeof name - 1 : NULL;
}

const char *handle(const char *message, const char *env)
{
    (void)env;
    const char *id = data_of(message);
    if (!id || strcspn(id, "\"\\/") != ID_LENGTH) {
        snprintf(answer, sizeof answer,
            "{\"ok\":true,\"response\":{\"Output\":{\"data\":\"send the id of an item\"},\"Messages\":[],\"Spawns\":[],\"Assignments\":[]}}");
        return answer;
    }
    char path[64];
    snprintf(path, sizeof path, "/data/%.*s", ID_LENGTH, id);
    FILE *file = fopen(path, "rb");
    if (!file) return failed("the item is not there, or this process may not read it");
    long lines = 0, bytes = 0;
    for (int c; (c = getc(file)) != EOF; bytes++) lines += c == '\n';
    fclose(file);
    snprintf(answer, sizeof answer,
        "{\"ok\":true,\"response\":{\"Output\":{\"data\":\"%ld lines, %ld bytes, question %d\"},"
        "\"Messages\":[],\"Spawns\":[],\"Assignments\":[]}}",
        lines, bytes, ++asked);
    return answer;
}
