#include "compute/common_images.hpp"

#include "base/log.hpp"
#include "memory/common_image.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::compute {

namespace {
/// The same record as the module has it.
store::ImageRecord under_module(store::ImageRecord record, const Digest& module)
{
    record.process = ProcessId(module);
    return record;
}
}  // namespace

std::shared_ptr<const CommonImages::One> CommonImages::of(const Digest& module)
{
    const std::lock_guard lock(mutex_);
    return find(module);
}

std::shared_ptr<const CommonImages::One> CommonImages::find(const Digest& module)
{
    if (const auto found = by_module_.find(module); found != by_module_.end())
        return found->second;
    const auto recorded = cache_.images(ProcessId(module));
    if (!recorded || recorded->empty())
        return nullptr;
    auto record = recorded->front();
    record.process = ProcessId(record.state_root);
    auto file = files_.open(folder_ / record.file, Files::Mode::read);
    if (!file)
        return nullptr;
    if (const auto image = memory::CommonImage::read(**file); !image || (*image)->root() != record.state_root)
        return nullptr;
    return by_module_[module] = std::make_shared<const One>(std::move(record), *std::move(file));
}

Result<void> CommonImages::make(const Digest& module, const Digest& root, const Write& write)
{
    {
        const std::lock_guard lock(mutex_);
        if (find(module) != nullptr || !by_module_.try_emplace(module, nullptr).second)
            return {};
    }
    const store::ImageRecord record{
        .process = ProcessId(root), .nonce = 0, .file = fmt::format("{}-common", root.text()), .state_root = root};
    const auto path = folder_ / record.file;
    TRY_OK(files_.remove(path));
    TRY(auto file, files_.open(path, Files::Mode::create_new));
    auto written = [&]() -> Result<void> {
        TRY_OK(write(*file));
        TRY_OK(memory::CommonImage::read(*file));
        TRY_OK(files_.sync_directory(folder_));
        const std::vector<store::ImageChange> changes{{record, false}, {under_module(record, module), false}};
        return cache_.change_images(changes);
    }();
    if (!written) {
        (void)files_.remove(path).has_value();
        return written;
    }
    const std::lock_guard lock(mutex_);
    by_module_[module] = std::make_shared<const One>(record, std::move(file));
    return {};
}

Result<std::optional<store::ImageRecord>> CommonImages::with(const Digest& root)
{
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [module, one] : by_module_)
            if (one && one->record.state_root == root)
                return std::optional(one->record);
    }
    TRY(const auto recorded, cache_.images(ProcessId(root)));
    return recorded.empty() ? std::nullopt : std::optional(recorded.front());
}

void CommonImages::doubt(const store::ImageRecord& record)
{
    const auto file = files_.open(folder_ / record.file, Files::Mode::read);
    const auto whole = file ? memory::check_whole_image(**file) : std::unexpected(file.error());
    if (whole)
        return;
    log::warning("the image {}, which others lie on, goes: {}", record.file, whole.error().sentence);
    std::vector<store::ImageChange> changes{{record, true}};
    {
        const std::lock_guard lock(mutex_);
        std::erase_if(by_module_, [&](const auto& entry) {
            const bool is_it = entry.second && entry.second->record.file == record.file;
            if (is_it)
                changes.push_back({under_module(record, entry.first), true});
            return is_it;
        });
    }
    (void)cache_.change_images(changes).has_value();  // without it the file is missing, which says as much
    (void)files_.remove(folder_ / record.file).has_value();
}

}  // namespace altiplano::compute
