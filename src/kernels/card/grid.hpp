#pragma once

#include "kernels/arithmetic.hpp"

/// What the code of a graphics card may use besides the contract's own: where a thread stands among others, and what threads of a
/// block do together. Compiled for cards, these are their instructions; compiled for this machine, threads are fibers of
/// `emulated.cpp`, so that the same kernels run in tests.
namespace altiplano::kernels::card {

inline constexpr unsigned warp_threads = 32;
inline constexpr unsigned shared_bytes = 20 * 1024;  ///< that threads of a block share

#if defined(__NVPTX__)

static inline unsigned thread_index()
{
    return static_cast<unsigned>(__nvvm_read_ptx_sreg_tid_x());
}
static inline unsigned thread_count()
{
    return static_cast<unsigned>(__nvvm_read_ptx_sreg_ntid_x());
}
static inline unsigned block_index()
{
    return static_cast<unsigned>(__nvvm_read_ptx_sreg_ctaid_x());
}
static inline unsigned block_count()
{
    return static_cast<unsigned>(__nvvm_read_ptx_sreg_nctaid_x());
}
/// Second index of the block.
static inline unsigned block_row()
{
    return static_cast<unsigned>(__nvvm_read_ptx_sreg_ctaid_y());
}

/// All threads of the block come here before one goes on.
static inline void meet()
{
    __syncthreads();
}
/// The same of a warp.
static inline void meet_warp()
{
    __nvvm_bar_warp_sync(0xffffffffU);
}
/// The value of another thread of the warp; all its threads come here.
static inline std::uint32_t from_thread(std::uint32_t value, unsigned lane)
{
    return static_cast<std::uint32_t>(__nvvm_shfl_sync_idx_i32(0xffffffffU, static_cast<int>(value), static_cast<int>(lane), 31));
}
/// sum + the four products of signed bytes, exact.
static inline std::int32_t dot4(std::uint32_t a, std::uint32_t b, std::int32_t sum)
{
    std::int32_t result;
    asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

[[clang::loader_uninitialized]] static __attribute__((address_space(3))) std::uint64_t shared_words[shared_bytes / 8];
template <class T> static inline T* shared_as()
{
    return (T*)shared_words;  // from the address space of shared memory, which no other cast can leave
}

#else

unsigned thread_index();
unsigned thread_count();
unsigned block_index();
unsigned block_count();
unsigned block_row();
void meet();
void meet_warp();
std::uint32_t from_thread(std::uint32_t value, unsigned lane);
void* shared_memory();
template <class T> static inline T* shared_as()
{
    return static_cast<T*>(shared_memory());
}
static inline std::int32_t dot4(std::uint32_t a, std::uint32_t b, std::int32_t sum)
{
    for (int i = 0; i < 32; i += 8)
        sum += static_cast<std::int8_t>(a >> i) * static_cast<std::int8_t>(b >> i);
    return sum;
}

#endif

static inline float from_thread(float value, unsigned lane)
{
    return float_of(from_thread(bits_of(value), lane));
}
static inline std::int32_t from_thread(std::int32_t value, unsigned lane)
{
    return static_cast<std::int32_t>(from_thread(static_cast<std::uint32_t>(value), lane));
}
static inline unsigned lane_index()
{
    return thread_index() % warp_threads;
}
/// Number of this thread in the whole launch, and how many there are.
static inline std::int64_t place()
{
    return static_cast<std::int64_t>(block_index()) * thread_count() + thread_index();
}
static inline std::int64_t places()
{
    return static_cast<std::int64_t>(block_count()) * thread_count();
}

}  // namespace altiplano::kernels::card
