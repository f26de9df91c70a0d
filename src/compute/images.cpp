#include "compute/images.hpp"

#include "base/log.hpp"
#include "memory/errors.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <utility>

namespace altiplano::compute {

namespace {
constexpr std::size_t id_characters = 43;  // with which the names of files begin
constexpr std::size_t states_kept = 2;  // the newest may be cut by a crash
constexpr std::size_t overlays_max = 6;  // then they are merged; a restore opens them all
constexpr std::uint64_t overlay_share = 4;  // or when they take a fourth of what they lie on
constexpr std::size_t changes_together = 32;  // of records, in one transaction
constexpr std::ptrdiff_t gone_together = 3;  // files of one process
constexpr std::size_t fronts_kept = 50'000;
constexpr std::size_t spare_min = 8, spare_max = 256;  // files
constexpr std::uint64_t common_nonce_max = 8;  // what a process becomes later, others need not resemble

units::Slot slot_of(const store::ImageRecord& image)
{
    return {image.process, image.nonce, image.cron};
}

/// What the overlays hold, compared with the image under them.
std::uint64_t bytes_of(const File& file)
{
    return file.stored_bytes().value_or(0);
}
}  // namespace

Images::~Images()
{
    const std::lock_guard lock(mutex_);
    if (const auto written = flush(); !written)
        log::warning("the newest images have no records: {} (replays take their place)", written.error().sentence);
}

// ---- records

Result<Images::Records> Images::records(const ProcessId& process)
{
    if (const auto found = changed_.find(process); found != changed_.end())
        return found->second;
    return cache_.images(process);
}

/// Also in place of one of the same slot.
void Images::put_record(Records& all, const store::ImageRecord& image)
{
    std::erase_if(all, [&](const auto& one) { return slot_of(one) == slot_of(image); });
    all.insert(std::ranges::find_if(all, [&](const auto& one) { return slot_of(one) < slot_of(image); }), image);
    changes_.push_back({image, false});
    changed_[image.process] = all;
}

/// Writes what changed; files go when nothing names them any more.
Result<void> Images::flush()
{
    if (changes_.empty())
        return {};
    TRY_OK(cache_.change_images(changes_));
    const auto written = std::exchange(changes_, {});
    const auto now = std::exchange(changed_, {});
    for (const auto& [image, removed] : written)
        if (removed && std::ranges::none_of(now.at(image.process), [&](const auto& one) { return one.file == image.file; })) {
            if (going_.erase(image.file) != 0 && spare_.size() < spare_max)
                spare_.push_back(image.file);
            else
                TRY_OK(files_.remove(folder_ / image.file));
        }
    return {};
}

/// A file of that name to write an image into: one that is there gets the name, since making and removing files would cost more
/// than what is written. It may hold what was there. One that already has the name may be in use: it goes.
Result<std::unique_ptr<File>> Images::file_for(const std::string& name)
{
    const auto path = folder_ / name;
    std::optional<std::string> spare;
    {
        const std::lock_guard lock(mutex_);
        going_.erase(name);
        std::erase(spare_, name);
        // Whoever still reads one has until the others were used.
        if (spare_.size() > spare_min) {
            spare = std::move(spare_.front());
            spare_.pop_front();
        }
    }
    if (spare && files_.rename(folder_ / *spare, path))
        return files_.open(path, Files::Mode::create);
    TRY_OK(files_.remove(path));
    return files_.open(path, Files::Mode::create_new);
}

/// The record at once, the file with the next `flush`.
Result<void> Images::remove(const store::ImageRecord& image)
{
    TRY(auto all, records(image.process));
    std::erase_if(all, [&](const auto& one) { return slot_of(one) == slot_of(image) && one.file == image.file; });
    changes_.push_back({image, true});
    changed_[image.process] = std::move(all);
    // No machine shows the pages of a packed one, so its file may be written again.
    if (const auto found = fronts_.find(image.file); found != fronts_.end() && found->second.packed)
        going_.insert(image.file);
    fronts_.erase(image.file);
    return {};
}

// ---- what lies on what

Images::Front& Images::note(const store::ImageRecord& image, const Front& front)
{
    if (fronts_.size() == fronts_kept)
        fronts_.clear();
    return fronts_.insert_or_assign(image.file, front).first->second;
}

Result<Images::Under> Images::under(const Records& all, std::size_t state, const FrontOf& front_of)
{
    Under found;
    for (auto at = state;;) {
        const auto& record = all[at];
        TRY(const auto front, front_of(record));
        if (front.root != record.state_root)
            return fail(memory::errors::bad_image,
                fmt::format("{} is of the state {}, not {}", record.file, front.root.text(), record.state_root.text()));
        found.places.push_back(at);
        if (!front.base)
            return found;
        const auto missing = [&] {
            return fail(memory::errors::bad_image, fmt::format("what {} lies on is missing", record.file));
        };
        if (front.packed) {
            TRY(found.common, common_.with(*front.base));
            if (!found.common)
                return missing();
            return found;
        }
        // By its state: which image of it, a merged one or not, makes no difference.
        ++at;
        while (at < all.size() && all[at].state_root != *front.base)
            ++at;
        if (at == all.size())
            return missing();
    }
}

/// The same from memory where it can be.
Result<Images::Under> Images::under(const Records& all, std::size_t state)
{
    return under(all, state, [this](const store::ImageRecord& image) -> Result<Front> {
        if (const auto found = fronts_.find(image.file); found != fronts_.end())
            return found->second;
        TRY(const auto file, files_.open(folder_ / image.file, Files::Mode::read));
        TRY(const auto read, memory::read_image(*file));
        return note(image, {read.root, read.base, read.packed});
    });
}

Result<Images::Chain> Images::chain(const Records& all, std::size_t state)
{
    Chain found;
    TRY(const auto all_under, under(all, state, [&](const store::ImageRecord& image) -> Result<Front> {
        TRY(auto file, files_.open(folder_ / image.file, Files::Mode::read));
        TRY(const auto read, memory::read_image(*file));
        found.layers.insert(found.layers.begin(), std::move(file));
        return note(image, {read.root, read.base, read.packed});
    }));
    for (const auto place : all_under.places)
        found.records.insert(found.records.begin(), all[place]);
    if (const auto& common = all_under.common) {
        TRY(auto file, files_.open(folder_ / common->file, Files::Mode::read));
        found.layers.insert(found.layers.begin(), std::move(file));
        found.records.insert(found.records.begin(), *common);
        found.has_common = true;
    }
    return found;
}

Result<std::optional<Digest>> Images::root_after(const units::Slot& slot)
{
    TRY(const auto recorded, cache_.result(slot.process, slot.nonce, slot.cron));
    if (recorded)
        return std::optional(recorded->state_root);
    TRY(const auto taken, cache_.trusted(slot.process));
    return taken && taken->nonce == slot.nonce && slot.cron == 0 ? std::optional(taken->state_root) : std::nullopt;
}

Result<std::optional<Images::Chain>> Images::up_to(const units::Slot& at)
{
    const std::lock_guard lock(mutex_);
    const auto& process = at.process;
    TRY(const auto images, records(process));
    for (std::size_t i = 0; i < images.size(); ++i) {
        if (slot_of(images[i]) > at)
            continue;
        TRY(const auto root, root_after(slot_of(images[i])));
        auto found = root == images[i].state_root ? chain(images, i)
                                                  : fail(memory::errors::bad_image, "its state root is not that of the slot");
        if (found)
            return std::optional(*std::move(found));
        log::warning("the image of {} at slot {} is not used: {}", process.text(), images[i].nonce, found.error().sentence);
        (void)remove(images[i]).has_value();
    }
    return std::optional<Chain>{};
}

void Images::drop(const Chain& chain)
{
    const std::lock_guard lock(mutex_);
    for (const auto& record : std::span(chain.records).subspan(chain.has_common ? 1 : 0))
        if (const auto removed = remove(record); !removed)
            log::warning("the broken image {} cannot be removed: {}", record.file, removed.error().sentence);
    if (chain.has_common)
        common_.doubt(chain.records.front());
    (void)flush().has_value();  // or with the next ones
}

Result<void> Images::put(
    const units::Slot& at, const Digest& root, bool durable, const Save& save, const std::optional<Digest>& module)
{
    const auto& process = at.process;
    const auto file = at.cron == 0 ? fmt::format("{}-{}", process.text(), at.nonce)
                                   : fmt::format("{}-{}-{}", process.text(), at.nonce, at.cron);
    Bases bases;
    if (module)
        bases.common = common_.of(*module);
    {
        const std::lock_guard lock(mutex_);
        TRY(const auto before, records(process));
        if (!before.empty() && slot_of(before.front()) == at && before.front().state_root == root)
            return durable ? flush() : Result<void>{};
        if (!before.empty() && slot_of(before.front()) < at && before.front().state_root != root)
            if (const auto there = under(before, 0); there && !there->common)
                bases.own = Base{before.front().state_root, there->places.size() - 1};
        fronts_.erase(file);
    }

    const store::ImageRecord image{.process = process, .nonce = at.nonce, .file = file, .state_root = root, .cron = at.cron};
    // Nothing names the file before it is whole, so it needs no other name until then.
    const auto path = folder_ / image.file;
    memory::SavedImage saved;
    {
        TRY(const auto opened, file_for(image.file));
        const auto written = save(*opened, bases, durable);
        if (!written) {
            (void)files_.remove(path).has_value();
            return std::unexpected(written.error());
        }
        saved = *written;
    }
    if (durable)
        TRY_OK(files_.sync_directory(folder_));
    if (module && !bases.common && !saved.base && at.nonce <= common_nonce_max
        && saved.pages <= memory::overwritten_state_pages) {
        const auto made = common_.make(*module, root, [&](const File& into) { return save(into, {}, true); });
        if (!made)
            log::warning("no common image of the module {}: {}", module->text(), made.error().sentence);
    }
    bool merging = false;
    {
        const std::lock_guard lock(mutex_);
        TRY(auto all, records(process));
        put_record(all, image);
        (void)note(image, {root, saved.base, saved.packed});
        TRY_OK(retire(process));
        // What one process does not need any more may not pile up.
        const auto gone = std::ranges::count_if(
            changes_, [&](const auto& change) { return change.removed && change.image.process == process; });
        if (durable || changes_.size() >= changes_together || gone >= gone_together)
            TRY_OK(flush());
        if (saved.base && !saved.small) {
            TRY(const auto images, records(process));
            const auto now = chain(images, 0);
            merging = now && much_in_overlays(*now);
        }
    }
    if (!merging)
        return {};
    const auto work = [this, at] {
        if (const auto merged = merge(at); !merged)
            log::warning("the images of {} are not merged: {}", at.process.text(), merged.error().sentence);
    };
    if (background_ != nullptr)
        background_->post(work);
    else
        work();
    return {};
}

bool Images::much_in_overlays(const Chain& chain)
{
    std::uint64_t overlays = 0;
    for (std::size_t i = 1; i < chain.layers.size(); ++i)
        overlays += bytes_of(*chain.layers[i]);
    return chain.layers.size() > overlays_max || overlays > bytes_of(*chain.layers.front()) / overlay_share;
}

/// Removes what is neither one of the states to keep nor under one of them.
Result<void> Images::retire(const ProcessId& process)
{
    TRY(const auto images, records(process));
    if (images.size() <= states_kept)
        return {};
    struct Kept {
        std::uint64_t nonce;
        std::vector<std::size_t> places;
    };
    std::vector<Kept> kept;  // newest first
    for (std::size_t i = 0; i < images.size() && kept.size() < states_kept + history_ + 1; ++i)
        if (auto found = under(images, i))
            kept.push_back({images[i].nonce, std::move(found->places)});
    // One too many: of the older ones, the one whose neighbours are closest.
    while (kept.size() > states_kept + history_) {
        auto least = kept.size() - 1;
        for (std::size_t i = states_kept; i + 1 < kept.size(); ++i)
            if (least + 1 == kept.size() || kept[i - 1].nonce - kept[i + 1].nonce < kept[least - 1].nonce - kept[least + 1].nonce)
                least = i;
        kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(least));
    }
    std::set<std::string> needed;
    for (const auto& one : kept)
        for (const auto place : one.places)
            needed.insert(images[place].file);
    // What was taken in on trust stays, for whoever comes to doubt it.
    TRY(const auto taken, cache_.trusted(process));
    for (const auto& image : images)
        if (!needed.contains(image.file) && !(taken && slot_of(image) == units::Slot{process, taken->nonce}))
            TRY_OK(remove(image));
    return {};
}

Result<std::vector<Images::State>> Images::states(const ProcessId& process)
{
    const std::lock_guard lock(mutex_);
    TRY(const auto images, records(process));
    std::vector<State> all;
    for (std::size_t i = images.size(); i-- > 0;)
        if (const auto found = chain(images, i)) {
            State state{.slot = slot_of(images[i]), .root = images[i].state_root, .layers = {}};
            for (const auto& record : found->records)
                state.layers.push_back(folder_ / record.file);
            all.push_back(std::move(state));
        }
    return all;
}

Result<void> Images::merge(const units::Slot& slot)
{
    const auto& process = slot.process;
    std::optional<Chain> old;
    {
        const std::lock_guard lock(mutex_);
        TRY(const auto images, records(process));
        const auto at = std::ranges::find(images, slot, slot_of);
        if (at == images.end())
            return {};
        TRY(old, chain(images, static_cast<std::size_t>(at - images.begin())));
    }
    if (old->layers.size() < 2)
        return {};
    std::vector<const File*> layers;
    for (const auto& layer : old->layers)
        layers.push_back(layer.get());
    auto merged = old->state();
    merged.file += "-merged";
    TRY_OK(memory::merge_images(files_, folder_ / merged.file, layers));

    const std::lock_guard lock(mutex_);
    TRY(auto images, records(process));
    const auto at = std::ranges::find(images, slot, slot_of);
    if (at == images.end() || at->file != old->state().file)
        return files_.remove(folder_ / merged.file);
    put_record(images, merged);
    changes_.push_back({old->state(), true});  // of another file: only that goes
    fronts_.erase(old->state().file);
    TRY_OK(retire(process));
    return flush();
}

Result<std::unique_ptr<File>> Images::scratch(const units::Slot& at)
{
    const auto path = folder_ / fmt::format("{}-{}-out.tmp", at.process.text(), at.nonce);
    const std::lock_guard lock(mutex_);
    TRY_OK(files_.remove(path));
    TRY(auto file, files_.open(path, Files::Mode::create_new));
    TRY_OK(files_.remove(path));
    return file;
}

Result<std::uint64_t> Images::stored_bytes(const ProcessId& process)
{
    const std::lock_guard lock(mutex_);
    TRY(const auto images, records(process));
    std::uint64_t bytes = 0;
    for (const auto& image : images)
        if (const auto file = files_.open(folder_ / image.file, Files::Mode::read))
            bytes += bytes_of(**file);
    return bytes;
}

Result<Images::Total> Images::total()
{
    TRY(const auto names, files_.list(folder_));
    Total all;
    for (const auto& name : names)
        if (const auto file = files_.open(folder_ / name, Files::Mode::read)) {
            ++all.files;
            all.bytes += bytes_of(**file);
        }
    return all;
}

Result<void> Images::sweep()
{
    const std::lock_guard lock(mutex_);
    TRY_OK(flush());
    TRY(const auto names, files_.list(folder_));
    std::optional<ProcessId> process;  // files of one process stand together, by their names
    std::set<std::string> known;
    for (const auto& name : names) {
        const auto id = ProcessId::parse(std::string_view(name).substr(0, id_characters));
        if (id && process != *id) {
            known.clear();
            TRY(const auto images, cache_.images(*id));
            for (const auto& image : images)
                known.insert(image.file);
            process = *id;
        }
        if (!id || !known.contains(name))
            TRY_OK(files_.remove(folder_ / name));
    }
    return {};
}

}  // namespace altiplano::compute
