// Installs a signal handler: telling where guest code faulted is this file's job.

#include "vm/fault_address.hpp"

#include <csignal>
#include <mutex>
#include <utility>

namespace altiplano::vm {
namespace {

// Plain data of the executable itself: reading it in a handler allocates nothing.
constinit thread_local Fault last_fault{};
struct sigaction before_segv;
struct sigaction before_bus;

void note(int signal, siginfo_t* info, void* context)
{
    last_fault = {static_cast<const std::byte*>(info->si_addr), signal == SIGBUS};
    const auto& before = signal == SIGBUS ? before_bus : before_segv;
    if ((before.sa_flags & SA_SIGINFO) != 0) {
        before.sa_sigaction(signal, info, context);
    } else if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) {
        // Nobody's: the instruction runs again and the default action ends the process.
        sigaction(signal, &before, nullptr);
    } else {
        before.sa_handler(signal);
    }
}

}  // namespace

void note_fault_addresses()
{
    static std::once_flag once;
    std::call_once(once, [] {
        struct sigaction action{};
        action.sa_sigaction = note;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        sigemptyset(&action.sa_mask);
        sigaction(SIGSEGV, &action, &before_segv);
        sigaction(SIGBUS, &action, &before_bus);
    });
}

Fault take_fault() noexcept
{
    return std::exchange(last_fault, Fault{});
}

}  // namespace altiplano::vm
