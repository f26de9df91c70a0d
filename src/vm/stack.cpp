// Uses mmap and ucontext: a stack of its own for guest code is this file's job.

#include "vm/stack.hpp"

#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define ALTIPLANO_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ALTIPLANO_ASAN 1
#endif
#endif
#ifdef ALTIPLANO_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace altiplano::vm {
namespace {

constexpr std::size_t guard_bytes = 1 << 20;
constexpr std::size_t mapped_bytes = guard_bytes + guest_stack_bytes + host_stack_bytes;
/// What a thread keeps of pages that one deep recursion touched.
constexpr std::size_t kept_bytes = 1 << 20;

class ThreadStack {
public:
    ~ThreadStack()
    {
        if (base_ != nullptr)
            munmap(base_, mapped_bytes);
    }
    bool ready()
    {
        if (base_ != nullptr)
            return true;
        void* mapped =
            mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (mapped == MAP_FAILED)
            return false;
        // The lowest pages stay out of reach: running past the end is a fault, not a write into other memory.
        if (mprotect(mapped, guard_bytes, PROT_NONE) != 0) {
            munmap(mapped, mapped_bytes);
            return false;
        }
        base_ = static_cast<std::byte*>(mapped);
        return true;
    }
    std::byte* bottom() const noexcept { return base_ + guard_bytes; }
    static constexpr std::size_t size() noexcept { return mapped_bytes - guard_bytes; }
    void trim() noexcept { madvise(bottom(), size() - kept_bytes, MADV_DONTNEED); }

private:
    std::byte* base_ = nullptr;
};

struct Switch {
    ucontext_t caller{};
    ucontext_t guest{};
    const std::function<void()>* task = nullptr;
#ifdef ALTIPLANO_ASAN
    const void* caller_bottom = nullptr;
    std::size_t caller_size = 0;
#endif
};

thread_local ThreadStack thread_stack;
thread_local Switch* current = nullptr;

void enter()
{
    Switch& here = *current;
#ifdef ALTIPLANO_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &here.caller_bottom, &here.caller_size);
#endif
    (*here.task)();
#ifdef ALTIPLANO_ASAN
    __sanitizer_start_switch_fiber(nullptr, here.caller_bottom, here.caller_size);
#endif
    swapcontext(&here.guest, &here.caller);
}

}  // namespace

bool on_guest_stack(const std::function<void()>& task)
{
    if (current != nullptr) {
        task();
        return true;
    }
    if (!thread_stack.ready())
        return false;
    Switch here;
    here.task = &task;
    if (getcontext(&here.guest) != 0)
        return false;
    here.guest.uc_stack.ss_sp = thread_stack.bottom();
    here.guest.uc_stack.ss_size = ThreadStack::size();
    here.guest.uc_link = nullptr;
    makecontext(&here.guest, enter, 0);
    current = &here;
#ifdef ALTIPLANO_ASAN
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, thread_stack.bottom(), ThreadStack::size());
#endif
    swapcontext(&here.caller, &here.guest);
#ifdef ALTIPLANO_ASAN
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
    current = nullptr;
    thread_stack.trim();
    return true;
}

}  // namespace altiplano::vm
