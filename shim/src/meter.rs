//! What AO's loader counts for the formats that meter (npm @permaweb/wasm-metering, ao-protocol.md 6.4): before each
//! stretch of instructions that ends where control may leave, the sum of their costs and of the counting itself. GasUsed of
//! a message is the sum over the stretches that it entered, and must come out equal to the loader's.
use crate::rewrite::Refusal;
use wasmparser::{FunctionBody, Operator};

/// What the loader's own two instructions cost: a constant and a call.
const OVERHEAD: i64 = 1 + 90;

/// The loader looks instructions up by their names without the type in front, as they were called in 2017. What it does
/// not name costs nothing: conversions, most of float arithmetic, SIMD, bulk memory.
fn cost(name: &str) -> i64 {
    match name {
        "LocalGet" | "LocalSet" | "LocalTee" | "GlobalGet" | "GlobalSet" | "Drop" | "Select" | "TypedSelect" | "BrTable" => return 120,
        "MemoryGrow" => return 10000,
        "MemorySize" => return 100,
        "Nop" | "Block" | "Loop" | "If" | "Unreachable" => return 1,
        "Else" | "Br" | "BrIf" | "Return" | "Call" => return 90,
        "CallIndirect" => return 10000,
        _ => {}
    }
    let Some(rest) = ["I32", "I64", "F32", "F64"].iter().find_map(|ty| name.strip_prefix(ty)) else { return 0 };
    match rest {
        "Load" | "Load8S" | "Load8U" | "Load16S" | "Load16U" | "Load32S" | "Load32U" | "Store" | "Store8" | "Store16" | "Store32" => 120,
        "Const" => 1,
        "Add" | "Sub" | "Mul" | "And" | "Or" | "Xor" | "Eq" | "Eqz" | "Ne" | "LtS" | "LtU" | "LeS" | "LeU" | "GtS" | "GtU" | "GeS"
        | "GeU" | "Clz" | "Ctz" | "Popcnt" => 45,
        "DivS" | "DivU" | "RemS" | "RemU" => 36000,
        "Shl" | "ShrS" | "ShrU" => 67,
        "Rotl" | "Rotr" => 90,
        _ => 0,
    }
}

fn ends_a_stretch(op: &Operator) -> bool {
    use Operator::*;
    matches!(op, MemoryGrow { .. } | End | Br { .. } | BrTable { .. } | BrIf { .. } | If { .. } | Else | Return | Loop { .. })
}

/// Where each stretch begins, as the ordinal of its first instruction, and what it costs. Those that cost nothing are
/// not counted.
pub fn stretches(body: &FunctionBody) -> Result<Vec<(u32, i64)>, Refusal> {
    let mut all = Vec::new();
    let (mut begin, mut sum) = (0, 0);
    for (ordinal, op) in body.get_operators_reader()?.into_iter().enumerate() {
        let op = op?;
        sum += cost(&crate::rewrite::name(&op));
        if ends_a_stretch(&op) {
            if sum != 0 {
                all.push((begin, sum + OVERHEAD));
            }
            (begin, sum) = (ordinal as u32 + 1, 0);
        }
    }
    Ok(all)
}
