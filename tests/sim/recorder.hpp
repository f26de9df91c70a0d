#pragma once

#include "base/files.hpp"
#include "disk.hpp"

#include <functional>
#include <mutex>
#include <optional>

/// Writes down everything that is done to one folder, and lets calls fail: as `Files`, and as the VFS under SQLite.
namespace altiplano::sim {

class Recorder {
public:
    enum class Fault { none, disk_full, io_error };
    /// Asked before each operation; one that fails is not done and not recorded. Any thread, one at a time.
    using Faults = std::function<Fault(const Op& op, std::size_t number)>;

    /// While it lives it is the one that SQLite's files in `root` are recorded by: one at a time.
    explicit Recorder(Path root, Faults faults = {});
    ~Recorder();
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;

    Files& files() noexcept { return *files_; }
    /// The file that a descriptor is open on, so that what is written through it is recorded too.
    std::unique_ptr<File> adopt(int descriptor);
    std::size_t size() const;
    /// After everybody is done with it.
    const std::vector<std::unique_ptr<Op>>& ops() const noexcept { return ops_; }
    std::vector<std::unique_ptr<Op>> take() noexcept { return std::move(ops_); }
    const Tree& before() const noexcept { return before_; }
    const Path& root() const noexcept { return root_; }

    // For the two layers.
    std::optional<std::string> inside(const Path& path) const;
    std::uint32_t number_of(const std::string& path) const;
    /// Notes a file's number under its inode as well.
    void remember(std::uint32_t number, int descriptor);
    std::uint32_t number_of(int descriptor) const;
    /// Records and then does it, or lets it fail.
    template <class Do> Result<void> op(Op op, Do&& act)
    {
        const std::lock_guard lock(mutex_);
        TRY_OK(may(op));
        TRY_OK(act());
        note(std::move(op));
        return {};
    }
    Result<void> may(const Op& op);
    void note(Op op);
    mutable std::recursive_mutex mutex_;

private:
    Path root_;
    Faults faults_;
    Tree before_;
    std::vector<std::unique_ptr<Op>> ops_;
    std::size_t asked_ = 0;
    std::map<std::string, std::uint32_t> numbers_;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint32_t> inodes_;
    std::uint32_t last_number_ = 0;
    std::unique_ptr<Files> files_;
};

/// SQLite's files go through the recorder that there is; its chance and its time are then the same in every run. Once.
void register_vfs();
/// SQLite's generator begins again.
void reset_sqlite_chance(std::uint64_t seed);

/// What lies in a folder, without SQLite's shared memory; and the other way round.
Tree read_tree(const Path& root);
void write_tree(const Tree& tree, const Path& root);

}  // namespace altiplano::sim
