#include "recorder.hpp"

#include "base/errors.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace altiplano::sim {

namespace {

class RecordedFile final : public File {
public:
    RecordedFile(Recorder& recorder, std::string path, std::uint32_t number, std::unique_ptr<File> real)
        : recorder_(recorder)
        , path_(std::move(path))
        , number_(number)
        , real_(std::move(real))
    {
    }
    Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) const override
    {
        return real_->read_at(offset, into);
    }
    Result<void> write_at(std::uint64_t offset, Bytes bytes) override
    {
        return recorder_.op(
            {.kind = Op::Kind::write, .file = number_, .path = path_, .offset = offset, .bytes = to_buffer(bytes)},
            [&] { return real_->write_at(offset, bytes); });
    }
    Result<std::uint64_t> size() const override { return real_->size(); }
    Result<std::uint64_t> stored_bytes() const override { return real_->stored_bytes(); }
    Result<void> truncate(std::uint64_t size_bytes) override
    {
        return recorder_.op({.kind = Op::Kind::truncate, .file = number_, .path = path_, .offset = size_bytes},
            [&] { return real_->truncate(size_bytes); });
    }
    // Nothing is synced in earnest: what this disk would keep is computed from the record.
    Result<void> sync() override
    {
        return recorder_.op({.kind = Op::Kind::sync, .file = number_, .path = path_}, [] { return Result<void>{}; });
    }
    int descriptor() const noexcept override { return real_->descriptor(); }

private:
    Recorder& recorder_;
    std::string path_;
    std::uint32_t number_;
    std::unique_ptr<File> real_;
};

class RecordedFiles final : public Files {
public:
    explicit RecordedFiles(Recorder& recorder)
        : recorder_(recorder)
    {
    }
    Result<std::unique_ptr<File>> open(const Path& path, Mode mode) override
    {
        const auto inside = recorder_.inside(path);
        if (!inside)
            return real_.open(path, mode);
        const std::lock_guard lock(recorder_.mutex_);
        std::unique_ptr<File> file;
        if (mode == Mode::read || (mode == Mode::create && real_.exists(path))) {
            TRY(file, real_.open(path, mode));
        } else {
            Op op{.kind = Op::Kind::create, .path = *inside};
            TRY_OK(recorder_.may(op));
            TRY(file, real_.open(path, mode));
            recorder_.note(std::move(op));
        }
        const auto number = recorder_.number_of(*inside);
        recorder_.remember(number, file->descriptor());
        return std::make_unique<RecordedFile>(recorder_, *inside, number, std::move(file));
    }
    bool exists(const Path& path) override { return real_.exists(path); }
    Result<void> rename(const Path& from, const Path& to) override
    {
        const auto [a, b] = std::pair(recorder_.inside(from), recorder_.inside(to));
        if (!a || !b)
            return real_.rename(from, to);
        return recorder_.op({.kind = Op::Kind::rename, .file = recorder_.number_of(*a), .path = *a, .to = *b},
            [&] { return real_.rename(from, to); });
    }
    Result<void> remove(const Path& path) override
    {
        const auto inside = recorder_.inside(path);
        if (!inside || !real_.exists(path))
            return real_.remove(path);
        return recorder_.op({.kind = Op::Kind::remove, .file = recorder_.number_of(*inside), .path = *inside},
            [&] { return real_.remove(path); });
    }
    Result<void> make_directories(const Path& path) override
    {
        const auto inside = recorder_.inside(path);
        if (!inside || inside->empty() || real_.exists(path))
            return real_.make_directories(path);
        TRY_OK(make_directories(path.parent_path()));
        return recorder_.op({.kind = Op::Kind::make_directory, .path = *inside}, [&] { return real_.make_directories(path); });
    }
    Result<void> sync_directory(const Path& path) override
    {
        const auto inside = recorder_.inside(path);
        if (!inside)
            return real_.sync_directory(path);
        return recorder_.op({.kind = Op::Kind::sync_directory, .path = *inside}, [&] { return Result<void>{}; });
    }
    Result<void> set_read_only(const Path& path) override
    {
        return protect(path, [&] { return real_.set_read_only(path); });
    }
    Result<void> set_private(const Path& path) override { return real_.set_private(path); }
    Result<std::vector<std::string>> list(const Path& path) override { return real_.list(path); }

private:
    template <class Do> Result<void> protect(const Path& path, Do&& act)
    {
        const auto inside = recorder_.inside(path);
        if (!inside)
            return act();
        return recorder_.op({.kind = Op::Kind::protect, .file = recorder_.number_of(*inside), .path = *inside}, act);
    }
    Recorder& recorder_;
    Files& real_ = system_files();
};

}  // namespace

extern Recorder* vfs_recorder;

Recorder::Recorder(Path root, Faults faults)
    : root_(std::filesystem::canonical(root))
    , faults_(std::move(faults))
    , before_(read_tree(root_))
    , files_(std::make_unique<RecordedFiles>(*this))
{
    for (const auto& [path, content] : before_.files)
        numbers_[path] = ++last_number_;
    ENSURE(vfs_recorder == nullptr, "one recorder at a time");
    vfs_recorder = this;
}

Recorder::~Recorder()
{
    vfs_recorder = nullptr;
}

std::size_t Recorder::size() const
{
    const std::lock_guard lock(mutex_);
    return ops_.size();
}

std::optional<std::string> Recorder::inside(const Path& path) const
{
    const auto relative = path.lexically_normal().lexically_relative(root_);
    auto text = relative.string();
    if (text.empty() || text.starts_with(".."))
        return std::nullopt;
    return text == "." ? std::string() : text;
}

std::uint32_t Recorder::number_of(const std::string& path) const
{
    const std::lock_guard lock(mutex_);
    const auto found = numbers_.find(path);
    return found == numbers_.end() ? 0 : found->second;
}

void Recorder::remember(std::uint32_t number, int descriptor)
{
    struct stat status{};
    if (fstat(descriptor, &status) == 0)
        inodes_[{status.st_dev, status.st_ino}] = number;
}

std::uint32_t Recorder::number_of(int descriptor) const
{
    const std::lock_guard lock(mutex_);
    struct stat status{};
    if (fstat(descriptor, &status) != 0)
        return 0;
    const auto found = inodes_.find({status.st_dev, status.st_ino});
    return found == inodes_.end() ? 0 : found->second;
}

std::unique_ptr<File> Recorder::adopt(int descriptor)
{
    const std::lock_guard lock(mutex_);
    const auto number = number_of(descriptor);
    auto file = adopt_file(descriptor);
    if (number == 0)
        return file;
    std::string name;
    for (const auto& [path, one] : numbers_)
        if (one == number)
            name = path;
    return std::make_unique<RecordedFile>(*this, name, number, std::move(file));
}

Result<void> Recorder::may(const Op& op)
{
    switch (faults_ ? faults_(op, asked_++) : Fault::none) {
    case Fault::none: return {};
    case Fault::disk_full:
        return fail(errors::disk_full, fmt::format("cannot {}: No space left on device", describe(op)),
            "free some space, then try again: nothing that was acknowledged is lost");
    case Fault::io_error: return fail(errors::file_failed, fmt::format("cannot {}: Input/output error", describe(op)));
    }
    return {};
}

void Recorder::note(Op op)
{
    if (op.kind == Op::Kind::create)
        numbers_[op.path] = op.file = ++last_number_;
    if (op.kind == Op::Kind::rename) {
        numbers_.erase(op.path);
        numbers_[op.to] = op.file;
    }
    if (op.kind == Op::Kind::remove)
        numbers_.erase(op.path);
    ops_.push_back(std::make_unique<Op>(std::move(op)));
}

Tree read_tree(const Path& root)
{
    Tree tree;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
        const auto path = entry.path().lexically_relative(root).string();
        if (entry.is_directory()) {
            tree.folders.insert(path);
        } else if (!path.ends_with("-shm")) {
            tree.files[path] = read_file(system_files(), entry.path()).value();
            if ((std::filesystem::status(entry.path()).permissions() & std::filesystem::perms::owner_write)
                == std::filesystem::perms::none)
                tree.read_only.insert(path);
        }
    }
    return tree;
}

void write_tree(const Tree& tree, const Path& root)
{
    for (const auto& folder : tree.folders)
        std::filesystem::create_directories(root / folder);
    for (const auto& [path, content] : tree.files) {
        const auto file = system_files().open(root / path, Files::Mode::create_new).value();
        file->write_at(0, content).value();
        if (tree.read_only.contains(path))
            system_files().set_read_only(root / path).value();
    }
}

}  // namespace altiplano::sim
