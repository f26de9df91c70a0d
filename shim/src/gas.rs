//! Gas counted by the module itself: the second pass, over what the first (`rewrite.rs`) gives. What never runs is left out on the
//! way (`settled.rs`); the rest costs what it cost before. Every operator that runs is paid by
//! the table `costs` in `config.rs`, those of the first pass too, and one unit for each time a function runs; bytes and pages on
//! top. The sum is what the engine's own fuel would count for the same module, to the unit (src/vm/gas_test.cpp,
//! tests/differential/run_generated.cpp), at two thirds of its price.
//!
//! What is left is the exported global `altiplano:gas`. A function keeps it in a local, hands it over around calls and puts it
//! back on its ways out. When nothing is left it traps: in the header of each loop, on entry of each function that calls others,
//! and before bulk operations. So what a message overdraws is bounded by straight code, and its host looks once more at its end.
//!
//! What an operator costs is known here, so it is not paid at once: `owed` is what the code up to here costs beyond what the local
//! has paid, a constant at each place. Each label has its own, that of who jumps there first; all who come later pay or take back
//! the difference, mostly in one arm of two. Where an exception may land, and outside, nothing may be owed.
use crate::rewrite::{Kind, Refusal, body_parameters, catch_label};
use crate::settled::{Settled, Step, Value};
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ExportKind, ExportSection, Function, GlobalSection, GlobalType, Instruction as I, Module,
    ValType,
};
use wasmparser::{FunctionBody, Operator, Parser, Payload, TypeRef};
use wasmtime::OperatorCost;

/// No message can have more: at eight units in a nanosecond, 18 years.
pub const GAS_MAX: i64 = 1 << 62;

#[unsafe(no_mangle)]
pub extern "C" fn altiplano_gas_max() -> u64 {
    GAS_MAX as u64
}

/// The module again, without what never runs, and counting its gas. @param wasm  what the first pass gave
/// @param counts  whether gas is counted
pub fn count(wasm: &[u8], kind: Kind, counts: bool) -> Result<Vec<u8>, Refusal> {
    let mut counter = Counter::of(wasm, kind, counts)?;
    let mut module = Module::new();
    counter.parse_core_module(&mut module, Parser::new(0), wasm)?;
    Ok(module.finish())
}

struct Counter {
    costs: OperatorCost,
    parameters: Vec<u32>, // of each defined function
    function: usize, // the next to be written
    gas: u32, // the global
    globals: u32, // written so far
    wide: bool, // memory has 64-bit addresses
    counts: bool,
    settled: Option<Settled>,
}

impl Counter {
    fn of(wasm: &[u8], kind: Kind, counts: bool) -> Result<Self, Refusal> {
        // A reference module's globals are written by who calls it.
        let settled = if kind == Kind::Reference { None } else { Some(Settled::of(wasm, kind)?) };
        let mut found = Counter {
            costs: crate::config::costs(), parameters: body_parameters(wasm)?, function: 0, gas: 0, globals: 0, wide: false, counts,
            settled,
        };
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        if let TypeRef::Memory(memory) = import?.ty {
                            found.wide = memory.memory64;
                        }
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        found.wide = memory?.memory64;
                    }
                }
                Payload::GlobalSection(section) => found.gas = section.count(),
                _ => {}
            }
        }
        Ok(found)
    }
}

impl Reencode for Counter {
    type Error = Infallible;

    fn parse_global_section(&mut self, globals: &mut GlobalSection, section: wasmparser::GlobalSectionReader<'_>) -> Result<(), Error> {
        utils::parse_global_section(self, globals, section)?;
        if self.counts {
            globals.global(GlobalType { val_type: ValType::I64, mutable: true, shared: false }, &ConstExpr::i64_const(GAS_MAX));
        }
        Ok(())
    }

    fn parse_global(&mut self, globals: &mut GlobalSection, global: wasmparser::Global<'_>) -> Result<(), Error> {
        let mut ty = self.global_type(global.ty)?;
        ty.mutable &= self.settled.as_ref().is_none_or(|settled| settled.value(self.globals).is_none());
        self.globals += 1;
        globals.global(ty, &self.const_expr(global.init_expr)?);
        Ok(())
    }

    fn parse_export_section(&mut self, exports: &mut ExportSection, section: wasmparser::ExportSectionReader<'_>) -> Result<(), Error> {
        for export in section {
            let export = export?;
            if self.settled.as_ref().is_none_or(|settled| settled.has_export(export.name)) {
                self.parse_export(exports, export)?;
            }
        }
        if self.counts {
            exports.export("altiplano:gas", ExportKind::Global, self.gas);
        }
        Ok(())
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Result<(), Error> {
        if self.settled.as_ref().is_some_and(|settled| settled.is_silent(self.function as u32)) {
            let mut never = Function::new([]);
            never.instruction(&I::Unreachable).instruction(&I::End);
            code.function(&never);
        } else {
            code.function(&write(self, &body)?);
        }
        self.function += 1;
        Ok(())
    }
}

/// What the first walk over a function finds. Label 0 is the function's own, the others are numbered as their blocks begin.
struct Shape {
    labels: Vec<Label>,
    calls: bool,
    measured: bool, // has operators that are paid by the byte or page
}
struct Label {
    /// Labels that one table of branches leads to owe the same: another of them or itself, while they are found; then the number of
    /// one, for all.
    group: usize,
    caught: bool, // a catch clause leads here
    has_else: bool,
}

/// Which label stands for the group that `label` is of.
fn group(labels: &mut [Label], mut label: usize) -> usize {
    while labels[label].group != label {
        let next = labels[label].group;
        labels[label].group = labels[next].group;
        label = next;
    }
    label
}

fn shape(body: &FunctionBody) -> Result<Shape, Error> {
    let mut shape = Shape { labels: vec![Label { group: 0, caught: false, has_else: false }], calls: false, measured: false };
    let mut open = vec![0];
    for op in body.get_operators_reader()?.into_iter() {
        let op = op?;
        let at = |depth: u32| open[open.len() - 1 - depth as usize];
        match &op {
            Operator::TryTable { try_table } => {
                for catch in &try_table.catches {
                    shape.labels[at(catch_label(catch))].caught = true;
                }
            }
            Operator::BrTable { targets } => {
                let mut first = None;
                for target in targets.targets().chain([Ok(targets.default())]) {
                    let label = at(target?);
                    if label != 0 {
                        let label = group(&mut shape.labels, label);
                        shape.labels[label].group = *first.get_or_insert(label);
                    }
                }
            }
            Operator::Else => shape.labels[at(0)].has_else = true,
            Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::CallRef { .. } | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. } | Operator::ReturnCallRef { .. } => shape.calls = true,
            Operator::MemoryGrow { .. } | Operator::MemoryCopy { .. } | Operator::MemoryFill { .. } | Operator::MemoryInit { .. } => {
                shape.measured = true;
            }
            _ => {}
        }
        match op {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                open.push(shape.labels.len());
                shape.labels.push(Label { group: shape.labels.len(), caught: false, has_else: false });
            }
            Operator::End => {
                open.pop();
            }
            _ => {}
        }
    }
    for label in 0..shape.labels.len() {
        shape.labels[label].group = group(&mut shape.labels, label);
    }
    Ok(shape)
}

/// A function while it is written again.
struct Writer {
    out: Function,
    labels: Vec<Label>,
    owed_at: Vec<Option<i64>>, // of each label's group, once somebody went there
    owed: i64,
    reachable: bool,
    counts: bool,
    global: u32,
    left: u32, // the local
}

/// An open block.
struct Block {
    label: usize,
    is_loop: bool,
    reachable: bool, // its beginning
    owed: i64, // there
}

impl Writer {
    /// Of what counts.
    fn add(&mut self, instructions: impl IntoIterator<Item = I<'static>>) {
        if self.counts {
            self.put(instructions);
        }
    }

    fn put(&mut self, instructions: impl IntoIterator<Item = I<'static>>) {
        for i in instructions {
            self.out.instruction(&i);
        }
    }

    /// From here on nothing but `owed` is owed.
    fn pay_down_to(&mut self, owed: i64) {
        let difference = self.owed - owed;
        if difference != 0 {
            self.add([I::LocalGet(self.left), I::I64Const(difference), I::I64Sub, I::LocalSet(self.left)]);
        }
        self.owed = owed;
    }

    /// What is left, for those outside to see.
    fn tell(&mut self) {
        self.add([I::LocalGet(self.left)]);
        if self.owed != 0 {
            self.add([I::I64Const(self.owed), I::I64Sub]);
        }
        self.add([I::GlobalSet(self.global)]);
    }

    fn hear(&mut self) {
        self.add([I::GlobalGet(self.global), I::LocalSet(self.left)]);
        self.owed = 0;
    }

    /// Traps if nothing is left, and says so in the global.
    fn check(&mut self) {
        self.add([I::LocalGet(self.left), I::I64Const(self.owed), I::I64LeS, I::If(BlockType::Empty)]);
        self.tell();
        self.add([I::Unreachable, I::End]);
    }

    /// Before a jump to a label, taken or not, or at its place.
    fn go_to(&mut self, label: usize) {
        if label == 0 {
            return self.tell();
        }
        let owed = *self.owed_at[self.labels[label].group].get_or_insert(self.owed);
        self.pay_down_to(owed);
        if self.labels[label].caught {
            self.tell();
        }
    }

    /// Pays `each` for every unit of the operand on top of the stack, which stays there.
    fn pay_units(&mut self, each: i64, operand: u32, wide: bool) {
        self.add([I::LocalTee(operand), I::LocalGet(operand)]);
        if wide {
            // More than there can be is as much as there can be.
            self.add([I::I64Const(GAS_MAX / each), I::LocalGet(operand), I::I64Const(GAS_MAX / each), I::I64LtU, I::Select]);
        } else {
            self.add([I::I64ExtendI32U]);
        }
        self.add([I::I64Const(-each), I::I64Mul, I::LocalGet(self.left), I::I64Add, I::LocalSet(self.left)]);
        self.check();
    }
}

fn write(counter: &mut Counter, body: &FunctionBody) -> Result<Function, Error> {
    let shape = shape(body)?;
    let mut next = counter.parameters[counter.function];
    let mut locals = Vec::new();
    for pair in body.get_locals_reader()? {
        let (count, ty) = pair?;
        next += count;
        locals.push((count, counter.val_type(ty)?));
    }
    let (left, words, longs) = (next, next + 1, next + 2);
    if counter.counts {
        locals.push((1, ValType::I64));
    }
    if counter.counts && shape.measured {
        locals.extend([(1, ValType::I32), (1, ValType::I64)]);
    }
    let mut owed_at = vec![None; shape.labels.len()];
    for label in shape.labels.iter().filter(|label| label.caught) {
        owed_at[label.group] = Some(0);
    }
    let mut w = Writer {
        out: Function::new(locals), labels: shape.labels, owed_at, owed: 0, reachable: true, counts: counter.counts,
        global: counter.gas, left,
    };
    w.hear();
    w.owed = 1; // what each run of a function costs
    if shape.calls {
        w.check();
    }

    let mut open = vec![Block { label: 0, is_loop: false, reachable: true, owed: 0 }];
    let mut labels = 1; // begun so far
    let steps = counter.settled.as_ref().map(|settled| settled.steps(body)).transpose()?;
    for (ordinal, op) in body.get_operators_reader()?.into_iter().enumerate() {
        let op = op?;
        let step = steps.as_ref().map_or(Step::Keep, |steps| steps[ordinal]);
        if w.reachable && step != Step::Gone {
            w.owed += counter.costs.cost(&op);
            if matches!(step, Step::Keep | Step::Jump) {
                before(&mut w, counter, &op, &open, labels, [words, longs])?;
            }
        }
        match &op {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                let is_loop = matches!(op, Operator::Loop { .. });
                if matches!(step, Step::Keep | Step::Open) {
                    open.push(Block { label: labels, is_loop, reachable: w.reachable, owed: w.owed });
                }
                labels += 1;
            }
            _ => {}
        }
        if step != Step::Keep {
            settle(&mut w, counter, step, op)?;
            continue;
        }
        let at_end = matches!(op, Operator::End);
        let at_else = matches!(op, Operator::Else);
        let calls = matches!(op, Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::CallRef { .. });
        let starts_loop = matches!(op, Operator::Loop { .. });
        let leaves = matches!(op, Operator::Br { .. } | Operator::BrTable { .. } | Operator::Return | Operator::Unreachable
            | Operator::Throw { .. } | Operator::ThrowRef | Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. });
        w.out.instruction(&counter.instruction(op)?);
        if at_end {
            let block = open.pop().expect("the module is valid");
            if !block.is_loop && !open.is_empty() {
                let label = &w.labels[block.label];
                let owed = w.owed_at[label.group].filter(|_| block.reachable);
                let caught = label.caught;
                w.reachable = owed.is_some();
                w.owed = owed.unwrap_or(0);
                if w.reachable && caught {
                    w.hear();
                }
            }
        } else if at_else {
            let block = open.last().expect("the module is valid");
            (w.reachable, w.owed) = (block.reachable, block.owed);
        } else if w.reachable && calls {
            w.hear();
        } else if w.reachable && starts_loop {
            if w.labels[labels - 1].caught {
                w.hear();
            }
            w.check();
        } else if leaves {
            w.reachable = false;
        }
    }
    Ok(w.out)
}

/// Puts what an operator becomes that is not kept.
fn settle(w: &mut Writer, counter: &mut Counter, step: Step, op: Operator) -> Result<(), Error> {
    match (step, op) {
        (Step::Constant(Value::I32(value)), _) => w.put([I::I32Const(value)]),
        (Step::Constant(Value::I64(value)), _) => w.put([I::I64Const(value)]),
        (Step::Never, _) => w.put([I::Drop]),
        (Step::Jump, Operator::BrIf { relative_depth }) => {
            w.put([I::Drop, I::Br(relative_depth)]);
            w.reachable = false;
        }
        (Step::Open, Operator::If { blockty }) => w.put([I::Drop, I::Block(counter.block_type(blockty)?)]),
        _ => {}
    }
    Ok(())
}

/// What has to come before an operator that runs. @param next  the label that it begins, if it begins one
fn before(w: &mut Writer, counter: &Counter, op: &Operator, open: &[Block], next: usize, [words, longs]: [u32; 2]) -> Result<(), Error> {
    let at = |depth: u32| open[open.len() - 1 - depth as usize].label;
    let variable = &counter.costs.variable;
    let units = if counter.wide { longs } else { words };
    match op {
        Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::CallRef { .. } | Operator::ReturnCall { .. }
        | Operator::ReturnCallIndirect { .. } | Operator::ReturnCallRef { .. } | Operator::Return | Operator::Throw { .. }
        | Operator::ThrowRef => w.tell(),
        Operator::Loop { .. } => w.go_to(next),
        // Its condition may lead to its end at once.
        Operator::If { .. } if !w.labels[next].has_else => w.go_to(next),
        Operator::Br { relative_depth } | Operator::BrIf { relative_depth } | Operator::BrOnNull { relative_depth }
        | Operator::BrOnNonNull { relative_depth } => w.go_to(at(*relative_depth)),
        Operator::BrTable { targets } => {
            for target in targets.targets().chain([Ok(targets.default())]) {
                // The first one pays, as all of them owe the same; those behind it only tell.
                w.go_to(at(target?));
            }
        }
        Operator::Else => w.go_to(at(0)),
        Operator::End if !open.last().is_some_and(|block| block.is_loop) => w.go_to(at(0)),
        Operator::MemoryCopy { .. } => w.pay_units(variable.memory_copy_per_byte.into(), units, counter.wide),
        Operator::MemoryFill { .. } => w.pay_units(variable.memory_fill_per_byte.into(), units, counter.wide),
        Operator::MemoryInit { .. } => w.pay_units(variable.memory_init_per_byte.into(), words, false),
        Operator::MemoryGrow { .. } => w.pay_units(variable.memory_grow_per_page.into(), units, counter.wide),
        _ => {}
    }
    Ok(())
}
