// The one place that talks to the operating system about time, chance, files and threads.
#include "base/clock.hpp"
#include "base/errors.hpp"
#include "base/executor.hpp"
#include "base/files.hpp"
#include "base/random.hpp"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <fcntl.h>
#include <fmt/format.h>
#include <mutex>
#include <pthread.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace altiplano {

namespace {

class SystemClock final : public Clock {
public:
    std::int64_t wall_ms() const override { return read(CLOCK_REALTIME) / 1'000'000; }
    std::int64_t monotonic_ns() const override { return read(CLOCK_MONOTONIC); }
    void sleep_ms(std::int64_t duration_ms) override
    {
        timespec left{duration_ms / 1000, (duration_ms % 1000) * 1'000'000};
        while (nanosleep(&left, &left) != 0 && errno == EINTR) { }
    }

private:
    static std::int64_t read(clockid_t id)
    {
        timespec now{};
        clock_gettime(id, &now);
        return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
    }
};

class SystemRandom final : public Random {
public:
    void fill(std::span<std::byte> bytes) override
    {
        while (!bytes.empty()) {
            const auto got = getrandom(bytes.data(), bytes.size(), 0);
            if (got < 0) {
                ENSURE(errno == EINTR, "the kernel gives random bytes");
                continue;
            }
            bytes = bytes.subspan(static_cast<std::size_t>(got));
        }
    }
};

std::unexpected<Error> file_error(int number, std::string_view doing, const Path& path)
{
    const auto sentence = fmt::format("cannot {} {}: {}", doing, path.string(), std::generic_category().message(number));
    if (number == ENOSPC || number == EDQUOT)
        return fail(errors::disk_full, sentence, "free some space, then try again: nothing that was acknowledged is lost");
    if (number == ENOENT)
        return fail(errors::file_missing, sentence);
    return fail(errors::file_failed, sentence);
}

class SystemFile final : public File {
public:
    SystemFile(int descriptor, Path path)
        : descriptor_(descriptor)
        , path_(std::move(path))
    {
    }
    ~SystemFile() override { close(descriptor_); }
    SystemFile(const SystemFile&) = delete;
    SystemFile& operator=(const SystemFile&) = delete;

    Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) const override
    {
        std::size_t done = 0;
        while (done < into.size()) {
            const auto got = pread(descriptor_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0)
                return file_error(errno, "read", path_);
            if (got == 0)
                break;
            done += static_cast<std::size_t>(got);
        }
        return done;
    }
    Result<void> write_at(std::uint64_t offset, Bytes bytes) override
    {
        while (!bytes.empty()) {
            const auto put = pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
            if (put < 0 && errno == EINTR)
                continue;
            if (put < 0)
                return file_error(errno, "write", path_);
            offset += static_cast<std::uint64_t>(put);
            bytes = bytes.subspan(static_cast<std::size_t>(put));
        }
        return {};
    }
    Result<std::uint64_t> size() const override
    {
        struct stat status{};
        if (fstat(descriptor_, &status) != 0)
            return file_error(errno, "look at", path_);
        return static_cast<std::uint64_t>(status.st_size);
    }
    Result<std::uint64_t> stored_bytes() const override
    {
        struct stat status{};
        if (fstat(descriptor_, &status) != 0)
            return file_error(errno, "look at", path_);
        return static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
    Result<void> truncate(std::uint64_t size_bytes) override
    {
        if (ftruncate(descriptor_, static_cast<off_t>(size_bytes)) != 0)
            return file_error(errno, "resize", path_);
        return {};
    }
    Result<void> sync() override
    {
        if (fdatasync(descriptor_) != 0)
            return file_error(errno, "sync", path_);
        return {};
    }
    int descriptor() const noexcept override { return descriptor_; }

private:
    int descriptor_;
    Path path_;
};

class SystemFiles final : public Files {
public:
    Result<std::unique_ptr<File>> open(const Path& path, Mode mode) override
    {
        const int flags = mode == Mode::read ? O_RDONLY : mode == Mode::create ? O_RDWR | O_CREAT : O_RDWR | O_CREAT | O_EXCL;
        const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
        if (descriptor < 0)
            return file_error(errno, "open", path);
        return std::make_unique<SystemFile>(descriptor, path);
    }
    bool exists(const Path& path) override { return access(path.c_str(), F_OK) == 0; }
    Result<void> rename(const Path& from, const Path& to) override
    {
        if (::rename(from.c_str(), to.c_str()) != 0)
            return file_error(errno, "rename", from);
        return {};
    }
    Result<void> remove(const Path& path) override
    {
        if (unlink(path.c_str()) != 0 && errno != ENOENT)
            return file_error(errno, "remove", path);
        return {};
    }
    Result<void> make_directories(const Path& path) override
    {
        std::error_code code;
        std::filesystem::create_directories(path, code);
        if (code)
            return file_error(code.value(), "make the folder", path);
        return {};
    }
    Result<void> sync_directory(const Path& path) override
    {
        const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (descriptor < 0)
            return file_error(errno, "open the folder", path);
        const int failed = fsync(descriptor) != 0 ? errno : 0;
        close(descriptor);
        if (failed != 0)
            return file_error(failed, "sync the folder", path);
        return {};
    }
    Result<void> set_read_only(const Path& path) override
    {
        if (chmod(path.c_str(), 0444) != 0)
            return file_error(errno, "protect", path);
        return {};
    }
    Result<void> set_private(const Path& path) override
    {
        std::error_code code;
        const auto mode = std::filesystem::is_directory(path, code) ? 0700U : 0600U;
        if (chmod(path.c_str(), mode) != 0)
            return file_error(errno, "protect", path);
        return {};
    }
    Result<std::vector<std::string>> list(const Path& path) override
    {
        std::vector<std::string> names;
        std::error_code code;
        for (std::filesystem::directory_iterator entry(path, code), end; !code && entry != end; entry.increment(code))
            names.push_back(entry->path().filename().string());
        if (code)
            return file_error(code.value(), "list", path);
        std::ranges::sort(names);
        return names;
    }
};

class ThreadPool final : public Executor {
public:
    ThreadPool(std::string_view name, std::size_t threads, std::size_t away_max)
        : name_(name.substr(0, 15))
        , at_once_(threads)
        , threads_max_(threads + away_max)
    {
        const std::lock_guard lock(mutex_);
        while (threads_.size() < threads)
            start_one();
    }
    ~ThreadPool() override
    {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
        for (auto& thread : threads_)
            thread.join();
    }
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    void post(std::function<void()> task) override
    {
        {
            const std::lock_guard lock(mutex_);
            tasks_.push_back(std::move(task));
        }
        wake_.notify_one();
    }

    /// Of the calling thread; none on one that belongs to no pool, or is away already.
    static ThreadPool*& own()
    {
        thread_local ThreadPool* pool = nullptr;
        return pool;
    }
    void go_away()
    {
        const std::lock_guard lock(mutex_);
        --working_;
        // A destructor that runs joins those that are there; they do what is left.
        if (!stopping_ && idle_ == 0 && threads_.size() < threads_max_)
            start_one();
        wake_.notify_one();
    }
    void come_back()
    {
        const std::lock_guard lock(mutex_);
        ++working_;
    }

private:
    void start_one()
    {
        threads_.emplace_back([this] { work(); });
        pthread_setname_np(threads_.back().native_handle(), name_.c_str());
    }
    void work()
    {
        own() = this;
        std::unique_lock lock(mutex_);
        for (;;) {
            ++idle_;
            wake_.wait(lock, [this] { return tasks_.empty() ? stopping_ : working_ < at_once_; });
            --idle_;
            if (tasks_.empty())
                return;
            auto task = std::move(tasks_.front());
            tasks_.pop_front();
            ++working_;
            lock.unlock();
            task();
            task = nullptr;
            lock.lock();
            --working_;
            if (stopping_)
                wake_.notify_all();  // whoever waited for a place may find nothing left to do
        }
    }

    const std::string name_;
    const std::size_t at_once_;
    const std::size_t threads_max_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> tasks_;
    bool stopping_ = false;
    std::size_t idle_ = 0;
    std::size_t working_ = 0;  ///< with a task, and not away
    std::vector<std::thread> threads_;
};

}  // namespace

Clock& system_clock()
{
    static SystemClock clock;
    return clock;
}

Random& system_random()
{
    static SystemRandom random;
    return random;
}

std::unique_ptr<File> adopt_file(int descriptor)
{
    return std::make_unique<SystemFile>(descriptor, Path("an open file"));
}

Files& system_files()
{
    static SystemFiles files;
    return files;
}

std::unique_ptr<Executor> thread_pool(std::string_view name, std::size_t threads, std::size_t away_max)
{
    return std::make_unique<ThreadPool>(name, threads, away_max);
}

Away::Away() noexcept
    : pool_(std::exchange(ThreadPool::own(), nullptr))
{
    if (pool_ != nullptr)
        static_cast<ThreadPool*>(pool_)->go_away();
}

Away::~Away()
{
    if (pool_ == nullptr)
        return;
    auto* const pool = static_cast<ThreadPool*>(pool_);
    pool->come_back();
    ThreadPool::own() = pool;
}

}  // namespace altiplano
