//! Engine settings that the C API of Wasmtime lacks.
use std::num::NonZeroUsize;
use wasmtime::Config;
use wasmtime_c_api::wasm_config_t;

/// `wasm_config_t` is `#[repr(C)]` with the one field `wasmtime::Config`.
unsafe fn config<'a>(c: *mut wasm_config_t) -> &'a mut Config {
    const { assert!(size_of::<wasm_config_t>() == size_of::<Config>()) };
    unsafe { &mut *c.cast::<Config>() }
}

/// Number of frames kept in trap backtraces; 0 turns them off.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn altiplano_config_backtrace_frames(c: *mut wasm_config_t, n: usize) {
    unsafe { config(c) }.wasm_backtrace_max_frames(NonZeroUsize::new(n));
}

/// 0 auto, 1 deferred reference counting, 2 null, 3 copying.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn altiplano_config_collector(c: *mut wasm_config_t, kind: u32) {
    use wasmtime::Collector::*;
    unsafe { config(c) }.collector(match kind { 1 => DeferredReferenceCounting, 2 => Null, 3 => Copying, _ => Auto });
}

/// Initial size of a store's GC heap (bytes); it is reserved through the host memory creator as well.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn altiplano_config_gc_heap(c: *mut wasm_config_t, reservation: u64, guard: u64, may_move: bool) {
    unsafe { config(c) }.gc_heap_reservation(reservation).gc_heap_guard_size(guard).gc_heap_may_move(may_move);
}
