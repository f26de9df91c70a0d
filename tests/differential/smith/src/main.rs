//! Modules by chance, as guests of our ABI: wasm-smith makes one, and this adds `malloc`, `free` and a `handle` that calls
//! every third function of it, others for each message, and answers with a hash over what they gave, all memory and all globals.
//!   altiplano-smith FOLDER FIRST_SEED COUNT [hostile]   writes FOLDER/SEED.wasm, and says how many it left out, by reason (`Left`)
use arbitrary::Unstructured;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{BlockType, ConstExpr, ExportKind, Function, GlobalType, Instruction as I, MemArg, ValType};
use wasmparser::{Parser, Payload};
use wasm_smith::{Config, Module};

/// SplitMix64: the same everywhere, for ever.
struct Chance(u64);
impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

const PAGE: u64 = 65536;
const NO_FUEL: u32 = u32::MAX; // nothing ends a loop
const FUEL: u32 = 2000; // calls and loops of one message, after which its functions return at once

fn config(seed: u64, chance: &mut Chance) -> Config {
    // A third copies and fills memory, and has no segments then: dropping one is refused by the rewriting pass.
    let bulk = seed % 3 == 1;
    Config {
        min_types: 2, min_funcs: 3, max_funcs: 14, min_globals: 1, max_globals: 12, min_memories: 1, max_memories: 1,
        max_imports: 0, max_tags: 0, max_instructions: 160, max_tables: usize::from(!bulk), max_data_segments: if bulk { 0 } else { 8 },
        max_element_segments: if bulk { 0 } else { 8 }, max_table_elements: 100,
        max_memory32_bytes: 8 * u64::from(PAGE as u32), max_memory64_bytes: 8 * u128::from(PAGE), memory_max_size_required: true,
        table_max_size_required: true, memory64_enabled: chance.next() % 2 == 0,
        bulk_memory_enabled: bulk, reference_types_enabled: false, gc_enabled: false, exceptions_enabled: false, threads_enabled: false,
        relaxed_simd_enabled: false, simd_enabled: chance.next() % 2 == 0, tail_call_enabled: chance.next() % 4 == 0,
        canonicalize_nans: true, disallow_traps: chance.next() % 4 != 0, export_everything: true, allow_start_export: chance.next() % 4 == 0,
        ..Config::default()
    }
}

/// For our machine alone: whatever wasm has, absurd sizes, no end of loops and calls. A third are no guests of our ABI, a
/// sixth are spoilt afterwards.
fn hostile(chance: &mut Chance) -> Config {
    let mut some = || chance.next() % 3 == 0;
    let (wide, gc) = (some(), some());
    Config {
        min_types: 1, min_funcs: 3, max_funcs: 60, max_globals: if some() { 1500 } else { 12 }, min_memories: 1,
        max_memories: if some() { 3 } else { 1 }, max_imports: 0, max_tags: 4, max_instructions: 3000, max_tables: if some() { 20 } else { 1 },
        max_data_segments: 40, max_element_segments: 40, max_table_elements: if some() { 100_000_000 } else { 2000 },
        max_memory32_bytes: 1 << 32, max_memory64_bytes: if wide { 1 << 64 } else { 1 << 36 }, memory64_enabled: wide || some(),
        bulk_memory_enabled: true, reference_types_enabled: true, gc_enabled: gc, exceptions_enabled: some(), threads_enabled: some(),
        relaxed_simd_enabled: some(), simd_enabled: true, tail_call_enabled: true, custom_page_sizes_enabled: some(),
        wide_arithmetic_enabled: some(), export_everything: true, allow_start_export: true,
        memory_offset_choices: wasm_smith::MemoryOffsetChoices(10, 40, 50), ..Config::default()
    }
}

/// Why a seed gives no module. What the two engines may answer differently by the specification is left out here, not when it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Left {
    /// The generator ended early, or made no memory.
    NoModule,
    /// V8 of node 22 knows no tables with addresses of 64 bits.
    WideTable,
}

/// What the wrapper needs to know of a module.
struct Seen {
    types: Vec<wasmparser::FuncType>,
    functions: Vec<u32>,
    globals: Vec<wasmparser::ValType>,
    memory: wasmparser::MemoryType,
}

fn look(wasm: &[u8]) -> Result<Seen, Left> {
    let (mut types, mut functions, mut globals, mut memory) = (vec![], vec![], vec![], None);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.expect("wasm-smith makes valid modules") {
            Payload::TypeSection(s) => for group in s {
                for sub in group.unwrap().types() { types.push(match &sub.composite_type.inner { wasmparser::CompositeInnerType::Func(f) => f.clone(), _ => return Err(Left::NoModule) }) }
            },
            Payload::FunctionSection(s) => for f in s { functions.push(f.unwrap()) },
            Payload::GlobalSection(s) => for g in s { globals.push(g.unwrap().ty.content_type) },
            Payload::MemorySection(s) => for m in s { memory = Some(m.unwrap()) },
            Payload::TableSection(s) => for t in s { if t.unwrap().ty.table64 { return Err(Left::WideTable) } },
            _ => {}
        }
    }
    Ok(Seen { types, functions, globals, memory: memory.ok_or(Left::NoModule)? })
}

struct Wrap<'a> {
    seen: &'a Seen,
    chance: Chance,
    fuel_global: u32,
    bodies: usize, // copied so far
}

fn zero(ty: wasmparser::ValType) -> I<'static> {
    match ty {
        wasmparser::ValType::I32 => I::I32Const(0),
        wasmparser::ValType::I64 => I::I64Const(0),
        wasmparser::ValType::F32 => I::F32Const(0.0.into()),
        wasmparser::ValType::F64 => I::F64Const(0.0.into()),
        wasmparser::ValType::V128 => I::V128Const(0),
        wasmparser::ValType::Ref(_) => I::RefNull(wasm_encoder::HeapType::FUNC),
    }
}

impl Wrap<'_> {
    fn pointer(&self) -> ValType { if self.seen.memory.memory64 { ValType::I64 } else { ValType::I32 } }
    fn address(&self, value: u64) -> I<'static> {
        if self.seen.memory.memory64 { I::I64Const(value as i64) } else { I::I32Const(value as i32) }
    }
    fn base(&self) -> u64 { self.seen.memory.initial.wrapping_mul(PAGE).wrapping_add(64) } // never 0, which says that there is no room
    fn heap(&self) -> u32 { self.seen.globals.len() as u32 }

    fn argument(&mut self, ty: wasmparser::ValType) -> I<'static> {
        let any = self.chance.next();
        let word = match any % 5 {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << (self.chance.next() % 64),
            3 => self.chance.next() % 100,
            _ => self.chance.next(),
        };
        match ty {
            wasmparser::ValType::I32 => I::I32Const(word as i32),
            wasmparser::ValType::I64 => I::I64Const(word as i64),
            wasmparser::ValType::F32 => I::F32Const((word as i64 as f32 / 7.0).into()),
            wasmparser::ValType::F64 => I::F64Const((word as i64 as f64 / 7.0).into()),
            wasmparser::ValType::V128 => I::V128Const(i128::from(word as i64) * 0x1_0000_0001_0001_0003),
            wasmparser::ValType::Ref(_) => I::RefNull(wasm_encoder::HeapType::FUNC),
        }
    }

    /// Takes a value from the stack into the hash in local 2.
    fn mix(out: &mut Function, ty: wasmparser::ValType) {
        match ty {
            wasmparser::ValType::I32 => { out.instruction(&I::I64ExtendI32U); }
            wasmparser::ValType::I64 => {}
            wasmparser::ValType::F32 => { out.instruction(&I::I32ReinterpretF32).instruction(&I::I64ExtendI32U); }
            wasmparser::ValType::F64 => { out.instruction(&I::I64ReinterpretF64); }
            wasmparser::ValType::V128 => {
                out.instruction(&I::LocalTee(4)).instruction(&I::I64x2ExtractLane(0));
                Self::mix(out, wasmparser::ValType::I64);
                out.instruction(&I::LocalGet(4)).instruction(&I::I64x2ExtractLane(1));
            }
            wasmparser::ValType::Ref(_) => { out.instruction(&I::RefIsNull).instruction(&I::I64ExtendI32U); }
        }
        for i in [I::LocalGet(2), I::I64Xor, I::I64Const(0x100_0000_01b3), I::I64Mul, I::LocalTee(2), I::LocalGet(2), I::I64Const(29), I::I64ShrU, I::I64Xor, I::LocalSet(2)] {
            out.instruction(&i);
        }
    }

    fn handle(&mut self) -> Function {
        // Parameters 0 and 1: message and env. 2 the hash, 3 a pointer, 4 a vector, 5 a digit.
        let wide = self.seen.memory.memory64;
        let mut out = Function::new([(1, ValType::I64), (1, self.pointer()), (1, ValType::V128), (1, ValType::I32)]);
        let byte = MemArg { offset: 0, align: 0, memory_index: 0 };
        if self.fuel_global != NO_FUEL {
            out.instruction(&I::I32Const(FUEL as i32)).instruction(&I::GlobalSet(self.fuel_global));
        }
        // The message's first eight bytes begin the hash, so that no two messages of a run are alike.
        out.instruction(&I::LocalGet(0)).instruction(&I::I64Load(byte)).instruction(&I::LocalSet(2));
        for (index, ty) in self.seen.functions.iter().enumerate() {
            let ty = &self.seen.types[*ty as usize];
            // The message's last digit before its blank says whose turn it is.
            out.instruction(&I::LocalGet(0)).instruction(&I::I32Load8U(MemArg { offset: 7, ..byte }));
            for i in [I::I32Const(3), I::I32RemU, I::I32Const((index % 3) as i32), I::I32Eq, I::If(BlockType::Empty)] { out.instruction(&i); }
            for parameter in ty.params() { let i = self.argument(*parameter); out.instruction(&i); }
            out.instruction(&I::Call(index as u32));
            for result in ty.results().iter().rev() { Self::mix(&mut out, *result); }
            out.instruction(&I::End);
        }
        for (index, ty) in self.seen.globals.iter().enumerate() {
            out.instruction(&I::GlobalGet(index as u32));
            Self::mix(&mut out, *ty);
        }
        // All of memory, eight bytes at a time.
        let (add, ge, mul) = if wide { (I::I64Add, I::I64GeU, I::I64Mul) } else { (I::I32Add, I::I32GeU, I::I32Mul) };
        out.instruction(&I::Block(BlockType::Empty)).instruction(&I::Loop(BlockType::Empty));
        for i in [I::LocalGet(3), I::MemorySize(0), self.address(PAGE), mul, ge, I::BrIf(1), I::LocalGet(3), I::I64Load(byte)] {
            out.instruction(&i);
        }
        Self::mix(&mut out, wasmparser::ValType::I64);
        for i in [I::LocalGet(3), self.address(8), add.clone(), I::LocalSet(3), I::Br(0), I::End, I::End] {
            out.instruction(&i);
        }
        // Sixteen hexadecimal digits, and the zero that ends them.
        let text = self.base().wrapping_add(8192);
        for digit in 0..16 {
            for i in [self.address(text.wrapping_add(digit)), I::LocalGet(2), I::I64Const(60 - 4 * digit as i64), I::I64ShrU, I::I32WrapI64, I::I32Const(15), I::I32And,
                I::LocalTee(5), I::I32Const(48), I::I32Add, I::LocalGet(5), I::I32Const(9), I::I32GtU, I::I32Const(39), I::I32Mul, I::I32Add, I::I32Store8(byte)] {
                out.instruction(&i);
            }
        }
        for i in [self.address(text.wrapping_add(16)), I::I32Const(0), I::I32Store8(byte), self.address(text), I::End] { out.instruction(&i); }
        out
    }
}

impl Reencode for Wrap<'_> {
    type Error = std::convert::Infallible;
    fn parse_type_section(&mut self, types: &mut wasm_encoder::TypeSection, s: wasmparser::TypeSectionReader) -> Result<(), Error> {
        utils::parse_type_section(self, types, s)?;
        let p = self.pointer();
        types.ty().function([p], [p]);
        types.ty().function([p], []);
        types.ty().function([p, p], [p]);
        Ok(())
    }
    fn parse_function_section(&mut self, functions: &mut wasm_encoder::FunctionSection, s: wasmparser::FunctionSectionReader) -> Result<(), Error> {
        utils::parse_function_section(self, functions, s)?;
        for i in 0..3 { functions.function(self.seen.types.len() as u32 + i); }
        Ok(())
    }
    fn parse_memory_section(&mut self, memories: &mut wasm_encoder::MemorySection, _: wasmparser::MemorySectionReader) -> Result<(), Error> {
        // One page more, behind the module's own: for texts.
        let m = &self.seen.memory;
        memories.memory(wasm_encoder::MemoryType { minimum: m.initial.saturating_add(1), maximum: m.maximum.map(|n| n.saturating_add(1)), memory64: m.memory64, shared: false, page_size_log2: None });
        Ok(())
    }
    fn parse_global_section(&mut self, globals: &mut wasm_encoder::GlobalSection, s: wasmparser::GlobalSectionReader) -> Result<(), Error> {
        utils::parse_global_section(self, globals, s)?;
        let base = self.base();
        let begin = if self.seen.memory.memory64 { ConstExpr::i64_const(base as i64) } else { ConstExpr::i32_const(base as i32) };
        globals.global(GlobalType { val_type: self.pointer(), mutable: true, shared: false }, &begin);
        Ok(())
    }
    fn parse_export_section(&mut self, exports: &mut wasm_encoder::ExportSection, _: wasmparser::ExportSectionReader) -> Result<(), Error> {
        let first = self.seen.functions.len() as u32;
        exports.export("memory", ExportKind::Memory, 0);
        exports.export("malloc", ExportKind::Func, first);
        exports.export("free", ExportKind::Func, first + 1);
        exports.export("handle", ExportKind::Func, first + 2);
        Ok(())
    }
    /// A function as the generator made it, but for three things.
    /// - Growing asks for at most 15 pages: gas is taken for every page asked for, before it turns out that there is no room, so
    ///   that a guest of ours which asks for 2^40 runs out of gas where V8 answers -1.
    /// - wasm-smith makes no NaN canonical that comes out of a conversion between float widths (its code_builder.rs); our engine
    ///   does. So it is done here.
    /// - Who has used up the message's calls and loops returns zeros instead of trapping, or most messages would end like that.
    fn parse_function_body(&mut self, code: &mut wasm_encoder::CodeSection, body: wasmparser::FunctionBody) -> Result<(), Error> {
        use wasmparser::Operator as O;
        let ty = &self.seen.types[self.seen.functions[self.bodies] as usize];
        self.bodies += 1;
        let mut locals = vec![];
        let mut count = ty.params().len() as u32;
        for group in body.get_locals_reader()? {
            let (times, of) = group?;
            count += times;
            locals.push((times, self.val_type(of)?));
        }
        locals.extend([(1, ValType::F32), (1, ValType::F64), (1, ValType::V128)]);
        let (float, double, vector) = (count, count + 1, count + 2);
        let mut out = Function::new(locals);
        let mut tested = 0; // of global.get, i32.eqz and if on the fuel
        for op in body.get_operators_reader()? {
            let op = op?;
            let used_up = tested == 3 && matches!(op, O::Unreachable);
            tested = match op {
                O::GlobalGet { global_index } if global_index == self.fuel_global => 1,
                O::I32Eqz if tested == 1 => 2,
                O::If { .. } if tested == 2 => 3,
                _ => 0,
            };
            if used_up {
                for result in ty.results() { out.instruction(&zero(*result)); }
                out.instruction(&I::Return);
                continue;
            }
            if self.fuel_global != NO_FUEL && matches!(op, O::MemoryGrow { .. }) {
                out.instruction(&self.address(15)).instruction(if self.seen.memory.memory64 { &I::I64And } else { &I::I32And });
            }
            let nan32 = i128::from(0x7fc0_0000_7fc0_0000_u64) << 64 | i128::from(0x7fc0_0000_7fc0_0000_u64);
            let nan64 = i128::from(0x7ff8_0000_0000_0000_u64) << 64 | i128::from(0x7ff8_0000_0000_0000_u64);
            let canonical: &[I] = match op {
                O::F32DemoteF64 => &[I::LocalTee(float), I::F32Const(f32::NAN.into()), I::LocalGet(float), I::LocalGet(float), I::F32Eq, I::Select],
                O::F64PromoteF32 => &[I::LocalTee(double), I::F64Const(f64::NAN.into()), I::LocalGet(double), I::LocalGet(double), I::F64Eq, I::Select],
                O::F32x4DemoteF64x2Zero => &[I::LocalTee(vector), I::V128Const(nan32), I::LocalGet(vector), I::LocalGet(vector), I::F32x4Eq, I::V128Bitselect],
                O::F64x2PromoteLowF32x4 => &[I::LocalTee(vector), I::V128Const(nan64), I::LocalGet(vector), I::LocalGet(vector), I::F64x2Eq, I::V128Bitselect],
                _ => &[],
            };
            out.instruction(&self.instruction(op)?);
            for i in canonical { out.instruction(i); }
        }
        code.function(&out);
        Ok(())
    }
    fn parse_code_section(&mut self, code: &mut wasm_encoder::CodeSection, s: wasmparser::CodeSectionReader) -> Result<(), Error> {
        utils::parse_code_section(self, code, s)?;
        self.append(code);
        Ok(())
    }
}

impl Wrap<'_> {
    fn append(&mut self, code: &mut wasm_encoder::CodeSection) {
        // A text gets 4 KiB; `free` begins anew.
        let add = if self.seen.memory.memory64 { I::I64Add } else { I::I32Add };
        let mut malloc = Function::new([]);
        for i in [I::GlobalGet(self.heap()), I::GlobalGet(self.heap()), self.address(4096), add, I::GlobalSet(self.heap()), I::End] { malloc.instruction(&i); }
        let mut free = Function::new([]);
        for i in [self.address(self.base()), I::GlobalSet(self.heap()), I::End] { free.instruction(&i); }
        let handle = self.handle();
        for f in [&malloc, &free, &handle] { code.function(f); }
    }
}

/// With the ABI's exports around it or as it is, and perhaps with some bytes changed.
fn hostile_bytes(wasm: &[u8], mut chance: Chance) -> Result<Vec<u8>, Left> {
    let mut bytes = wasm.to_vec();
    if chance.next() % 3 != 0
        && let Ok(seen) = look(wasm)
    {
        let spoil = chance.next();
        let mut wrap = Wrap { seen: &seen, chance: Chance(spoil), fuel_global: NO_FUEL, bodies: 0 };
        let mut out = wasm_encoder::Module::new();
        if wrap.parse_core_module(&mut out, Parser::new(0), wasm).is_ok() {
            bytes = out.finish();
        }
    }
    if chance.next() % 6 == 0 {
        for _ in 0..1 + chance.next() % 8 {
            let at = chance.next() as usize % bytes.len();
            bytes[at] ^= 1 << (chance.next() % 8);
        }
    }
    Ok(bytes)
}

fn make(seed: u64, harsh: bool) -> Result<Vec<u8>, Left> {
    let mut chance = Chance(seed);
    let config = if harsh { hostile(&mut chance) } else { config(seed, &mut chance) };
    let bytes: Vec<u8> = (0..6000).flat_map(|_| chance.next().to_le_bytes()).collect();
    let mut module = Module::new(config, &mut Unstructured::new(&bytes)).map_err(|_| Left::NoModule)?;
    if harsh {
        return hostile_bytes(&module.to_bytes(), chance);
    }
    let fuel_global = module.ensure_termination(FUEL).map_err(|_| Left::NoModule)?;
    let wasm = module.to_bytes();
    let seen = look(&wasm)?;
    let mut wrap = Wrap { seen: &seen, chance, fuel_global, bodies: 0 };
    let mut out = wasm_encoder::Module::new();
    wrap.parse_core_module(&mut out, Parser::new(0), &wasm).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    let out = out.finish();
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&out).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    Ok(out)
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let [_, folder, first, count, rest @ ..] = words.as_slice() else { panic!("altiplano-smith FOLDER FIRST_SEED COUNT [hostile]") };
    let (first, count): (u64, u64) = (first.parse().unwrap(), count.parse().unwrap());
    let mut left = std::collections::BTreeMap::new();
    for seed in first..first + count {
        match make(seed, !rest.is_empty()) {
            Ok(wasm) => std::fs::write(format!("{folder}/{seed}.wasm"), wasm).unwrap(),
            Err(why) => *left.entry(why).or_insert(0) += 1,
        }
    }
    println!("left out: {left:?}");
}
