#include "kernels/lanes/avx2.hpp"

#include "kernels/implementations.hpp"
#include "kernels/vector/implementation.hpp"

namespace altiplano::kernels {

const Implementation& avx2_implementation() noexcept
{
    static constexpr Implementation all{"avx2", prepare, run};
    return all;
}

}  // namespace altiplano::kernels
