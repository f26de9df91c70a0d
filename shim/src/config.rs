//! Engine settings that the C API of Wasmtime lacks.
use std::num::NonZeroUsize;
use wasmtime::{Config, OperatorCost};
use wasmtime_c_api::wasm_config_t;

/// `wasm_config_t` is `#[repr(C)]` with the one field `wasmtime::Config`.
unsafe fn config<'a>(c: *mut wasm_config_t) -> &'a mut Config {
    const { assert!(size_of::<wasm_config_t>() == size_of::<Config>()) };
    unsafe { &mut *c.cast::<Config>() }
}

/// Number of frames kept in trap backtraces; 0 turns them off. A trace costs 12 us per trap and per throw.
///
/// # Safety
/// `c` is a live configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn altiplano_config_backtrace_frames(c: *mut wasm_config_t, n: usize) {
    unsafe { config(c) }.wasm_backtrace_max_frames(NonZeroUsize::new(n));
}

/// 0 auto, 1 deferred reference counting, 2 null, 3 copying. The null collector never frees an exception.
///
/// # Safety
/// `c` is a live configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn altiplano_config_collector(c: *mut wasm_config_t, kind: u32) {
    use wasmtime::Collector::*;
    unsafe { config(c) }.collector(match kind { 1 => DeferredReferenceCounting, 2 => Null, 3 => Copying, _ => Auto });
}

/// A store's GC heap, where exceptions live. It is asked of the host memory creator as well, who knows it by this
/// reservation.
///
/// # Safety
/// `c` is a live configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn altiplano_config_gc_heap(c: *mut wasm_config_t, reservation: u64, guard: u64, may_move: bool) {
    unsafe { config(c) }.gc_heap_reservation(reservation).gc_heap_guard_size(guard).gc_heap_may_move(may_move);
}

/// How much native stack guest code may use. Wasmtime wants its unused async stacks to be as large.
///
/// # Safety
/// `c` is a live configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn altiplano_config_stack(c: *mut wasm_config_t, bytes: usize) {
    unsafe { config(c) }.async_stack_size(bytes).max_wasm_stack(bytes);
}

/// Whether functions of a module are inlined into one another.
///
/// # Safety
/// `c` is a live configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn altiplano_config_inlining(c: *mut wasm_config_t, on: bool) {
    unsafe { config(c) }.compiler_inlining(if on { wasmtime::Inlining::Yes } else { wasmtime::Inlining::No });
}

/// What each operator costs: the gas schedule for guest code, part of the semantics version. The unit is about a
/// quarter of a nanosecond on the machines of 2026; what takes clearly longer costs more, so that no cheap operator
/// buys much time. Golden counts in src/vm/gas_test.cpp notice a change.
pub fn costs() -> OperatorCost {
    let mut c = OperatorCost::new(); // 1 each; nop, drop and plain control flow 0
    macro_rules! set { ($cost:literal: $($op:ident)*) => { $(c.$op = $cost;)* } }
    // Calls save and restore registers and count their depth; indirect ones compare a signature.
    set!(4: Call ReturnCall);
    set!(8: CallIndirect ReturnCallIndirect CallRef ReturnCallRef);
    // Divisions and roots; integer ones also check for zero and overflow.
    set!(8: I32DivS I32DivU I32RemS I32RemU I64DivS I64DivU I64RemS I64RemU F32Div F64Div F32Sqrt F64Sqrt
            F32x4Div F64x2Div F32x4Sqrt F64x2Sqrt);
    // Each result of float arithmetic is compared with itself, to make its NaN canonical.
    set!(2: F32Add F32Sub F32Mul F32Min F32Max F32Ceil F32Floor F32Trunc F32Nearest F32DemoteF64
            F64Add F64Sub F64Mul F64Min F64Max F64Ceil F64Floor F64Trunc F64Nearest F64PromoteF32
            F32x4Add F32x4Sub F32x4Mul F32x4Min F32x4Max F32x4Ceil F32x4Floor F32x4Trunc F32x4Nearest
            F64x2Add F64x2Sub F64x2Mul F64x2Min F64x2Max F64x2Ceil F64x2Floor F64x2Trunc F64x2Nearest
            F32x4DemoteF64x2Zero F64x2PromoteLowF32x4
            F32x4RelaxedMadd F32x4RelaxedNmadd F64x2RelaxedMadd F64x2RelaxedNmadd
            I16x8RelaxedDotI8x16I7x16S I32x4RelaxedDotI8x16I7x16AddS);
    // Library calls: entering them alone costs tens of nanoseconds. Bytes are charged on top.
    set!(40: MemoryCopy MemoryFill MemoryInit);
    // A throw allocates and unwinds, about a microsecond; growing enters the kernel.
    set!(255: Throw ThrowRef MemoryGrow);
    c.variable.memory_copy_per_byte = 1;
    c.variable.memory_fill_per_byte = 1;
    c.variable.memory_init_per_byte = 1;
    c.variable.memory_grow_per_page = 255;
    c
}

/// # Safety
/// `c` is a live configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn altiplano_config_operator_costs(c: *mut wasm_config_t) {
    unsafe { config(c) }.operator_cost(costs());
}
