/* JSON between a process and the world: the codec behind handle() and behind the Lua module `json`.

   Strings are bytes. Everything from 0x80 up passes unchanged in both directions, because the data of a message may be
   binary; control characters travel as \u00XX. Integers stay integers as Lua 5.3 knows them. */
#ifndef ALTIPLANO_GUEST_JSON_H
#define ALTIPLANO_GUEST_JSON_H

#include <lua.h>
#include <stddef.h>

/* Bytes under construction. There are a few of them, all static, because a Lua error leaves C without cleaning up:
   what is static cannot leak. */
struct json_text {
    char *bytes;
    size_t length, capacity;
};

/* Pushes the value that `text` stands for. Raises a Lua error "json: ... at byte N" for anything that is not JSON or is
   nested deeper than 200 levels. */
void json_decode(lua_State *L, const char *text, size_t length);

/* Appends the value at `index`. Raises a Lua error for what JSON has no form for: functions, userdata, infinities, tables
   with mixed keys, more than 200 levels (so cycles as well). Keys of objects come out sorted by their bytes. */
void json_encode(lua_State *L, int index, struct json_text *to);

/* Both need no Lua state. json_reserve answers 0 when there is no memory. */
int json_reserve(struct json_text *to, size_t more);
int json_append_string(struct json_text *to, const char *bytes, size_t length);

/* Keeps one large message from occupying the memory of all later ones. */
void json_clear(struct json_text *text);

/* The Lua module: json.encode(value) -> text, json.decode(text) -> value. */
int luaopen_json(lua_State *L);

#endif
