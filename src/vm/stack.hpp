#pragma once

#include <cstddef>
#include <functional>

namespace altiplano::vm {

/// Native stack for guest code. The depth limit (shim/src/rewrite.rs, DEPTH_LIMIT) counts logical bytes of frames that
/// are meant to be no smaller than native ones; three times as much, with the 8 MiB of a reference module that a guest calls,
/// keeps the native stack out of every outcome.
inline constexpr std::size_t guest_stack_bytes = std::size_t{120} << 20;
/// On top of it, for host calls made by the guest.
inline constexpr std::size_t host_stack_bytes = std::size_t{8} << 20;

/// Runs `task` on this thread, on a large stack that the thread keeps for such calls. Callers may have small stacks.
/// Nested calls stay on the stack they are on. `task` must not throw.
/// @return false when the kernel gave no stack: nothing ran
bool on_guest_stack(const std::function<void()>& task);

}  // namespace altiplano::vm
