// The machine of one process: how it wakes, evaluates and is saved.
#include "base/log.hpp"
#include "compute/errors.hpp"
#include "compute/local_compute.hpp"
#include "compute/outcome.hpp"
#include "drive/files.hpp"
#include "store/errors.hpp"
#include "units/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::compute {

namespace {
// In a long row of evaluations, results become durable together: this many, or those of this time.
constexpr std::size_t pending_max = 64;
constexpr std::int64_t pending_ns = 5'000'000;
constexpr std::size_t begun_max = 4;  // by which a worker may be ahead

Work work_of(const LogWalk::Step& step, const LogWalk& walk, const Context& context)
{
    return step.message ? work_of(*step.message, context) : work_of(*step.tick, step.slot, walk.left(), context);
}
}  // namespace

/// Evaluates, in order, what has no result yet. While the worker evaluates one message it is given the next, if somebody waits
/// for that one: so it never waits for us, and whoever has the lane next finds a message begun.
Result<std::uint64_t> LocalCompute::advance(Lane& lane, const Goal& goal)
{
    TRY_OK(load_walk(lane));
    if (!goal.ahead)
        TRY_OK(end_all(lane));
    for (std::uint64_t evaluated = 0;; ++evaluated) {
        const auto& at = newest(lane);
        if (evaluated == goal.evaluations_max || (goal.slot && at && *at >= *goal.slot))
            return evaluated;
        if (lane.begun.empty()) {
            TRY(const auto there, come_to_next(lane, goal));
            if (!there)
                return evaluated;
        }
        {
            Turns::Turn turn(turns_, whose(lane));
            if (lane.begun.empty()) {
                TRY(const auto* const step, lane.walk->peek());
                TRY_OK(begin(lane, work_of(*step, *lane.walk, *lane.context)));
            }
            if (goal.ahead)
                begin_ahead(lane);
            TRY_OK(end_first(lane, turn));
        }
        const bool is_due = checkpoint_is_due(lane);
        const bool is_old = clock_.monotonic_ns() - lane.pending.front()->since_ns >= pending_ns && !results_.is_writing();
        if (is_due || is_old || lane.pending.size() >= pending_max)
            TRY_OK(settle(lane));
        if (is_due)
            if (const auto saved = save_image(lane, true); !saved) {
                log::warning("no image of {}: {} (it will be replayed)", lane.process.text(), saved.error().sentence);
                if (!lane.walk)
                    return std::unexpected(saved.error());
            }
        if (stopping_)
            return fail(errors::stopping, "the node is going down", "ask again when it is back: nothing is lost");
    }
}

/// Makes the machine stand before the next step of the log. @return false when there is none on the way to the goal
Result<bool> LocalCompute::come_to_next(Lane& lane, const Goal& goal)
{
    TRY(const auto* const step, lane.walk->peek());
    if (!step || (goal.slot && step->slot > *goal.slot) || step->time_ms > goal.until_ms)
        return false;
    if (!goal.parked_too && lane.walk->ticks_due() > options_.cron_unasked_max)
        return fail(errors::cron_parked,
            fmt::format(
                "the process {} is parked: {} cron evaluations are due after slot {}, more than the {} that are done unasked",
                lane.process.text(), lane.walk->ticks_due(), step->slot.nonce, options_.cron_unasked_max),
            fmt::format("`altiplano cron {}` evaluates them", lane.process.text()));
    TRY_OK(take_priority_back(lane));
    TRY_OK(wake(lane, lane.walk->at()));
    return true;
}

/// Gives the worker the step that the walk stands before.
Result<void> LocalCompute::begin(Lane& lane, const Work& work)
{
    TRY_OK(lane.worker->hand_over(work));
    const auto after = lane.walk->at();
    auto step = lane.walk->take();
    step.message.reset();
    lane.begun.push_back({.step = std::move(step), .after = after});
    return {};
}

/// Gives the worker what comes after the steps that it has, as far as somebody waits for it: more than one, since whoever has the
/// lane next may have to wait for a processor. Not where others wait for a turn, or where this one may be long; and whatever else
/// keeps us from it, there is time for it later.
void LocalCompute::begin_ahead(Lane& lane)
{
    while (lane.begun.size() < begun_max && !lane.worker->share().gives_way() && turns_.waiting() == 0
        && lane.wanted.beyond(lane.begun.back().step.slot)) {
        const auto step = lane.walk->peek();
        if (!step || *step == nullptr || !lane.wanted.reaches((*step)->slot)
            || lane.walk->ticks_due() > options_.cron_unasked_max)
            return;
        const auto work = work_of(**step, *lane.walk, *lane.context);
        if (!WorkerClient::may_wait(work) || !begin(lane, work))
            return;  // a worker that is gone says so when it is asked for its answer
    }
}

/// Takes the result of what the worker got first.
Result<void> LocalCompute::end_first(Lane& lane, Turns::Turn& turn)
{
    const auto& step = lane.begun.front().step;
    const auto console = [this, slot = step.slot](
                             int fd, std::string_view text) { tell({.slot = slot, .stream = fd, .text = std::string(text)}); };
    TRY(auto done, evaluated(lane, turn, step.height, console));
    const auto result = stands_after(lane, step, std::move(done));
    lane.begun.pop_front();
    std::erase_if(lane.pending, [](const auto& one) { return one->done && one->outcome; });
    lane.pending.push_back(results_.add({.result = to_record(result), .outbox = outbox_of(result)}, clock_.monotonic_ns()));
    return {};
}

Result<void> LocalCompute::end_all(Lane& lane)
{
    while (!lane.begun.empty()) {
        Turns::Turn turn(turns_, whose(lane));
        TRY_OK(end_first(lane, turn));
    }
    return {};
}

/// After what there is a result, durable or pending.
const std::optional<units::Slot>& LocalCompute::newest(const Lane& lane)
{
    return lane.begun.empty() ? lane.walk->at() : lane.begun.front().after;
}

Result<void> LocalCompute::settle(Lane& lane)
{
    Result<void> settled;
    for (const auto& one : std::exchange(lane.pending, {}))
        if (const auto written = results_.wait(*one); !written && settled)
            settled = refused(lane, written.error());
    return settled;
}

/// A result did not come to be durable: what was evaluated since counts for nothing.
Result<void> LocalCompute::refused(Lane& lane, const Error& error)
{
    if (!lane.begun.empty())
        drop_worker(lane);
    lane.walk.reset();
    lane.evaluated.reset();
    if (error.code == store::errors::result_differs)
        lane.stopped = Error{errors::disagreement, error.sentence, error.hint};
    return std::unexpected(error);
}

LogWalk::Source LocalCompute::source_of(const ProcessId& process)
{
    return {.entry = [this, process](std::uint64_t nonce) -> Result<std::optional<units::LogEntry>> {
                auto entry = scheduler_.entry({process, nonce});
                if (entry)
                    return std::optional(*std::move(entry));
                if (entry.error().code == "scheduler.unknown_slot")
                    return std::optional<units::LogEntry>{};
                return std::unexpected(entry.error());
            },
        .closing = [this, process]() -> Result<units::Closing> {
            auto closing = scheduler_.close(process, INT64_MIN);
            if (!closing && closing.error().code == units::errors::not_offered)
                return units::Closing{};
            return closing;
        },
        .block_time = [this](std::uint64_t height) -> Result<std::int64_t> {
            TRY(const auto block, weave_.block(height));
            return block.timestamp_ms;
        }};
}

/// Results are written in order, and by this lane alone: where they end is looked up once.
Result<void> LocalCompute::load_walk(Lane& lane)
{
    TRY_OK(load_context(lane));
    if (lane.walk)
        return {};
    TRY_OK(settle(lane));
    auto at = lane.evaluated;
    TRY(const auto end, at ? Result<std::uint64_t>(0) : cache_.results_end(lane.process));
    if (end > 0) {
        TRY(const auto last,
            cache_.results({.process = lane.process, .first = {end - 1, 0}, .last = {end - 1, INT64_MAX}, .descending = true}));
        // Without a result of its own it is the slot after which a state was taken in.
        at = units::Slot{lane.process, end - 1, last.empty() ? 0 : last.front().cron};
    }
    lane.walk = std::make_unique<LogWalk>(lane.process, lane.context->crons, source_of(lane.process), at);
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
    lane.at.reset();
    lane.restored_from.reset();
    lane.resident_bytes = 0;
    if (!lane.begun.empty()) {
        lane.evaluated = lane.begun.front().after;
        lane.begun.clear();
        lane.walk.reset();
    }
    const std::lock_guard lock(mutex_);
    std::erase_if(awake_, [&](const auto& one) { return one.get() == &lane; });
}

/// Makes the lane's machine stand after an evaluation, or at the beginning: as it is, from an image, or by replaying the
/// log; what is replayed must come out as it did (law 2).
Result<void> LocalCompute::wake(Lane& lane, const std::optional<units::Slot>& at)
{
    if (lane.has_machine && lane.at == at)
        return {};
    // From here on results decide which images and which replay are right.
    TRY_OK(settle(lane));
    TRY_OK(load_context(lane));
    if (!lane.worker || lane.has_machine) {
        drop_worker(lane);
        TRY_OK(start_worker(lane));
    }

    while (at && !lane.has_machine) {
        TRY(auto chain, images_.up_to(*at));
        if (!chain)
            break;
        const auto restored = lane.worker->restore(lane.context->limits.memory_bytes, chain->layers,
            [&](std::string_view path, bool) -> Result<std::unique_ptr<weave::ItemData>> {
                if (const auto item = drive::item_of(path))
                    return weave_.data(*item);
                return fail(errors::worker_protocol, fmt::format("an image has mapped /{}", path));
            });
        chain->layers.clear();
        if (restored && *restored == chain->state().state_root) {
            lane.at = units::Slot{lane.process, chain->state().nonce, chain->state().cron};
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
        lane.at.reset();
        lane.has_machine = true;
    }
    lane.gas_since_image = 0;
    lane.unsaved_bytes = 0;
    lane.image_ns = clock_.monotonic_ns();
    return at ? replay(lane, *at) : Result<void>{};
}

/// Evaluates again what lies between the machine and `at`.
Result<void> LocalCompute::replay(Lane& lane, const units::Slot& at)
{
    if (lane.at == at)
        return {};
    LogWalk walk(lane.process, lane.context->crons, source_of(lane.process), lane.at);
    TRY(const auto taken, cache_.trusted(lane.process));
    while (lane.at != at) {
        if (stopping_)
            return fail(errors::stopping, "the node is going down", "ask again when it is back: nothing is lost");
        TRY(const auto* const step, walk.peek());
        if (!step || step->slot > at)
            return fail(errors::disagreement,
                fmt::format("slot {} of {} has a result, but the log gives no evaluation {} after it", at.nonce,
                    lane.process.text(), at.cron));
        TRY(const auto again, run(lane, walk, *step));
        TRY(const auto recorded, cache_.result(lane.process, step->slot.nonce, step->slot.cron));
        if (recorded && *recorded != to_record(again)) {
            (void)cache_.put_result(to_record(again), {}).has_value();  // kept beside the other
            lane.stopped = Error{errors::disagreement,
                fmt::format("slot {} of {} came out differently when it was replayed; both results are kept", step->slot.nonce,
                    lane.process.text()),
                "`altiplano verify` says which one the log gives"};
            return std::unexpected(*lane.stopped);
        }
        walk.pop();
        if (taken && !taken->verified)
            TRY_OK(meet(lane, *taken));
    }
    return {};
}

/// Who answers for the process, of whose turns it takes, and the process.
Turns::Whose LocalCompute::whose(Lane& lane)
{
    if (!lane.account) {
        const auto account = scheduler_.account(lane.process);
        lane.account = account ? account->text() : lane.context->item.owner().text();
    }
    return {.account = *lane.account, .process = lane.process.text()};
}

/// One message on the lane's machine, in a turn of whoever answers for the process.
Result<Evaluated> LocalCompute::evaluate(Lane& lane, const Work& work, std::uint64_t height, const WorkerClient::Console& console)
{
    Turns::Turn turn(turns_, whose(lane));
    TRY_OK(lane.worker->hand_over(work));
    return evaluated(lane, turn, height, console);
}

/// What became of what the worker got first.
Result<Evaluated> LocalCompute::evaluated(
    Lane& lane, Turns::Turn& turn, std::uint64_t height, const WorkerClient::Console& console)
{
    const drive::Reader reader{
        .process = lane.context->item.tags(), .module = lane.context->code->header.tags(), .height = height};
    // What takes long goes on beside the others. A message ends only by its own limits.
    bool is_long = false;
    std::optional<Away> away;
    std::optional<Interrupts::Needed> interrupts;
    TimeSlices slices(turn, slices_, whose(lane), lane.worker->share(), clock_, options_.time, [&] {
        for (const auto& one : lane.pending)
            (void)results_.wait(*one).has_value();  // `settle` tells of it
        is_long = true;
        ++long_now_;
        away.emplace();
        interrupts.emplace(interrupts_);
    });
    const TensorThreads::Evaluation under_way(threads_);
    auto done = lane.worker->evaluated([&](std::string_view path, bool) { return drive::open_path(weave_, reader, path); },
        console, [&] { return slices.pass(); });
    if (is_long) {
        --long_now_;
        // At once: the worker may have the next message already, and what is written next must not wait behind everybody.
        // Where that is not allowed, `take_priority_back` sees to it.
        (void)lane.worker->share().be_normal();
    }
    if (done)
        lane.resident_bytes = done->resident_bytes;
    return done;
}

/// Evaluates the next step of a walk on the machine that stands where the walk does.
Result<units::SlotResult> LocalCompute::run(Lane& lane, const LogWalk& walk, const LogWalk::Step& step)
{
    const auto work = work_of(step, walk, *lane.context);
    const auto console = [&](int fd, std::string_view text) {
        tell({.slot = step.slot, .stream = fd, .text = std::string(text)});
    };
    TRY(auto done, evaluate(lane, work, step.height, lane.past ? WorkerClient::Console{} : console));
    return stands_after(lane, step, std::move(done));
}

/// The machine has evaluated a step.
units::SlotResult LocalCompute::stands_after(Lane& lane, const LogWalk::Step& step, Evaluated done)
{
    lane.at = step.slot;
    lane.root = done.state_root;
    lane.gas_since_image += done.gas;
    lane.unsaved_bytes = std::max(lane.unsaved_bytes, done.unsaved_bytes);
    return slot_result(step, *lane.context, std::move(done));
}

/// After a long evaluation. A low priority cannot always be taken back: then the machine comes back from an image, in
/// another worker.
Result<void> LocalCompute::take_priority_back(Lane& lane)
{
    if (!lane.worker || !lane.worker->share().gives_way() || lane.worker->share().be_normal())
        return {};
    TRY_OK(settle(lane));
    if (const auto saved = save_image(lane, false); !saved)
        log::warning("no image of {}: {} (it will be replayed)", lane.process.text(), saved.error().sentence);
    drop_worker(lane);
    return {};
}

/// Writes what the machine is now. Nothing when an image of this slot is there.
Result<void> LocalCompute::save_image(Lane& lane, bool durable)
{
    if (!lane.has_machine || lane.past)
        return {};
    TRY_OK(end_all(lane));
    if (!lane.at)
        return {};
    TRY_OK(settle(lane));
    TRY_OK(images_.put(
        *lane.at, lane.root, durable,
        [&](const File& file, const Images::Bases& bases, bool synced) { return lane.worker->save(file, bases, synced); },
        lane.context->semantics.module_sha256));
    lane.gas_since_image = 0;
    lane.unsaved_bytes = 0;
    lane.image_ns = clock_.monotonic_ns();
    return {};
}

}  // namespace altiplano::compute
