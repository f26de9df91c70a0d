// Talks to the kernel: userfaultfd, /proc/self/pagemap, page protection, SIGSEGV.
#include "memory/dirty.hpp"

#include "memory/errors.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/userfaultfd.h>
#include <mutex>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

// Newer than the headers of Debian 12 (Linux 6.1): linux/userfaultfd.h and linux/fs.h of 6.7.
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

namespace altiplano::memory {

namespace {

struct ScannedRange {
    std::uint64_t start, end, categories;
};
struct ScanRequest {
    std::uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages, category_inverted, category_mask,
        category_anyof_mask, return_mask;
};
constexpr std::uint64_t page_is_written = 1 << 1;
constexpr std::uint64_t protect_matching = 1 << 0;
constexpr std::uint64_t check_async = 1 << 1;
const unsigned long pagemap_scan = _IOWR('f', 16, ScanRequest);

std::unexpected<Error> kernel_error(std::string_view doing)
{
    return fail(errors::kernel, fmt::format("the kernel refused to {}: {}", doing, std::generic_category().message(errno)));
}

// ---- userfaultfd: the kernel itself clears a bit at the first write, and lists the pages where it is clear.

class KernelTracker final : public DirtyTracker {
public:
    static Result<std::unique_ptr<DirtyTracker>> create(std::byte* base)
    {
        auto tracker = std::make_unique<KernelTracker>(base);
        tracker->fault_fd_ = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY));
        if (tracker->fault_fd_ < 0)
            return kernel_error("open a userfaultfd");
        uffdio_api api{};
        api.api = UFFD_API;
        api.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED;
        if (ioctl(tracker->fault_fd_, UFFDIO_API, &api) != 0)
            return kernel_error("track writes (Linux 6.7 and later do)");
        tracker->pagemap_fd_ = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        if (tracker->pagemap_fd_ < 0)
            return kernel_error("open the page map");
        return tracker;
    }

    explicit KernelTracker(std::byte* base)
        : base_(base)
    {
    }
    ~KernelTracker() override
    {
        if (fault_fd_ >= 0)
            close(fault_fd_);
        if (pagemap_fd_ >= 0)
            close(pagemap_fd_);
    }
    KernelTracker(const KernelTracker&) = delete;
    KernelTracker& operator=(const KernelTracker&) = delete;

    Tracker kind() const noexcept override { return Tracker::kernel; }

    // A page that nobody touched yet is not listed; one that was only read after it was mapped afresh is listed although
    // nobody wrote it, which costs a hash and changes nothing. So a fresh mapping needs no arming.
    Result<void> track(PageRange range) override
    {
        uffdio_register request{};
        request.range = {address(range.first), range.count * page_bytes};
        request.mode = UFFDIO_REGISTER_MODE_WP;
        if (ioctl(fault_fd_, UFFDIO_REGISTER, &request) != 0)
            return kernel_error("track a range of memory");
        return {};
    }
    Result<void> written(PageRange range, std::vector<PageRange>& found) const override
    {
        return scan(range, check_async, &found);
    }
    Result<void> arm(PageRange range) override { return scan(range, check_async | protect_matching, nullptr); }
    Result<void> expect_write(PageRange) override { return {}; }

private:
    std::uint64_t address(std::uint64_t page) const { return reinterpret_cast<std::uint64_t>(base_) + page * page_bytes; }

    /// Walks the range in as many calls as its written ranges need.
    Result<void> scan(PageRange range, std::uint64_t flags, std::vector<PageRange>* found) const
    {
        std::array<ScannedRange, 512> ranges;
        ScanRequest request{};
        request.size = sizeof request;
        request.flags = flags;
        request.start = address(range.first);
        request.end = address(range.first + range.count);
        request.vec = reinterpret_cast<std::uint64_t>(ranges.data());
        request.vec_len = ranges.size();
        request.category_mask = page_is_written;
        request.return_mask = page_is_written;
        while (request.start < request.end) {
            const auto count = ioctl(pagemap_fd_, pagemap_scan, &request);
            if (count < 0) {
                if (errno == EINTR)
                    continue;
                return kernel_error("list written pages");
            }
            if (found)
                for (const auto& one : std::span(ranges).first(static_cast<std::size_t>(count)))
                    found->push_back({(one.start - address(0)) / page_bytes, (one.end - one.start) / page_bytes});
            if (request.walk_end <= request.start)
                break;
            request.start = request.walk_end;
        }
        return {};
    }

    std::byte* base_;
    int fault_fd_ = -1;
    int pagemap_fd_ = -1;
};

// ---- mprotect and SIGSEGV: for kernels before 6.7.

/// What the signal handler may look at: plain memory, found without locks.
struct Watched {
    std::atomic<std::uintptr_t> begin{0};  ///< 0: the row is free
    std::atomic<std::uintptr_t> end{0};
    std::atomic<std::atomic<std::uint8_t>*> state{nullptr};  ///< a byte per page
};
constexpr std::uint8_t page_watched = 1;  ///< readable only, until the first write
constexpr std::uint8_t page_dirty = 2;

std::array<Watched, 4096> watched;
std::mutex watched_rows;

// Wasmtime takes a write to a watched page for a trap of the guest, so our handler must come first, whoever was installed
// first. There are two of ours: should Wasmtime come on top of the one, the other goes on top of it, and what neither
// wants still ends at the handler that the program began with.
constexpr std::size_t layers = 2;
struct sigaction handler_before[layers];

template <std::size_t layer> void on_fault(int signal, siginfo_t* info, void* context)
{
    const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
    for (auto& row : watched) {
        const auto begin = row.begin.load(std::memory_order_acquire);
        if (begin == 0 || at < begin || at >= row.end.load(std::memory_order_relaxed))
            continue;
        auto& state = row.state.load(std::memory_order_relaxed)[(at - begin) / page_bytes];
        if (state.load(std::memory_order_relaxed) != page_watched)
            break;
        const int saved = errno;
        auto* const page = static_cast<std::byte*>(info->si_addr) - at % page_bytes;
        const bool opened = mprotect(page, page_bytes, PROT_READ | PROT_WRITE) == 0;
        errno = saved;
        if (!opened)
            break;
        state.store(page_dirty, std::memory_order_relaxed);
        return;
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

class FaultTracker final : public DirtyTracker {
public:
    static Result<std::unique_ptr<DirtyTracker>> create(std::byte* base, std::uint64_t reserved_bytes)
    {
        install_fault_handler();
        auto tracker = std::make_unique<FaultTracker>(base, reserved_bytes);
        auto* state = mmap(
            nullptr, reserved_bytes / page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (state == MAP_FAILED)
            return kernel_error("reserve a map of written pages");
        tracker->state_ = static_cast<std::atomic<std::uint8_t>*>(state);
        const std::lock_guard lock(watched_rows);
        for (auto& row : watched) {
            if (row.state.load() != nullptr)
                continue;
            row.state.store(tracker->state_);
            row.end.store(reinterpret_cast<std::uintptr_t>(base) + reserved_bytes);
            row.begin.store(reinterpret_cast<std::uintptr_t>(base), std::memory_order_release);
            tracker->row_ = &row;
            return tracker;
        }
        return fail(errors::kernel, fmt::format("{} memories are watched already", watched.size()));
    }

    FaultTracker(std::byte* base, std::uint64_t reserved_bytes)
        : base_(base)
        , reserved_bytes_(reserved_bytes)
    {
    }
    ~FaultTracker() override
    {
        if (row_) {
            row_->begin.store(0, std::memory_order_release);
            const std::lock_guard lock(watched_rows);
            row_->state.store(nullptr);
        }
        if (state_)
            munmap(state_, reserved_bytes_ / page_bytes);
    }
    FaultTracker(const FaultTracker&) = delete;
    FaultTracker& operator=(const FaultTracker&) = delete;

    Tracker kind() const noexcept override { return Tracker::fault; }
    Result<void> track(PageRange range) override { return watch(range); }
    Result<void> written(PageRange range, std::vector<PageRange>& found) const override
    {
        for (std::uint64_t page = range.first; page < range.first + range.count; ++page)
            if (state_[page].load(std::memory_order_relaxed) == page_dirty)
                add(found, page);
        return {};
    }
    Result<void> arm(PageRange range) override
    {
        std::vector<PageRange> dirty;
        TRY_OK(written(range, dirty));
        for (const auto& one : dirty) {
            TRY_OK(watch(one));
        }
        return {};
    }
    Result<void> expect_write(PageRange range) override
    {
        for (std::uint64_t page = range.first; page < range.first + range.count; ++page) {
            if (state_[page].load(std::memory_order_relaxed) != page_watched)
                continue;
            if (mprotect(base_ + page * page_bytes, page_bytes, PROT_READ | PROT_WRITE) != 0)
                return kernel_error("open a page for writing");
            state_[page].store(page_dirty, std::memory_order_relaxed);
        }
        return {};
    }

    static void add(std::vector<PageRange>& found, std::uint64_t page)
    {
        if (!found.empty() && found.back().first + found.back().count == page)
            ++found.back().count;
        else
            found.push_back({page, 1});
    }

private:
    Result<void> watch(PageRange range)
    {
        if (mprotect(base_ + range.first * page_bytes, range.count * page_bytes, PROT_READ) != 0)
            return kernel_error("protect written pages");
        for (std::uint64_t page = range.first; page < range.first + range.count; ++page)
            state_[page].store(page_watched, std::memory_order_relaxed);
        return {};
    }

    std::byte* base_;
    std::uint64_t reserved_bytes_;
    std::atomic<std::uint8_t>* state_ = nullptr;
    Watched* row_ = nullptr;
};

// ---- comparison with the last commit.

class CompareTracker final : public DirtyTracker {
public:
    CompareTracker(std::byte* base, int committed_file)
        : base_(base)
        , committed_file_(committed_file)
    {
    }

    Tracker kind() const noexcept override { return Tracker::compare; }
    Result<void> track(PageRange) override { return {}; }
    Result<void> written(PageRange range, std::vector<PageRange>& found) const override
    {
        std::array<std::byte, page_bytes> before;
        for (std::uint64_t page = range.first; page < range.first + range.count; ++page) {
            if (pread(committed_file_, before.data(), before.size(), static_cast<off_t>(page * page_bytes))
                != static_cast<ssize_t>(before.size()))
                return kernel_error("read a memory file");
            if (std::memcmp(before.data(), base_ + page * page_bytes, page_bytes) != 0)
                FaultTracker::add(found, page);
        }
        return {};
    }
    Result<void> arm(PageRange) override { return {}; }
    Result<void> expect_write(PageRange) override { return {}; }

private:
    std::byte* base_;
    int committed_file_;
};

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

Result<std::unique_ptr<DirtyTracker>> DirtyTracker::create(
    Tracker kind, std::byte* base, std::uint64_t reserved_bytes, int committed_file)
{
    switch (kind) {
    case Tracker::automatic:
        if (auto tracker = KernelTracker::create(base))
            return tracker;
        return FaultTracker::create(base, reserved_bytes);
    case Tracker::kernel: return KernelTracker::create(base);
    case Tracker::fault: return FaultTracker::create(base, reserved_bytes);
    case Tracker::compare: return std::make_unique<CompareTracker>(base, committed_file);
    }
    return fail(errors::kernel, "there is no such tracker");
}

}  // namespace altiplano::memory
