#pragma once

#include "base/bytes.hpp"
#include "base/id.hpp"

namespace altiplano::tensor {

/// The specification: a wasm module that executes graphs in its guest's memory (guest/tensor/reference.cpp). It is right by
/// definition; this program's own code must give the same bytes.
Bytes reference_module();

/// What slot 0 records: the SHA-256 of the reference module.
const Digest& specification();

}  // namespace altiplano::tensor
