/* C interface of the Rust crate under shim/: what Wasmtime's own C API lacks, and BLAKE3. */
#ifndef ALTIPLANO_SHIM_H
#define ALTIPLANO_SHIM_H
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

/* BLAKE3 of `length` bytes into 32 bytes at `out`; keyed with 32 bytes at `key`, or plain when `key` is NULL. */
void altiplano_blake3(const uint8_t *bytes, size_t length, const uint8_t *key, uint8_t *out);
/* The same of `count` inputs of `length` bytes each, keyed, 32 bytes at `out` for each; side by side for 4096 and 512 bytes. */
void altiplano_blake3_many(const uint8_t *const *inputs, size_t count, size_t length, const uint8_t *key, uint8_t *out);

/* Settings of wasm_config_t that Wasmtime's C API lacks; see src/config.rs. */
struct wasm_config_t;
void altiplano_config_backtrace_frames(struct wasm_config_t *config, size_t frames);
void altiplano_config_collector(struct wasm_config_t *config, uint32_t kind);
void altiplano_config_gc_heap(struct wasm_config_t *config, uint64_t reservation, uint64_t guard, bool may_move);
void altiplano_config_inlining(struct wasm_config_t *config, bool on);
void altiplano_config_stack(struct wasm_config_t *config, size_t bytes);
void altiplano_config_operator_costs(struct wasm_config_t *config);

/* The rewriting pass; see src/rewrite.rs. Exactly one of `bytes` and `code` is not NULL; `code` is static. */
struct altiplano_rewritten {
    uint8_t *bytes;
    size_t bytes_length;
    const char *code;
    uint8_t *sentence;
    size_t sentence_length;
};
enum altiplano_kind {
    ALTIPLANO_GUEST,
    ALTIPLANO_METERED, /* a guest of one of AO's formats that meter */
    ALTIPLANO_REFERENCE, /* an extension's, which imports env.memory, its guest's */
    ALTIPLANO_UNCOUNTED /* a guest whose call depth nobody counts: for measuring what that costs, never for what is recorded */
};
enum altiplano_gas {
    ALTIPLANO_GAS_BY_MODULE, /* in the exported global altiplano:gas */
    ALTIPLANO_GAS_BY_ENGINE,
    ALTIPLANO_GAS_BY_NOBODY
};
/* `narrows`: whether a memory with 64-bit addresses that can stay under 4 GiB becomes one with 32-bit ones; altiplano:narrow is
   exported then. */
void altiplano_rewrite(const uint8_t *wasm, size_t length, enum altiplano_kind kind, enum altiplano_gas gas, bool narrows,
    struct altiplano_rewritten *out);
void altiplano_rewritten_free(struct altiplano_rewritten *result);
uint32_t altiplano_rewrite_version(void);
uint32_t altiplano_depth_limit(void);
/* More gas than that no message has. */
uint64_t altiplano_gas_max(void);

#ifdef __cplusplus
}
#endif
#endif
