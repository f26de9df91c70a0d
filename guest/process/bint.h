/* The Lua module `bint`: bint(bits) -> the class of integers of that width. */
#ifndef ALTIPLANO_GUEST_BINT_H
#define ALTIPLANO_GUEST_BINT_H

#include <lua.h>

int luaopen_bint(lua_State *L);

#endif
