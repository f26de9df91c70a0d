#pragma once

#include "base/clock.hpp"
#include "base/interrupts.hpp"
#include "compute/ao_checkpoint.hpp"
#include "compute/card_process.hpp"
#include "compute/images.hpp"
#include "compute/log_walk.hpp"
#include "compute/result_queue.hpp"
#include "compute/time_slices.hpp"
#include "compute/wanted.hpp"
#include "compute/worker_pool.hpp"
#include "store/records.hpp"
#include "units/units.hpp"

#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <set>

namespace altiplano::compute {

/// The compute unit of this node: a worker process per process that is awake, one slot of a process at a time, many
/// processes at once. Results and outboxes go to the cache in one transaction; images save replays, no more.
class LocalCompute final : public units::Compute {
public:
    struct Options {
        Path folder{};  ///< images/ and modules/ are made here; may be deleted while nobody runs
        Path modules{};  ///< where compiled modules are kept; may be shared by nodes of one user. Empty: modules/ in `folder`
        WorkerStart start{};
        CardStart card{};  ///< the process that has the graphics card; empty: there is none
        std::size_t workers = 1;  ///< evaluations at once
        Turns::Shares shares{};  ///< of the turns, by account; whoever is not named has 1
        std::size_t warm_max = 8;  ///< workers that wait with their machine; the rest is put to sleep as images
        std::uint64_t warm_bytes_max = UINT64_MAX;  ///< what they may keep in memory, all together
        std::size_t idle_workers = 4;  ///< workers kept without a machine; 0: no worker ever serves a second process
        /// An evaluation that takes longer than its first turn shares the processors by time with all others that do; as many of
        /// them as `workers` compute at once (time_slices.hpp).
        TimeSlices::Options time{.first_ms = 30, .slice_ms = 30, .long_ms = 1000};
        /// Of one account at a time; a single one where awake machines take more memory than `warm_bytes_max`. What else it asks
        /// for begins when one of them has ended.
        std::size_t long_max = 32;
        // A checkpoint is written when a process has spent this much since the last: what a replay would cost at most.
        std::uint64_t image_gas = 20'000'000'000;
        std::int64_t image_ms = 600'000;  ///< or when it is this old and something changed
        std::uint64_t image_dirty_bytes = 256 << 20;  ///< or when this much changed
        std::size_t history_states = 0;  ///< checkpoints kept besides the newest, for looking back and for verifying in parts
        /// What nobody need wait for is done on threads of its own: images are merged, machines are put to sleep, and wake when
        /// they are expected. Else whoever makes it due does it at once.
        bool in_background = false;
        /// The most memory that a process may come to need here; a process that may need more is refused, whatever it uses.
        /// At most 1 TiB, which is what a state root covers.
        std::uint64_t memory_offer_bytes = std::uint64_t{16} << 30;
        /// Which extensions of others new processes may ask for; empty: none.
        std::function<bool(const ItemId&)> offers{};
        std::uint64_t dry_run_gas = 1'000'000'000'000;  ///< a dry run ends with this, or earlier with the process's own limit
        /// Cron evaluations due at once, between two messages, that are still done unasked. A process that slept for longer
        /// is parked: `cron` with `parked_too` goes on.
        std::uint64_t cron_unasked_max = 20'000;
        memory::Tracker tracker = memory::Tracker::automatic;
        TensorThreads::Options threads{};  ///< for the graphs of models
        /// Addresses whose checkpoints `take_in` believes.
        std::vector<std::string> checkpoint_signers{};
        /// Recorded as trusted by new processes that name authorities, but not this one; for development.
        std::optional<Address> authority{};
    };

    /// @return base.file_failed
    static Result<std::unique_ptr<LocalCompute>> open(
        units::Scheduler& scheduler, weave::Weave& weave, store::Cache& cache, Files& files, Clock& clock, Options options);
    /// Puts every awake process to sleep.
    ~LocalCompute() override;

    /// The semantics that a new process would run under, or why it cannot run here: reads and compiles its module, in a
    /// worker that then serves the process.
    /// @return compute.not_a_module, compute.unknown_format, compute.bad_limit, compute.memory_not_offered, module.*,
    /// vm.memory_over_limit
    Result<units::Assignment::Semantics> admit(const item::DataItem& process);

    Result<units::SlotResult> result(const units::Slot& slot) override;
    Result<units::SlotResult> dry_run(const units::DryRun& run) override;
    Result<std::optional<units::SlotResult>> stored(const units::Slot& slot) override;
    Result<std::vector<units::SlotResult>> results(const units::ResultQuery& query) override;
    Result<units::CronReach> cron(const units::CronRequest& request) override;
    /// How many cron evaluations a process owes at a time before its next message, or after its last; and whether that is
    /// more than are done unasked. Evaluates nothing.
    struct CronState {
        std::uint64_t crons = 0;  ///< how many the process has
        std::uint64_t due = 0;
        bool parked = false;
        std::optional<units::Slot> evaluated{};  ///< the newest place with a result
    };
    Result<CronState> cron_state(const ProcessId& process);
    std::shared_ptr<void> watch(const ProcessId& process, std::function<void(const units::ConsolePiece&)> listener) override;

    // The past (local_compute_past.cpp): a state of the log, on a machine of its own, from the newest checkpoint at or before
    // it. Nothing is recorded, and the process goes on meanwhile. @return as `result`; compute.unknown_slot

    Result<vm::Machine::Description> state(const units::Slot& slot);
    /// What that state answers to a message that changes nothing.
    Result<units::SlotResult> dry_run_at(const units::DryRun& run, std::uint64_t nonce);
    /// What comes of messages one after the other, from that state on: a life of the process that never was.
    Result<std::vector<units::SlotResult>> fork(const units::Slot& slot, std::span<const std::string> bodies);
    /// The linear memory of that state, byte for byte (memory_data.cpp).
    Result<std::unique_ptr<weave::ItemData>> memory(const units::Slot& slot);
    /// As AO's compute units exchange states. @return also compute.no_ao_checkpoint
    Result<AoCheckpoint> ao_checkpoint(const units::Slot& slot);
    /// The pages that differ between the states after two slots, `from` before `to`, as ranges.
    Result<std::vector<memory::PageRange>> changes(const ProcessId& process, std::uint64_t from, std::uint64_t to);

    // What somebody else computed (local_compute_trust.cpp).

    /// Goes on from the memory in an item as AO's compute units publish it, in place of computing the log up to there. Trusts
    /// whoever signed it until the log was computed. Durable when it returns.
    /// @return compute.signer_not_trusted, compute.bad_ao_checkpoint, compute.computed_already, scheduler.*, weave.*, vm.*:
    /// nothing is changed then
    Result<store::TrustedRecord> take_in(const ItemId& checkpoint);
    Result<std::optional<store::TrustedRecord>> trusted(const ProcessId& process);
    /// Computes the log up to what was taken in. @return compute.disagreement: it gives another state, and the process is not
    /// served any more; compute.unknown_slot when nothing was taken in
    Result<store::TrustedRecord> verify_trusted(const ProcessId& process);
    Result<std::optional<units::Slot>> begins_after(const ProcessId& process) override;

    /// A message of this process is about to be in the log: wakes it, if it sleeps and nobody else would have to wait for that.
    /// Returns at once.
    void expect(const ProcessId& process);

    struct Life {
        std::size_t known = 0;  ///< processes that were used since the node started
        std::size_t awake = 0;
        std::uint64_t resident_bytes = 0;  ///< of the workers of those that are awake
        std::size_t idle_workers = 0;
        std::size_t long_evaluations = 0;
    };
    Life life();
    const Options& options() const noexcept { return options_; }

    /// Gives up the evaluations under way and refuses new ones (compute.stopping): whoever waits is told at once. Idle
    /// machines are put to sleep by the destructor.
    void stop();

    Images& images() noexcept { return images_; }
    /// nullptr where there is none.
    CardProcess* card() noexcept { return card_.get(); }

    /// Workers that are there now, by their process ids: for the status and for tests that kill them.
    std::vector<std::int64_t> worker_processes();

private:
    /// A step of the log that the worker has, and where the walk stood before.
    struct Begun {
        LogWalk::Step step;  ///< without its message
        std::optional<units::Slot> after;
    };
    /// A process and its machine, if it is awake. `mutex` is held while a slot is evaluated; who frees it may leave one behind
    /// that has begun and that somebody waits for.
    struct Lane {
        explicit Lane(ProcessId id)
            : process(id)
        {
        }
        const ProcessId process;
        Wanted wanted;
        std::timed_mutex mutex;
        std::optional<std::string> account{};  ///< that its turns are counted for, once it had one
        std::optional<Context> context;
        std::unique_ptr<WorkerClient> worker;
        bool has_machine = false;
        std::optional<units::Slot> at;  ///< what the machine evaluated last; nothing: it has only begun
        std::unique_ptr<LogWalk> walk;  ///< stands after what has begun, or else after the newest result, durable or pending
        std::deque<Begun> begun;  ///< what the worker has, in order
        std::optional<units::Slot> evaluated{};  ///< where the walk stood when the process went to sleep
        std::vector<std::shared_ptr<ResultQueue::Pending>> pending;  ///< results on their way to the cache
        Digest root;  ///< of its state
        std::uint64_t gas_since_image = 0;
        std::uint64_t unsaved_bytes = 0;
        std::int64_t image_ns = 0;  ///< when the last was written or taken
        std::optional<Images::Chain> restored_from{};  ///< without its files
        std::atomic<std::uint64_t> resident_bytes = 0;  ///< of its worker, at the last evaluation
        bool past = false;  ///< looks at what was: keeps no image
        std::optional<Error> stopped;  ///< a disagreement: not served any more (law 7)
        std::atomic<std::int64_t> used_ns = 0;
        std::atomic<std::int64_t> worker_process = 0;  ///< its process id, 0 for one inside this process
    };
    struct Watcher {
        std::mutex mutex;
        std::function<void(const units::ConsolePiece&)> listener;
    };

    LocalCompute(
        units::Scheduler& scheduler, weave::Weave& weave, store::Cache& cache, Files& files, Clock& clock, Options options);
    bool checkpoint_is_due(const Lane& lane) const;
    std::shared_ptr<Lane> lane(const ProcessId& process);
    std::vector<std::shared_ptr<Lane>> awake_lanes();
    Result<void> load_context(Lane& lane);
    Result<void> start_worker(Lane& lane);
    Turns::Whose whose(Lane& lane);
    static std::unique_lock<std::timed_mutex> only_user(Lane& lane);
    Result<Evaluated> evaluate(Lane& lane, const Work& work, std::uint64_t height, const WorkerClient::Console& console);
    Result<Evaluated> evaluated(Lane& lane, Turns::Turn& turn, std::uint64_t height, const WorkerClient::Console& console);
    Result<void> with_state(const units::Slot& slot, const std::function<Result<void>(Lane& lane)>& work);
    void sleep(Lane& lane);
    /// Does something with a lane that nobody else uses meanwhile; again when its worker died.
    Result<void> with_lane(const ProcessId& process, const std::function<Result<void>(Lane& lane)>& work);
    /// How far to evaluate.
    struct Goal {
        std::optional<units::Slot> slot{};  ///< no further than this
        std::int64_t until_ms = INT64_MAX;
        std::uint64_t evaluations_max = UINT64_MAX;
        bool parked_too = false;
        bool ahead = false;  ///< the worker may begin what somebody else waits for
    };
    /// @return how many it evaluated
    Result<std::uint64_t> advance(Lane& lane, const Goal& goal);
    Result<bool> come_to_next(Lane& lane, const Goal& goal);
    Result<void> begin(Lane& lane, const Work& work);
    void begin_ahead(Lane& lane);
    Result<void> end_first(Lane& lane, Turns::Turn& turn);
    Result<void> end_all(Lane& lane);
    static const std::optional<units::Slot>& newest(const Lane& lane);
    Result<void> load_walk(Lane& lane);
    /// Waits until the results that this lane has pending are durable. @return store.*, compute.disagreement: some are not
    Result<void> settle(Lane& lane);
    Result<void> refused(Lane& lane, const Error& error);
    LogWalk::Source source_of(const ProcessId& process);
    Result<void> wake(Lane& lane, const std::optional<units::Slot>& at);
    Result<void> replay(Lane& lane, const units::Slot& at);
    Result<void> meet(Lane& lane, store::TrustedRecord taken);
    Result<units::SlotResult> run(Lane& lane, const LogWalk& walk, const LogWalk::Step& step);
    static units::SlotResult stands_after(Lane& lane, const LogWalk::Step& step, Evaluated done);
    Result<void> take_priority_back(Lane& lane);
    Result<void> save_image(Lane& lane, bool durable);
    void drop_worker(Lane& lane);
    void put_others_to_sleep();
    void put_others_to_sleep_soon();
    void wake_early(Lane& lane);
    std::uint64_t resident_bytes() const;
    void allow_under_way(std::uint64_t bytes);
    void tell(const units::ConsolePiece& piece);

    units::Scheduler& scheduler_;
    weave::Weave& weave_;
    store::Cache& cache_;
    Files& files_;
    Clock& clock_;
    std::optional<Address> authority_for(const item::Tags& tags) const;

    Options options_;
    // Drained by the destructor, before what they use goes.
    std::unique_ptr<Executor> background_;  ///< merges images
    std::unique_ptr<Executor> life_;  ///< puts to sleep, and wakes
    Images images_;
    ResultQueue results_;
    Modules code_;
    TensorThreads threads_;
    std::unique_ptr<CardProcess> card_;
    WorkerPool pool_;
    Turns turns_;
    Turns slices_;  ///< of those that take longer than a turn
    std::atomic<std::size_t> long_now_ = 0;
    Interrupts interrupts_;  ///< while something takes long
    std::atomic<bool> stopping_ = false;
    std::atomic<std::uint64_t> shown_ = 0;  ///< memories that were asked for: each has a file of its own for a while
    std::mutex mutex_;  ///< of what follows; a lane's own comes before it
    std::map<ProcessId, std::shared_ptr<Lane>> lanes_;
    struct ByProcess {
        bool operator()(const std::shared_ptr<Lane>& one, const std::shared_ptr<Lane>& other) const
        {
            return one->process < other->process;
        }
    };
    /// Those with a worker. In an order that does not depend on addresses: the simulator repeats what a seed gave.
    std::set<std::shared_ptr<Lane>, ByProcess> awake_;
    bool is_going_ = false;  ///< somebody is about to put some to sleep
    std::size_t waking_ = 0;  ///< before they are asked, at most one for each turn
    std::map<ProcessId, std::list<std::weak_ptr<Watcher>>> watchers_;
};

}  // namespace altiplano::compute
