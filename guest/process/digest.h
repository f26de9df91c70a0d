/* The Lua module `digest`: hashes and encodings of texts, texts in, texts out. */
#ifndef ALTIPLANO_GUEST_DIGEST_H
#define ALTIPLANO_GUEST_DIGEST_H

#include <lua.h>

int luaopen_digest(lua_State *L);

#endif
