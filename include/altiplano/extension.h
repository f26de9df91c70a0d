/* Native accelerators of extensions (docs/extensions.md, 5). C, no dependencies.

   An accelerator is a shared library that computes what an extension's reference module computes, faster. The operator of a node puts
   it there (`altiplano extension accelerate ID FILE`) and trusts it like the node itself: it runs in the worker processes, natively.
   The reference module stays what is right: the first calls of every worker and some of the later ones run both, and an accelerator that
   differs is dropped, with an alarm in the node's log, before its answer counts. */
#ifndef ALTIPLANO_EXTENSION_H
#define ALTIPLANO_EXTENSION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ALTIPLANO_EXTENSION_ABI 1

/* The guest that calls; lives for one call. Addresses in arguments are offsets into `memory`, which may only be read. */
typedef struct altiplano_guest {
    const uint8_t *memory;
    uint64_t memory_bytes;
    /* What the function writes, at the end of the call and in the order of the writes. @return 0, or 1: outside the memory or too much,
       after which the call must be left to the reference module */
    int (*write)(struct altiplano_guest *guest, uint64_t address, const void *bytes, uint64_t length);
} altiplano_guest;

/* @return 0 with *result set; anything else leaves the call to the reference module, which knows how it fails. May be called on
   several threads at once. Must check addresses and lengths: they are the guest's. */
typedef int (*altiplano_call)(altiplano_guest *guest, const uint64_t *arguments, uint64_t *result);

typedef struct altiplano_function {
    const char *name;
    altiplano_call call;
} altiplano_function;

typedef struct altiplano_accelerator {
    uint32_t abi;  /* ALTIPLANO_EXTENSION_ABI */
    uint32_t functions;
    const altiplano_function *function;  /* functions of the extension that it does not have run as wasm */
} altiplano_accelerator;

/* What the library exports. */
const altiplano_accelerator *altiplano_extension(void);

#ifdef __cplusplus
}
#endif
#endif
