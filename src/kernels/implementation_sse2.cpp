#include "kernels/lanes/sse2.hpp"

#include "kernels/implementations.hpp"
#include "kernels/vector/implementation.hpp"

namespace altiplano::kernels {

const Implementation& sse2_implementation() noexcept
{
    static constexpr Implementation all{"sse2", prepare, run};
    return all;
}

}  // namespace altiplano::kernels
