//! What a module's code decides before it runs. A global that nobody can write keeps its first value, so a branch that asks for it
//! always goes the same way, and the code of the other way never runs.
//!
//! AO's modules were built with asyncify, whose functions ask on entry and after each call whether the stack is just being left or
//! entered again (aos2_0_6 asks at 11,600 places), and keep their locals for that. Only the exports `asyncify_*` ever say so. In
//! formats that meter the host calls them (src/vm/abi/emscripten/asyncify.hpp); in others its calls return when they are done, so
//! nobody needs these exports and they are taken away.
//!
//! Nothing that can be seen changes: such a global stays where it is, as one that cannot be written, so whatever would write it
//! after all is refused by the validator or by who restores a state; what code costs is paid as if it were there (`gas.rs`).
use crate::rewrite::Kind;
use std::collections::{HashMap, HashSet};
use wasmparser::{ElementItems, ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef};

const ASYNCIFY_EXPORTS: &str = "asyncify_";
const STATE_EXPORTS: &str = "altiplano:global:";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Value {
    I32(i32),
    I64(i64),
}

pub struct Settled {
    sleeps: bool, // the host calls asyncify's exports
    values: HashMap<u32, Value>, // by global
    /// Functions that nobody calls and that write one of these globals.
    silent: HashSet<u32>,
}

/// What becomes of an operator.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Keep,
    Constant(Value),
    /// A `br_if` that never jumps, or an `if` that never runs and goes with all that is in it: the condition is dropped.
    Never,
    /// A `br_if` that always jumps: a `br` without the condition.
    Jump,
    /// An `if` of which one arm always runs: a `block` without the condition.
    Open,
    /// It runs and does nothing: the `else` behind an arm that always runs.
    Silent,
    /// It never runs.
    Gone,
}

/// What the first walk over a function finds.
#[derive(Default)]
struct Links {
    calls: Vec<u32>,
    writes: Vec<u32>,
}

impl Settled {
    /// @param wasm  what the first pass gave (`rewrite.rs`)
    pub fn of(wasm: &[u8], kind: Kind) -> Result<Self, wasmparser::Error> {
        let mut found = Settled { sleeps: kind == Kind::Metered, values: HashMap::new(), silent: HashSet::new() };
        let mut imported = 0;
        let mut globals = 0;
        let mut written_outside = HashSet::new(); // globals that a host may write
        let mut reached = Vec::new();
        let mut functions: Vec<Links> = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        let global = global?;
                        let mut init = global.init_expr.get_operators_reader();
                        let first = init.read()?;
                        let alone = matches!(init.read()?, Operator::End);
                        match first {
                            Operator::I32Const { value } if alone => found.values.insert(globals, Value::I32(value)),
                            Operator::I64Const { value } if alone => found.values.insert(globals, Value::I64(value)),
                            Operator::RefFunc { function_index } => {
                                reached.push(function_index);
                                None
                            }
                            _ => None,
                        };
                        globals += 1;
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        match export.kind {
                            ExternalKind::Func if found.has_export(export.name) => reached.push(export.index),
                            ExternalKind::Global if !export.name.starts_with(STATE_EXPORTS) => {
                                written_outside.insert(export.index);
                            }
                            _ => {}
                        }
                    }
                }
                Payload::ElementSection(section) => {
                    for element in section {
                        match element?.items {
                            ElementItems::Functions(items) => {
                                for item in items {
                                    reached.push(item?);
                                }
                            }
                            ElementItems::Expressions(_, items) => {
                                for item in items {
                                    for op in item?.get_operators_reader() {
                                        if let Operator::RefFunc { function_index } = op? {
                                            reached.push(function_index);
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => functions.push(links(&body)?),
                _ => {}
            }
        }

        let mut seen = HashSet::new();
        while let Some(function) = reached.pop() {
            if function >= imported && seen.insert(function) {
                reached.extend(&functions[(function - imported) as usize].calls);
            }
        }
        found.values.retain(|global, _| !written_outside.contains(global));
        for function in &seen {
            for global in &functions[(*function - imported) as usize].writes {
                found.values.remove(global);
            }
        }
        for (defined, links) in (0..).zip(&functions) {
            if links.writes.iter().any(|global| found.values.contains_key(global)) {
                found.silent.insert(defined);
            }
        }
        Ok(found)
    }

    /// Whether an export stays.
    pub fn has_export(&self, name: &str) -> bool {
        self.sleeps || !name.starts_with(ASYNCIFY_EXPORTS)
    }

    pub fn value(&self, global: u32) -> Option<Value> {
        self.values.get(&global).copied()
    }

    /// Whether a function never runs and could not be kept as it is. @param defined  its number among those with a body
    pub fn is_silent(&self, defined: u32) -> bool {
        self.silent.contains(&defined)
    }

    /// What becomes of each operator of a function, in their order.
    pub fn steps(&self, body: &FunctionBody) -> Result<Vec<Step>, wasmparser::Error> {
        let with_else = ifs_with_else(body)?;
        let mut steps = Vec::new();
        let mut known = Stack::default();
        let mut open = vec![Frame::Whole];
        let mut gone = 0; // how many blocks are open in code that never runs, with the arm itself
        let mut ifs = 0;
        for op in body.get_operators_reader()? {
            let op = op?;
            let is_if = matches!(op, Operator::If { .. });
            let has_else = is_if && with_else[ifs];
            ifs += usize::from(is_if);
            if gone > 0 {
                let last = gone == 1;
                match op {
                    Operator::If { .. } | Operator::Block { .. } | Operator::Loop { .. } | Operator::TryTable { .. } => gone += 1,
                    // The arm that never runs was the first: here begins the one that does.
                    Operator::Else if last && open.last() == Some(&Frame::Second) => gone = 0,
                    Operator::End => gone -= 1,
                    _ => {}
                }
                // Of an `if` that is there as a block, the end is there too.
                let is_kept = last && matches!(op, Operator::End) && open.pop() == Some(Frame::First);
                steps.push(if is_kept { Step::Keep } else { Step::Gone });
                continue;
            }
            steps.push(match &op {
                Operator::If { .. } => {
                    let condition = known.pop();
                    known.forget();
                    match (condition.is_true(), has_else) {
                        (Some(true), _) => {
                            open.push(Frame::First);
                            Step::Open
                        }
                        (Some(false), true) => {
                            open.push(Frame::Second);
                            gone = 1;
                            Step::Open
                        }
                        (Some(false), false) => {
                            open.push(Frame::Never);
                            gone = 1;
                            Step::Never
                        }
                        (None, _) => {
                            open.push(Frame::Whole);
                            Step::Keep
                        }
                    }
                }
                Operator::Else if open.last() == Some(&Frame::First) => {
                    gone = 1;
                    Step::Silent
                }
                Operator::BrIf { .. } => match known.pop().is_true() {
                    Some(true) => Step::Jump,
                    Some(false) => Step::Never,
                    None => Step::Keep,
                },
                Operator::GlobalGet { global_index } => match self.value(*global_index) {
                    Some(value) => {
                        known.push(match value {
                            Value::I32(value) => Known::Exactly(value),
                            Value::I64(_) => Known::Nothing,
                        });
                        Step::Constant(value)
                    }
                    None => {
                        known.push(Known::Nothing);
                        Step::Keep
                    }
                },
                op => {
                    match op {
                        Operator::Block { .. } | Operator::Loop { .. } | Operator::TryTable { .. } => open.push(Frame::Whole),
                        Operator::End => {
                            open.pop();
                        }
                        _ => {}
                    }
                    known.follow(op);
                    Step::Keep
                }
            });
        }
        Ok(steps)
    }
}

/// An open block.
#[derive(PartialEq, Eq)]
enum Frame {
    Whole,
    First, // of an `if`, only the first arm ever runs
    Second,
    Never,
}

fn links(body: &FunctionBody) -> Result<Links, wasmparser::Error> {
    let mut links = Links::default();
    for op in body.get_operators_reader()? {
        match op? {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } | Operator::RefFunc { function_index } => {
                links.calls.push(function_index);
            }
            Operator::GlobalSet { global_index } => links.writes.push(global_index),
            _ => {}
        }
    }
    Ok(links)
}

/// For each `if` of a function, whether it has an `else`.
fn ifs_with_else(body: &FunctionBody) -> Result<Vec<bool>, wasmparser::Error> {
    let mut all = Vec::new();
    let mut open = vec![None];
    for op in body.get_operators_reader()? {
        match op? {
            Operator::If { .. } => {
                open.push(Some(all.len()));
                all.push(false);
            }
            Operator::Block { .. } | Operator::Loop { .. } | Operator::TryTable { .. } => open.push(None),
            Operator::Else => {
                if let Some(Some(at)) = open.last() {
                    all[*at] = true;
                }
            }
            Operator::End => {
                open.pop();
            }
            _ => {}
        }
    }
    Ok(all)
}

/// What is known of a 32-bit operand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    Exactly(i32),
    NotZero,
}

impl Known {
    fn is_true(self) -> Option<bool> {
        match self {
            Known::Nothing => None,
            Known::Exactly(value) => Some(value != 0),
            Known::NotZero => Some(true),
        }
    }

    fn of(truth: Option<bool>) -> Self {
        truth.map_or(Known::Nothing, |truth| Known::Exactly(truth.into()))
    }

    fn equals(self, other: Self) -> Option<bool> {
        match (self, other) {
            (Known::Exactly(a), Known::Exactly(b)) => Some(a == b),
            (Known::NotZero, Known::Exactly(0)) | (Known::Exactly(0), Known::NotZero) => Some(false),
            _ => None,
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Known::Exactly(a), Known::Exactly(b)) => Known::Exactly(a | b),
            _ if self.is_true() == Some(true) || other.is_true() == Some(true) => Known::NotZero,
            _ => Known::Nothing,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Known::Exactly(a), Known::Exactly(b)) => Known::Exactly(a & b),
            (Known::Exactly(0), _) | (_, Known::Exactly(0)) => Known::Exactly(0),
            _ => Known::Nothing,
        }
    }
}

/// The topmost operands, as far as they are followed; nothing is known of those below.
#[derive(Default)]
struct Stack(Vec<Known>);

impl Stack {
    fn push(&mut self, known: Known) {
        self.0.push(known);
    }

    fn pop(&mut self) -> Known {
        self.0.pop().unwrap_or(Known::Nothing)
    }

    fn forget(&mut self) {
        self.0.clear();
    }

    fn follow(&mut self, op: &Operator) {
        match op {
            Operator::I32Const { value } => self.push(Known::Exactly(*value)),
            Operator::LocalGet { .. } => self.push(Known::Nothing),
            Operator::LocalSet { .. } | Operator::Drop => {
                self.pop();
            }
            Operator::LocalTee { .. } | Operator::Nop => {}
            Operator::I32Eqz => {
                let truth = self.pop().is_true();
                self.push(Known::of(truth.map(|truth| !truth)));
            }
            Operator::I32Eq | Operator::I32Ne | Operator::I32Or | Operator::I32And => {
                let (b, a) = (self.pop(), self.pop());
                self.push(match op {
                    Operator::I32Eq => Known::of(a.equals(b)),
                    Operator::I32Ne => Known::of(a.equals(b).map(|equal| !equal)),
                    Operator::I32Or => a.or(b),
                    _ => a.and(b),
                });
            }
            Operator::Select => {
                let (condition, b, a) = (self.pop(), self.pop(), self.pop());
                self.push(match condition.is_true() {
                    Some(true) => a,
                    Some(false) => b,
                    None => Known::Nothing,
                });
            }
            _ => self.forget(),
        }
    }
}
