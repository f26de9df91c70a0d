/* SQLite for programs in a process, under the name and with the calls that programs for aos know: require("lsqlite3"). */
#ifndef ALTIPLANO_SQLITE_H
#define ALTIPLANO_SQLITE_H

#include <lua.h>

int luaopen_lsqlite3(lua_State *L);

/* What a database and its statements share; sqlite.c has databases, sqlite_statement.c statements. */
struct sqlite3;
struct sqlite3_stmt;
struct sqlite3_value;

struct altiplano_database { struct sqlite3 *handle; };

struct altiplano_database *altiplano_database(lua_State *L, int at); /* open, or an error of Lua */
void altiplano_register_statements(lua_State *L);
/* Makes a statement of the database at `at` and pushes it; on an error pushes nothing and returns SQLite's code.
   `rest` is where the SQL after it begins. */
int altiplano_prepare(lua_State *L, int at, const char *sql, size_t length, const char **rest);
void altiplano_finalize_all(lua_State *L, int at);
/* One of db:rows, db:nrows, db:urows: pushes the iterator over a new statement. `how` is 'r', 'n' or 'u'. */
int altiplano_iterate(lua_State *L, int how);

#endif
