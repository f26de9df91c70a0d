//! The rewriting pass: every module goes through it before compilation, so that nothing of the host decides an outcome
//! and nothing is state but linear memory and exposed globals.
//!
//! It refuses what would hide state or depend on the host (each refusal has a stable code), and it changes four things:
//! 1. Call depth is counted in logical bytes and limited. Native frames differ by CPU and engine version, so the native
//!    stack must never be what ends a recursion. Each function that calls others adds its weight to a global on entry,
//!    compares, and restores the global on every way out; after a catch it is set again from a local.
//! 2. Mutable globals are exported as `altiplano:global:N`, memory 0 as `altiplano:memory`, the counter as
//!    `altiplano:depth`.
//! 3. Active data segments become passive ones, written by the exported function `altiplano:data`: a restored machine
//!    instantiates without touching its memory.
//! 4. The start function is exported as `altiplano:start` instead of running at instantiation.
//! 5. Before memory.copy, memory.fill and memory.init write, the import `altiplano.check_write` is asked whenever the
//!    global `altiplano:mapped` says that the machine has mapped (read-only) ranges. The engine does these in library
//!    calls, where a write to a read-only page would be a crash and not a trap.
//! 6. An ask for more memory than any state may have gives -1 and is not paid by the page: the engine takes the gas of
//!    memory.grow before it looks whether there is room.
//! 7. For AO's formats that meter, a counter is kept as AO's loader keeps it: see `meter.rs`. It is `altiplano:meter`, starts
//!    at what the message may use and must not fall below 0.
//! Before all that, legacy exceptions are translated: see `legacy.rs`. After it, a second pass leaves out what never runs
//! (`settled.rs`) and makes the module count its gas (`gas.rs`), and a third may put 64-bit addresses on a memory with 32-bit ones
//! (`narrow.rs`).
//!
//! A reference module (of an extension) goes through it as well. It alone imports its memory, which is the guest's, and may have
//! no data, no start function and no other import.
//!
//! The output is a function of the input, of its kind, of who counts gas, of whether it narrows, and of REWRITE_VERSION alone. Tested
//! from C++ (src/vm/rewrite_test.cpp): a test build of this crate would unwind on panics and so compile Wasmtime a second time.
use std::collections::{HashMap, HashSet};
use wasm_encoder::reencode::Reencode;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction, MemorySection, Module, TableSection, TagSection,
    TypeSection, ValType,
};
use wasmparser::{Catch, DataKind, FunctionBody, Operator, Parser, Payload, TypeRef, Validator, WasmFeatures};

/// Part of the semantics version and of the key of compiled artefacts: raised by every change of the output.
pub const REWRITE_VERSION: u32 = 6;

/// How many logical bytes of frames may be open. Native code gets a stack three times as large (src/vm/stack.hpp).
pub const DEPTH_LIMIT: u32 = 32 << 20;
/// Wasm pages that a memory may have: what 32 bits can address; with 64, what a state root covers, 1 TiB (src/memory/region.hpp).
const PAGES_MAX: [i64; 2] = [65536, 1 << 24];
/// A function that calls nothing is not counted when it weighs at most this: only one such frame can be open.
const LEAF_WEIGHT_MAX: u32 = 64 << 10;
/// Wasmtime accepts 50,000 locals and bodies of 7,654,321 bytes; the margin is what we inject.
const LOCALS_MAX: u32 = 49_000;
const BODY_BYTES_MAX: usize = 6_000_000;
const EXPOSED_GLOBALS_MAX: usize = 1_000;

/// A table this large costs 16 MB; none grows, since table mutation is refused.
const TABLE_ENTRIES_MAX: u64 = 1_000_000;

const PREFIX: &str = "altiplano:";
const CHECK_WRITE: &str = "check_write";
/// Told of an ask for more memory than a narrow module can have (`narrow.rs`).
pub const REFUSE_GROWTH: &str = "refuse_growth";
/// Wasm pages of a narrow memory: so few that neither an address nor a length of 2^32 lies in it.
pub const NARROW_PAGES_MAX: u64 = 65535;

/// What a module is to its host; `altiplano_kind` in C.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "C makes them")]
pub enum Kind {
    Guest,
    /// A guest of one of AO's formats that meter.
    Metered,
    Reference,
    /// A guest whose call depth nobody counts: for measuring what counting costs, never for what is recorded.
    Uncounted,
}

/// Who counts gas; `altiplano_gas` in C.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "C makes them")]
pub enum Gas {
    ByModule,
    /// The engine, as its fuel: it then counts the code as it was, of which nothing goes.
    ByEngine,
    Nobody,
}

pub struct Refusal {
    pub code: &'static std::ffi::CStr,
    pub sentence: String,
}

macro_rules! refuse_ {
    ($code:expr, $($sentence:tt)*) => { return Err($crate::rewrite::Refusal { code: $code, sentence: format!($($sentence)*) }) };
}
pub(crate) use refuse_ as refuse;

impl From<wasmparser::Error> for Refusal {
    fn from(e: wasmparser::Error) -> Self {
        Refusal { code: c"module.invalid", sentence: e.to_string() }
    }
}
impl From<wasm_encoder::reencode::Error> for Refusal {
    fn from(e: wasm_encoder::reencode::Error) -> Self {
        Refusal { code: c"module.invalid", sentence: e.to_string() }
    }
}

/// What a module may use. The engine is configured to the same list (src/vm/engine.cpp).
fn accepted() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::SIMD
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::FLOATS
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::MEMORY64
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::GC_TYPES
}

/// Features that are not accepted, with the code that names each.
const REFUSED: [(WasmFeatures, &std::ffi::CStr, &str); 9] = [
    (WasmFeatures::LEGACY_EXCEPTIONS, c"module.legacy_exceptions", "uses legacy exceptions; translate them to exnref (binaryen: wasm-opt --translate-to-exnref)"),
    (WasmFeatures::THREADS, c"module.threads", "uses threads (atomics or shared memory)"),
    (WasmFeatures::SHARED_EVERYTHING_THREADS, c"module.threads", "uses shared-everything threads"),
    (WasmFeatures::MULTI_MEMORY, c"module.multi_memory", "has several memories"),
    (WasmFeatures::GC, c"module.feature", "uses garbage-collected types, whose objects would be state outside memory"),
    (WasmFeatures::CUSTOM_PAGE_SIZES, c"module.feature", "uses custom page sizes"),
    (WasmFeatures::STACK_SWITCHING, c"module.feature", "uses stack switching"),
    (WasmFeatures::WIDE_ARITHMETIC, c"module.feature", "uses wide arithmetic"),
    (WasmFeatures::MEMORY_CONTROL, c"module.feature", "uses memory control"),
];

fn validates(wasm: &[u8], features: WasmFeatures) -> Result<(), wasmparser::Error> {
    Validator::new_with_features(features).validate_all(wasm).map(|_| ())
}

fn check(wasm: &[u8]) -> Result<(), Refusal> {
    if wasm.len() < 8 || &wasm[..4] != b"\0asm" {
        refuse!(c"module.not_wasm", "the module does not begin with the eight bytes of a wasm header");
    }
    if wasm[6..8] == [1, 0] {
        refuse!(c"module.component", "the module is a component; only core modules are run");
    }
    let Err(error) = validates(wasm, accepted()) else { return Ok(()) };
    let all = REFUSED.iter().fold(accepted(), |all, (feature, ..)| all | *feature);
    if validates(wasm, all).is_ok() {
        for (feature, code, what) in REFUSED {
            if validates(wasm, all.difference(feature)).is_err() {
                refuse!(code, "the module {what}: {error}");
            }
        }
    }
    Err(error.into())
}

/// What the first walk over a valid module finds.
#[derive(Default)]
struct Found<'a> {
    function_types: HashMap<u32, (usize, Vec<wasmparser::ValType>)>, // type index -> parameter count, results
    types: u32,
    functions: Vec<u32>, // type index of each function, imported ones first
    imported_functions: u32,
    memories: u32,
    memory64: bool,
    imports_memory: bool,
    bulk: bool, // some function writes with memory.copy, memory.fill or memory.init
    globals: u32,
    exposed: Vec<u32>,
    start: Option<u32>,
    active: Vec<(u32, wasmparser::ConstExpr<'a>, usize)>, // segment, offset, bytes
    segments: u32,
    bodies: Vec<Body<'a>>,
}

struct Body<'a> {
    body: FunctionBody<'a>,
    locals: u32, // parameters included
    weight: u32,
    counted: bool,
    bulk: bool,
    grows: bool,
    /// Where a stretch begins, as the ordinal of an instruction, and what AO's loader counts for it.
    metered: Vec<(u32, i64)>,
    /// Ordinals of `loop`s that are the target of a catch clause: there the counter is set again at the start.
    caught_loops: HashSet<u32>,
    multi_result: bool,
}

fn find<'a>(wasm: &'a [u8], kind: Kind) -> Result<Found<'a>, Refusal> {
    let mut found = Found::default();
    let mut init_uses: Vec<(u32, usize)> = Vec::new();
    let mut code_index = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(section) => {
                for group in section {
                    for sub in group?.into_types() {
                        if let wasmparser::CompositeInnerType::Func(f) = &sub.composite_type.inner {
                            found.function_types.insert(found.types, (f.params().len(), f.results().to_vec()));
                        }
                        found.types += 1;
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports_with_offsets() {
                    let (offset, import) = import?;
                    match import.ty {
                        TypeRef::Func(_) if import.module == "altiplano" && [CHECK_WRITE, REFUSE_GROWTH].contains(&import.name) => refuse!(c"module.reserved_name",
                            "the module imports altiplano.{} (offset {offset:#x}), which is reserved", import.name),
                        TypeRef::Memory(memory) if kind == Kind::Reference && import.module == "env" && import.name == "memory" => {
                            found.memory64 = memory.memory64;
                            found.memories += 1;
                            found.imports_memory = true;
                        }
                        _ if kind == Kind::Reference => refuse!(c"module.imported_state",
                            "a reference module imports {}.{} (offset {offset:#x}), which is not the guest's memory", import.module, import.name),
                        TypeRef::Func(ty) => {
                            found.functions.push(ty);
                            found.imported_functions += 1;
                        }
                        TypeRef::Memory(_) => refuse!(c"module.imported_memory",
                            "the module imports its memory ({}.{}, offset {offset:#x}); it must define and export it", import.module, import.name),
                        _ => refuse!(c"module.imported_state",
                            "the module imports {}.{} (offset {offset:#x}), which is not a function", import.module, import.name),
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    found.functions.push(ty?);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    found.memory64 = memory?.memory64;
                    found.memories += 1;
                }
            }
            Payload::TableSection(section) => {
                for table in section.into_iter_with_offsets() {
                    let (offset, table) = table?;
                    if table.ty.initial > TABLE_ENTRIES_MAX {
                        refuse!(c"module.over_limit", "a table of {} entries (offset {offset:#x}); at most {TABLE_ENTRIES_MAX} are accepted", table.ty.initial);
                    }
                }
            }
            Payload::GlobalSection(section) => {
                for global in section.into_iter_with_offsets() {
                    let (offset, global) = global?;
                    if global.ty.mutable {
                        if matches!(global.ty.content_type, wasmparser::ValType::Ref(_)) {
                            refuse!(c"module.hidden_state",
                                "global {} (offset {offset:#x}) is mutable and holds a reference, which cannot be kept between messages", found.globals);
                        }
                        found.exposed.push(found.globals);
                    }
                    found.globals += 1;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.name.starts_with(PREFIX) {
                        refuse!(c"module.reserved_name", "the module exports {:?}; names that begin with {PREFIX} are reserved", export.name);
                    }
                }
            }
            Payload::StartSection { func, .. } => found.start = Some(func),
            Payload::DataSection(section) => {
                for data in section {
                    let data = data?;
                    if let DataKind::Active { offset_expr, .. } = data.kind {
                        found.active.push((found.segments, offset_expr, data.data.len()));
                    }
                    found.segments += 1;
                }
            }
            Payload::CodeSectionEntry(body) => {
                let ty = found.functions[(found.imported_functions + code_index) as usize];
                let mut body = walk(body, ty, code_index + found.imported_functions, &found, &mut init_uses)?;
                if kind == Kind::Metered {
                    body.metered = crate::meter::stretches(&body.body)?;
                }
                found.bulk |= body.bulk;
                found.bodies.push(body);
                code_index += 1;
            }
            _ => {}
        }
    }
    if found.memories == 0 {
        refuse!(c"module.no_memory", "the module has no memory");
    }
    if kind == Kind::Reference && !(found.imports_memory && found.memory64) {
        refuse!(c"module.no_memory", "a reference module imports env.memory, the guest's, with 64-bit addresses");
    }
    if kind == Kind::Reference && (found.segments > 0 || found.start.is_some()) {
        refuse!(c"module.hidden_state", "a reference module has no data segments and no start function");
    }
    if found.exposed.len() > EXPOSED_GLOBALS_MAX {
        refuse!(c"module.over_limit", "the module has {} mutable globals; at most {EXPOSED_GLOBALS_MAX} are accepted", found.exposed.len());
    }
    // An active segment counts as dropped once the instance exists. We keep them, so reading one again would differ.
    for (segment, offset) in init_uses {
        if found.active.iter().any(|(active, ..)| *active == segment) {
            refuse!(c"module.segment_mutation", "memory.init at offset {offset:#x} reads active data segment {segment}, which is gone after instantiation");
        }
    }
    Ok(found)
}

fn walk<'a>(body: FunctionBody<'a>, ty: u32, index: u32, found: &Found<'a>, init_uses: &mut Vec<(u32, usize)>) -> Result<Body<'a>, Refusal> {
    let shape = |ty: u32| found.function_types.get(&ty).map_or((0, 0), |(p, r)| (*p as u32, r.len() as u32));
    let (parameters, results) = shape(ty);
    let mut locals = parameters;
    for pair in body.get_locals_reader()? {
        locals = locals.saturating_add(pair?.0);
    }
    let bytes = body.range().len();
    if locals > LOCALS_MAX || bytes > BODY_BYTES_MAX {
        refuse!(c"module.over_limit", "function {index} has {locals} locals and {bytes} bytes of code; at most {LOCALS_MAX} and {BODY_BYTES_MAX} are accepted");
    }

    let mut calls = false;
    let mut bulk = false;
    let mut grows = false;
    let mut area = parameters + results; // values that the largest call passes on the stack
    let mut caught_loops = HashSet::new();
    let mut open: Vec<Option<u32>> = Vec::new(); // the ordinal of each open loop
    let mut loops = 0;
    for op in body.get_operators_reader()?.into_iter_with_offsets() {
        let (op, offset) = op?;
        let mut called = |ty: u32| {
            calls = true;
            let (p, r) = shape(ty);
            area = area.max(p + r);
        };
        match &op {
            Operator::Block { .. } | Operator::If { .. } => open.push(None),
            Operator::Loop { .. } => {
                open.push(Some(loops));
                loops += 1;
            }
            Operator::TryTable { try_table } => {
                for catch in &try_table.catches {
                    let label = catch_label(catch) as usize;
                    if label < open.len()
                        && let Some(ordinal) = open[open.len() - 1 - label]
                    {
                        caught_loops.insert(ordinal);
                    }
                }
                open.push(None);
            }
            Operator::End => {
                open.pop();
            }
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => called(found.functions[*function_index as usize]),
            Operator::CallIndirect { type_index, .. } | Operator::ReturnCallIndirect { type_index, .. } => called(*type_index),
            Operator::CallRef { type_index } | Operator::ReturnCallRef { type_index } => called(*type_index),
            Operator::TableSet { .. } | Operator::TableGrow { .. } | Operator::TableFill { .. } | Operator::TableCopy { .. }
            | Operator::TableInit { .. } | Operator::ElemDrop { .. } => refuse!(c"module.table_mutation",
                "function {index} changes a table at offset {offset:#x} ({}); tables are not kept between messages", name(&op)),
            Operator::DataDrop { data_index } => refuse!(c"module.segment_mutation",
                "function {index} drops data segment {data_index} at offset {offset:#x}; that is not kept between messages"),
            Operator::MemoryInit { data_index, .. } => {
                bulk = true;
                init_uses.push((*data_index, offset));
            }
            Operator::MemoryCopy { .. } | Operator::MemoryFill { .. } => bulk = true,
            Operator::MemoryGrow { .. } => grows = true,
            _ => {}
        }
    }
    let weight = 256 + 16 * (locals + area) + bytes as u32;
    Ok(Body {
        body, locals, weight, counted: calls || weight > LEAF_WEIGHT_MAX, bulk, grows, metered: Vec::new(), caught_loops,
        multi_result: results > 1,
    })
}

pub fn name(op: &Operator) -> String {
    let text = format!("{op:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_string()
}

pub fn catch_label(catch: &Catch) -> u32 {
    match catch {
        Catch::One { label, .. } | Catch::OneRef { label, .. } | Catch::All { label } | Catch::AllRef { label } => *label,
    }
}

/// Makes room for `altiplano.check_write` and `altiplano.refuse_growth`, the last imported functions, where they are needed.
struct Renumber {
    first_moved: u32,
    by: u32,
}
impl Reencode for Renumber {
    type Error = std::convert::Infallible;
    fn function_index(&mut self, function: u32) -> Result<u32, wasm_encoder::reencode::Error> {
        Ok(if function >= self.first_moved { function + self.by } else { function })
    }
}

/// Indices of what we inject.
struct Ours {
    depth: u32,
    mapped: u32,
    meter: u32,
    check_write: u32,
    pointer: ValType,
}
impl Ours {
    fn wide(&self) -> bool {
        self.pointer == ValType::I64
    }
}

/// The second walk: writes a function again with the counter kept, if it is counted, and with what it does to memory checked.
fn emit(body: &Body, results: BlockType, ours: &Ours, reencoder: &mut Renumber) -> Result<Function, Refusal> {
    use Instruction as I;
    let mut locals = Vec::new();
    for pair in body.body.get_locals_reader()? {
        let (count, ty) = pair?;
        locals.push((count, reencoder.val_type(ty)?));
    }
    // Fresh locals: the counter as the caller left it, then the operands of a bulk write and of growing.
    let mut next = body.locals;
    let mut fresh = |count: u32, ty: ValType| {
        locals.push((count, ty));
        next += count;
        next - count
    };
    let entry = if body.counted { fresh(1, ValType::I32) } else { 0 };
    let (pointers, words) = if body.bulk { (fresh(3, ours.pointer), fresh(2, ValType::I32)) } else { (0, 0) };
    let asked = if body.grows { fresh(1, ours.pointer) } else { 0 };
    let mut out = Function::new(locals);

    let weight = body.weight as i32;
    let again = [I::LocalGet(entry), I::I32Const(weight), I::I32Add, I::GlobalSet(ours.depth)];
    let leave = [I::LocalGet(entry), I::GlobalSet(ours.depth)];
    if body.counted {
        for i in [
            I::GlobalGet(ours.depth), I::LocalTee(entry), I::I32Const(weight), I::I32Add, I::GlobalSet(ours.depth),
            I::GlobalGet(ours.depth), I::I32Const(DEPTH_LIMIT as i32), I::I32GtU, I::If(BlockType::Empty), I::Unreachable, I::End,
            // The body becomes a block: a branch to the function's own label then ends here, before the way out.
            I::Block(results),
        ] {
            out.instruction(&i);
        }
    }

    let mut open: Vec<bool> = Vec::new(); // whether a catch clause leads to the end of this block
    let mut loops = 0;
    let mut stretches = body.metered.iter().peekable();
    for (ordinal, op) in body.body.get_operators_reader()?.into_iter().enumerate() {
        let op = op?;
        if let Some((_, cost)) = stretches.next_if(|(begin, _)| *begin as usize == ordinal) {
            for i in [
                I::GlobalGet(ours.meter), I::I64Const(*cost), I::I64Sub, I::GlobalSet(ours.meter),
                I::GlobalGet(ours.meter), I::I64Const(0), I::I64LtS, I::If(BlockType::Empty), I::Unreachable, I::End,
            ] {
                out.instruction(&i);
            }
        }
        match &op {
            Operator::Return if body.counted => {
                out.instruction(&I::Br(open.len() as u32));
                continue;
            }
            Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } | Operator::ReturnCallRef { .. } => {
                if body.counted {
                    leave.iter().for_each(|i| { out.instruction(i); });
                }
            }
            Operator::End if open.is_empty() && body.counted => {
                out.instruction(&I::End);
                leave.iter().for_each(|i| { out.instruction(i); });
                out.instruction(&I::End);
                continue;
            }
            Operator::Block { .. } | Operator::If { .. } | Operator::Loop { .. } => open.push(false),
            Operator::TryTable { try_table } => {
                for catch in &try_table.catches {
                    let label = catch_label(catch) as usize;
                    if label < open.len() {
                        let at = open.len() - 1 - label;
                        open[at] = true;
                    }
                }
                open.push(false);
            }
            Operator::MemoryCopy { .. } => check_write(&mut out, ours, [pointers, pointers + 1, pointers + 2], false),
            Operator::MemoryFill { .. } => check_write(&mut out, ours, [pointers, words, pointers + 2], false),
            Operator::MemoryInit { .. } => check_write(&mut out, ours, [pointers, words, words + 1], true),
            Operator::MemoryGrow { .. } => {
                grow(&mut out, ours, asked);
                continue;
            }
            _ => {}
        }
        let is_loop = matches!(op, Operator::Loop { .. });
        let ended = matches!(op, Operator::End).then(|| open.pop().unwrap_or(false));
        out.instruction(&reencoder.instruction(op)?);
        if body.counted && (ended == Some(true) || (is_loop && body.caught_loops.contains(&loops))) {
            again.iter().for_each(|i| { out.instruction(i); });
        }
        loops += u32::from(is_loop);
    }
    Ok(out)
}

/// memory.grow of what is on the stack, or -1 at once for more than any memory may have.
fn grow(out: &mut Function, ours: &Ours, asked: u32) {
    use Instruction as I;
    let most = PAGES_MAX[usize::from(ours.wide())];
    out.instruction(&I::LocalTee(asked));
    if ours.wide() {
        out.instruction(&I::I64Const(most)).instruction(&I::I64GtU).instruction(&I::If(BlockType::Result(ours.pointer)))
            .instruction(&I::I64Const(-1));
    } else {
        out.instruction(&I::I32Const(most as i32)).instruction(&I::I32GtU).instruction(&I::If(BlockType::Result(ours.pointer)))
            .instruction(&I::I32Const(-1));
    }
    out.instruction(&I::Else).instruction(&I::LocalGet(asked)).instruction(&I::MemoryGrow(0)).instruction(&I::End);
}

/// On the stack: where to write, what, how many bytes. They are there again afterwards.
fn check_write(out: &mut Function, ours: &Ours, [to, what, length]: [u32; 3], length_is_word: bool) {
    use Instruction as I;
    let wide = ours.wide();
    for local in [length, what, to] {
        out.instruction(&I::LocalSet(local));
    }
    out.instruction(&I::GlobalGet(ours.mapped)).instruction(&I::If(BlockType::Empty));
    for (local, is_word) in [(to, false), (length, length_is_word)] {
        out.instruction(&I::LocalGet(local));
        if is_word || !wide {
            out.instruction(&I::I64ExtendI32U);
        }
    }
    out.instruction(&I::Call(ours.check_write)).instruction(&I::End);
    for local in [to, what, length] {
        out.instruction(&I::LocalGet(local));
    }
}

/// @param narrows  whether a memory with 64-bit addresses may become one with 32-bit ones
pub fn rewrite(wasm: &[u8], kind: Kind, gas: Gas, narrows: bool) -> Result<Vec<u8>, Refusal> {
    let mut bytes = first_pass(wasm, kind, narrows)?;
    if gas != Gas::ByEngine {
        bytes = crate::gas::count(&bytes, kind, gas == Gas::ByModule)?;
    }
    if narrows && let Some(narrow) = crate::narrow::narrow(&bytes)? {
        bytes = narrow;
    }
    // What we inject may take a module over a limit of the format (types, exports, function size).
    if let Err(error) = validates(&bytes, accepted()) {
        refuse!(c"module.over_limit", "the module is too large once call depth and gas are counted: {error}");
    }
    Ok(bytes)
}

/// How many parameters each function with a body has.
pub fn body_parameters(wasm: &[u8]) -> Result<Vec<u32>, wasmparser::Error> {
    let mut types = Vec::new();
    let mut parameters = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group?.into_types() {
                        types.push(match &ty.composite_type.inner {
                            wasmparser::CompositeInnerType::Func(f) => f.params().len() as u32,
                            _ => 0,
                        });
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    parameters.push(types[ty? as usize]);
                }
            }
            _ => {}
        }
    }
    Ok(parameters)
}

fn first_pass(wasm: &[u8], kind: Kind, narrows: bool) -> Result<Vec<u8>, Refusal> {
    let translated;
    let wasm = if validates(wasm, accepted()).is_err() && validates(wasm, accepted() | WasmFeatures::LEGACY_EXCEPTIONS).is_ok() {
        translated = crate::legacy::translate(wasm)?;
        &translated
    } else {
        wasm
    };
    check(wasm)?;
    let metered = kind == Kind::Metered;
    let mut found = find(wasm, kind)?;
    if kind == Kind::Uncounted {
        found.bodies.iter_mut().for_each(|body| body.counted = false);
    }
    let refuses_growth = narrows && found.memory64 && found.bodies.iter().any(|body| body.grows);
    let mut reencoder = Renumber { first_moved: found.imported_functions, by: u32::from(found.bulk) + u32::from(refuses_growth) };

    // The sections as they are; ours are added to the end of each, so that no index but those of functions moves.
    let mut types = TypeSection::new();
    let mut imports = ImportSection::new();
    let mut functions = FunctionSection::new();
    let mut tables = TableSection::new();
    let mut memories = MemorySection::new();
    let mut tags = TagSection::new();
    let mut globals = GlobalSection::new();
    let mut exports = ExportSection::new();
    let mut elements = ElementSection::new();
    let mut data = DataSection::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(s) => reencoder.parse_type_section(&mut types, s)?,
            Payload::ImportSection(s) => reencoder.parse_import_section(&mut imports, s)?,
            Payload::FunctionSection(s) => reencoder.parse_function_section(&mut functions, s)?,
            Payload::TableSection(s) => reencoder.parse_table_section(&mut tables, s)?,
            Payload::MemorySection(s) => reencoder.parse_memory_section(&mut memories, s)?,
            Payload::TagSection(s) => reencoder.parse_tag_section(&mut tags, s)?,
            Payload::GlobalSection(s) => reencoder.parse_global_section(&mut globals, s)?,
            Payload::ExportSection(s) => reencoder.parse_export_section(&mut exports, s)?,
            Payload::ElementSection(s) => reencoder.parse_element_section(&mut elements, s)?,
            Payload::DataSection(s) => {
                for segment in s {
                    data.passive(segment?.data.iter().copied());
                }
            }
            _ => {} // custom sections say nothing that runs
        }
    }

    let depth = found.globals;
    let mapped = depth + 1;
    let meter = mapped + 1;
    for _ in [depth, mapped] {
        globals.global(GlobalType { val_type: ValType::I32, mutable: true, shared: false }, &ConstExpr::i32_const(0));
    }
    if metered {
        globals.global(GlobalType { val_type: ValType::I64, mutable: true, shared: false }, &ConstExpr::i64_const(i64::MAX));
        exports.export("altiplano:meter", ExportKind::Global, meter);
    }
    exports.export("altiplano:memory", ExportKind::Memory, 0);
    exports.export("altiplano:depth", ExportKind::Global, depth);
    exports.export("altiplano:mapped", ExportKind::Global, mapped);
    for global in &found.exposed {
        exports.export(&format!("altiplano:global:{global}"), ExportKind::Global, *global);
    }
    if let Some(start) = found.start {
        exports.export("altiplano:start", ExportKind::Func, reencoder.function_index(start)?);
    }

    // Block types for bodies with several results, and the type of `altiplano:data`.
    let mut type_count = found.types;
    types.ty().function([], []);
    let no_values = type_count;
    type_count += 1;
    let ours = Ours {
        depth, mapped, meter, check_write: found.imported_functions,
        pointer: if found.memory64 { ValType::I64 } else { ValType::I32 },
    };
    if found.bulk {
        types.ty().function([ValType::I64, ValType::I64], []);
        imports.import("altiplano", CHECK_WRITE, wasm_encoder::EntityType::Function(type_count));
        type_count += 1;
    }
    if refuses_growth {
        types.ty().function([ValType::I64], []);
        imports.import("altiplano", REFUSE_GROWTH, wasm_encoder::EntityType::Function(type_count));
        type_count += 1;
    }
    let mut result_types: HashMap<Vec<wasmparser::ValType>, u32> = HashMap::new();

    let mut code = CodeSection::new();
    for (i, body) in found.bodies.iter().enumerate() {
        let results = &found.function_types[&found.functions[found.imported_functions as usize + i]].1;
        let block = if body.multi_result && body.counted {
            let index = match result_types.get(results) {
                Some(index) => *index,
                None => {
                    let encoded = results.iter().map(|t| reencoder.val_type(*t)).collect::<Result<Vec<_>, _>>()?;
                    types.ty().function([], encoded);
                    result_types.insert(results.clone(), type_count);
                    type_count += 1;
                    type_count - 1
                }
            };
            BlockType::FunctionType(index)
        } else {
            match results.first() {
                Some(result) => BlockType::Result(reencoder.val_type(*result)?),
                None => BlockType::Empty,
            }
        };
        code.function(&emit(body, block, &ours, &mut reencoder)?);
    }
    if !found.active.is_empty() {
        let mut fill = Function::new([]);
        for (segment, offset, bytes) in &found.active {
            for op in offset.get_operators_reader().into_iter() {
                let op = op?;
                if !matches!(op, Operator::End) {
                    fill.instruction(&reencoder.instruction(op)?);
                }
            }
            fill.instruction(&Instruction::I32Const(0));
            fill.instruction(&Instruction::I32Const(*bytes as i32));
            fill.instruction(&Instruction::MemoryInit { mem: 0, data_index: *segment });
        }
        fill.instruction(&Instruction::End);
        exports.export("altiplano:data", ExportKind::Func, reencoder.function_index(found.functions.len() as u32)?);
        functions.function(no_values);
        code.function(&fill);
    }

    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&tables).section(&memories);
    if !tags.is_empty() {
        module.section(&tags);
    }
    module.section(&globals).section(&exports).section(&elements);
    if found.segments > 0 {
        module.section(&DataCountSection { count: found.segments });
    }
    module.section(&code).section(&data);
    Ok(module.finish())
}

/// What `altiplano_rewrite` hands to C. Exactly one of `bytes` and `code` is not null.
#[repr(C)]
pub struct Rewritten {
    bytes: *mut u8,
    bytes_length: usize,
    code: *const std::ffi::c_char, // static
    sentence: *mut u8,
    sentence_length: usize,
}

fn leak(bytes: Vec<u8>) -> (*mut u8, usize) {
    let length = bytes.len();
    (Box::into_raw(bytes.into_boxed_slice()).cast(), length)
}

/// Rewrites a module.
///
/// # Safety
/// `wasm` is valid for `length` bytes, `out` for one Rewritten. Free the result with `altiplano_rewritten_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn altiplano_rewrite(wasm: *const u8, length: usize, kind: Kind, gas: Gas, narrows: bool, out: *mut Rewritten) {
    let wasm = if length == 0 { &[][..] } else { unsafe { std::slice::from_raw_parts(wasm, length) } };
    let mut result = Rewritten {
        bytes: std::ptr::null_mut(), bytes_length: 0, code: std::ptr::null(), sentence: std::ptr::null_mut(), sentence_length: 0,
    };
    match rewrite(wasm, kind, gas, narrows) {
        Ok(bytes) => (result.bytes, result.bytes_length) = leak(bytes),
        Err(refusal) => {
            result.code = refusal.code.as_ptr();
            (result.sentence, result.sentence_length) = leak(refusal.sentence.into_bytes());
        }
    }
    unsafe { out.write(result) };
}

/// # Safety
/// `result` was filled by `altiplano_rewrite` and not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn altiplano_rewritten_free(result: *mut Rewritten) {
    let result = unsafe { &mut *result };
    for (bytes, length) in [(result.bytes, result.bytes_length), (result.sentence, result.sentence_length)] {
        if !bytes.is_null() {
            drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(bytes, length)) });
        }
    }
    result.bytes = std::ptr::null_mut();
    result.sentence = std::ptr::null_mut();
}

#[unsafe(no_mangle)]
pub extern "C" fn altiplano_rewrite_version() -> u32 {
    REWRITE_VERSION
}

#[unsafe(no_mangle)]
pub extern "C" fn altiplano_depth_limit() -> u32 {
    DEPTH_LIMIT
}
