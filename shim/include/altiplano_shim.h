/* C interface of the Rust crate under shim/: what Wasmtime's own C API lacks, and BLAKE3. */
#ifndef ALTIPLANO_SHIM_H
#define ALTIPLANO_SHIM_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

/* BLAKE3 of `length` bytes into 32 bytes at `out`; keyed with 32 bytes at `key`, or plain when `key` is NULL. */
void altiplano_blake3(const uint8_t *bytes, size_t length, const uint8_t *key, uint8_t *out);

#ifdef __cplusplus
}
#endif
#endif
