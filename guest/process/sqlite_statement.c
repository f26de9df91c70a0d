/* The statements of require("lsqlite3"); see sqlite.c. */
#include "sqlite.h"

#include <lauxlib.h>
#include <sqlite3.h>
#include <stdbool.h>

static const char *const statement_type = "altiplano.sqlite.statement";

struct statement { sqlite3_stmt *handle; bool has_row; };

static struct statement *checked(lua_State *L, int at) { return luaL_checkudata(L, at, statement_type); }

static struct statement *opened(lua_State *L, int at)
{
    struct statement *statement = checked(L, at);
    if (!statement->handle) luaL_argerror(L, at, "this SQLite statement is finalized");
    return statement;
}

int altiplano_prepare(lua_State *L, int at, const char *sql, size_t length, const char **rest)
{
    at = lua_absindex(L, at);
    if (length > 1 << 30) return SQLITE_TOOBIG;
    const struct altiplano_database *database = altiplano_database(L, at);
    struct statement *statement = lua_newuserdata(L, sizeof *statement);
    *statement = (struct statement){ NULL, false };
    const int code = sqlite3_prepare_v2(database->handle, sql, (int)length, &statement->handle, rest);
    if (code != SQLITE_OK) {
        lua_pop(L, 1);
        return code;
    }
    luaL_setmetatable(L, statement_type);
    /* The statement keeps its database, which knows it without keeping it. */
    lua_pushvalue(L, at);
    lua_setuservalue(L, -2);
    lua_getuservalue(L, at);
    lua_pushvalue(L, -2);
    lua_pushboolean(L, true);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    return SQLITE_OK;
}

static int end(struct statement *statement)
{
    const int code = sqlite3_finalize(statement->handle);
    *statement = (struct statement){ NULL, false };
    return code;
}

void altiplano_finalize_all(lua_State *L, int at)
{
    lua_getuservalue(L, at);
    if (lua_istable(L, -1))
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) end(checked(L, -2));
    lua_pop(L, 1);
}

/* ---------------------------------------------------------------------------------------------------------- binding */

static int bind_at(lua_State *L, sqlite3_stmt *handle, int parameter, int at)
{
    size_t length;
    const char *text;
    switch (lua_type(L, at)) {
    case LUA_TNONE:
    case LUA_TNIL: return sqlite3_bind_null(handle, parameter);
    case LUA_TBOOLEAN: return sqlite3_bind_int(handle, parameter, lua_toboolean(L, at));
    case LUA_TNUMBER:
        if (lua_isinteger(L, at)) return sqlite3_bind_int64(handle, parameter, lua_tointeger(L, at));
        return sqlite3_bind_double(handle, parameter, lua_tonumber(L, at));
    case LUA_TSTRING:
        text = lua_tolstring(L, at, &length);
        return sqlite3_bind_text64(handle, parameter, text, length, SQLITE_TRANSIENT, SQLITE_UTF8);
    default: return luaL_error(L, "SQLite takes no %s as the parameter %d", luaL_typename(L, at), parameter);
    }
}

static int bind(lua_State *L)
{
    lua_pushinteger(L, bind_at(L, opened(L, 1)->handle, (int)luaL_checkinteger(L, 2), 3));
    return 1;
}

static int bind_blob(lua_State *L)
{
    size_t length;
    const int parameter = (int)luaL_checkinteger(L, 2);
    const char *bytes = luaL_checklstring(L, 3, &length);
    lua_pushinteger(L, sqlite3_bind_blob64(opened(L, 1)->handle, parameter, bytes, length, SQLITE_TRANSIENT));
    return 1;
}

static int bind_values(lua_State *L)
{
    sqlite3_stmt *const handle = opened(L, 1)->handle;
    const int wanted = sqlite3_bind_parameter_count(handle), given = lua_gettop(L) - 1;
    if (wanted != given) return luaL_error(L, "incorrect number of parameters to bind (%d given, %d to bind)", given, wanted);
    int code = SQLITE_OK;
    for (int i = 1; i <= wanted && code == SQLITE_OK; i++) code = bind_at(L, handle, i, i + 1);
    lua_pushinteger(L, code);
    return 1;
}

/* Parameters :name, $name and @name by their names; those without a name by their numbers. */
static int bind_names(lua_State *L)
{
    sqlite3_stmt *const handle = opened(L, 1)->handle;
    luaL_checktype(L, 2, LUA_TTABLE);
    int code = SQLITE_OK;
    for (int i = 1; i <= sqlite3_bind_parameter_count(handle) && code == SQLITE_OK; i++) {
        const char *const name = sqlite3_bind_parameter_name(handle, i);
        if (name && (*name == ':' || *name == '$' || *name == '@')) lua_pushstring(L, name + 1);
        else lua_pushinteger(L, i);
        lua_gettable(L, 2);
        code = bind_at(L, handle, i, -1);
        lua_pop(L, 1);
    }
    lua_pushinteger(L, code);
    return 1;
}

static int parameter_count(lua_State *L)
{
    lua_pushinteger(L, sqlite3_bind_parameter_count(opened(L, 1)->handle));
    return 1;
}

static int parameter_name(lua_State *L)
{
    lua_pushstring(L, sqlite3_bind_parameter_name(opened(L, 1)->handle, (int)luaL_checkinteger(L, 2)));
    return 1;
}

/* ---------------------------------------------------------------------------------------------------------- values */

static void push_column(lua_State *L, sqlite3_stmt *handle, int i)
{
    switch (sqlite3_column_type(handle, i)) {
    case SQLITE_INTEGER: lua_pushinteger(L, sqlite3_column_int64(handle, i)); break;
    case SQLITE_FLOAT: lua_pushnumber(L, sqlite3_column_double(handle, i)); break;
    case SQLITE_TEXT: {
        const char *const text = (const char *)sqlite3_column_text(handle, i);
        lua_pushlstring(L, text ? text : "", (size_t)sqlite3_column_bytes(handle, i));
        break;
    }
    case SQLITE_BLOB: {
        const char *const bytes = sqlite3_column_blob(handle, i);
        lua_pushlstring(L, bytes ? bytes : "", (size_t)sqlite3_column_bytes(handle, i));
        break;
    }
    default: lua_pushnil(L);
    }
}

static void push_name(lua_State *L, sqlite3_stmt *handle, int i) { lua_pushstring(L, sqlite3_column_name(handle, i)); }
static void push_type(lua_State *L, sqlite3_stmt *handle, int i) { lua_pushstring(L, sqlite3_column_decltype(handle, i)); }

typedef void push_what(lua_State *L, sqlite3_stmt *handle, int i);

static sqlite3_stmt *at_row(lua_State *L, struct statement *statement)
{
    if (!statement->has_row) luaL_error(L, "there is no row: step() did not give one");
    return statement->handle;
}

static int one(lua_State *L, sqlite3_stmt *handle, push_what push)
{
    const lua_Integer i = luaL_checkinteger(L, 2);
    if (i < 0 || i >= sqlite3_column_count(handle)) return luaL_error(L, "index out of range [0..%d]", sqlite3_column_count(handle) - 1);
    push(L, handle, (int)i);
    return 1;
}

static int list(lua_State *L, sqlite3_stmt *handle, push_what push)
{
    const int count = sqlite3_column_count(handle);
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        push(L, handle, i);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int named(lua_State *L, sqlite3_stmt *handle, push_what push)
{
    const int count = sqlite3_column_count(handle);
    lua_createtable(L, 0, count);
    for (int i = 0; i < count; i++) {
        push_name(L, handle, i);
        push(L, handle, i);
        lua_rawset(L, -3);
    }
    return 1;
}

static int unpacked(lua_State *L, sqlite3_stmt *handle, push_what push)
{
    const int count = sqlite3_column_count(handle);
    luaL_checkstack(L, count, "too many columns");
    for (int i = 0; i < count; i++) push(L, handle, i);
    return count;
}

static int columns(lua_State *L)
{
    lua_pushinteger(L, sqlite3_column_count(opened(L, 1)->handle));
    return 1;
}

static int get_value(lua_State *L) { return one(L, at_row(L, opened(L, 1)), push_column); }
static int get_name(lua_State *L) { return one(L, opened(L, 1)->handle, push_name); }
static int get_type(lua_State *L) { return one(L, opened(L, 1)->handle, push_type); }
static int get_values(lua_State *L) { return list(L, at_row(L, opened(L, 1)), push_column); }
static int get_names(lua_State *L) { return list(L, opened(L, 1)->handle, push_name); }
static int get_types(lua_State *L) { return list(L, opened(L, 1)->handle, push_type); }
static int get_named_values(lua_State *L) { return named(L, at_row(L, opened(L, 1)), push_column); }
static int get_named_types(lua_State *L) { return named(L, opened(L, 1)->handle, push_type); }
static int get_uvalues(lua_State *L) { return unpacked(L, at_row(L, opened(L, 1)), push_column); }
static int get_unames(lua_State *L) { return unpacked(L, opened(L, 1)->handle, push_name); }
static int get_utypes(lua_State *L) { return unpacked(L, opened(L, 1)->handle, push_type); }

/* ------------------------------------------------------------------------------------------------------------ steps */

static int step(lua_State *L)
{
    struct statement *statement = opened(L, 1);
    const int code = sqlite3_step(statement->handle);
    statement->has_row = code == SQLITE_ROW;
    lua_pushinteger(L, code);
    return 1;
}

static int reset(lua_State *L)
{
    struct statement *statement = opened(L, 1);
    statement->has_row = false;
    lua_pushinteger(L, sqlite3_reset(statement->handle));
    return 1;
}

static int finalize(lua_State *L)
{
    lua_pushinteger(L, end(checked(L, 1)));
    return 1;
}

static int is_open(lua_State *L)
{
    lua_pushboolean(L, checked(L, 1)->handle != NULL);
    return 1;
}

static int last_insert(lua_State *L)
{
    lua_pushinteger(L, sqlite3_last_insert_rowid(sqlite3_db_handle(opened(L, 1)->handle)));
    return 1;
}

static int describe(lua_State *L)
{
    const struct statement *statement = checked(L, 1);
    if (statement->handle) lua_pushfstring(L, "sqlite virtual machine (%p)", (const void *)statement->handle);
    else lua_pushliteral(L, "sqlite virtual machine (closed)");
    return 1;
}

/* -------------------------------------------------------------------------------------------------------- iterators */

/* Upvalues: the statement, and whether it ends with the iteration. The statement is not an argument of `for`, so that a loop may hold
   two of them. */
static int next_row(lua_State *L, int how)
{
    struct statement *statement = checked(L, lua_upvalueindex(1));
    if (!statement->handle) return 0;
    const int code = sqlite3_step(statement->handle);
    statement->has_row = code == SQLITE_ROW;
    if (code == SQLITE_ROW) {
        if (how == 'r') return list(L, statement->handle, push_column);
        if (how == 'n') return named(L, statement->handle, push_column);
        return unpacked(L, statement->handle, push_column);
    }
    if (code != SQLITE_DONE) {
        lua_pushstring(L, sqlite3_errmsg(sqlite3_db_handle(statement->handle)));
        if (lua_toboolean(L, lua_upvalueindex(2))) end(statement);
        return lua_error(L);
    }
    if (lua_toboolean(L, lua_upvalueindex(2))) end(statement);
    else sqlite3_reset(statement->handle);
    return 0;
}

static int next_list(lua_State *L) { return next_row(L, 'r'); }
static int next_named(lua_State *L) { return next_row(L, 'n'); }
static int next_unpacked(lua_State *L) { return next_row(L, 'u'); }

/* Pops the statement on top of the stack. */
static int push_iterator(lua_State *L, int how, bool ends)
{
    lua_pushboolean(L, ends);
    lua_pushcclosure(L, how == 'r' ? next_list : how == 'n' ? next_named : next_unpacked, 2);
    return 1;
}

int altiplano_iterate(lua_State *L, int how)
{
    const struct altiplano_database *database = altiplano_database(L, 1);
    size_t length;
    const char *sql = luaL_checklstring(L, 2, &length), *rest;
    if (altiplano_prepare(L, 1, sql, length, &rest) != SQLITE_OK) return luaL_error(L, "%s", sqlite3_errmsg(database->handle));
    return push_iterator(L, how, true);
}

static int iterate_again(lua_State *L, int how)
{
    opened(L, 1);
    lua_settop(L, 1);
    return push_iterator(L, how, false);
}

static int rows(lua_State *L) { return iterate_again(L, 'r'); }
static int named_rows(lua_State *L) { return iterate_again(L, 'n'); }
static int unpacked_rows(lua_State *L) { return iterate_again(L, 'u'); }

static const luaL_Reg methods[] = {
    { "bind", bind }, { "bind_blob", bind_blob }, { "bind_names", bind_names }, { "bind_parameter_count", parameter_count },
    { "bind_parameter_name", parameter_name }, { "bind_values", bind_values }, { "columns", columns }, { "data", get_values },
    { "finalize", finalize }, { "get_name", get_name }, { "get_named_types", get_named_types }, { "get_named_values", get_named_values },
    { "get_names", get_names }, { "get_type", get_type }, { "get_types", get_types }, { "get_unames", get_unames },
    { "get_utypes", get_utypes }, { "get_uvalues", get_uvalues }, { "get_value", get_value }, { "get_values", get_values },
    { "idata", get_values }, { "inames", get_names }, { "isopen", is_open }, { "itypes", get_types }, { "last_insert_rowid", last_insert },
    { "nrows", named_rows }, { "reset", reset }, { "rows", rows }, { "step", step }, { "type", get_named_types }, { "urows", unpacked_rows },
    { "__gc", finalize }, { "__tostring", describe }, { NULL, NULL },
};

void altiplano_register_statements(lua_State *L)
{
    luaL_newmetatable(L, statement_type);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
