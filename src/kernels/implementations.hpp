#pragma once

#include "kernels/node.hpp"

#include <string_view>
#include <vector>

/// The implementations of the contract that this machine can run. All give the same bits (`kernels_test.cpp`).
namespace altiplano::kernels {

/// The scalar definition first, the fastest last.
std::vector<const Implementation*> implementations();
/// The fastest.
const Implementation& best_implementation();
/// By its name: portable, sse2, avx2, avx512-vnni. @return nullptr when this machine cannot run it
const Implementation* implementation(std::string_view name);

const Implementation& portable_implementation() noexcept;
// Only to be called where the processor has the instructions.
const Implementation& sse2_implementation() noexcept;
const Implementation& avx2_implementation() noexcept;
const Implementation& avx512_implementation() noexcept;

}  // namespace altiplano::kernels
