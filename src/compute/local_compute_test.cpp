#include "compute/local_compute.hpp"

#include "base/base64url.hpp"
#include "base/executor.hpp"
#include "base/hash.hpp"
#include "base/test_folder.hpp"
#include "compute/errors.hpp"
#include "compute/recompute.hpp"
#include "compute/worker.hpp"
#include "item/ed25519.hpp"
#include "store/sqlite/sqlite.hpp"
#include "units/assignment.hpp"
#include "vm/errors.hpp"
#include "vm/test_wat.hpp"

#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <zlib.h>

using namespace altiplano;
using namespace altiplano::compute;
using Kind = units::SlotResult::Kind;

namespace {

/// A guest that keeps a counter at 4096 and answers {"ok":true,"response":{"Output":"0"}} with its last digit counted up,
/// unless the message holds `!`: then by the letter behind it (e error, t trap, l endless loop, p prints).
std::string counter_guest()
{
    return vm::test::guest_wat(
        R"wat((local $at i64) (local $what i32)
            (local.set $at (local.get $message))
            (block $found (loop $next
                (br_if $found (i32.eqz (i32.load8_u (local.get $at))))
                (br_if $found (i32.eq (i32.load8_u (local.get $at)) (i32.const 33)))
                (local.set $at (i64.add (local.get $at) (i64.const 1)))
                (br $next)))
            (local.set $what (select (i32.load8_u (i64.add (local.get $at) (i64.const 1))) (i32.const 0)
                (i32.load8_u (local.get $at))))
            (i32.store8 (i64.const 1065) (i32.add (i32.load8_u (i64.const 1065)) (i32.const 1)))
            (if (i32.eq (local.get $what) (i32.const 101)) (then (return (i64.const 2000))))
            (if (i32.eq (local.get $what) (i32.const 116)) (then (unreachable)))
            (if (i32.eq (local.get $what) (i32.const 108)) (then (loop $ever (br $ever))))
            (if (i32.eq (local.get $what) (i32.const 112)) (then (drop (call $write (i32.const 1) (i64.const 3000) (i64.const 1) (i64.const 3100)))))
            (i64.const 1024))wat",
        R"wat((data (i64.const 1024) "{\"ok\":true,\"response\":{\"Output\":{\"data\":\"0\"}}}\00")
            (data (i64.const 2000) "{\"ok\":true,\"response\":{\"Error\":\"asked for\"}}\00")
            (data (i64.const 3000) "\18\0c\00\00\00\00\00\00\05\00\00\00\00\00\00\00")
            (data (i64.const 3096) "hello"))wat",
        R"wat((import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i64 i64 i64) (result i32))))wat");
}

/// Logs in memory: what a compute unit needs of a scheduler.
class MemoryScheduler final : public units::Scheduler {
public:
    explicit MemoryScheduler(std::function<units::Assignment::Semantics(const item::DataItem&)> semantics)
        : semantics_(std::move(semantics))
    {
    }
    Result<units::Assignment> assign(const item::DataItem& item) override
    {
        const bool spawns = !item.target();
        const auto process = spawns ? ProcessId(item.id()) : ProcessId(*item.target());
        const auto semantics = spawns ? std::optional(semantics_(item)) : std::nullopt;
        const std::lock_guard lock(mutex_);
        auto& log = logs_[process];
        units::AssignmentFields fields{.slot = {process, log.size()},
            .message = item.id(),
            .hash_chain = units::first_link(process),
            .height = 1000,
            .block_hash = {},
            .timestamp_ms = log.empty() ? 1000 : std::max(now_ms, log.back().assignment.timestamp_ms + 1),
            .semantics = semantics};
        if (!log.empty())
            fields.hash_chain = units::next_link(log.back().assignment.id, log.back().assignment.hash_chain);
        auto made = units::sign_assignment(fields, key_).value();
        log.push_back({made, item});
        return made;
    }
    Result<units::LogEntry> entry(const units::Slot& slot) override
    {
        const std::lock_guard lock(mutex_);
        const auto& log = logs_[slot.process];
        if (slot.nonce >= log.size())
            return fail("scheduler.unknown_slot", "not there");
        return log[slot.nonce];
    }
    Result<units::Assignment> assign(const units::AssignRequest&) override { return fail("unused", ""); }
    Result<std::uint64_t> slot_after(const ProcessId&, std::int64_t) override { return fail("unused", ""); }
    Result<units::Slot> slot_of(const ProcessId&, const ItemId&) override { return fail("unused", ""); }
    Result<units::ProcessInfo> process(const ProcessId& id) override
    {
        const std::lock_guard lock(mutex_);
        return units::ProcessInfo{.id = id, .module = {}, .owner = {}, .scheduler = {}, .slots = logs_[id].size()};
    }
    Result<units::Closing> close(const ProcessId& id, std::int64_t until_ms) override
    {
        const std::lock_guard lock(mutex_);
        closed_[id] = std::max(closed_[id], until_ms);
        return units::Closing{.time_ms = closed_[id], .height = 1000};
    }
    std::int64_t now_ms = 0;  ///< the time of the next message, when it is later than the one before
    Result<std::vector<ProcessId>> processes() override { return std::vector<ProcessId>{}; }
    Address address() const override { return key_.address(); }

private:
    item::Ed25519Signer key_{std::array<std::byte, 32>{std::byte{5}}};
    std::function<units::Assignment::Semantics(const item::DataItem&)> semantics_;
    std::mutex mutex_;
    std::map<ProcessId, std::vector<units::LogEntry>> logs_;
    std::map<ProcessId, std::int64_t> closed_;
};

/// Workers on threads of this process.
WorkerStart worker_thread(std::atomic<int>& started)
{
    return [&started]() -> Result<StartedWorker> {
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        ++started;
        auto thread = std::shared_ptr<Executor>(thread_pool("worker", 1));
        thread->post([socket = ends[1]] { run_worker(socket, {.sandboxed = false}); });
        return StartedWorker{.socket = ends[0], .end = [thread]() mutable { thread.reset(); }, .process = 0};
    };
}

/// Workers that are dead on arrival.
WorkerStart dead_worker(std::atomic<int>& started)
{
    return [&started]() -> Result<StartedWorker> {
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        ++started;
        close(ends[1]);
        return StartedWorker{.socket = ends[0], .end = {}, .process = 0};
    };
}

/// Workers that say of every module that compiling it takes too much.
WorkerStart refusing_worker(std::atomic<int>& started)
{
    return [&started]() -> Result<StartedWorker> {
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        ++started;
        auto thread = std::shared_ptr<Executor>(thread_pool("worker", 1));
        thread->post([socket = ends[1]] {
            Channel channel(socket);
            EXPECT_TRUE(channel.receive());
            EXPECT_TRUE(channel.send(
                FrameType::failed, pack_error(Error{errors::compilation_over_limit, "compiling took too long", {}})));
        });
        return StartedWorker{.socket = ends[0], .end = [thread]() mutable { thread.reset(); }, .process = 0};
    };
}

/// Workers that take what they are told and never say a word, as while they compile.
WorkerStart silent_worker(std::atomic<int>& started)
{
    return [&started]() -> Result<StartedWorker> {
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        ++started;
        return StartedWorker{.socket = ends[0], .end = [end = ends[1]] { close(end); }, .process = 0};
    };
}

/// Workers on threads of this process, each until the next `kill`.
class MortalWorkers {
public:
    explicit MortalWorkers(std::atomic<int>& started)
        : start_(worker_thread(started))
    {
    }
    ~MortalWorkers() { forget(); }
    MortalWorkers(const MortalWorkers&) = delete;
    MortalWorkers& operator=(const MortalWorkers&) = delete;
    WorkerStart start()
    {
        return [this]() -> Result<StartedWorker> {
            TRY(auto worker, start_());
            const std::lock_guard lock(mutex_);
            forget();
            newest_ = dup(worker.socket);
            return worker;
        };
    }
    void kill()
    {
        const std::lock_guard lock(mutex_);
        if (newest_ >= 0)
            shutdown(newest_, SHUT_RDWR);
    }

private:
    void forget()
    {
        if (newest_ >= 0)
            close(newest_);
    }
    WorkerStart start_;
    std::mutex mutex_;
    int newest_ = -1;
};

class ACompute : public testing::Test {
protected:
    ACompute()
    {
        records = store::open_records(folder / "records.db", {.durable = false}).value();
        blobs = store::Blobs::open(system_files(), folder / "blobs").value();
        weave = weave::Weave::open(*records, *blobs, system_clock(), system_random()).value();
        scheduler = std::make_unique<MemoryScheduler>(
            [this](const item::DataItem& process) { return context_of(*weave, process.header()).value().semantics; });
        compute = open("one");
    }
    ~ACompute() override { compute.reset(); }

    std::unique_ptr<LocalCompute> open(const Path& name, LocalCompute::Options options = {})
    {
        std::filesystem::create_directories(folder / name);
        caches.push_back(store::open_cache(folder / name / "cache.db", {.durable = false}).value());
        cache = caches.back().get();
        options.folder = folder / name;
        if (!options.start)
            options.start = worker_thread(started);
        return LocalCompute::open(*scheduler, *weave, *cache, system_files(), system_clock(), std::move(options)).value();
    }
    ItemId put(Buffer data, item::Tags tags)
    {
        const auto one = item::build({.tags = std::move(tags), .data = std::move(data)}, key).value();
        EXPECT_TRUE(weave->put({weave::stage(one, *blobs).value()}));
        return one.id();
    }
    ItemId module(std::string_view wat, std::string format = "wasm64-wasi-altiplano_1")
    {
        return put(vm::test::wat(wat), {{"Type", "Module"}, {"Module-Format", std::move(format)}});
    }
    item::DataItem process_item(const ItemId& of, item::Tags more = {})
    {
        item::Tags tags{{"Module", of.text()}};
        for (const auto& tag : more)
            tags.add(tag.name, tag.value);
        return item::build({.anchor = std::string(32, static_cast<char>('a' + spawned++)), .tags = std::move(tags)}, key).value();
    }
    ProcessId spawn(item::Tags more = {})
    {
        return scheduler->assign(process_item(module(counter_guest()), std::move(more))).value().slot.process;
    }
    units::Slot send(const ProcessId& to, std::string data)
    {
        return scheduler
            ->assign(item::build({.target = Digest(to),
                                     .anchor = std::string(32, static_cast<char>(sent++)),
                                     .data = to_buffer(std::string_view(data))},
                key)
                    .value())
            .value()
            .slot;
    }
    std::vector<units::SlotResult> all(LocalCompute& by, const ProcessId& process, std::uint64_t slots)
    {
        std::vector<units::SlotResult> found;
        for (std::uint64_t nonce = 0; nonce < slots; ++nonce)
            found.push_back(by.result({process, nonce}).value());
        return found;
    }
    static void expect_equal(const std::vector<units::SlotResult>& one, const std::vector<units::SlotResult>& other)
    {
        ASSERT_EQ(one.size(), other.size());
        for (std::size_t i = 0; i < one.size(); ++i) {
            EXPECT_EQ(one[i].kind, other[i].kind) << i;
            EXPECT_EQ(one[i].output, other[i].output) << i;
            EXPECT_EQ(one[i].state_root, other[i].state_root) << i;
            EXPECT_EQ(one[i].gas, other[i].gas) << i;
            EXPECT_EQ(one[i].slot, other[i].slot) << i;
            EXPECT_EQ(one[i].time_ms, other[i].time_ms) << i;
            EXPECT_EQ(one[i].cron_name, other[i].cron_name) << i;
        }
    }
    /// A process with every kind of outcome in its log.
    ProcessId mixed()
    {
        const auto process = spawn({{"Compute-Limit", "1000000"}});
        for (const auto* data : {"one", "!e", "two", "!t", "three", "!l", "four"})
            send(process, data);
        return process;
    }

    /// A longer one, with prints and messages of a size that is not handed over ahead.
    ProcessId long_log(std::uint64_t messages)
    {
        const auto process = spawn({{"Compute-Limit", "1000000"}});
        const std::string kinds[] = {"one", "!e", "!p", "!t", std::string(40'000, 'x'), "two", "!l"};
        for (std::uint64_t i = 0; i < messages; ++i)
            send(process, kinds[i % std::size(kinds)]);
        return process;
    }
    /// The results of a process, asked for by eight at once, each beginning elsewhere.
    std::vector<units::SlotResult> all_at_once(
        LocalCompute& by, const ProcessId& process, std::uint64_t slots,
        const std::function<void(std::uint64_t)>& each = [](std::uint64_t) { })
    {
        std::vector<units::SlotResult> found(slots);
        const auto pool = thread_pool("callers", 8);
        for (std::uint64_t caller = 0; caller < 8; ++caller)
            pool->post([&, caller] {
                for (std::uint64_t i = caller; i < slots; i += 8) {
                    // Not in the log's order, though nearly.
                    const auto nonce = std::min(i ^ 3, slots - 1);
                    each(nonce);
                    found[nonce] = by.result({process, nonce}).value();
                }
            });
        return found;
    }

    /// A counter with cron every four seconds, from second 1 on.
    ProcessId cron_process() { return spawn({{"Cron-Interval", "4-seconds"}, {"Cron-Tag-Action", "Tick"}}); }
    std::vector<units::SlotResult> listed(const ProcessId& process, LocalCompute* by = nullptr)
    {
        return (by ? by : compute.get())->results({.process = process, .limit = 1000}).value();
    }
    /// All that the log gives as far as its time is settled, without any record.
    std::vector<units::SlotResult> recomputed(const ProcessId& process)
    {
        const auto doubter = Recomputation::begin(*weave, scheduler->entry({process, 0}).value(), folder / "doubter").value();
        LogWalk walk(process, doubter->context().crons,
            {.entry = [&](std::uint64_t nonce) -> Result<std::optional<units::LogEntry>> {
                 auto entry = scheduler->entry({process, nonce});
                 return entry ? std::optional(*entry) : std::nullopt;
             },
                .closing = [&] { return scheduler->close(process, 0); },
                .block_time = [](std::uint64_t) -> Result<std::int64_t> { return fail("unused", ""); }},
            std::nullopt);
        std::vector<units::SlotResult> results;
        while (const auto* const step = walk.peek().value()) {
            results.push_back(doubter->next(walk, *step).value());
            walk.pop();
        }
        return results;
    }

    TestFolder folder;
    item::Ed25519Signer key = item::Ed25519Signer::generate(system_random());
    std::unique_ptr<store::Records> records;
    std::unique_ptr<store::Blobs> blobs;
    std::unique_ptr<weave::Weave> weave;
    std::unique_ptr<MemoryScheduler> scheduler;
    std::vector<std::unique_ptr<store::Cache>> caches;
    store::Cache* cache = nullptr;
    std::atomic<int> started = 0;
    int spawned = 0;
    int sent = 0;
    std::unique_ptr<LocalCompute> compute;  // last: it uses the others
};

}  // namespace

TEST_F(ACompute, evaluates_each_slot_once_and_in_order)
{
    const auto process = spawn();
    send(process, "one");
    const auto slot = send(process, "two");
    EXPECT_FALSE(compute->stored(slot).value());
    EXPECT_NE(compute->result(slot).value().output.find(R"("data":"3")"), std::string::npos) << "slots 0, 1 and 2 counted";
    EXPECT_NE(compute->stored({process, 1}).value()->output.find(R"("data":"2")"), std::string::npos);
    EXPECT_EQ(compute->result({process, 9}).error().code, "scheduler.unknown_slot");
    EXPECT_EQ(started, 1);
}

TEST_F(ACompute, keeps_the_memory_when_a_message_fails)
{
    const auto process = mixed();
    const auto results = all(*compute, process, 8);
    const Kind kinds[] = {
        Kind::result, Kind::result, Kind::error, Kind::result, Kind::guest_fault, Kind::result, Kind::guest_fault, Kind::result};
    for (std::size_t i = 0; i < 8; ++i)
        EXPECT_EQ(results[i].kind, kinds[i]) << i;
    for (const std::size_t i : {2U, 4U, 6U})
        EXPECT_EQ(results[i].state_root, results[i - 1].state_root) << i;
    EXPECT_TRUE(results[4].output.starts_with("trap.unreachable: "));
    EXPECT_TRUE(results[6].output.starts_with("trap.out_of_gas: "));
    EXPECT_EQ(results[6].gas, 1'000'000U);
    EXPECT_NE(results[7].output.find(R"("data":"5")"), std::string::npos) << "what failed was not counted";
}

TEST_F(ACompute, gives_the_same_from_the_log_alone_however_it_gets_there)
{
    const auto process = mixed();
    const auto results = all(*compute, process, 8);
    for (const auto tracker : {memory::Tracker::kernel, memory::Tracker::fault, memory::Tracker::compare}) {
        const auto name = "tracker" + std::to_string(static_cast<int>(tracker));
        expect_equal(results, all(*open(name, {.tracker = tracker}), process, 8));
    }
    expect_equal(results, all(*open("images", {.image_gas = 0}), process, 8));
    started = 0;
    expect_equal(results, all(*open("sleepy", {.warm_max = 0, .idle_workers = 0}), process, 8));
    EXPECT_GE(started, 8) << "a machine of its own for every slot, from an image";

    expect_equal(results, recomputed(process));
}

TEST_F(ACompute, evaluates_cron_between_messages_as_part_of_the_log)
{
    const auto process = cron_process();
    scheduler->now_ms = 13'345;
    const auto slot = send(process, "one");
    EXPECT_NE(compute->result(slot).value().output.find(R"("data":"5")"), std::string::npos) << "slot 0, three crons, slot 1";
    const auto cron = compute->result({process, 0, 2}).value();
    EXPECT_EQ(cron.time_ms, 9'000) << "slot 0 came in second 1";
    EXPECT_EQ(cron.cron_name, "0-4-seconds");
    EXPECT_EQ(cron.slot, (units::Slot{process, 0, 2}));
    EXPECT_EQ(compute->result({process, 0, 4}).error().code, compute::errors::unknown_slot);
    EXPECT_EQ(compute->result({process, 1, 1}).error().code, compute::errors::unknown_slot) << "nobody settled the time";
    expect_equal(listed(process), recomputed(process));
}

TEST_F(ACompute, evaluates_cron_after_the_last_message_up_to_a_time)
{
    const auto process = cron_process();
    EXPECT_EQ(compute->cron({.process = process, .until_ms = 9'999}).value().evaluated, 3U) << "slot 0 and two crons";
    EXPECT_EQ(compute->cron({.process = process, .until_ms = 9'999}).value().evaluated, 0U);
    EXPECT_EQ(compute->cron({.process = process, .until_ms = 13'000}).value().evaluated, 1U);
    scheduler->now_ms = 14'000;
    send(process, "one");
    const auto reach = compute->cron({.process = process, .until_ms = 100'000, .evaluations_max = 4}).value();
    EXPECT_EQ(reach.evaluated, 4U);
    EXPECT_EQ(reach.left, 18U) << "from second 17 to 97 there are 21, of which three are done";
    EXPECT_EQ(compute->cron({.process = process, .until_ms = 100'000}).value().left, 0U);
    EXPECT_EQ(listed(process).size(), 2U + 24U);
    expect_equal(listed(process), recomputed(process));
    EXPECT_EQ(compute->cron({.process = spawn()}).value().evaluated, 1U) << "a process without cron has its messages";
}

TEST_F(ACompute, gives_cron_the_same_from_images_and_without_them)
{
    const auto process = cron_process();
    for (std::int64_t now = 9'000; now < 60'000; now += 17'001) {
        scheduler->now_ms = now;
        send(process, now == 26'001 ? "!e" : "x");
    }
    ASSERT_TRUE(compute->cron({.process = process, .until_ms = 70'000}));
    const auto expected = listed(process);
    EXPECT_EQ(expected.size(), 1U + 3U + 17U);
    for (auto options : {LocalCompute::Options{.image_gas = 0}, LocalCompute::Options{.warm_max = 0}}) {
        const std::string name = options.warm_max == 0 ? "sleepy" : "images";
        const auto other = open(name, std::move(options));
        // In pieces, so that machines sleep in the middle of a row of crons.
        for (std::int64_t until = 10'000; until <= 70'000; until += 6'000) {
            ASSERT_TRUE(other->cron({.process = process, .until_ms = until}));
            other->dry_run({.process = process, .body = "{}"}).value();
        }
        expect_equal(expected, listed(process, other.get()));
    }
    // Deleted caches lose time alone.
    expect_equal(expected, [&] {
        const auto other = open("fresh");
        EXPECT_TRUE(other->cron({.process = process, .until_ms = 70'000}));
        return listed(process, other.get());
    }());
}

TEST_F(ACompute, parks_a_process_that_owes_more_cron_than_is_done_unasked)
{
    compute = open("parks", {.cron_unasked_max = 10});
    const auto process = cron_process();
    ASSERT_TRUE(compute->result({process, 0}));
    scheduler->now_ms = 100'000;
    const auto slot = send(process, "awake");
    EXPECT_EQ(compute->result(slot).error().code, compute::errors::cron_parked);
    EXPECT_EQ(compute->cron({.process = process, .until_ms = 100'000}).error().code, compute::errors::cron_parked);
    auto state = compute->cron_state(process).value();
    EXPECT_TRUE(state.parked);
    EXPECT_EQ(state.due, 24U);
    EXPECT_EQ(
        compute->cron({.process = process, .until_ms = 100'000, .evaluations_max = 16, .parked_too = true}).value().left, 8U);
    EXPECT_FALSE(compute->cron_state(process).value().parked) << "what is left is done unasked";
    EXPECT_NE(compute->result(slot).value().output.find("\"data\""), std::string::npos);
    EXPECT_EQ(compute->cron_state(process).value().due, 0U);
}

TEST_F(ACompute, refuses_a_spawn_whose_cron_says_nothing)
{
    const auto admitted = compute->admit(process_item(module(counter_guest()), {{"Cron-Interval", "soon"}}));
    ASSERT_FALSE(admitted);
    EXPECT_EQ(admitted.error().code, compute::errors::bad_cron);
}

TEST_F(ACompute, gives_two_callers_of_one_process_each_the_result_of_their_message)
{
    const auto process = spawn();
    std::vector<units::Slot> slots;
    for (int i = 0; i < 8; ++i)
        slots.push_back(send(process, i % 3 == 2 ? "!e" : "x"));
    std::array<std::vector<std::string>, 2> seen{std::vector<std::string>(8), std::vector<std::string>(8)};
    {
        const auto pool = thread_pool("callers", 2);
        // One from the front, one from the back.
        for (std::size_t caller = 0; caller < 2; ++caller)
            pool->post([&, caller] {
                for (std::size_t i = 0; i < 8; ++i) {
                    const auto at = caller == 0 ? i : 7 - i;
                    seen[caller][at] = compute->result(slots[at]).value().output;
                }
            });
    }
    EXPECT_EQ(seen[0], seen[1]);
    EXPECT_NE(seen[0][7].find(R"("data":"7")"), std::string::npos) << "slot 0 and six messages without an error";
}

TEST_F(ACompute, goes_on_from_an_image_after_a_stop)
{
    const auto process = spawn();
    send(process, "one");
    const auto before = compute->result({process, 1}).value();
    compute.reset();
    ASSERT_EQ(caches.back()->images(process).value().size(), 1U) << "put to sleep by the stop";
    compute = open("one");
    EXPECT_NE(compute->result(send(process, "two")).value().output.find(R"("data":"3")"), std::string::npos);
    EXPECT_EQ(compute->stored({process, 1}).value()->state_root, before.state_root);
}

TEST_F(ACompute, replays_when_an_image_is_broken)
{
    const auto process = spawn();
    send(process, "one");
    ASSERT_TRUE(compute->result({process, 1}));
    compute.reset();
    const auto image = caches.back()->images(process).value().front();
    const auto file = system_files().open(folder / "one" / "images" / image.file, Files::Mode::create).value();
    ASSERT_TRUE(file->write_at(file->size().value() / 2, as_bytes("broken")));
    compute = open("one");
    EXPECT_NE(compute->result(send(process, "two")).value().output.find(R"("data":"3")"), std::string::npos);
}

TEST_F(ACompute, stops_serving_a_process_whose_replay_differs)
{
    const auto process = spawn();
    send(process, "one");
    // A record that the log does not give.
    auto other = open("other");
    auto wrong = compute->result({process, 0}).value();
    ASSERT_TRUE(cache->put_result({.process = process,
                                      .nonce = 0,
                                      .kind = 0,
                                      .output = wrong.output + " ",
                                      .state_root = wrong.state_root,
                                      .gas = wrong.gas},
        {}));
    EXPECT_EQ(other->result({process, 1}).error().code, compute::errors::disagreement);
    EXPECT_EQ(cache->disagreements(process).value().size(), 1U) << "both are kept";
    EXPECT_EQ(other->result({process, 1}).error().code, compute::errors::disagreement);
}

TEST_F(ACompute, tries_a_dying_worker_three_times_and_records_nothing)
{
    const auto process = spawn();
    started = 0;
    auto dying = open("dying", {.start = dead_worker(started)});
    EXPECT_EQ(dying->result({process, 0}).error().code, compute::errors::worker_died);
    EXPECT_EQ(started, 3);
    EXPECT_FALSE(dying->stored({process, 0}).value());
}

TEST_F(ACompute, compiles_a_module_that_takes_too_much_once)
{
    const auto item = process_item(module(counter_guest()));
    const auto process = spawn();
    for (const auto* again : {"first", "later", "after a restart"}) {
        started = 0;
        auto refusing = open("refusing", {.start = refusing_worker(started)});
        for (int i = 0; i < 2; ++i) {
            EXPECT_EQ(refusing->result({process, 0}).error().code, compute::errors::compilation_over_limit);
            EXPECT_EQ(refusing->admit(item).error().code, compute::errors::compilation_over_limit);
        }
        EXPECT_EQ(started, std::string_view(again) == "first" ? 1 : 0) << again;
        EXPECT_FALSE(refusing->stored({process, 0}).value()) << "the slot stays open";
    }
    // With other workers' limits, or once it is forgotten, it runs.
    const auto remembered = system_files().list(folder / "refusing/modules").value();
    for (const auto& name : remembered)
        EXPECT_TRUE(system_files().remove(folder / "refusing/modules" / name));
    started = 0;
    EXPECT_TRUE(open("refusing")->result({process, 0}));
}

TEST_F(ACompute, gives_up_a_compilation_when_it_is_told_to_stop)
{
    const auto item = process_item(module(counter_guest()));
    const auto process = spawn();
    started = 0;
    auto compiling = open("compiling", {.start = silent_worker(started)});
    std::atomic<int> answered = 0;
    {
        const auto pool = thread_pool("asks", 2);
        pool->post([&] {
            EXPECT_EQ(compiling->admit(item).error().code, compute::errors::stopping);
            ++answered;
        });
        pool->post([&] {
            EXPECT_EQ(compiling->result({process, 0}).error().code, compute::errors::stopping);
            ++answered;
        });
        while (started < 2)
            std::this_thread::yield();
        compiling->stop();
    }
    EXPECT_EQ(answered, 2);
    EXPECT_EQ(compiling->admit(item).error().code, compute::errors::stopping);
    EXPECT_EQ(started, 2) << "no worker is started any more";
}

TEST_F(ACompute, shows_what_a_guest_prints_to_whoever_watches)
{
    const auto process = spawn();
    std::mutex mutex;
    std::string seen;
    auto handle = compute->watch(process, [&](const units::ConsolePiece& piece) {
        const std::lock_guard lock(mutex);
        EXPECT_EQ(piece.slot.nonce, 1U);
        EXPECT_EQ(piece.stream, 1);
        seen += piece.text;
    });
    ASSERT_TRUE(compute->result(send(process, "!p")));
    EXPECT_EQ(seen, "hello");
    handle.reset();
    ASSERT_TRUE(compute->result(send(process, "!p")));
    EXPECT_EQ(seen, "hello");
}

TEST_F(ACompute, refuses_what_it_cannot_run_before_it_is_spawned)
{
    const auto refusal = [&](const ItemId& module, item::Tags more = {}) {
        const auto admitted = compute->admit(process_item(module, std::move(more)));
        return admitted ? std::string_view("admitted") : admitted.error().code;
    };
    EXPECT_EQ(refusal(module(counter_guest())), "admitted");
    EXPECT_EQ(refusal(ItemId{}), compute::errors::not_a_module);
    EXPECT_EQ(refusal(put({}, {{"Type", "Message"}})), compute::errors::not_a_module);
    EXPECT_EQ(refusal(module(counter_guest(), "wasm32-unknown")), compute::errors::unknown_format);
    EXPECT_EQ(refusal(module(counter_guest()), {{"Compute-Limit", "x"}}), compute::errors::bad_limit);
    EXPECT_EQ(refusal(module(counter_guest()), {{"Memory-Limit", "1-kb"}}), "vm.memory_over_limit");
    EXPECT_EQ(refusal(put(to_buffer("no wasm"), {{"Type", "Module"}, {"Module-Format", "wasm64-wasi-altiplano_1"}})),
        "module.not_wasm");
    EXPECT_EQ(refusal(module("(module)")), "module.no_memory");
    EXPECT_EQ(refusal(module(counter_guest()), {{"Extension", "WeaveDrive"}, {"Availability-Type", "Library"}}),
        "drive.unsupported_mode");
    EXPECT_EQ(refusal(module(counter_guest()), {{"Extension", "WeaveDrive"}, {"Availability-Type", "Individual"}}), "admitted");
}

TEST_F(ACompute, refuses_a_process_of_other_semantics)
{
    const auto of = module(counter_guest());
    scheduler = std::make_unique<MemoryScheduler>([](const item::DataItem&) { return units::Assignment::Semantics{99, {}, {}}; });
    compute = open("other-semantics");
    const auto process = scheduler->assign(process_item(of)).value().slot.process;
    EXPECT_EQ(compute->result({process, 0}).error().code, compute::errors::other_semantics);
}

TEST_F(ACompute, serves_many_processes_at_once)
{
    auto many = open("many", {.workers = 3, .warm_max = 2});
    std::vector<ProcessId> processes;
    for (int i = 0; i < 4; ++i) {
        processes.push_back(spawn());
        for (int j = 0; j < 5; ++j)
            send(processes.back(), "x");
    }
    {
        const auto pool = thread_pool("askers", 8);
        for (int i = 0; i < 16; ++i)
            pool->post([&, i] {
                EXPECT_NE(many->result({processes[static_cast<std::size_t>(i) % 4], 5}).value().output.find(R"("data":"6")"),
                    std::string::npos);
            });
    }
}

TEST_F(ACompute, lends_a_worker_to_one_sleeping_process_after_the_other)
{
    std::vector<ProcessId> processes;
    const auto module = this->module(counter_guest());
    for (int i = 0; i < 6; ++i)
        processes.push_back(scheduler->assign(process_item(module)).value().slot.process);
    auto fleet = open("fleet", {.warm_max = 1, .idle_workers = 2});
    started = 0;
    for (const auto* digit : {"1", "2", "3"})
        for (const auto& process : processes) {
            const std::uint64_t nonce = static_cast<std::uint64_t>(*digit - '1');
            if (nonce > 0)
                send(process, "again");
            EXPECT_NE(fleet->result({process, nonce}).value().output.find(std::string("\"data\":\"") + digit), std::string::npos);
        }
    EXPECT_LE(started, 3) << "18 wakes";
    EXPECT_LE(fleet->life().awake, 1U);
    EXPECT_EQ(fleet->life().known, 6U);
    // And each is what the log alone gives.
    for (const auto& process : processes)
        expect_equal(all(*fleet, process, 3), all(*compute, process, 3));
}

TEST_F(ACompute, does_not_put_to_sleep_first_whom_it_has_only_just_admitted)
{
    const auto first = spawn();
    const auto second = spawn();
    const auto few = open("few", {.warm_max = 2});
    ASSERT_TRUE(few->result({second, 0}));
    ASSERT_TRUE(few->result({first, 0}));
    ASSERT_TRUE(few->admit(process_item(module(counter_guest()))));
    send(first, "x");
    ASSERT_TRUE(few->result({first, 1}));
    EXPECT_EQ(few->life().awake, 2U);
    EXPECT_GT(few->images().stored_bytes(second).value(), 0U) << "which nobody used for longest";
}

TEST_F(ACompute, puts_no_more_to_sleep_than_are_too_many_whoever_counts)
{
    const auto module = this->module(counter_guest());
    std::vector<ProcessId> processes;
    for (int i = 0; i < 12; ++i)
        processes.push_back(scheduler->assign(process_item(module)).value().slot.process);
    auto fleet = open("fleet-at-once", {.workers = 2, .warm_max = 6, .idle_workers = 6});
    std::vector<units::Slot> slots;
    for (std::size_t i = 0; i < 240; ++i)
        slots.push_back(send(processes[i * 7 % processes.size()], "x"));
    started = 0;
    {
        const auto pool = thread_pool("askers", 6);
        for (const auto& slot : slots)
            pool->post([&fleet, slot] { EXPECT_TRUE(fleet->result(slot)); });
    }
    EXPECT_EQ(fleet->life().awake, 6U);
    // No more than there can be at once: awake, under way, being put to sleep.
    EXPECT_LE(started, 6 + 6 + 6);
}

TEST_F(ACompute, wakes_a_process_that_is_expected_and_puts_another_to_sleep_when_nobody_waits)
{
    const auto module = this->module(counter_guest());
    const auto first = scheduler->assign(process_item(module)).value().slot.process;
    const auto second = scheduler->assign(process_item(module)).value().slot.process;
    auto fleet = open("expecting", {.warm_max = 1, .idle_workers = 2, .in_background = true});
    const auto wait_for_awake = [&](std::size_t count) {
        while (fleet->life().awake != count)
            std::this_thread::yield();
    };
    fleet->expect(first);
    EXPECT_EQ(fleet->life().known, 0U) << "of whom nothing was asked yet";
    ASSERT_TRUE(fleet->result({first, 0}));
    ASSERT_TRUE(fleet->result({second, 0}));
    wait_for_awake(1);

    const auto before = started.load();
    while (fleet->life().awake != 2) {  // not while it is still on its way to sleep
        fleet->expect(first);
        std::this_thread::yield();
    }
    EXPECT_EQ(started.load(), before) << "a worker was idle";
    send(first, "x");
    EXPECT_EQ(fleet->result({first, 1}).value().state_root, compute->result({first, 1}).value().state_root);
    wait_for_awake(1);
}

TEST_F(ACompute, gives_the_same_whoever_is_expected_and_whoever_sleeps)
{
    const auto module = this->module(counter_guest());
    std::vector<ProcessId> processes;
    for (int i = 0; i < 9; ++i)
        processes.push_back(scheduler->assign(process_item(module)).value().slot.process);
    auto fleet = open("expecting-many", {.workers = 2, .warm_max = 3, .idle_workers = 1, .in_background = true});
    std::vector<units::Slot> slots;
    for (std::size_t i = 0; i < 180; ++i)
        slots.push_back(send(processes[i * 7 % processes.size()], "x"));
    {
        const auto pool = thread_pool("askers", 4);
        for (std::size_t i = 0; i < slots.size(); ++i)
            pool->post([&, i] {
                fleet->expect(slots[i].process);
                fleet->expect(slots[i * 5 % slots.size()].process);  // in vain
                EXPECT_TRUE(fleet->result(slots[i]));
            });
    }
    for (const auto& process : processes)
        expect_equal(all(*fleet, process, 21), all(*compute, process, 21));
}

TEST_F(ACompute, refuses_a_process_that_may_need_more_than_the_node_offers)
{
    const auto large = vm::test::guest_wat("(i64.const 900)", "", "", "i64 2 1048576");  // up to 64 GiB
    const auto item = process_item(module(large), {{"Memory-Limit", "18446744073709551615"}});
    const auto refused = compute->admit(item);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, errors::memory_not_offered);
    EXPECT_NE(refused.error().sentence.find("68719476736 bytes"), std::string::npos) << refused.error().sentence;
    EXPECT_NE(refused.error().sentence.find("offers 17179869184"), std::string::npos) << refused.error().sentence;
    // Another node offers more; and the module's own maximum counts, not the process's wish.
    auto generous = open("generous", {.memory_offer_bytes = std::uint64_t{64} << 30});
    EXPECT_TRUE(generous->admit(item));
    EXPECT_TRUE(compute->admit(process_item(module(counter_guest()), {{"Memory-Limit", "18446744073709551615"}})));
    // A node whose offer became smaller refuses to go on, and records nothing.
    const auto process = scheduler->assign(item).value().slot.process;
    EXPECT_EQ(compute->result({process, 0}).error().code, errors::memory_not_offered);
    EXPECT_FALSE(compute->stored({process, 0}).value());
    EXPECT_TRUE(generous->result({process, 0}));
}

TEST_F(ACompute, looks_at_the_past_and_leaves_it_as_it_was)
{
    const auto process = mixed();
    for (const auto image_gas : {std::uint64_t{0}, UINT64_MAX}) {
        auto past = open("past" + std::to_string(image_gas), {.image_gas = image_gas});
        const auto results = all(*past, process, 8);
        for (std::uint64_t nonce = 0; nonce < 8; ++nonce) {
            const auto state = past->state({process, nonce});
            ASSERT_TRUE(state) << state.error().sentence;
            EXPECT_EQ(state->root, results[nonce].state_root);
            EXPECT_EQ(state->memory_bytes, 2U * 65536);
            EXPECT_GT(state->used_pages, 0U);

            // All of its memory, and the same in pieces that keep to no page: what the guest's answer said stands in it.
            const auto memory = past->memory({process, nonce});
            ASSERT_TRUE(memory) << memory.error().sentence;
            ASSERT_EQ((*memory)->size(), 2U * 65536);
            const auto whole = (*memory)->all().value();
            EXPECT_EQ(as_text(whole).substr(1024, 41), R"({"ok":true,"response":{"Output":{"data":")");
            constexpr char counted[] = {'1', '2', '2', '3', '3', '4', '4', '5'};
            EXPECT_EQ(static_cast<char>(whole[1065]), counted[nonce]) << nonce;
            Buffer pieces;
            for (std::uint64_t at = 0; at < (*memory)->size(); at += 999) {
                Buffer piece(std::min<std::uint64_t>(999, (*memory)->size() - at));
                ASSERT_TRUE((*memory)->read_at(at, piece));
                append(pieces, piece);
            }
            EXPECT_EQ(pieces, whole);
        }
        // Slot 3 counted to 3: a reader there sees 4, however often, and what the process is now stays.
        for (int i = 0; i < 2; ++i)
            EXPECT_NE(past->dry_run_at({process, R"({"Data":"x"})"}, 3).value().output.find(R"("data":"4")"), std::string::npos);
        const std::vector<std::string> bodies{R"({"Data":"x"})", R"({"Data":"!e"})", R"({"Data":"y"})"};
        const auto forked = past->fork({process, 3}, bodies).value();
        ASSERT_EQ(forked.size(), 3U);
        EXPECT_NE(forked[0].output.find(R"("data":"4")"), std::string::npos);
        EXPECT_EQ(forked[1].kind, Kind::error);
        EXPECT_NE(forked[2].output.find(R"("data":"5")"), std::string::npos) << "what the fork wrote stays in the fork";
        expect_equal(all(*past, process, 8), results);

        // Which pages differ: the one with the counter, and what the message wrote; none between equal states.
        const auto changed = past->changes(process, 0, 7).value();
        EXPECT_FALSE(changed.empty());
        EXPECT_EQ(changed.front().first, 0U);
        EXPECT_TRUE(past->changes(process, 1, 2).value().empty()) << "slot 2 failed";
        EXPECT_EQ(past->changes(process, 2, 1).error().code, errors::unknown_slot);
        EXPECT_EQ(past->state({process, 99}).error().code, "scheduler.unknown_slot");
    }
}

TEST_F(ACompute, writes_checkpoints_by_gas_by_age_and_by_what_changed)
{
    const auto process = spawn();
    const auto images_after = [&](LocalCompute::Options options) {
        static int number = 0;
        auto one = open("policy" + std::to_string(number++), std::move(options));
        EXPECT_TRUE(one->result({process, 0}));
        return cache->images(process).value().size();
    };
    constexpr auto never = UINT64_MAX;
    EXPECT_EQ(images_after({.image_gas = never, .image_ms = INT64_MAX, .image_dirty_bytes = never}), 0U);
    EXPECT_EQ(images_after({.image_gas = 1, .image_ms = INT64_MAX, .image_dirty_bytes = never}), 1U);
    EXPECT_EQ(images_after({.image_gas = never, .image_ms = 0, .image_dirty_bytes = never}), 1U);
    EXPECT_EQ(images_after({.image_gas = never, .image_ms = INT64_MAX, .image_dirty_bytes = 4096}), 1U);
}

TEST_F(ACompute, lets_the_others_go_on_beside_a_long_evaluation)
{
    const auto slow = spawn({{"Compute-Limit", "1500000000"}});
    send(slow, "!l");
    const auto quick = spawn();
    auto fair = open("fair", {.workers = 1, .time = {.first_ms = 1, .slice_ms = 1, .long_ms = 1}});
    std::atomic<bool> ended = false;
    const auto pool = thread_pool("slow", 1);
    pool->post([&] {
        EXPECT_EQ(fair->result({slow, 1}).value().kind, Kind::guest_fault);
        ended = true;
    });
    while (fair->life().long_evaluations == 0 && !ended)
        std::this_thread::yield();
    EXPECT_TRUE(fair->result({quick, 0})) << "with the only turn given back";
    const bool overtaken = !ended;
    EXPECT_TRUE(overtaken);
}

TEST_F(ACompute, gives_many_at_once_what_it_gives_one_after_the_other)
{
    constexpr std::uint64_t slots = 64;  // a multiple of eight
    const auto process = long_log(slots - 1);
    const auto expected = all(*compute, process, slots);
    auto plain = open("plain");
    expect_equal(all_at_once(*plain, process, slots), expected);
    auto saving = open("saving", {.warm_max = 0, .image_gas = 1});
    expect_equal(all_at_once(*saving, process, slots), expected);
    EXPECT_EQ(saving->state({process, slots - 1}).value().root, expected.back().state_root);
}

TEST_F(ACompute, gives_many_at_once_their_results_though_workers_die)
{
    constexpr std::uint64_t slots = 64;
    const auto process = long_log(slots - 1);
    const auto expected = all(*compute, process, slots);
    MortalWorkers workers(started);
    auto shaken = open("shaken", {.start = workers.start()});
    const auto before = started.load();
    expect_equal(all_at_once(*shaken, process, slots,
                     [&](std::uint64_t nonce) {
                         if (nonce == 20 || nonce == 40)
                             workers.kill();
                     }),
        expected);
    EXPECT_GT(started.load(), before);
    shaken.reset();
}

TEST_F(ACompute, evaluates_cron_between_messages_that_are_asked_for_at_once)
{
    const auto process = cron_process();
    for (std::int64_t second : {3, 10, 11, 30, 31, 32, 50}) {
        scheduler->now_ms = second * 1000;
        send(process, "x");
    }
    const auto found = all_at_once(*compute, process, 8);
    const auto expected = recomputed(process);
    expect_equal(
        listed(process), std::vector(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(listed(process).size())));
    EXPECT_EQ(found.back().slot.nonce, 7U);
    EXPECT_GT(expected.size(), 12U);
}

TEST_F(ACompute, sweeps_away_files_that_no_record_names)
{
    const auto process = spawn();
    ASSERT_TRUE(compute->result({process, 0}));
    compute.reset();
    ASSERT_TRUE(write_file(system_files(), folder / "one" / "images" / "half-written.tmp", as_bytes("x")));
    ASSERT_TRUE(write_file(system_files(), folder / "one" / "images" / (process.text() + "-7.tmp"), as_bytes("x")));
    compute = open("one");
    EXPECT_EQ(compute->images().total().value().files, 2U) << "its own, and its module's";
    EXPECT_GT(compute->images().stored_bytes(process).value(), 0U);
    send(process, "x");
    EXPECT_TRUE(compute->result({process, 1}));
}

// ---- going on from what somebody else computed

namespace {

class ACheckpoint : public ACompute {
protected:
    ACheckpoint()
    {
        process = mixed();
        results = all(*compute, process, 8);
        other = open("other", {.checkpoint_signers = {key.address().text()}});
    }
    AoCheckpoint at(std::uint64_t nonce) { return compute->ao_checkpoint({process, nonce}).value(); }
    item::Tags tags_at(std::uint64_t nonce)
    {
        const auto entry = scheduler->entry({process, nonce}).value();
        const auto module = ModuleId::parse(*scheduler->entry({process, 0}).value().message.tags().first("Module")).value();
        return ao_checkpoint_tags(entry, module, at(nonce), results[nonce].state_root);
    }
    item::Tags without(const item::Tags& tags, std::string_view name)
    {
        item::Tags rest;
        for (const auto& tag : tags)
            if (tag.name != name)
                rest.add(tag.name, tag.value);
        return rest;
    }
    item::Tags with(const item::Tags& tags, std::string name, std::string value)
    {
        auto changed = without(tags, name);
        changed.add(std::move(name), std::move(value));
        return changed;
    }
    /// A memory of this node's, changed where the guest counts; by its tags it is what it is, but no word of ours on the state.
    ItemId false_one(std::uint64_t nonce)
    {
        auto memory = compute->memory({process, nonce}).value()->all().value();
        memory[1065] = std::byte{'8'};
        auto tags = with(without(tags_at(nonce), "State-Root"), "SHA-256", hex(sha256(memory).bytes()));
        return put(gzip(memory), std::move(tags));
    }
    static Buffer gzip(Bytes bytes)
    {
        z_stream stream{};
        EXPECT_EQ(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        Buffer packed(deflateBound(&stream, bytes.size()));
        stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
        stream.avail_in = static_cast<uInt>(bytes.size());
        stream.next_out = reinterpret_cast<Bytef*>(packed.data());
        stream.avail_out = static_cast<uInt>(packed.size());
        EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
        packed.resize(packed.size() - stream.avail_out);
        deflateEnd(&stream);
        return packed;
    }

    ProcessId process;
    std::vector<units::SlotResult> results;
    std::unique_ptr<LocalCompute> other;
};

}  // namespace

TEST_F(ACheckpoint, is_gone_on_from_and_later_slots_come_out_the_same)
{
    const auto id = put(at(3).gzip, tags_at(3));
    const auto taken = other->take_in(id);
    ASSERT_TRUE(taken) << taken.error().sentence;
    EXPECT_EQ(taken->state_root, results[3].state_root);
    EXPECT_EQ(taken->signer, key.address().text());
    EXPECT_FALSE(taken->verified);
    EXPECT_EQ(other->state({process, 3}).value().root, results[3].state_root);
    for (std::uint64_t nonce = 4; nonce < 8; ++nonce)
        expect_equal({other->result({process, nonce}).value()}, {results[nonce]});
    EXPECT_EQ(cache->results_end(process).value(), 8U);
    for (std::uint64_t nonce = 0; nonce < 4; ++nonce)
        EXPECT_EQ(other->result({process, nonce}).error().code, errors::before_checkpoint) << nonce;
    EXPECT_EQ(other->state({process, 2}).error().code, errors::before_checkpoint);
    EXPECT_EQ(other->begins_after(process).value(), (units::Slot{process, 3}));
    EXPECT_FALSE(compute->begins_after(process).value());
    EXPECT_EQ(other->changes(process, 3, 7).value(), compute->changes(process, 3, 7).value());

    // Again after a start, from what is on disk; and without its image, from the log.
    for (const bool with_images : {true, false}) {
        other.reset();
        if (!with_images)
            for (const auto& file : std::filesystem::directory_iterator(folder / "other" / "images"))
                std::filesystem::remove(file.path());
        other = open("other");
        send(process, with_images ? "five" : "six");
        const units::Slot slot{process, with_images ? 8U : 9U};
        expect_equal({other->result(slot).value()}, {compute->result(slot).value()});
        EXPECT_EQ(other->trusted(process).value()->verified, !with_images) << "whoever computes it knows";
    }
}

TEST_F(ACheckpoint, counts_as_verified_once_the_log_was_computed)
{
    EXPECT_EQ(other->verify_trusted(process).error().code, errors::unknown_slot);
    ASSERT_TRUE(other->take_in(put(at(5).gzip, tags_at(5))));
    EXPECT_TRUE(other->verify_trusted(process).value().verified);
    EXPECT_TRUE(other->trusted(process).value()->verified);
    EXPECT_TRUE(other->verify_trusted(process).value().verified);
    EXPECT_TRUE(other->result({process, 6}));
}

TEST_F(ACheckpoint, that_lies_is_found_out_and_the_process_is_no_longer_served)
{
    ASSERT_TRUE(other->take_in(false_one(3)));
    EXPECT_NE(other->result({process, 5}).value().output.find(R"("data":"9")"), std::string::npos) << "trusted until verified";
    const auto verified = other->verify_trusted(process);
    ASSERT_FALSE(verified);
    EXPECT_EQ(verified.error().code, errors::disagreement);
    EXPECT_NE(verified.error().sentence.find(results[3].state_root.text()), std::string::npos) << verified.error().sentence;
    EXPECT_EQ(other->result({process, 7}).error().code, errors::disagreement);
    EXPECT_FALSE(other->trusted(process).value()->verified);
}

TEST_F(ACheckpoint, is_refused_unless_its_signer_its_tags_and_its_bytes_are_right)
{
    const auto good = at(3).gzip;
    const auto tags = tags_at(3);
    const auto code = [&](const ItemId& id) {
        const auto taken = other->take_in(id);
        return taken ? "" : std::string(taken.error().code);
    };
    for (const auto* name : {"Type", "Data-Protocol", "Content-Encoding", "Process", "Module", "Nonce", "SHA-256"})
        EXPECT_EQ(code(put(good, without(tags, name))), errors::bad_ao_checkpoint) << name;
    const std::string other_id(43, 'A');
    const std::pair<const char*, std::string> wrong[] = {{"Timestamp", "7"}, {"Block-Height", "7"}, {"Hash-Chain", other_id},
        {"Module", other_id}, {"Nonce", "2"}, {"Nonce", "x"}, {"Cron-Interval", "10-seconds"}, {"SHA-256", std::string(64, '0')},
        {"SHA-256", ""}, {"State-Root", other_id}};
    for (const auto& [name, value] : wrong)
        EXPECT_EQ(code(put(good, with(tags, name, value))), errors::bad_ao_checkpoint) << name << " " << value;
    EXPECT_EQ(code(put(good, with(tags, "Nonce", "99"))), "scheduler.unknown_slot");

    Buffer longer = good;
    longer.push_back(std::byte{});
    EXPECT_EQ(code(put(longer, tags)), errors::bad_ao_checkpoint);
    EXPECT_EQ(code(put(to_buffer(Bytes(good).first(good.size() - 1)), tags)), errors::bad_ao_checkpoint);
    EXPECT_EQ(code(put(to_buffer("no gzip"), tags)), errors::bad_ao_checkpoint);
    EXPECT_EQ(code(put({}, tags)), errors::bad_ao_checkpoint);
    const auto bomb = gzip(Buffer(std::size_t{5} << 20));  // the module's maximum is 4 MiB
    EXPECT_EQ(code(put(bomb, tags)), errors::bad_ao_checkpoint);
    const auto sized = [&](std::size_t bytes) {
        const Buffer memory(bytes);
        return put(gzip(memory), with(without(tags, "State-Root"), "SHA-256", hex(sha256(memory).bytes())));
    };
    EXPECT_EQ(code(sized(65536)), vm::errors::bad_image) << "less than the module begins with";
    EXPECT_EQ(code(sized(3 * 65536 - 1)), vm::errors::bad_image);

    // Nothing of all this is left: the process is computed from its log.
    EXPECT_FALSE(other->trusted(process).value());
    EXPECT_EQ(other->images().total().value().files, 0U);
    const auto stranger = open("stranger");
    EXPECT_EQ(stranger->take_in(put(good, tags)).error().code, errors::signer_not_trusted);
    expect_equal(all(*other, process, 8), results);
    EXPECT_EQ(code(put(good, tags)), errors::computed_already);
    expect_equal(all(*other, process, 8), results);
}
