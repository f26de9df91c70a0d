//! A module with 64-bit addresses, again, over a memory with 32-bit ones: the last pass, for processes whose memory can never reach
//! 4 GiB. An address of 32 bits needs no comparison, since all that it can reach is reserved (src/vm/native.hpp), and cannot be
//! guessed past; one of 64 bits must be compared with the memory's length and made harmless for what a processor guesses, which
//! is an eighth of what AO's modules do.
//!
//! Each address keeps its 64 bits until it is used. There it must be less than 2^32, else the same trap follows as for any other
//! address outside; then its lower half is the address. An address that was looked at before is not looked at again: a local that
//! nobody has written since, and what comes from 32 bits.
//!
//! Nothing that can be seen changes (src/vm/narrow_test.cpp, tests/differential): results, traps, gas, what memory.size and
//! memory.grow say, which asks for growth are noted.
use crate::rewrite::{NARROW_PAGES_MAX, REFUSE_GROWTH, Refusal, body_parameters};
use std::collections::HashSet;
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{BlockType, CodeSection, ExportKind, ExportSection, Function, Instruction as I, MemArg, Module, ValType};
use wasmparser::{FunctionBody, Operator, Parser, Payload, TypeRef};

/// The module again, if its memory has 64-bit addresses and may begin that small. @param wasm  what the passes before gave
pub fn narrow(wasm: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    let mut narrower = Narrower { parameters: body_parameters(wasm)?, function: 0, pages_max: u64::MAX, refuse_growth: None };
    let mut functions = 0;
    let mut fits = false;
    let mut memory = |memory: wasmparser::MemoryType| {
        fits = memory.memory64 && memory.initial <= NARROW_PAGES_MAX;
        narrower.pages_max = memory.maximum.unwrap_or(u64::MAX);
    };
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    match import.ty {
                        TypeRef::Func(_) => {
                            if import.module == "altiplano" && import.name == REFUSE_GROWTH {
                                narrower.refuse_growth = Some(functions);
                            }
                            functions += 1;
                        }
                        TypeRef::Memory(ty) => memory(ty),
                        _ => {}
                    }
                }
            }
            Payload::MemorySection(section) => {
                for ty in section {
                    memory(ty?);
                }
            }
            _ => {}
        }
    }
    if !fits {
        return Ok(None);
    }
    let mut module = Module::new();
    narrower.parse_core_module(&mut module, Parser::new(0), wasm)?;
    Ok(Some(module.finish()))
}

struct Narrower {
    parameters: Vec<u32>, // of each defined function
    function: usize, // the next to be written
    pages_max: u64, // as the module declares
    refuse_growth: Option<u32>,
}

impl Reencode for Narrower {
    type Error = Infallible;

    fn memory_type(&mut self, ty: wasmparser::MemoryType) -> Result<wasm_encoder::MemoryType, Error> {
        Ok(wasm_encoder::MemoryType {
            minimum: ty.initial,
            maximum: ty.maximum.map(|pages| pages.min(NARROW_PAGES_MAX)),
            memory64: false,
            shared: ty.shared,
            page_size_log2: ty.page_size_log2,
        })
    }

    fn parse_export_section(&mut self, exports: &mut ExportSection, section: wasmparser::ExportSectionReader<'_>) -> Result<(), Error> {
        wasm_encoder::reencode::utils::parse_export_section(self, exports, section)?;
        exports.export("altiplano:narrow", ExportKind::Memory, 0);
        Ok(())
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Result<(), Error> {
        code.function(&write(self, &body)?);
        self.function += 1;
        Ok(())
    }
}

/// What an operator does to memory: its offset, and the type of what lies on the stack above the address.
fn access(op: &Operator) -> Option<(u64, Option<ValType>)> {
    use Operator::*;
    Some(match op {
        I32Load { memarg } | I64Load { memarg } | F32Load { memarg } | F64Load { memarg } | I32Load8S { memarg } | I32Load8U { memarg }
        | I32Load16S { memarg } | I32Load16U { memarg } | I64Load8S { memarg } | I64Load8U { memarg } | I64Load16S { memarg }
        | I64Load16U { memarg } | I64Load32S { memarg } | I64Load32U { memarg } | V128Load { memarg } | V128Load8x8S { memarg }
        | V128Load8x8U { memarg } | V128Load16x4S { memarg } | V128Load16x4U { memarg } | V128Load32x2S { memarg }
        | V128Load32x2U { memarg } | V128Load8Splat { memarg } | V128Load16Splat { memarg } | V128Load32Splat { memarg }
        | V128Load64Splat { memarg } | V128Load32Zero { memarg } | V128Load64Zero { memarg } => (memarg.offset, None),
        I32Store { memarg } | I32Store8 { memarg } | I32Store16 { memarg } => (memarg.offset, Some(ValType::I32)),
        I64Store { memarg } | I64Store8 { memarg } | I64Store16 { memarg } | I64Store32 { memarg } => (memarg.offset, Some(ValType::I64)),
        F32Store { memarg } => (memarg.offset, Some(ValType::F32)),
        F64Store { memarg } => (memarg.offset, Some(ValType::F64)),
        V128Store { memarg } | V128Load8Lane { memarg, .. } | V128Load16Lane { memarg, .. } | V128Load32Lane { memarg, .. }
        | V128Load64Lane { memarg, .. } | V128Store8Lane { memarg, .. } | V128Store16Lane { memarg, .. }
        | V128Store32Lane { memarg, .. } | V128Store64Lane { memarg, .. } => (memarg.offset, Some(ValType::V128)),
        _ => return None,
    })
}

/// What is known of a 64-bit operand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    Any,
    /// What this local holds.
    Local(u32),
    /// Less than 2^32.
    Small,
}

/// Follows what is known through a function.
struct Knowledge {
    stack: Vec<Operand>, // the topmost operands; nothing is known of those below
    small: HashSet<u32>, // locals that hold less than 2^32 here
    /// For each open block, what holds at its end: what held at its beginning, less what was written since.
    open: Vec<HashSet<u32>>,
    written_in_loops: std::vec::IntoIter<HashSet<u32>>, // of those that have not begun
}

/// Which locals each loop of a function writes, in the order in which they begin.
fn written_in_loops(body: &FunctionBody) -> Result<Vec<HashSet<u32>>, wasmparser::Error> {
    let mut loops: Vec<HashSet<u32>> = Vec::new();
    let mut open = Vec::new(); // the loop that each open block is
    for op in body.get_operators_reader()? {
        match op? {
            Operator::Loop { .. } => {
                open.push(Some(loops.len()));
                loops.push(HashSet::new());
            }
            Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => open.push(None),
            Operator::End => {
                // What an inner loop writes is written in the outer one.
                if let Some(Some(ended)) = open.pop()
                    && let Some(outer) = open.iter().rev().find_map(|at| *at)
                {
                    let written = loops[ended].clone();
                    loops[outer].extend(written);
                }
            }
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                if let Some(inner) = open.iter().rev().find_map(|at| *at) {
                    loops[inner].insert(local_index);
                }
            }
            _ => {}
        }
    }
    Ok(loops)
}

impl Knowledge {
    fn pop(&mut self) -> Operand {
        self.stack.pop().unwrap_or(Operand::Any)
    }

    /// What lies under so many operands.
    fn below(&self, above: usize) -> Operand {
        self.stack.iter().rev().nth(above).copied().unwrap_or(Operand::Any)
    }

    fn is_small(&self, operand: Operand) -> bool {
        match operand {
            Operand::Any => false,
            Operand::Small => true,
            Operand::Local(local) => self.small.contains(&local),
        }
    }

    /// This address went through a check.
    fn learn(&mut self, operand: Operand) {
        if let Operand::Local(local) = operand {
            self.small.insert(local);
        }
    }

    fn written(&mut self, local: u32, value: Operand) {
        let is_small = self.is_small(value);
        for operand in &mut self.stack {
            if *operand == Operand::Local(local) {
                *operand = if self.small.contains(&local) { Operand::Small } else { Operand::Any };
            }
        }
        if is_small {
            self.small.insert(local);
        } else {
            self.small.remove(&local);
        }
        for small in &mut self.open {
            small.remove(&local);
        }
    }

    fn follow(&mut self, op: &Operator) {
        match op {
            Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                self.stack.clear();
                self.open.push(self.small.clone());
            }
            Operator::Loop { .. } => {
                self.stack.clear();
                self.open.push(self.small.clone());
                // Whoever comes back has written these.
                for local in self.written_in_loops.next().into_iter().flatten() {
                    self.small.remove(&local);
                }
            }
            Operator::Else => {
                self.stack.clear();
                self.small = self.open.last().cloned().unwrap_or_default();
            }
            Operator::End => {
                self.stack.clear();
                self.small = self.open.pop().unwrap_or_default();
            }
            Operator::LocalGet { local_index } => self.stack.push(Operand::Local(*local_index)),
            Operator::LocalSet { local_index } => {
                let value = self.pop();
                self.written(*local_index, value);
            }
            Operator::LocalTee { local_index } => {
                let value = self.pop();
                self.written(*local_index, value);
                self.stack.push(Operand::Local(*local_index));
            }
            Operator::I64Const { value } => self.stack.push(if u32::try_from(*value).is_ok() { Operand::Small } else { Operand::Any }),
            Operator::I64ExtendI32U | Operator::I64Load8U { .. } | Operator::I64Load16U { .. } | Operator::I64Load32U { .. } => {
                self.pop();
                self.stack.push(Operand::Small);
            }
            Operator::I64And => {
                let (b, a) = (self.pop(), self.pop());
                self.stack.push(if self.is_small(a) || self.is_small(b) { Operand::Small } else { Operand::Any });
            }
            op => match simple_arity(op) {
                Some((operands, results)) => {
                    for _ in 0..operands {
                        self.pop();
                    }
                    self.stack.extend(std::iter::repeat_n(Operand::Any, results));
                }
                None => self.stack.clear(),
            },
        }
    }
}

/// Operands and results of operators that have the same everywhere and go on with the next one.
fn simple_arity(op: &Operator) -> Option<(usize, usize)> {
    macro_rules! arity {
        ($( @$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
            match op {
                $( Operator::$op $({ $($arg: _),* })? => arity!(one $($ann)*), )*
                _ => None,
            }
        };
        (one arity $operands:literal -> $results:literal) => { Some(($operands, $results)) };
        (one $($other:tt)*) => { None };
    }
    wasmparser::for_each_operator!(arity)
}

/// Locals that are added to a function.
#[derive(Clone, Copy)]
struct Temporaries {
    address: u32, // the first of three of 64 bits
    values: u32, // i32, i64, f32, f64, v128
}

impl Temporaries {
    fn value(self, ty: ValType) -> u32 {
        self.values + match ty {
            ValType::I32 => 0,
            ValType::I64 => 1,
            ValType::F32 => 2,
            ValType::F64 => 3,
            _ => 4,
        }
    }
}

/// The trap of an address outside memory, whatever its length.
fn trap(out: &mut Function) {
    out.instruction(&I::I32Const(-1)).instruction(&I::I64Load(MemArg { offset: u32::MAX.into(), align: 0, memory_index: 0 }))
        .instruction(&I::Drop).instruction(&I::Unreachable);
}

/// Traps unless what the local holds is less than 2^32.
fn check(out: &mut Function, local: u32) {
    out.instruction(&I::LocalGet(local)).instruction(&I::I32WrapI64).instruction(&I::I64ExtendI32U).instruction(&I::LocalGet(local))
        .instruction(&I::I64Ne).instruction(&I::If(BlockType::Empty));
    trap(out);
    out.instruction(&I::End);
}

fn write(narrower: &mut Narrower, body: &FunctionBody) -> Result<Function, Error> {
    let mut locals = Vec::new();
    let mut next = narrower.parameters[narrower.function];
    for pair in body.get_locals_reader()? {
        let (count, ty) = pair?;
        next += count;
        locals.push((count, narrower.val_type(ty)?));
    }
    let temporaries = Temporaries { address: next, values: next + 3 };
    locals.extend([(3, ValType::I64), (1, ValType::I32), (1, ValType::I64), (1, ValType::F32), (1, ValType::F64), (1, ValType::V128)]);
    let mut out = Function::new(locals);
    let mut known = Knowledge {
        stack: Vec::new(), small: HashSet::new(), open: Vec::new(), written_in_loops: written_in_loops(body)?.into_iter(),
    };

    for op in body.get_operators_reader()? {
        let op = op?;
        if let Some((offset, value)) = access(&op) {
            let held = value.map(|ty| temporaries.value(ty));
            let address = known.below(held.iter().len());
            if let Some(held) = held {
                out.instruction(&I::LocalSet(held));
            }
            if offset > u32::MAX.into() {
                // Outside, whatever the address.
                out.instruction(&I::Drop);
                trap(&mut out);
                known.stack.clear();
                continue;
            }
            if !known.is_small(address) {
                out.instruction(&I::LocalTee(temporaries.address));
                check(&mut out, temporaries.address);
                known.learn(address);
            }
            out.instruction(&I::I32WrapI64);
            if let Some(held) = held {
                out.instruction(&I::LocalGet(held));
            }
        }
        match &op {
            Operator::MemorySize { .. } => {
                out.instruction(&I::MemorySize(0)).instruction(&I::I64ExtendI32U);
                known.stack.push(Operand::Small);
                continue;
            }
            Operator::MemoryGrow { .. } => {
                grow(narrower, &mut out, temporaries.address);
                known.pop();
                known.stack.push(Operand::Any);
                continue;
            }
            Operator::MemoryCopy { .. } => bulk(&mut out, temporaries, [true, true, true]),
            Operator::MemoryFill { .. } => bulk(&mut out, temporaries, [true, false, true]),
            Operator::MemoryInit { .. } => bulk(&mut out, temporaries, [true, false, false]),
            _ => {}
        }
        known.follow(&op);
        out.instruction(&narrower.instruction(op)?);
    }
    Ok(out)
}

/// The three operands of a bulk operation: where to, what and how many. @param wide  which of them have 64 bits
fn bulk(out: &mut Function, temporaries: Temporaries, wide: [bool; 3]) {
    let place = |at: usize| temporaries.address + at as u32;
    for at in [2, 1, 0] {
        if !wide[at] {
            out.instruction(&I::I64ExtendI32U);
        }
        out.instruction(&I::LocalSet(place(at)));
    }
    for at in [0, 1, 2] {
        if wide[at] {
            check(out, place(at));
        }
    }
    for at in [0, 1, 2] {
        out.instruction(&I::LocalGet(place(at))).instruction(&I::I32WrapI64);
    }
}

/// memory.grow of what is on the stack, which is at most what any memory may have (`rewrite.rs`).
fn grow(narrower: &Narrower, out: &mut Function, temporary: u32) {
    let wanted = temporary + 1;
    out.instruction(&I::LocalTee(temporary)).instruction(&I::MemorySize(0)).instruction(&I::I64ExtendI32U).instruction(&I::I64Add)
        .instruction(&I::LocalTee(wanted)).instruction(&I::I64Const(NARROW_PAGES_MAX as i64)).instruction(&I::I64GtU)
        .instruction(&I::If(BlockType::Result(ValType::I64)));
    if let Some(refuse) = narrower.refuse_growth {
        let most = i64::try_from(narrower.pages_max).unwrap_or(i64::MAX);
        out.instruction(&I::LocalGet(wanted)).instruction(&I::I64Const(most)).instruction(&I::I64LeU)
            .instruction(&I::If(BlockType::Empty)).instruction(&I::LocalGet(wanted)).instruction(&I::Call(refuse)).instruction(&I::End);
    }
    out.instruction(&I::I64Const(-1)).instruction(&I::Else).instruction(&I::LocalGet(temporary)).instruction(&I::I32WrapI64)
        .instruction(&I::MemoryGrow(0)).instruction(&I::I64ExtendI32S).instruction(&I::End);
}
