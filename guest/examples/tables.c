/* A process that asks a database of the weave: SQLite as everybody has it, with its own way of reading files, opens /data/<id> like any file.
   A message's data is the id of the item, a space, and what to ask; the answer is the rows, values by `|`, rows by `;`. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define ID_LENGTH 43

static char answer[4096];
static size_t used;

static void put(const char *text)
{
    /* Only what JSON takes as it is. */
    for (; *text && used + 256 < sizeof answer; text++) answer[used++] = *text < ' ' || *text == '"' || *text == '\\' ? '?' : *text;
}

static int row(void *rows, int columns, char **values, char **names)
{
    (void)names;
    if ((*(int *)rows)++) put(";");
    for (int i = 0; i < columns; i++) {
        if (i) put("|");
        put(values[i] ? values[i] : "null");
    }
    return 0;
}

const char *handle(const char *message, const char *env)
{
    (void)env;
    static const char name[] = "\"Data\":\"";
    const char *data = strstr(message, name);
    data = data ? data + sizeof name - 1 : "";
    size_t length = strcspn(data, "\"\\");
    static const char before[] = "{\"ok\":true,\"response\":{\"Output\":{\"data\":\"";
    used = sizeof before - 1;
    memcpy(answer, before, used);
    if (length < ID_LENGTH + 2 || length > 1024) {
        put("send the id of an item and what to ask");
    } else {
        char path[128], question[1100];
        snprintf(path, sizeof path, "file:/data/%.*s?immutable=1", ID_LENGTH, data);
        snprintf(question, sizeof question, "%.*s", (int)length - ID_LENGTH - 1, data + ID_LENGTH + 1);
        sqlite3 *tables = NULL;
        int rows = 0;
        if (sqlite3_open_v2(path, &tables, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) != SQLITE_OK ||
            sqlite3_exec(tables, question, row, &rows, NULL) != SQLITE_OK)
            put(sqlite3_errmsg(tables));
        sqlite3_close(tables);
    }
    snprintf(answer + used, sizeof answer - used, "\"},\"Messages\":[],\"Spawns\":[],\"Assignments\":[]}}");
    return answer;
}
