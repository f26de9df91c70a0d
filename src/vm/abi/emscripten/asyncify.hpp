#pragma once

#include "vm/abi/ask.hpp"

#include <functional>

/// What emscripten's asyncify does around a call that may take its time. In AO's loader such a call unwinds the guest's stack
/// into memory, and rewinds it when the answer is there (Binaryen's pass Asyncify). Here answers are there at once; but the code
/// that unwinds and rewinds is the guest's own and counts, so modules whose instructions are counted do the same as there.
namespace altiplano::vm::abi::emscripten {

/// What the import answers: of modules that are not counted at once, of others after unwinding and rewinding.
/// @param work  the call itself, done once
Answer<Value> answer_asleep(Guest& guest, const std::function<Answer<Value>()>& work);

/// Calls an export whose imports may unwind it, again until it returned.
Answer<Value> call_awake(Guest& guest, std::string_view name, std::initializer_list<Value> arguments);

}  // namespace altiplano::vm::abi::emscripten
