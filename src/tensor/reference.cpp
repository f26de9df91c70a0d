#include "tensor/reference.hpp"

#include "base/hash.hpp"

// The bytes of build/guest/tensor.wasm, which guest/tensor/build made and compared with guest/modules.lock.
asm(".section .rodata\n"
    ".global altiplano_reference_begin\n"
    ".global altiplano_reference_end\n"
    ".balign 16\n"
    "altiplano_reference_begin:\n"
    ".incbin \"" ALTIPLANO_REFERENCE_MODULE "\"\n"
    "altiplano_reference_end:\n"
    ".byte 0\n"
    ".text\n");
extern "C" const std::byte altiplano_reference_begin[];
extern "C" const std::byte altiplano_reference_end[];

namespace altiplano::tensor {

Bytes reference_module()
{
    return {altiplano_reference_begin, altiplano_reference_end};
}

const Digest& specification()
{
    static const Digest hash = sha256(reference_module());
    return hash;
}

}  // namespace altiplano::tensor
