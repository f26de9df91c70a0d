#include "workload.hpp"

#include "compute/errors.hpp"
#include "compute/recompute.hpp"
#include "compute/worker.hpp"
#include "item/ed25519.hpp"
#include "scheduler/scheduler.hpp"
#include "store/errors.hpp"
#include "store/sqlite/checked.hpp"
#include "store/sqlite/sqlite.hpp"
#include "vm/test_wat.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <thread>

namespace altiplano::sim {

namespace {

/// A guest of four groups of pages that counts its messages at 8192 and writes the number into its answer, into what it sends
/// and into some pages. Data that begins with `>` sends a message to the id behind it, with `^` spawns a process of the module
/// behind it, with `!` fails, with `%` traps; anything else is only counted.
std::string relay_guest()
{
    const std::string id(43, 'x');
    const std::string begin = R"({"ok":true,"response":{"Output":{"data":"0000"},)";
    const std::string quiet = begin + R"("Messages":[],"Spawns":[],"Assignments":[]}})";
    const std::string sends = begin + R"("Messages":[{"Target":")" + id
        + R"(","Tags":[{"name":"Action","value":"Relay"}],"Data":"0000"}],"Spawns":[],"Assignments":[]}})";
    const std::string spawns =
        begin + R"("Messages":[],"Assignments":[],"Spawns":[{"Data":" ","Tags":[{"name":"Module","value":")" + id + R"("}]}]}})";
    const std::string fails = R"({"ok":true,"response":{"Error":"asked for"}})";
    constexpr std::size_t quiet_at = 1024;
    constexpr std::size_t sends_at = 2048;
    constexpr std::size_t spawns_at = 3072;
    constexpr std::size_t fails_at = 4096;
    std::string data;
    for (const auto& [at, text] : {std::pair(quiet_at, quiet), {sends_at, sends}, {spawns_at, spawns}, {fails_at, fails}}) {
        data += fmt::format("(data (i64.const {}) \"", at);
        for (const char c : text)
            data += c == '"' ? std::string("\\22") : std::string(1, c);
        data += "\\00\")";
    }
    const auto body = fmt::format(R"wat((local $n i64) (local $at i64) (local $c i32) (local $i i64)
        (local.set $n (i64.add (i64.load (i64.const 8192)) (i64.const 1)))
        (i64.store (i64.const 8192) (local.get $n))
        (loop $touch
            (i64.store (i64.add (i64.const 65536) (i64.mul (i64.const 4096)
                (i64.rem_u (i64.add (i64.mul (local.get $n) (i64.const 7)) (i64.mul (local.get $i) (i64.const 13))) (i64.const 100))))
                (local.get $n))
            (local.set $i (i64.add (local.get $i) (i64.const 1)))
            (br_if $touch (i64.lt_u (local.get $i) (i64.add (i64.const 1) (i64.rem_u (local.get $n) (i64.const 5))))))
        (call $digits (i64.const {}) (local.get $n))
        (call $digits (i64.const {}) (local.get $n))
        (call $digits (i64.const {}) (local.get $n))
        (call $digits (i64.const {}) (local.get $n))
        (local.set $at (local.get $message))
        (loop $next
            (if (i32.eqz (i32.load8_u (local.get $at))) (then (return (i64.const {}))))
            (local.set $at (i64.add (local.get $at) (i64.const 1)))
            (br_if $next (i64.ne (i64.load (i64.sub (local.get $at) (i64.const 1))) (i64.const 0x223a226174614422)))
            (local.set $at (i64.add (local.get $at) (i64.const 8)))
            (local.set $c (i32.load8_u (i64.sub (local.get $at) (i64.const 1))))
            (if (i32.eq (local.get $c) (i32.const 33)) (then (return (i64.const {}))))
            (if (i32.eq (local.get $c) (i32.const 37)) (then (unreachable)))
            (if (i32.eq (local.get $c) (i32.const 62)) (then
                (memory.copy (i64.const {}) (local.get $at) (i64.const 43)) (return (i64.const {}))))
            (if (i32.eq (local.get $c) (i32.const 94)) (then
                (memory.copy (i64.const {}) (local.get $at) (i64.const 43)) (return (i64.const {})))))
        (i64.const {}))wat",
        quiet_at + quiet.find("0000"), sends_at + sends.find("0000"), sends_at + sends.rfind("0000"),
        spawns_at + spawns.find("0000"), quiet_at, fails_at, sends_at + sends.find(id), sends_at, spawns_at + spawns.find(id),
        spawns_at, quiet_at);
    const auto more = R"wat((func $digits (param $at i64) (param $n i64) (local $i i64)
        (local.set $i (i64.const 4))
        (loop $next
            (local.set $i (i64.sub (local.get $i) (i64.const 1)))
            (i64.store8 (i64.add (local.get $at) (local.get $i)) (i64.add (i64.const 48) (i64.rem_u (local.get $n) (i64.const 10))))
            (local.set $n (i64.div_u (local.get $n) (i64.const 10)))
            (br_if $next (i64.gt_u (local.get $i) (i64.const 0))))))wat"
        + data;
    return vm::test::guest_wat(body, more, "", "i64 8 64");
}

Error wrong(std::string sentence)
{
    return {"sim.wrong", std::move(sentence), ""};
}
template <class... Args> std::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args)
{
    return std::unexpected(wrong(fmt::format(format, std::forward<Args>(args)...)));
}

compute::WorkerStart worker_thread(Recorder* recorder)
{
    return [recorder]() -> Result<compute::StartedWorker> {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
            return fail("sim.socket", "no socket pair");
        auto thread = std::shared_ptr<Executor>(thread_pool("worker", 1));
        thread->post([socket = ends[1], recorder] {
            compute::WorkerOptions options{.sandboxed = false};
            if (recorder)
                options.adopt = [recorder](int descriptor) { return recorder->adopt(descriptor); };
            options.save_rule.small_state_pages = 8;
            options.hashes_beside = false;
            compute::run_worker(socket, options);
        });
        return compute::StartedWorker{.socket = ends[0], .end = [thread]() mutable { thread.reset(); }, .process = 0};
    };
}

/// @param image_gas  after which a checkpoint is due: 1 for one after each slot, more lets results wait for each other
/// @param signers  whose checkpoints are taken in
Result<std::unique_ptr<node::Node>> open(const Setting& setting, Files& files, Clock& clock, Random& random, Recorder* recorder,
    std::uint64_t image_gas = 1, const std::vector<std::string>& signers = {})
{
    return node::Node::open({.data = setting.data,
                                .modules = setting.modules,
                                .program = {},
                                .start_worker = worker_thread(recorder),
                                .messenger_threads = 1,
                                .workers = 1,
                                .warm_max = 2,
                                .image_gas = image_gas,
                                .history_states = 1,
                                .checkpoint_signers = signers,
                                .outer = {}},
        files, clock, random);
}

/// Waits until whatever the node has to do by itself is done: every slot evaluated, everything sent delivered and noted.
Result<void> settle(node::Node& node, int patience_ms = 30'000)
{
    std::string waits_for;
    for (int round = 0; round < patience_ms; ++round) {
        TRY(const auto processes, node.records().processes());
        waits_for.clear();
        std::uint64_t slots = 0;
        for (const auto& process : processes) {
            TRY(const auto info, node.scheduler().process(process));
            slots += info.slots;
            TRY(const auto cursor, node.records().meta("delivered " + process.text()));
            const auto expected = fmt::format("{}.1", info.slots - 1);
            if (cursor.value_or("") != expected)
                waits_for =
                    fmt::format("{} was delivered up to {}, not {}", process.text(), cursor.value_or("nothing"), expected);
        }
        // What was looked at first may have got a message from what was looked at last.
        for (const auto& process : processes) {
            TRY(const auto info, node.scheduler().process(process));
            slots -= info.slots;
        }
        if (slots != 0)
            waits_for = "a process got a message";
        TRY(const auto open, node.records().open_deliveries());
        if (!open.empty())
            waits_for = fmt::format("{} deliveries are open: {}", open.size(), open.front().last_error);
        if (waits_for.empty())
            return {};
        // A node that meets damage says so, and tries again; it would not come to rest.
        constexpr int noticed = 200;
        for (const auto* const file : {"records.db", "cache.db"})
            if (round > noticed && store::sqlite::found_damaged(node.options().data / file))
                return fail(store::errors::damaged, fmt::format("{} is damaged: {}", file, waits_for));
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return fail("sim.restless", "the node does not come to rest: " + waits_for);
}

class Client {
public:
    Client(const Setting& setting, Recorder& recorder, Told& told)
        : setting_(setting)
        , recorder_(recorder)
        , told_(told)
        , clock_(setting.faulty)
        , random_(setting.seed)
        , key_(item::Ed25519Signer::generate(random_))
    {
    }

    /// Again until it succeeds: what a client does that was told of a full disk.
    template <class Do> auto insist(Do&& act) -> decltype(act())
    {
        for (int attempt = 1;; ++attempt) {
            auto done = act();
            if (done || attempt == 10 || !setting_.insists)
                return done;
            clock_.move(1000);
        }
    }

    Result<void> open(std::uint64_t image_gas = 1)
    {
        TRY(node_, insist([&] {
            return sim::open(setting_, recorder_.files(), clock_, random_, &recorder_, image_gas, {key_.address().text()});
        }));
        if (!told_.opened_at) {
            told_.scheduler = node_->scheduler().address();
            told_.authority = node_->authority();
            told_.opened_at = recorder_.size();
        } else if (told_.scheduler != node_->scheduler().address() || told_.authority != node_->authority()) {
            return bad("the keys are others after a restart");
        }
        return {};
    }
    void close() { node_.reset(); }

    Result<ItemId> put(Buffer data, item::Tags tags)
    {
        TRY(const auto item, item::build({.anchor = anchor(), .tags = std::move(tags), .data = std::move(data)}, key_));
        TRY_OK(insist([&]() -> Result<void> {
            TRY(auto staged, weave::stage(item, node_->weave().blobs()));
            TRY(const auto block, node_->weave().put({std::move(staged)}));
            return {};
        }));
        told_.stored.push_back({recorder_.size(), item.id(), sha256(item.data())});
        return item.id();
    }
    Result<units::Slot> send(const std::optional<ProcessId>& to, std::string data, item::Tags tags)
    {
        TRY(auto item, new_message(to, data, std::move(tags)));
        TRY(const auto accepted, insist([&] { return node_->messenger().accept(item); }));
        const auto at = recorder_.size();
        TRY(const auto entry, node_->scheduler().entry(*accepted.slot));
        told_.slots.push_back({at, *accepted.slot, entry.assignment.id, std::move(item)});
        TRY_OK(settle(*node_, patience_ms()));
        TRY(const auto result, insist([&] { return node_->compute().result(*accepted.slot); }));
        told_.answers.push_back({recorder_.size(), result});
        return *accepted.slot;
    }

    /// Some items that share a block.
    Result<void> put_together(std::size_t count)
    {
        std::vector<item::DataItem> items;
        for (std::size_t i = 0; i < count; ++i) {
            TRY(auto one,
                item::build({.anchor = anchor(), .tags = {{"Name", "one of several"}}, .data = to_buffer(anchor())}, key_));
            items.push_back(std::move(one));
        }
        TRY_OK(insist([&]() -> Result<void> {
            std::vector<weave::NewItem> staged;
            for (const auto& one : items) {
                TRY(auto next, weave::stage(one, node_->weave().blobs()));
                staged.push_back(std::move(next));
            }
            TRY(const auto block, node_->weave().put(std::move(staged)));
            return {};
        }));
        for (const auto& one : items)
            told_.stored.push_back({recorder_.size(), one.id(), sha256(one.data())});
        return {};
    }
    /// Messages that are all in the log before the first is evaluated: their results become durable together.
    Result<void> send_together(const ProcessId& to, std::size_t count, const item::Tags& tags)
    {
        std::vector<units::Slot> slots;
        for (std::size_t i = 0; i < count; ++i) {
            TRY(const auto slot, assign(to, "count", tags));
            slots.push_back(slot);
        }
        return ask_for(slots);
    }
    /// A log that nobody has computed yet, gone on from a checkpoint in AO's format.
    Result<ProcessId> go_on_from_checkpoint(
        const ModuleId& module, const item::Tags& process_tags, const item::Tags& message_tags, const ProcessId& other)
    {
        TRY(const auto spawned, assign({}, "", process_tags));
        const auto& process = spawned.process;
        std::vector<units::Slot> later;
        for (std::size_t i = 0; i < 5; ++i) {
            TRY(const auto slot, assign(process, i == 3 ? ">" + other.text() : "count", message_tags));
            if (i > 1)
                later.push_back(slot);
        }
        const units::Slot of{process, later.front().nonce - 1};
        TRY(auto found, exported(of));
        auto& [checkpoint, root] = found;
        TRY(const auto entry, node_->scheduler().entry(of));
        const auto tags = compute::ao_checkpoint_tags(entry, module, checkpoint, root);
        TRY(const auto id, put(std::move(checkpoint.gzip), tags));
        auto& compute = *node_->local_compute();
        TRY(const auto taken, insist([&]() -> Result<store::TrustedRecord> {
            // A call that failed may have been heard.
            TRY(const auto before, compute.trusted(process));
            return before ? *before : compute.take_in(id);
        }));
        if (taken.state_root != root || taken.nonce != of.nonce)
            return bad("the checkpoint after slot {} was taken in for another state", of.nonce);
        told_.taken.push_back({recorder_.size(), taken});
        TRY_OK(ask_for(later));
        return process;
    }
    Result<void> verify_checkpoint(const ProcessId& process)
    {
        TRY(const auto verified, insist([&] { return node_->local_compute()->verify_trusted(process); }));
        if (!verified.verified)
            return bad("the checkpoint of {} counts as trusted still", process.text());
        told_.taken.push_back({recorder_.size(), verified});
        return {};
    }

    Result<void> run()
    {
        TRY_OK(open());
        TRY(const auto module,
            put(vm::test::wat(relay_guest()),
                {{"Data-Protocol", "ao"}, {"Type", "Module"}, {"Module-Format", "wasm64-wasi-altiplano_1"}}));
        Buffer large(store::Blobs::size_min + 1000);
        random_.fill(large);
        TRY_OK(put(std::move(large), {{"Name", "a blob"}}));
        const item::Tags process{
            {"Data-Protocol", "ao"}, {"Type", "Process"}, {"Module", module.text()}, {"Scheduler", told_.scheduler.text()}};
        const item::Tags message{{"Data-Protocol", "ao"}, {"Type", "Message"}};
        TRY(const auto a, send({}, "", process));
        TRY(const auto b, send({}, "", process));
        std::optional<ProcessId> trusted;
        for (std::size_t round = 0; round < setting_.rounds; ++round) {
            if (round > 0) {
                close();
                TRY_OK(open(round % 2 == 0 ? 1 : rare_image_gas));
                TRY_OK(settle(*node_, patience_ms()));
                if (trusted)
                    TRY_OK(verify_checkpoint(*trusted));
                TRY(trusted, go_on_from_checkpoint(ModuleId(module), process, message, a.process));
                Buffer another(store::Blobs::size_min + 1000 * round);
                random_.fill(another);
                TRY_OK(put(std::move(another), {{"Name", "another blob"}}));
                TRY_OK(put_together(3));
                TRY(const auto c, send({}, "", process));
                TRY_OK(send_together(c.process, 4, message));
            }
            TRY_OK(send_together(a.process, 5, message));
            for (std::size_t i = 0; i < setting_.messages; ++i) {
                const auto& to = i % 3 == 2 ? b.process : a.process;
                const auto& other = i % 3 == 2 ? a.process : b.process;
                const std::string data = i % 7 == 3 ? "!"
                    : i % 7 == 5                    ? "%"
                    : i % 7 == 6                    ? "^" + module.text()
                    : i % 7 == 1                    ? "count"
                                                    : ">" + other.text();
                TRY_OK(send(to, data, message));
            }
        }
        close();
        return {};
    }

private:
    /// Some time later than what came before it. @param to  none: a process that begins
    Result<item::DataItem> new_message(const std::optional<ProcessId>& to, std::string_view data, item::Tags tags)
    {
        clock_.move(10);
        return item::build({.target = to ? std::optional(Digest(*to)) : std::nullopt,
                               .anchor = anchor(),
                               .tags = std::move(tags),
                               .data = to_buffer(data)},
            key_);
    }
    /// Into the log, and no further.
    Result<units::Slot> assign(const std::optional<ProcessId>& to, std::string_view data, const item::Tags& tags)
    {
        TRY(auto item, new_message(to, data, tags));
        TRY(const auto assignment, insist([&] { return node_->scheduler().assign(item); }));
        told_.slots.push_back({recorder_.size(), assignment.slot, assignment.id, std::move(item)});
        return assignment.slot;
    }
    /// By another compute unit, which has a sound disk elsewhere and nothing of it in the end.
    Result<std::pair<compute::AoCheckpoint, Digest>> exported(const units::Slot& slot)
    {
        Path folder = setting_.data;
        folder += "-elsewhere";
        std::filesystem::remove_all(folder);
        std::filesystem::create_directories(folder);
        TRY(const auto cache, store::open_cache(folder / "cache.db", {.durable = false}));
        TRY(const auto other,
            compute::LocalCompute::open(node_->scheduler(), node_->weave(), *cache, system_files(), clock_,
                {.folder = folder, .modules = setting_.modules, .start = worker_thread(nullptr)}));
        TRY(auto checkpoint, other->ao_checkpoint(slot));
        TRY(const auto state, other->state(slot));
        return std::pair(std::move(checkpoint), state.root);
    }
    /// The results of slots of one process, ascending, of which the last is asked for first.
    Result<void> ask_for(const std::vector<units::Slot>& slots)
    {
        TRY(const auto last, insist([&] { return node_->compute().result(slots.back()); }));
        const auto at = recorder_.size();
        for (const auto& slot : slots) {
            TRY(const auto result, insist([&] { return node_->compute().result(slot); }));
            told_.answers.push_back({at, result});
        }
        node_->messenger().look_at(slots.back().process);
        return settle(*node_, patience_ms());
    }
    static constexpr std::uint64_t rare_image_gas = 30'000;  // that of a few messages
    int patience_ms() const { return setting_.insists ? 30'000 : 300; }
    std::string anchor()
    {
        std::string bytes(32, ' ');
        random_.fill(std::as_writable_bytes(std::span(bytes)));
        return bytes;
    }
    const Setting& setting_;
    Recorder& recorder_;
    Told& told_;
    SimulatedClock clock_;
    SeededRandom random_;
    item::Ed25519Signer key_;
    std::unique_ptr<node::Node> node_;
};

/// From the log alone, as `altiplano verify` does it.
Result<void> recomputes(node::Node& node, const ProcessId& process, const Path& modules)
{
    scheduler::LogReader log(node.weave(), node.records());
    TRY(const auto info, log.process(process));
    TRY(const auto spawn, log.entry({process, 0}));
    TRY(const auto doubter, compute::Recomputation::begin(node.weave(), spawn, modules));
    TRY(const auto trusted, node.local_compute()->trusted(process));
    std::optional<units::Assignment> previous;
    compute::LogWalk walk(process, {},
        {.entry = [&](std::uint64_t nonce) -> Result<std::optional<units::LogEntry>> {
             if (nonce >= info.slots)
                 return std::optional<units::LogEntry>{};
             TRY(auto entry, log.entry({process, nonce}));
             return std::optional(std::move(entry));
         },
            .closing = [] { return Result<units::Closing>(units::Closing{}); },
            .block_time = [](std::uint64_t) -> Result<std::int64_t> { return fail("sim.no_blocks", ""); }},
        std::nullopt);
    for (std::uint64_t nonce = 0; nonce < info.slots; ++nonce) {
        TRY(const auto entry, log.entry({process, nonce}));
        TRY_OK(log.check_entry(entry, previous ? &*previous : nullptr, node.scheduler().address().text()));
        previous = entry.assignment;
        TRY(const auto* const step, walk.peek());
        if (!step)
            return bad("the log of {} ends before slot {}", process.text(), nonce);
        TRY(const auto again, doubter->next(walk, *step));
        if (trusted && nonce <= trusted->nonce) {
            // Nobody computed this here, and the node says so.
            if (const auto result = node.compute().result({process, nonce});
                result || result.error().code != compute::errors::before_checkpoint)
                return bad("slot {} of {} lies before its checkpoint and has a result", nonce, process.text());
            if (nonce == trusted->nonce && again.state_root != trusted->state_root)
                return bad("the checkpoint of {} is of another state than its log gives", process.text());
            walk.pop();
            continue;
        }
        TRY(const auto result, node.compute().result({process, nonce}));
        if (again.kind != result.kind || again.output != result.output || again.state_root != result.state_root
            || again.gas != result.gas)
            return bad("slot {} of {} recomputes to {} with root {}, the node says {} with root {}", nonce, process.text(),
                again.output, again.state_root.text(), result.output, result.state_root.text());
        walk.pop();
    }
    return {};
}

/// Whatever a result sends is in the log of whom it is for, once, and nothing else is from here.
Result<void> delivered_once(node::Node& node)
{
    TRY(const auto processes, node.records().processes());
    std::map<ItemId, int> sent;
    std::size_t spawned = 0;
    for (const auto& process : processes) {
        TRY(const auto info, node.scheduler().process(process));
        for (std::uint64_t nonce = 0; nonce < info.slots; ++nonce) {
            TRY(const auto outbox, node.cache().outbox(process, nonce));
            for (const auto& record : outbox) {
                TRY(const auto delivery, node.records().delivery(process, nonce, record.index));
                if (!delivery || delivery->state != store::DeliveryRecord::State::accepted)
                    return bad("what slot {} of {} sends was not delivered", nonce, process.text());
                ++sent[delivery->id];
                if (record.kind == store::OutboxRecord::Kind::spawn) {
                    ++spawned;
                    TRY(const auto notice, node.records().delivery(process, nonce, (std::uint64_t{1} << 32) + record.index));
                    if (!notice || notice->state != store::DeliveryRecord::State::accepted)
                        return bad("slot {} of {} was not told of its child", nonce, process.text());
                    ++sent[notice->id];
                }
            }
        }
    }
    std::size_t children = 0;
    for (const auto& process : processes) {
        TRY(const auto info, node.scheduler().process(process));
        for (std::uint64_t nonce = 0; nonce < info.slots; ++nonce) {
            TRY(const auto entry, node.scheduler().entry({process, nonce}));
            if (entry.message.owner() != node.authority())
                continue;
            children += nonce == 0 ? 1 : 0;
            if (const auto found = sent.find(entry.message.id()); found == sent.end() || found->second != 1)
                return bad("slot {} of {} holds {}, which no process sends, or which is there twice", nonce, process.text(),
                    entry.message.id().text());
            sent.erase(entry.message.id());
        }
    }
    if (!sent.empty() || children != spawned)
        return bad("{} sent messages are in no log; {} of {} spawned processes are there", sent.size(), children, spawned);
    return {};
}

Result<void> check_node(node::Node& node, const Setting& setting, const Told& told, std::size_t at, SimulatedClock& clock)
{
    if (told.opened_at && *told.opened_at <= at
        && (node.scheduler().address() != told.scheduler || node.authority() != told.authority))
        return bad("the node's keys are others than it had told");
    for (const auto& one : told.stored)
        if (one.at <= at) {
            TRY(const auto item, node.weave().whole(one.id));
            if (sha256(item.data()) != one.sha256)
                return bad("the item {} has other data", one.id.text());
        }
    for (const auto& one : told.slots)
        if (one.at <= at) {
            TRY(const auto entry, node.scheduler().entry(one.slot));
            if (entry.assignment.id != one.assignment || entry.message.id() != one.item.id())
                return bad("slot {} of {} holds another message", one.slot.nonce, one.slot.process.text());
        }
    TRY_OK(settle(node));
    for (const auto& one : told.answers)
        if (one.at <= at) {
            TRY(const auto result, node.compute().result(one.result.slot));
            if (result.output != one.result.output || result.state_root != one.result.state_root || result.gas != one.result.gas)
                return bad("slot {} of {} now has another result", one.result.slot.nonce, one.result.slot.process.text());
        }
    for (const auto& one : told.taken)
        if (one.at <= at) {
            TRY(const auto trusted, node.local_compute()->trusted(one.record.process));
            if (!trusted && setting.spoilt)
                continue;
            if (!trusted || trusted->state_root != one.record.state_root || trusted->nonce != one.record.nonce
                || trusted->item != one.record.item || (one.record.verified && !trusted->verified && !setting.spoilt))
                return bad("what was taken in for {} after slot {} is not there as it was told", one.record.process.text(),
                    one.record.nonce);
        }
    // It goes on: the same item again is in its slot, a new one gets the next, and what is kept as an image is what is replayed.
    const Told::Slotted* last = nullptr;
    for (const auto& one : told.slots)
        if (one.at <= at)
            last = &one;
    if (last) {
        clock.move(1'000'000);
        TRY(const auto again, node.messenger().accept(last->item));
        if (!again.slot || *again.slot != last->slot)
            return bad("an item that had slot {} was taken once more", last->slot.nonce);
        SeededRandom random(setting.seed + at);
        const auto key = item::Ed25519Signer::generate(random);
        TRY(const auto more,
            item::build({.target = Digest(last->slot.process),
                            .tags = {{"Data-Protocol", "ao"}, {"Type", "Message"}},
                            .data = to_buffer(std::string_view("more"))},
                key));
        TRY(const auto accepted, node.messenger().accept(more));
        TRY(const auto result, node.compute().result(*accepted.slot));
        TRY_OK(settle(node));
    }
    TRY(const auto processes, node.records().processes());
    for (const auto& process : processes) {
        TRY_OK(recomputes(node, process, setting.modules));
        TRY(const auto differ, node.cache().disagreements(process));
        if (!differ.empty())
            return bad("{} has two results for slot {}", process.text(), differ.front().nonce);
    }
    return delivered_once(node);
}

}  // namespace

void SimulatedClock::sleep_ms(std::int64_t duration_ms)
{
    if (sleep_moves_)
        now_ms_ += duration_ms;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

Result<void> run_script(const Setting& setting, Recorder& recorder, Told& told)
{
    return Client(setting, recorder, told).run();
}

Result<void> check(const Setting& setting, const Told& told, std::size_t at, Files& files, Recorder* recorder)
{
    SimulatedClock clock(true);
    clock.move(10'000'000);
    SeededRandom random(setting.seed ^ 0x5eed);
    TRY(const auto node, open(setting, files, clock, random, recorder));
    return check_node(*node, setting, told, at, clock);
}

}  // namespace altiplano::sim
