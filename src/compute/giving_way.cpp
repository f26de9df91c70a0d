// Speaks to the kernel's scheduler of threads.
#include "compute/giving_way.hpp"

#include "base/bytes.hpp"
#include "base/files.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace altiplano::compute {

namespace {

// Idle as long as that is anything: then whoever wakes goes first at once. Else a tenth of the share of whoever is not niced.
// That comes in long slices, because whoever wakes with a shorter slice need not wait for the end of one (Linux 6.12 and later:
// what the manual calls the runtime of a fair task).
struct Share {
    bool idle;
    int steps_back;  ///< nice values
    std::uint64_t slice_ns;  ///< 0: the system's
};
constexpr Share whole{.idle = false, .steps_back = 0, .slice_ns = 0};
constexpr Share small{.idle = false, .steps_back = 10, .slice_ns = 20'000'000};
constexpr Share idle{.idle = true, .steps_back = 10, .slice_ns = 20'000'000};
// Where it could not be raised again, a worker would be of no use after its first long evaluation: long slices alone then let
// whoever wakes go first.
constexpr Share long_slices{.idle = false, .steps_back = 0, .slice_ns = small.slice_ns};

/// The kernel's sched_attr, whose header cannot stand beside the C library's.
struct SchedulingAttributes {
    std::uint32_t size, policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime, deadline, period;
};

/// What this program has, and its workers with it. Only of ordinary programs is the policy changed: an operator who gave this one
/// another knows why.
struct Own {
    int policy = sched_getscheduler(0);
    int nice = getpriority(PRIO_PROCESS, 0);
    bool is_ordinary() const { return policy == SCHED_OTHER || policy == SCHED_BATCH; }
};
const Own& own()
{
    static const Own own;
    return own;
}

bool set_share(id_t thread, const Share& share)
{
    const int nice = std::min(own().nice + share.steps_back, 19);
    SchedulingAttributes attributes{};
    if (syscall(SYS_sched_getattr, thread, &attributes, sizeof attributes, 0) == 0) {
        const auto policy_before = attributes.policy;
        attributes.size = sizeof attributes;
        if (own().is_ordinary())
            attributes.policy = static_cast<std::uint32_t>(share.idle ? SCHED_IDLE : own().policy);
        attributes.nice = nice;
        attributes.runtime = share.slice_ns;
        if (syscall(SYS_sched_setattr, thread, &attributes, 0) == 0)
            return true;
        if (attributes.policy != policy_before)
            return false;
    }
    return setpriority(PRIO_PROCESS, thread, nice) == 0;
}

/// Whether a thread that was lowered can be raised again: a privilege (CAP_SYS_NICE, RLIMIT_NICE) that most services lack. Tried
/// once, on a thread that ends.
bool can_be_raised()
{
    static const bool can = [] {
        bool raised = false;
        std::thread([&] { raised = set_share(id_t{0}, idle) && set_share(id_t{0}, whole); }).join();
        return raised;
    }();
    return can;
}

/// For every thread of a process; those that it starts later take it over. One that a thread starts which was not reached yet is
/// seen by the next look at the list, which is why it is read until it holds nobody new.
bool set_share(std::int64_t process, const Share& share)
{
    const auto folder = fmt::format("/proc/{}/task", process);
    std::vector<std::string> reached;
    for (;;) {
        auto threads = system_files().list(folder);
        if (!threads)
            return false;
        std::ranges::sort(*threads);
        if (std::ranges::includes(reached, *threads))
            return true;
        for (const auto& name : *threads) {
            id_t thread = 0;
            std::from_chars(name.data(), name.data() + name.size(), thread);
            // One that has ended meanwhile has no share.
            if (!set_share(thread, share) && system_files().exists(Path(folder) / name))
                return false;
        }
        reached = *std::move(threads);
    }
}

/// Processor time that a process has used, in the kernel's steps of 10 ms. @return 0 where nobody says
std::int64_t processor_ns(std::int64_t process)
{
    std::array<std::byte, 1024> text{};
    const auto file = system_files().open(fmt::format("/proc/{}/stat", process), Files::Mode::read);
    const auto got = file ? (*file)->read_at(0, text) : Result<std::size_t>(0);
    const auto view = as_text(text).substr(0, got.value_or(0));
    // The name in brackets may hold anything; utime and stime are the 12th and 13th after it (proc_pid_stat(5)).
    std::int64_t ticks = 0;
    auto at = view.rfind(')');
    for (int field = 1; at != std::string_view::npos && field <= 13; ++field) {
        at = view.find(' ', at + 1);
        if (field < 12 || at == std::string_view::npos)
            continue;
        std::int64_t one = 0;
        std::from_chars(view.data() + at + 1, view.data() + view.size(), one);
        ticks += one;
    }
    return ticks * 1'000'000'000 / sysconf(_SC_CLK_TCK);
}

}  // namespace

void interrupt_nobody() noexcept
{
    const sched_param none{};
    if (sched_getscheduler(0) == SCHED_OTHER)
        (void)sched_setscheduler(0, SCHED_BATCH, &none);
}

void WorkerShare::give_way(const Clock& clock)
{
    gives_way_ = true;
    way_ = Way::idle;
    looked_ns_ = clock.monotonic_ns();
    if (process_ == 0)
        return;
    used_ns_ = processor_ns(process_);
    (void)set_share(process_, can_be_raised() ? idle : long_slices);
}

void WorkerShare::look(const Clock& clock)
{
    const auto now_ns = clock.monotonic_ns();
    if (!gives_way_ || process_ == 0 || now_ns - looked_ns_ < way_ns || !can_be_raised())
        return;
    const auto used_before = std::exchange(used_ns_, processor_ns(process_));
    const auto before_ns = std::exchange(looked_ns_, now_ns);
    const auto way = next_way(way_, used_ns_ - used_before, now_ns - before_ns);
    if (way != std::exchange(way_, way))
        (void)set_share(process_, way == Way::idle ? idle : small);
}

void WorkerShare::stand_still() const
{
    if (process_ != 0)
        (void)kill(static_cast<pid_t>(process_), SIGSTOP);
}

void WorkerShare::go_on(std::int64_t still_ns)
{
    if (process_ != 0)
        (void)kill(static_cast<pid_t>(process_), SIGCONT);
    looked_ns_ += still_ns;
}

bool WorkerShare::be_normal()
{
    if (process_ != 0 && !set_share(process_, whole))
        return false;
    gives_way_ = false;
    return true;
}

}  // namespace altiplano::compute
