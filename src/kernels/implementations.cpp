#include "kernels/implementations.hpp"

#include "kernels/portable.hpp"

namespace altiplano::kernels {

const Implementation& portable_implementation() noexcept
{
    static constexpr Implementation all{"portable", portable::prepare, portable::run};
    return all;
}

std::vector<const Implementation*> implementations()
{
    std::vector<const Implementation*> found{&portable_implementation()};
#if defined(__x86_64__)
    found.push_back(&sse2_implementation());
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c"))
        found.push_back(&avx2_implementation());
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni"))
        found.push_back(&avx512_implementation());
#endif
    return found;
}

const Implementation& best_implementation()
{
    static const auto& best = *implementations().back();
    return best;
}

const Implementation* implementation(std::string_view name)
{
    for (const auto* one : implementations())
        if (one->name == name)
            return one;
    return nullptr;
}

}  // namespace altiplano::kernels
