#include "kernels/lanes/avx512.hpp"

#include "kernels/implementations.hpp"
#include "kernels/vector/implementation.hpp"

namespace altiplano::kernels {

const Implementation& avx512_implementation() noexcept
{
    static constexpr Implementation all{"avx512-vnni", prepare, run};
    return all;
}

}  // namespace altiplano::kernels
