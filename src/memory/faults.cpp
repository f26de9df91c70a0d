// Installs a signal handler: refused accesses to watched memory end here first.
#include "memory/faults.hpp"

#include "memory/kernel.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <mutex>
#include <ucontext.h>

namespace altiplano::memory {

namespace {

/// What the signal handler may look at: plain memory, found without locks.
struct Row {
    std::atomic<std::uintptr_t> begin{0};  ///< 0: the row is free, or about to be
    std::atomic<std::uintptr_t> end{0};
    std::atomic<FaultMender*> mender{nullptr};  ///< null: the row is free
};

std::array<Row, 4096> rows;
std::mutex rows_mutex;

// Wasmtime takes a write to a watched page for a trap of the guest, so our handler must come first, whoever was installed
// first. There are two of ours: should Wasmtime come on top of the one, the other goes on top of it, and what neither
// wants still ends at the handler that the program began with. The lower one knows that Wasmtime did not want it.
constexpr std::size_t layers = 2;
struct sigaction handler_before[layers];

FaultMender::Access access_of([[maybe_unused]] const void* context)
{
#ifdef __x86_64__
    constexpr greg_t write_bit = 2;  // of the page fault's error code
    const auto error = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_ERR];
    return (error & write_bit) != 0 ? FaultMender::Access::write : FaultMender::Access::read;
#else
    return FaultMender::Access::either;
#endif
}

template <std::size_t layer> void on_fault(int signal, siginfo_t* info, void* context)
{
    const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
    for (auto& row : rows) {
        const auto begin = row.begin.load(std::memory_order_acquire);
        if (begin == 0 || at < begin || at >= row.end.load(std::memory_order_relaxed))
            continue;
        const int saved = errno;
        const bool mended = row.mender.load(std::memory_order_relaxed)->mend(at, access_of(context), layer == 0);
        errno = saved;
        if (mended)
            return;
        break;
    }
    const auto& before = handler_before[layer];
    if ((before.sa_flags & SA_SIGINFO) != 0) {
        before.sa_sigaction(signal, info, context);
    } else if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) {
        // Nobody's fault but the program's: the instruction runs again and ends it.
        sigaction(signal, &before, nullptr);
    } else {
        before.sa_handler(signal);
    }
}

}  // namespace

void install_fault_handler()
{
    static std::mutex mutex;
    static std::size_t installed = 0;
    constexpr void (*ours[layers])(int, siginfo_t*, void*) = {on_fault<0>, on_fault<1>};

    const std::lock_guard lock(mutex);
    struct sigaction now{};
    sigaction(SIGSEGV, nullptr, &now);
    const bool on_top = installed > 0 && (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == ours[installed - 1];
    if (on_top || installed == layers)
        return;
    struct sigaction action{};
    action.sa_sigaction = ours[installed];
    // On the alternate stack: a guest's stack overflow arrives here too. Not deferred: the handler before us may leave
    // by a jump.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &handler_before[installed]);
    ++installed;
}

Result<WatchedRange> WatchedRange::watch(const std::byte* begin, std::uint64_t bytes, FaultMender& mender)
{
    install_fault_handler();
    const std::lock_guard lock(rows_mutex);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        auto& row = rows[i];
        if (row.mender.load() != nullptr)
            continue;
        row.mender.store(&mender);
        row.end.store(reinterpret_cast<std::uintptr_t>(begin) + bytes);
        row.begin.store(reinterpret_cast<std::uintptr_t>(begin), std::memory_order_release);
        WatchedRange made;
        made.row_ = static_cast<int>(i);
        return made;
    }
    return fail(errors::kernel, fmt::format("{} memories are watched already", rows.size()));
}

WatchedRange::WatchedRange(WatchedRange&& other) noexcept
    : row_(std::exchange(other.row_, -1))
{
}
WatchedRange& WatchedRange::operator=(WatchedRange&& other) noexcept
{
    std::swap(row_, other.row_);
    return *this;
}
WatchedRange::~WatchedRange()
{
    if (row_ < 0)
        return;
    auto& row = rows[static_cast<std::size_t>(row_)];
    row.begin.store(0, std::memory_order_release);
    const std::lock_guard lock(rows_mutex);
    row.mender.store(nullptr);
}

}  // namespace altiplano::memory
