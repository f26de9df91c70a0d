/* The Lua files of lua/process, as they lie in the module. The native test program has them from the folder instead. */
#ifndef ALTIPLANO_GUEST_EMBEDDED_H
#define ALTIPLANO_GUEST_EMBEDDED_H

#include <stddef.h>

struct altiplano_lua_file {
    const char *name;  /* relative to lua/process, "handlers.lua" */
    const unsigned char *bytes;
    size_t length;
};

/* Made by guest/toolchain/embed_lua; a null name ends the list. */
extern const struct altiplano_lua_file altiplano_lua_files[];

#endif
