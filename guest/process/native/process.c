/* Runs processes on this machine instead of in a guest, for tests: the same C and Lua, built natively.

     altiplano_process_test test FOLDER TEST.lua   a Lua test; it gets `native`, see below
     altiplano_process_test run FOLDER             lines of message and env by turns on stdin, answers on stdout

   FOLDER is lua/process, whose files stand for the embedded ones. */
#include "../bint.h"
#include "../cipher.h"
#include "../digest.h"
#include "../embedded.h"
#include "../json.h"

#include <dirent.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *handle(const char *message, const char *env);
#ifdef ALTIPLANO_LLAMA
int luaopen_llama(lua_State *L);
#endif

/* Filled when the program starts, so writable here and constant to everybody else. */
static struct altiplano_lua_file files[100];
extern const struct altiplano_lua_file altiplano_lua_files[100] __attribute__((alias("files")));

static void read_file(struct altiplano_lua_file *file, const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *stream = fopen(path, "rb");
    if (!stream) { perror(path); exit(2); }
    fseek(stream, 0, SEEK_END);
    const long length = ftell(stream);
    rewind(stream);
    unsigned char *bytes = malloc((size_t)length + 1);
    if (!bytes || fread(bytes, 1, (size_t)length, stream) != (size_t)length) { perror(path); exit(2); }
    fclose(stream);
    *file = (struct altiplano_lua_file){ strdup(name), bytes, (size_t)length };
}

static void read_files(const char *folder)
{
    DIR *directory = opendir(folder);
    if (!directory) { perror(folder); exit(2); }
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) && count < 99;) {
        const size_t length = strlen(entry->d_name);
        if (length > 4 && strcmp(entry->d_name + length - 4, ".lua") == 0) read_file(&files[count++], folder, entry->d_name);
    }
    closedir(directory);
}

extern lua_State *altiplano_state;

/* native.handle(message, env [, name]) -> text: JSON texts in, JSON text out, through the C door that the node calls.
   Each name is a process of its own. */
static int call_handle(lua_State *L)
{
    const char *message = luaL_checkstring(L, 1), *env = luaL_checkstring(L, 2), *name = luaL_optstring(L, 3, "");
    luaL_getsubtable(L, LUA_REGISTRYINDEX, "processes");
    lua_getfield(L, -1, name);
    altiplano_state = lua_touserdata(L, -1);
    lua_pop(L, 1);
    lua_pushstring(L, handle(message, env));
    lua_pushlightuserdata(L, altiplano_state);
    lua_setfield(L, -3, name);
    return 1;
}

static int run_test(const char *folder, const char *path)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    lua_getglobal(L, "package");
    lua_pushfstring(L, "%s/?.lua;%s/../tests/?.lua", folder, folder);
    lua_setfield(L, -2, "path");
    lua_settop(L, 0);
    luaL_requiref(L, "json", luaopen_json, 0);
    luaL_requiref(L, "bint", luaopen_bint, 0);
    luaL_requiref(L, "cipher", luaopen_cipher, 0);
    luaL_requiref(L, "digest", luaopen_digest, 0);
    lua_settop(L, 0);
#ifdef ALTIPLANO_LLAMA
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_llama);
    lua_setfield(L, -2, "llama");
#endif
    lua_newtable(L);
    lua_pushcfunction(L, call_handle);
    lua_setfield(L, -2, "handle");
    lua_setglobal(L, "native");
    if (luaL_dofile(L, path)) {
        fprintf(stderr, "not ok - %s: %s\n", path, lua_tostring(L, -1));
        return 1;
    }
    const int failed = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, "processes");
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        if (lua_touserdata(L, -1)) lua_close(lua_touserdata(L, -1));
    lua_close(L);
    return failed;
}

static int run_messages(void)
{
    char *message = NULL, *env = NULL;
    size_t message_bytes = 0, env_bytes = 0;
    while (getline(&message, &message_bytes, stdin) > 0 && getline(&env, &env_bytes, stdin) > 0) {
        printf("%s\n", handle(message, env));
        fflush(stdout);
    }
    free(message);
    free(env);
    return 0;
}

int main(int count, char **arguments)
{
    if (count == 4 && strcmp(arguments[1], "test") == 0) {
        read_files(arguments[2]);
        return run_test(arguments[2], arguments[3]);
    }
    if (count == 3 && strcmp(arguments[1], "run") == 0) {
        read_files(arguments[2]);
        return run_messages();
    }
    fprintf(stderr, "usage: %s test FOLDER TEST.lua | run FOLDER\n", arguments[0]);
    return 2;
}
