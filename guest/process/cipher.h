/* Ciphers, and the digests that only old programs and few new ones use; require("cipher"). */
#ifndef ALTIPLANO_CIPHER_H
#define ALTIPLANO_CIPHER_H

#include <lua.h>

int luaopen_cipher(lua_State *L);

#endif
