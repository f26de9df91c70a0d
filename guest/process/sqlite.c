/* The databases of require("lsqlite3"): names, arguments and answers are those of LuaSQLite 3, which AO's sqlite module carries, so
   that programs for it run unchanged. A database lives in the memory of the process: it is state like a Lua table, kept between messages
   and put back when one fails. There are no files.

   By hand, since the binding is not in a package that our sysroot could take; SQLite itself is (sources.lock). */
#include "sqlite.h"

#include <lauxlib.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>

static const char *const database_type = "altiplano.sqlite.database";

static struct altiplano_database *checked(lua_State *L, int at) { return luaL_checkudata(L, at, database_type); }

struct altiplano_database *altiplano_database(lua_State *L, int at)
{
    struct altiplano_database *database = checked(L, at);
    if (!database->handle) luaL_argerror(L, at, "this SQLite database is closed");
    return database;
}

/* --------------------------------------------------------------------------------------------------- opening, closing */

static int open_memory(lua_State *L)
{
    struct altiplano_database *database = lua_newuserdata(L, sizeof *database);
    database->handle = NULL;
    luaL_setmetatable(L, database_type);
    /* Its statements, so that closing it ends them: keys are weak. */
    lua_newtable(L);
    luaL_getmetatable(L, "altiplano.sqlite.weak");
    lua_setmetatable(L, -2);
    lua_setuservalue(L, -2);
    const int code = sqlite3_open_v2(":memory:", &database->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (code == SQLITE_OK) return 1;
    sqlite3_close_v2(database->handle);
    database->handle = NULL;
    lua_pushnil(L);
    lua_pushinteger(L, code);
    lua_pushstring(L, sqlite3_errstr(code));
    return 3;
}

static int open_database(lua_State *L)
{
    const char *name = luaL_optstring(L, 1, ":memory:");
    if (strcmp(name, ":memory:") == 0 || *name == '\0') return open_memory(L);
    lua_pushnil(L);
    lua_pushinteger(L, SQLITE_CANTOPEN);
    lua_pushliteral(L, "a process has no files: open_memory() gives a database that is kept with it");
    return 3;
}

static int close_database(lua_State *L)
{
    struct altiplano_database *database = checked(L, 1);
    if (database->handle) {
        altiplano_finalize_all(L, 1);
        sqlite3_close_v2(database->handle);
        database->handle = NULL;
    }
    lua_pushinteger(L, SQLITE_OK);
    return 1;
}

static int close_statements(lua_State *L)
{
    altiplano_database(L, 1);
    altiplano_finalize_all(L, 1);
    return 0;
}

static int describe(lua_State *L)
{
    const struct altiplano_database *database = checked(L, 1);
    if (database->handle) lua_pushfstring(L, "sqlite database (%p)", (const void *)database->handle);
    else lua_pushliteral(L, "sqlite database (closed)");
    return 1;
}

static int is_open(lua_State *L)
{
    lua_pushboolean(L, checked(L, 1)->handle != NULL);
    return 1;
}

/* -------------------------------------------------------------------------------------------------------- execution */

/* A row of exec: calls fn(udata, count, values, names). An error of Lua must not jump over SQLite's frames: it is kept and
   raised when exec has returned. */
struct row_call { lua_State *L; int failed; };

static int each_row(void *context, int count, char **values, char **names)
{
    struct row_call *call = context;
    lua_State *L = call->L;
    lua_pushvalue(L, 3);
    lua_pushvalue(L, 4);
    lua_pushinteger(L, count);
    lua_createtable(L, count, 0);
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_pushstring(L, values[i]);
        lua_rawseti(L, -3, i + 1);
        lua_pushstring(L, names[i]);
        lua_rawseti(L, -2, i + 1);
    }
    if (lua_pcall(L, 4, 1, 0) != LUA_OK) {
        call->failed = 1;
        return 1;
    }
    const int stop = lua_isinteger(L, -1) ? (int)lua_tointeger(L, -1) : 0;
    lua_pop(L, 1);
    return stop;
}

static int execute(lua_State *L)
{
    const struct altiplano_database *database = altiplano_database(L, 1);
    const char *sql = luaL_checkstring(L, 2);
    struct row_call call = { L, 0 };
    const bool rows = !lua_isnoneornil(L, 3);
    if (rows) luaL_checktype(L, 3, LUA_TFUNCTION);
    lua_settop(L, 4);
    const int code = sqlite3_exec(database->handle, sql, rows ? each_row : NULL, &call, NULL);
    if (call.failed) return lua_error(L);
    lua_pushinteger(L, code);
    return 1;
}

static int prepare(lua_State *L)
{
    altiplano_database(L, 1);
    size_t length;
    const char *sql = luaL_checklstring(L, 2, &length), *rest = sql;
    const int code = altiplano_prepare(L, 1, sql, length, &rest);
    if (code != SQLITE_OK) {
        lua_pushnil(L);
        lua_pushinteger(L, code);
        return 2;
    }
    lua_pushlstring(L, rest, length - (size_t)(rest - sql));
    return 2;
}

static int rows(lua_State *L) { return altiplano_iterate(L, 'r'); }
static int named_rows(lua_State *L) { return altiplano_iterate(L, 'n'); }
static int unpacked_rows(lua_State *L) { return altiplano_iterate(L, 'u'); }

/* -------------------------------------------------------------------------------------------------------- questions */

static int changes(lua_State *L)
{
    lua_pushinteger(L, sqlite3_changes(altiplano_database(L, 1)->handle));
    return 1;
}

static int total_changes(lua_State *L)
{
    lua_pushinteger(L, sqlite3_total_changes(altiplano_database(L, 1)->handle));
    return 1;
}

static int last_insert(lua_State *L)
{
    lua_pushinteger(L, sqlite3_last_insert_rowid(altiplano_database(L, 1)->handle));
    return 1;
}

static int error_code(lua_State *L)
{
    lua_pushinteger(L, sqlite3_errcode(altiplano_database(L, 1)->handle));
    return 1;
}

static int error_message(lua_State *L)
{
    lua_pushstring(L, sqlite3_errmsg(altiplano_database(L, 1)->handle));
    return 1;
}

/* Nobody else uses the database, and nobody interrupts: these hold for callers that set them. */
static int nothing(lua_State *L)
{
    altiplano_database(L, 1);
    return 0;
}

/* ------------------------------------------------------------------------------------------ functions written in Lua */

struct lua_function { lua_State *L; int reference; };

static void drop_function(void *context)
{
    struct lua_function *function = context;
    luaL_unref(function->L, LUA_REGISTRYINDEX, function->reference);
    sqlite3_free(function);
}

static void push_value(lua_State *L, sqlite3_value *value)
{
    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER: lua_pushinteger(L, sqlite3_value_int64(value)); break;
    case SQLITE_FLOAT: lua_pushnumber(L, sqlite3_value_double(value)); break;
    case SQLITE_TEXT: lua_pushlstring(L, (const char *)sqlite3_value_text(value), (size_t)sqlite3_value_bytes(value)); break;
    case SQLITE_BLOB: lua_pushlstring(L, sqlite3_value_blob(value), (size_t)sqlite3_value_bytes(value)); break;
    default: lua_pushnil(L);
    }
}

static void give_result(lua_State *L, sqlite3_context *context)
{
    switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN: sqlite3_result_int(context, lua_toboolean(L, -1)); break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, -1)) sqlite3_result_int64(context, lua_tointeger(L, -1));
        else sqlite3_result_double(context, lua_tonumber(L, -1));
        break;
    case LUA_TSTRING: {
        size_t length;
        const char *text = lua_tolstring(L, -1, &length);
        sqlite3_result_text64(context, text, length, SQLITE_TRANSIENT, SQLITE_UTF8);
        break;
    }
    default: sqlite3_result_null(context);
    }
}

/* fn(values...) -> value. LuaSQLite hands in a context whose result_* methods are called; both ways are understood: the first
   argument is a table with those methods, and what the function returns counts when none was called. */
static int set_result(lua_State *L)
{
    lua_settop(L, 2);
    lua_setfield(L, 1, "value");
    return 0;
}

static void call_function(sqlite3_context *context, int count, sqlite3_value **values)
{
    const struct lua_function *function = sqlite3_user_data(context);
    lua_State *L = function->L;
    const int top = lua_gettop(L);
    if (!lua_checkstack(L, count + 8)) return sqlite3_result_error_nomem(context);
    lua_newtable(L);
    static const char *const methods[] = { "result", "result_null", "result_number", "result_double", "result_int", "result_text", "result_blob" };
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        lua_pushcfunction(L, set_result);
        lua_setfield(L, top + 1, methods[i]);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, function->reference);
    lua_pushvalue(L, top + 1);
    for (int i = 0; i < count; i++) push_value(L, values[i]);
    if (lua_pcall(L, count + 1, 1, 0) != LUA_OK) {
        const char *reason = lua_tostring(L, -1);
        sqlite3_result_error(context, reason ? reason : "an error that is not text", -1);
    } else {
        if (lua_isnil(L, -1)) lua_getfield(L, top + 1, "value");
        give_result(L, context);
    }
    lua_settop(L, top);
}

static int create_function(lua_State *L)
{
    const struct altiplano_database *database = altiplano_database(L, 1);
    const char *name = luaL_checkstring(L, 2);
    const int arguments = (int)luaL_checkinteger(L, 3);
    luaL_checktype(L, 4, LUA_TFUNCTION);
    struct lua_function *function = sqlite3_malloc(sizeof *function);
    if (!function) return luaL_error(L, "not enough memory");
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    function->L = lua_tothread(L, -1);
    lua_pushvalue(L, 4);
    function->reference = luaL_ref(L, LUA_REGISTRYINDEX);
    const int code = sqlite3_create_function_v2(database->handle, name, arguments, SQLITE_UTF8, function, call_function, NULL, NULL, drop_function);
    lua_pushboolean(L, code == SQLITE_OK);
    return 1;
}

/* ------------------------------------------------------------------------------------------------------- the library */

static int complete(lua_State *L)
{
    lua_pushboolean(L, sqlite3_complete(luaL_checkstring(L, 1)));
    return 1;
}

static int version(lua_State *L)
{
    lua_pushstring(L, sqlite3_libversion());
    return 1;
}

static const luaL_Reg database_methods[] = {
    { "busy_handler", nothing }, { "busy_timeout", nothing }, { "changes", changes }, { "close", close_database },
    { "close_vm", close_statements }, { "create_function", create_function }, { "errcode", error_code }, { "error_code", error_code },
    { "errmsg", error_message }, { "error_message", error_message }, { "exec", execute }, { "execute", execute }, { "interrupt", nothing },
    { "isopen", is_open }, { "last_insert_rowid", last_insert }, { "nrows", named_rows }, { "prepare", prepare }, { "rows", rows },
    { "total_changes", total_changes }, { "urows", unpacked_rows }, { "__gc", close_database }, { "__tostring", describe }, { NULL, NULL },
};

static const luaL_Reg functions[] = {
    { "complete", complete }, { "lversion", version }, { "open", open_database }, { "open_memory", open_memory }, { "version", version },
    { NULL, NULL },
};

static const struct { const char *name; int value; } constants[] = {
    { "OK", SQLITE_OK }, { "ERROR", SQLITE_ERROR }, { "INTERNAL", SQLITE_INTERNAL }, { "PERM", SQLITE_PERM }, { "ABORT", SQLITE_ABORT },
    { "BUSY", SQLITE_BUSY }, { "LOCKED", SQLITE_LOCKED }, { "NOMEM", SQLITE_NOMEM }, { "READONLY", SQLITE_READONLY },
    { "INTERRUPT", SQLITE_INTERRUPT }, { "IOERR", SQLITE_IOERR }, { "CORRUPT", SQLITE_CORRUPT }, { "NOTFOUND", SQLITE_NOTFOUND },
    { "FULL", SQLITE_FULL }, { "CANTOPEN", SQLITE_CANTOPEN }, { "PROTOCOL", SQLITE_PROTOCOL }, { "EMPTY", SQLITE_EMPTY },
    { "SCHEMA", SQLITE_SCHEMA }, { "TOOBIG", SQLITE_TOOBIG }, { "CONSTRAINT", SQLITE_CONSTRAINT }, { "MISMATCH", SQLITE_MISMATCH },
    { "MISUSE", SQLITE_MISUSE }, { "NOLFS", SQLITE_NOLFS }, { "FORMAT", SQLITE_FORMAT }, { "RANGE", SQLITE_RANGE },
    { "NOTADB", SQLITE_NOTADB }, { "ROW", SQLITE_ROW }, { "DONE", SQLITE_DONE }, { "INTEGER", SQLITE_INTEGER }, { "FLOAT", SQLITE_FLOAT },
    { "TEXT", SQLITE_TEXT }, { "BLOB", SQLITE_BLOB }, { "NULL", SQLITE_NULL }, { "OPEN_READONLY", SQLITE_OPEN_READONLY },
    { "OPEN_READWRITE", SQLITE_OPEN_READWRITE }, { "OPEN_CREATE", SQLITE_OPEN_CREATE },
};

int luaopen_lsqlite3(lua_State *L)
{
    luaL_newmetatable(L, "altiplano.sqlite.weak");
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    luaL_newmetatable(L, database_type);
    luaL_setfuncs(L, database_methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    altiplano_register_statements(L);
    luaL_newlib(L, functions);
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        lua_pushinteger(L, constants[i].value);
        lua_setfield(L, -2, constants[i].name);
    }
    return 1;
}
