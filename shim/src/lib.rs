//! One static library for the rooms `vm` and `memory`: the C API of Wasmtime, the few engine settings that it lacks,
//! the rewriting pass over modules, and BLAKE3. Its C header is `include/altiplano_shim.h`.
pub use wasmtime_c_api::*;

mod config;
mod gas;
mod hash;
mod legacy;
mod meter;
mod narrow;
mod rewrite;
mod settled;
