//! Legacy exceptions become exnref ones: what emscripten built for older engines (`try`, `catch`, `delegate`, `rethrow`) says
//! the same with `try_table` and `throw_ref`. A module without them comes back as it is.
//!
//! Each `try` turns into
//! ```text
//! block $out                          a branch to the try leads here
//!   block $all (result exnref)        if it has a catch_all
//!     block $n (result tag.. exnref)  one for each catch
//!       try_table (catch_ref n $n).. (catch_all_ref $all)
//!         block $delegated (result exnref)   if a try inside delegates to this one
//!           body
//!           br $out
//!         end
//!         throw_ref
//!       end
//!       br $out
//!     end
//!     local.set $exception            for rethrow
//!     handler
//!     br $out
//!   end ..
//! end
//! ```
use crate::rewrite::{Refusal, refuse};
use std::collections::HashMap;
use wasm_encoder::reencode::Reencode;
use wasm_encoder::{BlockType, Catch, CodeSection, Function, Instruction, Module, TypeSection, ValType};
use wasmparser::{FunctionBody, Operator, Parser, Payload};

/// What the first walk over a body finds: how its tries end, by their order of appearance.
#[derive(Default, Clone)]
struct Try {
    tags: Vec<u32>,
    catch_all: bool,
    /// Where an exception goes on: the try whose body encloses the label, or out of the function.
    delegate: Option<Option<usize>>,
    is_target: bool,
}

#[derive(Default)]
struct Plan {
    tries: Vec<Try>,
    leaves_function: bool, // some try delegates to the caller
    depth: usize,          // how deep tries with handlers nest
}

#[derive(Clone, Copy)]
enum Open {
    Plain,
    Try { ordinal: usize, in_body: bool },
}

fn plan(body: &FunctionBody) -> Result<Plan, Refusal> {
    let mut plan = Plan::default();
    let mut open: Vec<Open> = Vec::new();
    for op in body.get_operators_reader()?.into_iter() {
        match op? {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => open.push(Open::Plain),
            Operator::TryTable { .. } => refuse!(c"module.invalid", "the module mixes legacy exceptions with exnref"),
            Operator::Try { blockty } => {
                if let wasmparser::BlockType::FuncType(_) = blockty {
                    refuse!(c"module.legacy_exceptions", "a legacy `try` with several values; translate the module to exnref (binaryen: wasm-opt --translate-to-exnref)");
                }
                open.push(Open::Try { ordinal: plan.tries.len(), in_body: true });
                plan.tries.push(Try::default());
                plan.depth = plan.depth.max(open.iter().filter(|o| matches!(o, Open::Try { .. })).count());
            }
            op @ (Operator::Catch { .. } | Operator::CatchAll) => {
                let Some(Open::Try { ordinal, in_body }) = open.last_mut() else { unreachable!("it is valid") };
                *in_body = false;
                match op {
                    Operator::Catch { tag_index } => plan.tries[*ordinal].tags.push(tag_index),
                    _ => plan.tries[*ordinal].catch_all = true,
                }
            }
            Operator::Delegate { relative_depth } => {
                let Some(Open::Try { ordinal, .. }) = open.pop() else { unreachable!("it is valid") };
                // The label counts from outside the try itself. A handler's own try does not catch what it throws.
                let end = open.len().saturating_sub(relative_depth as usize);
                let target = open[..end].iter().rev().find_map(|o| match o {
                    Open::Try { ordinal, in_body: true } => Some(*ordinal),
                    _ => None,
                });
                match target {
                    Some(target) => plan.tries[target].is_target = true,
                    None => plan.leaves_function = true,
                }
                plan.tries[ordinal].delegate = Some(target);
            }
            Operator::End => {
                open.pop();
            }
            _ => {}
        }
    }
    Ok(plan)
}

/// An open block of the source: where a branch to it leads, counted in blocks of the output.
struct Frame {
    level: u32,
    kind: Kind,
}
enum Kind {
    Plain,
    Try { ordinal: usize, in_body: bool, local: u32, delegated: u32 }, // level of its $delegated
    Delegating,
}

struct Emit<'a> {
    out: Function,
    plan: &'a Plan,
    first_tag_type: u32,
    tag_has_values: &'a [bool],
    frames: Vec<Frame>,
    depth: u32, // open blocks of the output
    whole: u32, // level of the block that delegates to the caller
}

impl Emit<'_> {
    fn open(&mut self, i: Instruction) -> u32 {
        self.out.instruction(&i);
        self.depth += 1;
        self.depth
    }
    fn close(&mut self) {
        self.out.instruction(&Instruction::End);
        self.depth -= 1;
    }
    fn branch(&mut self, level: u32) {
        self.out.instruction(&Instruction::Br(self.depth - level));
    }
    fn label(&self, source: u32) -> u32 {
        // Beyond all frames: the function itself.
        let level = self.frames.len().checked_sub(1 + source as usize).map_or(0, |at| self.frames[at].level);
        self.depth - level
    }

    fn begin_try(&mut self, ordinal: usize, block: BlockType, local: u32) {
        let one = &self.plan.tries[ordinal];
        if let Some(target) = one.delegate {
            let level = match target {
                None => self.whole,
                Some(target) => self.frames.iter().find_map(|f| match f.kind {
                    Kind::Try { ordinal, delegated, .. } if ordinal == target => Some(delegated),
                    _ => None,
                }).expect("a target encloses who delegates to it"),
            };
            // A catch's label counts from outside its try_table.
            let catches = vec![Catch::AllRef { label: self.depth - level }];
            let level = self.open(Instruction::TryTable(block, catches.into()));
            self.frames.push(Frame { level, kind: Kind::Delegating });
            return;
        }
        let (tags, catch_all, is_target) = (one.tags.clone(), one.catch_all, one.is_target);
        let level = self.open(Instruction::Block(block));
        let mut catches = Vec::new();
        if catch_all {
            self.open(Instruction::Block(BlockType::Result(ValType::EXNREF)));
        }
        for tag in tags.iter().rev() {
            let ty = if self.tag_has_values[*tag as usize] {
                BlockType::FunctionType(self.first_tag_type + tag)
            } else {
                BlockType::Result(ValType::EXNREF)
            };
            self.open(Instruction::Block(ty));
        }
        for (at, tag) in tags.iter().enumerate() {
            catches.push(Catch::OneRef { tag: *tag, label: at as u32 });
        }
        if catch_all {
            catches.push(Catch::AllRef { label: tags.len() as u32 });
        }
        self.open(Instruction::TryTable(block, catches.into()));
        let delegated = if is_target { self.open(Instruction::Block(BlockType::Result(ValType::EXNREF))) } else { 0 };
        self.frames.push(Frame { level, kind: Kind::Try { ordinal, in_body: true, local, delegated } });
    }

    /// What ends the body of a try: its value leaves, and what was delegated here is thrown where the handlers see it.
    fn end_body(&mut self, level: u32, delegated: u32) {
        if delegated != 0 {
            self.branch(level);
            self.close();
            self.out.instruction(&Instruction::ThrowRef);
        }
        self.close(); // try_table
    }

    fn begin_handler(&mut self) {
        let Some(Frame { level, kind: Kind::Try { in_body, local, delegated, .. } }) = self.frames.last() else {
            unreachable!("it is valid")
        };
        let (level, in_body, local, delegated) = (*level, *in_body, *local, *delegated);
        if in_body {
            self.end_body(level, delegated);
        }
        self.branch(level);
        self.close();
        self.out.instruction(&Instruction::LocalSet(local));
        if let Some(Frame { kind: Kind::Try { in_body, .. }, .. }) = self.frames.last_mut() {
            *in_body = false;
        }
    }

    fn end(&mut self) {
        match self.frames.pop() {
            Some(Frame { level, kind: Kind::Try { in_body: true, delegated, .. } }) => {
                self.end_body(level, delegated);
                self.close();
            }
            _ => self.close(),
        }
    }
}

#[derive(Default)]
struct Translate {
    tags: Vec<u32>, // type of each
    functions: Vec<u32>, // type of each that has a body
    bodies: usize, // done so far
    first_tag_type: u32,
    tag_has_values: Vec<bool>,
    parameters: HashMap<u32, Vec<wasmparser::ValType>>, // of each function type
}

type Failure = wasm_encoder::reencode::Error<Box<Refusal>>;

fn refusal_of(failure: Failure) -> Refusal {
    match failure {
        Failure::UserError(refusal) => *refusal,
        Failure::ParseError(error) => error.into(),
        _ => Refusal { code: c"module.invalid", sentence: "the module cannot be written again".to_string() },
    }
}

/// @return the module with exnref exceptions. `wasm` is valid and has legacy ones.
pub fn translate(wasm: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut found = Translate::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(section) => {
                for group in section {
                    for sub in group?.into_types() {
                        if let wasmparser::CompositeInnerType::Func(f) = &sub.composite_type.inner {
                            found.parameters.insert(found.first_tag_type, f.params().to_vec());
                        }
                        found.first_tag_type += 1;
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if let wasmparser::TypeRef::Tag(_) = import?.ty {
                        refuse!(c"module.imported_state", "the module imports a tag, which is not a function");
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    found.functions.push(ty?);
                }
            }
            Payload::TagSection(section) => {
                for tag in section {
                    found.tags.push(tag?.func_type_idx);
                }
            }
            _ => {}
        }
    }
    found.tag_has_values = found.tags.iter().map(|ty| !found.parameters[ty].is_empty()).collect();
    let mut module = Module::new();
    found.parse_core_module(&mut module, Parser::new(0), wasm).map_err(refusal_of)?;
    Ok(module.finish())
}

impl Reencode for Translate {
    type Error = Box<Refusal>;

    fn parse_type_section(
        &mut self, types: &mut TypeSection, section: wasmparser::TypeSectionReader<'_>,
    ) -> Result<(), Failure> {
        wasm_encoder::reencode::utils::parse_type_section(self, types, section)?;
        for tag in self.tags.clone() {
            let mut results = Vec::new();
            for parameter in self.parameters[&tag].clone() {
                results.push(self.val_type(parameter)?);
            }
            results.push(ValType::EXNREF);
            types.ty().function([], results);
        }
        Ok(())
    }

    fn parse_custom_section(
        &mut self, _: &mut Module, _: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), Failure> {
        Ok(())
    }

    fn parse_function_body(
        &mut self, code: &mut CodeSection, body: FunctionBody<'_>,
    ) -> Result<(), Failure> {
        let user = |refusal: Refusal| Failure::UserError(Box::new(refusal));
        let parameters = self.parameters[&self.functions[self.bodies]].len() as u32;
        self.bodies += 1;
        let plan = plan(&body).map_err(user)?;
        if plan.tries.is_empty() {
            return wasm_encoder::reencode::utils::parse_function_body(self, code, body);
        }
        self.function(code, &body, &plan, parameters).map_err(user)
    }
}

impl Translate {
    fn function(&mut self, code: &mut CodeSection, body: &FunctionBody, plan: &Plan, parameters: u32) -> Result<(), Refusal> {
        let mut locals = Vec::new();
        let mut count = 0;
        for pair in body.get_locals_reader()? {
            let (n, ty) = pair?;
            count += n;
            locals.push((n, self.val_type(ty).map_err(refusal_of)?));
        }
        locals.push((plan.depth as u32, ValType::EXNREF));
        let first = parameters + count; // of the exceptions' locals
        let tag_has_values = self.tag_has_values.clone();
        let mut e = Emit {
            out: Function::new(locals), plan, first_tag_type: self.first_tag_type, tag_has_values: &tag_has_values,
            frames: Vec::new(), depth: 0, whole: 0,
        };
        if plan.leaves_function {
            e.whole = e.open(Instruction::Block(BlockType::Result(ValType::EXNREF)));
        }
        let mut ordinal = 0;
        for op in body.get_operators_reader()?.into_iter() {
            let op = op?;
            match op {
                Operator::Try { blockty } => {
                    let nested = e.frames.iter().filter(|f| matches!(f.kind, Kind::Try { .. })).count();
                    let block = self.block_type(blockty).map_err(refusal_of)?;
                    e.begin_try(ordinal, block, first + nested as u32);
                    ordinal += 1;
                }
                Operator::Catch { .. } | Operator::CatchAll => e.begin_handler(),
                Operator::Delegate { .. } => e.end(),
                Operator::Rethrow { relative_depth } => {
                    let at = e.frames.len() - 1 - relative_depth as usize;
                    let Kind::Try { local, .. } = e.frames[at].kind else { unreachable!("it is valid") };
                    e.out.instruction(&Instruction::LocalGet(local)).instruction(&Instruction::ThrowRef);
                }
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    let i = self.instruction(op).map_err(refusal_of)?;
                    let level = e.open(i);
                    e.frames.push(Frame { level, kind: Kind::Plain });
                }
                Operator::End if e.frames.is_empty() => {
                    if plan.leaves_function {
                        e.out.instruction(&Instruction::Return);
                        e.close();
                        e.out.instruction(&Instruction::ThrowRef);
                    }
                    e.out.instruction(&Instruction::End);
                }
                Operator::End => e.end(),
                op => {
                    let i = match self.instruction(op).map_err(refusal_of)? {
                        Instruction::Br(l) => Instruction::Br(e.label(l)),
                        Instruction::BrIf(l) => Instruction::BrIf(e.label(l)),
                        Instruction::BrOnNull(l) => Instruction::BrOnNull(e.label(l)),
                        Instruction::BrOnNonNull(l) => Instruction::BrOnNonNull(e.label(l)),
                        Instruction::BrTable(targets, default) => Instruction::BrTable(
                            targets.iter().map(|l| e.label(*l)).collect::<Vec<_>>().into(), e.label(default)),
                        other => other,
                    };
                    e.out.instruction(&i);
                }
            }
        }
        code.function(&e.out);
        Ok(())
    }
}
