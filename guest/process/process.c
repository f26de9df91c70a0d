/* A process: Lua 5.3, booted by the first message, and the Lua files of lua/process.

   The state between messages is linear memory, so the Lua state simply stays. Whatever goes wrong inside is an answer
   {"ok":false,...}; the host then puts the memory back to what it was before the message. */
#include "bint.h"
#include "cipher.h"
#include "digest.h"
#include "embedded.h"
#include "json.h"
#include "sqlite.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#ifdef ALTIPLANO_LLAMA
int luaopen_llama_engine(lua_State *L);
#endif

/* The one process of a module. Tests put others in its place, so that several live in one program. */
lua_State *altiplano_state;
static struct json_text result;

/* ---------------------------------------------------------------------------------------------------- modules */

static const struct altiplano_lua_file *find_file(const char *name, const char *ending)
{
    const size_t length = strlen(name);
    for (const struct altiplano_lua_file *file = altiplano_lua_files; file->name; file++)
        if (strncmp(file->name, name, length) == 0 && strcmp(file->name + length, ending) == 0) return file;
    return NULL;
}

/* The loader of ".handlers" gives what require("handlers") gives: programs written for aos use the name with a point. AO's
   module of models is ".Llama" beside "llama" (ao-protocol.md 7.3); here they are one. */
static int load_alias(lua_State *L)
{
    const char *name = lua_tostring(L, 1) + 1;
    lua_getglobal(L, "require");
    lua_pushstring(L, strcmp(name, "Llama") == 0 ? "llama" : name);
    lua_call(L, 1, 1);
    return 1;
}

static int search_files(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    if (name[0] == '.' && name[1] != '\0' && name[1] != '.') {
        lua_pushcfunction(L, load_alias);
        return 1;
    }
    const char *path = luaL_gsub(L, name, ".", "/");
    const struct altiplano_lua_file *file = find_file(path, ".lua");
    if (!file) file = find_file(path, "/init.lua");
    if (!file) {
        lua_pushfstring(L, "\n\tno file '%s.lua' in the module", path);
        return 1;
    }
    lua_pushfstring(L, "=%s", file->name);
    if (luaL_loadbuffer(L, (const char *)file->bytes, file->length, lua_tostring(L, -1)) != LUA_OK) return lua_error(L);
    lua_pushstring(L, file->name);
    return 2;
}

/* ------------------------------------------------------------------------------------------------- the library */

/* What a process cannot have answers as a failed call does in Lua: nil and the reason. */
static int unavailable(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "not available in a process");
    return 2;
}

/* Leaving the program would be a trap, which tells the sender nothing. */
static int refuse_exit(lua_State *L)
{
    return luaL_error(L, "os.exit is not available in a process");
}

static void replace(lua_State *L, const char *table, const char *name, lua_CFunction function)
{
    lua_getglobal(L, table);
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

static void preload(lua_State *L, const char *name, lua_CFunction open)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, open);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

static int boot(lua_State *L)
{
    luaL_openlibs(L);
    replace(L, "os", "execute", unavailable);
    replace(L, "os", "getenv", unavailable);
    replace(L, "os", "tmpname", unavailable);
    replace(L, "os", "exit", refuse_exit);
    replace(L, "io", "popen", unavailable);
    replace(L, "io", "tmpfile", unavailable);
    replace(L, "package", "loadlib", unavailable);

    /* Modules come from the preloaded ones and from the files in the module, from nowhere else. */
    lua_getglobal(L, "package");
    lua_createtable(L, 2, 0);
    lua_getfield(L, -2, "searchers");
    lua_rawgeti(L, -1, 1);
    lua_rawseti(L, -3, 1);
    lua_pop(L, 1);
    lua_pushcfunction(L, search_files);
    lua_rawseti(L, -2, 2);
    lua_setfield(L, -2, "searchers");
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "path");
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "cpath");
    lua_pop(L, 1);

    preload(L, "bint", luaopen_bint);
    preload(L, "cipher", luaopen_cipher);
    preload(L, "digest", luaopen_digest);
    preload(L, "json", luaopen_json);
    preload(L, "lsqlite3", luaopen_lsqlite3);
#ifdef ALTIPLANO_LLAMA
    preload(L, "llama_engine", luaopen_llama_engine);
#endif

    lua_getglobal(L, "require");
    lua_pushliteral(L, "runtime");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "handle");
    lua_setfield(L, LUA_REGISTRYINDEX, "altiplano.handle");
    return 0;
}

/* ---------------------------------------------------------------------------------------------------- messages */

struct call { const char *message, *env; };

static int handle_message(lua_State *L)
{
    const struct call *call = lua_touserdata(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "altiplano.handle");
    json_decode(L, call->message, strlen(call->message));
    luaL_checktype(L, -1, LUA_TTABLE);
    json_decode(L, call->env, strlen(call->env));
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_call(L, 2, 1);

    static const char before[] = "{\"ok\":true,\"response\":";
    result.length = 0;
    if (!json_reserve(&result, sizeof before)) return luaL_error(L, "not enough memory for the result");
    memcpy(result.bytes, before, sizeof before - 1);
    result.length = sizeof before - 1;
    json_encode(L, -1, &result);
    if (!json_reserve(&result, 2)) return luaL_error(L, "not enough memory for the result");
    memcpy(result.bytes + result.length, "}", 2);
    return 0;
}

static int describe(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TSTRING) luaL_tolstring(L, 1, NULL);
    return 1;
}

static const char *failure(const char *reason, size_t length)
{
    static const char before[] = "{\"ok\":false,\"response\":";
    result.length = 0;
    if (!json_reserve(&result, sizeof before)) goto no_memory;
    memcpy(result.bytes, before, sizeof before - 1);
    result.length = sizeof before - 1;
    if (!json_append_string(&result, reason, length) || !json_reserve(&result, 2)) goto no_memory;
    memcpy(result.bytes + result.length, "}", 2);
    return result.bytes;
no_memory:
    return "{\"ok\":false,\"response\":\"not enough memory\"}";
}

static const char *fail_with(lua_State *L)
{
    size_t length = 0;
    const char *reason = lua_tolstring(L, -1, &length);
    const char *text = failure(reason ? reason : "an error that is not text", reason ? length : 25);
    lua_settop(L, 0);
    return text;
}

/* Evaluates one message. Both texts are JSON that ends with a zero byte, and stay the caller's.
   The answer is ours until the next call. */
const char *handle(const char *message, const char *env);
const char *handle(const char *message, const char *env)
{
    json_clear(&result);
    if (!altiplano_state) {
        lua_State *L = luaL_newstate();
        if (!L) return failure("not enough memory", 17);
        lua_pushcfunction(L, boot);
        if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
            const char *text = fail_with(L);
            lua_close(L);
            return text;
        }
        altiplano_state = L;
    }

    struct call call = { message, env };
    lua_settop(altiplano_state, 0);
    lua_pushcfunction(altiplano_state, describe);
    lua_pushcfunction(altiplano_state, handle_message);
    lua_pushlightuserdata(altiplano_state, &call);
    if (lua_pcall(altiplano_state, 1, 0, 1) != LUA_OK) return fail_with(altiplano_state);
    lua_settop(altiplano_state, 0);
    return result.bytes;
}
