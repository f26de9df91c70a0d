// Deliveries among spawns, restarts and ends; the plain way is in messenger_test.cpp.
#include "base/test_folder.hpp"
#include "item/ed25519.hpp"
#include "messenger/errors.hpp"
#include "messenger/messenger.hpp"
#include "store/sqlite/sqlite.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <future>

using namespace altiplano;
using namespace altiplano::messenger;
using State = store::DeliveryRecord::State;

namespace {

/// Logs in memory; the records know its processes. `before` may refuse an item, or wait.
class MemoryScheduler final : public units::Scheduler {
public:
    explicit MemoryScheduler(store::Records& records)
        : records_(records)
    {
    }

    Result<units::Assignment> assign(const item::DataItem& item) override
    {
        TRY_OK(item.verify());
        if (before) {
            TRY_OK(before(item));
        }
        const std::lock_guard lock(mutex_);
        const auto process = item.target() ? ProcessId(*item.target()) : ProcessId(item.id());
        auto& log = logs_[process];
        auto found = std::ranges::find(log, item.id(), &item::DataItem::id);
        if (found == log.end()) {
            if (!item.target()) {
                TRY_OK(records_.write([&](store::RecordsWriter& writer) {
                    return writer.put_process({.id = process, .module = {}, .owner = {}, .scheduler = {}});
                }));
            }
            log.push_back(item);
            found = std::prev(log.end());
        }
        units::Assignment made;
        made.slot = {process, static_cast<std::uint64_t>(found - log.begin())};
        return made;
    }
    Result<units::LogEntry> entry(const units::Slot& slot) override
    {
        const std::lock_guard lock(mutex_);
        return units::LogEntry{.assignment = {}, .message = logs_[slot.process].at(slot.nonce)};
    }
    Result<units::Assignment> assign(const units::AssignRequest&) override { return fail("unused", ""); }
    Result<std::uint64_t> slot_after(const ProcessId&, std::int64_t) override { return fail("unused", ""); }
    Result<units::Slot> slot_of(const ProcessId&, const ItemId&) override { return fail("unused", ""); }
    Result<units::ProcessInfo> process(const ProcessId& id) override
    {
        const std::lock_guard lock(mutex_);
        if (!logs_.contains(id))
            return fail("scheduler.unknown_process", "not ours");
        return units::ProcessInfo{.id = id, .module = {}, .owner = {}, .scheduler = Address("us"), .slots = logs_[id].size()};
    }
    Result<std::vector<ProcessId>> processes() override { return records_.processes(); }
    Address address() const override { return Address("us"); }

    /// The data of all messages of a process after the item that spawned it, in the order of its log.
    std::vector<std::string> texts(const ProcessId& id)
    {
        const std::lock_guard lock(mutex_);
        std::vector<std::string> texts;
        for (std::size_t i = 1; i < logs_[id].size(); ++i)
            texts.emplace_back(as_text(logs_[id][i].data()));
        return texts;
    }

    std::function<Result<void>(const item::DataItem&)> before;

private:
    store::Records& records_;
    std::mutex mutex_;
    std::map<ProcessId, std::vector<item::DataItem>> logs_;
};

/// Every slot has a result at once, unless `before` says otherwise; what it sends the tests put into the cache.
class ReadyCompute final : public units::Compute {
public:
    Result<units::SlotResult> result(const units::Slot& slot) override
    {
        if (before) {
            TRY_OK(before(slot));
        }
        return units::SlotResult{.slot = slot, .output = {}, .state_root = {}};
    }
    Result<std::optional<units::SlotResult>> stored(const units::Slot& slot) override
    {
        const std::lock_guard lock(mutex);
        const auto due = ticks.find(slot);
        if (due == ticks.end())
            return std::optional<units::SlotResult>{};
        return std::optional(units::SlotResult{.slot = slot, .output = {}, .state_root = {}, .time_ms = due->second});
    }
    Result<units::CronReach> cron(const units::CronRequest&) override
    {
        ++polls;
        return units::CronReach{};
    }
    Result<std::optional<units::Slot>> begins_after(const ProcessId& process) override
    {
        return begins && begins->process == process ? begins : std::nullopt;
    }
    std::optional<units::Slot> begins{};  ///< where a process goes on from what somebody else computed
    std::mutex mutex;
    std::map<units::Slot, std::int64_t> ticks;  ///< what cron evaluated, and when it was due
    std::atomic<int> polls = 0;
    Result<units::SlotResult> dry_run(const units::DryRun&) override { return fail("unused", ""); }
    std::shared_ptr<void> watch(const ProcessId&, std::function<void(const units::ConsolePiece&)>) override { return {}; }

    std::function<Result<void>(const units::Slot&)> before;
};

class ADelivery : public testing::Test {
protected:
    ADelivery()
    {
        records = store::open_records(folder / "records.db", {.durable = false}).value();
        cache = store::open_cache(folder / "cache.db", {.durable = false}).value();
        blobs = store::Blobs::open(system_files(), folder / "blobs").value();
        weave = weave::Weave::open(*records, *blobs, system_clock(), system_random()).value();
        scheduler = std::make_unique<MemoryScheduler>(*records);
        start(authority);
        receiver = ProcessId(process_item("receiver").id());
        EXPECT_TRUE(messenger->accept(process_item("receiver")));
    }
    void start(const item::Signer& key, std::uint64_t slots_unwritten = 0, std::size_t processes_unwritten = 1000)
    {
        messenger = std::make_unique<LocalMessenger>(*scheduler, compute, *weave, *records, *cache, key, system_clock(),
            LocalMessenger::Options{.threads = 4,
                .retry_ms = 1,
                .hops_max = 20,
                .cron_poll_ms = 10,
                .slots_unwritten = slots_unwritten,
                .processes_unwritten = processes_unwritten});
    }

    item::DataItem process_item(std::string name)
    {
        return item::build({.tags = {{"Data-Protocol", "ao"}, {"Type", "Process"}, {"Name", std::move(name)}}}, wallet).value();
    }
    static std::string to(const ProcessId& target, std::string_view data)
    {
        return fmt::format(R"({{"Target":"{}","Data":"{}"}})", target.text(), data);
    }
    void sends(const ProcessId& process, std::uint64_t nonce, const std::vector<std::string>& jsons,
        store::OutboxRecord::Kind kind = store::OutboxRecord::Kind::message, std::uint64_t cron = 0)
    {
        std::vector<store::OutboxRecord> outbox;
        for (const auto& json : jsons)
            outbox.push_back({.index = outbox.size(), .kind = kind, .json = json});
        ASSERT_TRUE(
            cache->put_result({.process = process, .nonce = nonce, .output = {}, .state_root = {}, .cron = cron}, outbox));
    }
    std::optional<store::DeliveryRecord> ledger(const ProcessId& process, std::uint64_t nonce, std::uint64_t index)
    {
        return records->delivery(process, nonce, index).value();
    }
    bool is(State state, const ProcessId& process, std::uint64_t nonce, std::uint64_t index)
    {
        const auto entry = ledger(process, nonce, index);
        return entry && entry->state == state;
    }
    /// Waits until it holds; false after ten seconds.
    static bool comes(const std::function<bool()>& what)
    {
        for (int i = 0; i < 2000; ++i, system_clock().sleep_ms(5))
            if (what())
                return true;
        return false;
    }

    TestFolder folder;
    item::Ed25519Signer wallet{std::array<std::byte, 32>{std::byte{1}}};
    item::Ed25519Signer authority{std::array<std::byte, 32>{std::byte{2}}};
    item::Ed25519Signer another{std::array<std::byte, 32>{std::byte{3}}};
    std::unique_ptr<store::Records> records;
    std::unique_ptr<store::Cache> cache;
    std::unique_ptr<store::Blobs> blobs;
    std::unique_ptr<weave::Weave> weave;
    std::unique_ptr<MemoryScheduler> scheduler;
    ReadyCompute compute;
    ProcessId receiver;
    std::unique_ptr<LocalMessenger> messenger;
};

}  // namespace

TEST_F(ADelivery, is_of_the_same_item_after_a_restart_between_signing_and_sending)
{
    const auto item = process_item("sender");
    const ProcessId sender(item.id());
    sends(sender, 0, {to(receiver, "once")});
    scheduler->before = [&](const item::DataItem& sent) -> Result<void> {
        if (sent.target())
            return fail("store.database", "away");
        return {};
    };
    ASSERT_TRUE(messenger->accept(item));
    ASSERT_TRUE(comes([&] { return is(State::signed_, sender, 0, 0); }));
    messenger.reset();
    const auto written = ledger(sender, 0, 0)->item;
    ASSERT_TRUE(scheduler->texts(receiver).empty());

    scheduler->before = {};
    start(another);  // would give another item, were it signed again
    ASSERT_TRUE(messenger->resume());
    ASSERT_TRUE(comes([&] { return is(State::accepted, sender, 0, 0); }));
    EXPECT_EQ(scheduler->entry({receiver, 1}).value().message.wire(), written);
    EXPECT_EQ(scheduler->texts(receiver).size(), 1U);
}

TEST_F(ADelivery, names_the_item_that_began_the_chain)
{
    const auto middle_item = process_item("middle");
    const ProcessId middle(middle_item.id());
    const auto first_item = process_item("first");
    sends(middle, 1, {to(receiver, "two")});
    sends(ProcessId(first_item.id()), 0, {to(middle, "one")});
    ASSERT_TRUE(messenger->accept(middle_item));
    ASSERT_TRUE(messenger->accept(first_item));
    ASSERT_TRUE(comes([&] { return !scheduler->texts(receiver).empty(); }));
    EXPECT_EQ(scheduler->entry({receiver, 1}).value().message.tags().first("Pushed-For"), first_item.id().text());
}

TEST_F(ADelivery, of_a_spawn_tells_the_parent_once_the_child_is_there)
{
    const auto item = process_item("parent");
    const ProcessId parent(item.id());
    sends(parent, 0, {R"({"Data":"code","Tags":[{"name":"Module","value":"M"},{"name":"Reference","value":"4"}]})"},
        store::OutboxRecord::Kind::spawn);
    ASSERT_TRUE(messenger->accept(item));
    ASSERT_TRUE(comes([&] { return scheduler->process(parent).value().slots == 2; }));
    const auto notice = scheduler->entry({parent, 1}).value().message;
    EXPECT_EQ(notice.tags().first("Action"), "Spawned");
    EXPECT_EQ(notice.tags().first("Reference"), "4");
    const auto child = ProcessId::parse(*notice.tags().first("Process")).value();
    EXPECT_EQ(as_text(scheduler->entry({child, 0}).value().message.data()), "code");
}

TEST_F(ADelivery, of_a_spawn_that_is_refused_says_nothing_of_a_child)
{
    const auto item = process_item("parent");
    const ProcessId parent(item.id());
    sends(parent, 0, {R"({"Tags":[{"name":"Module","value":"M"}]})"}, store::OutboxRecord::Kind::spawn);
    sends(parent, 1, {to(receiver, "after")});
    scheduler->before = [&](const item::DataItem& sent) -> Result<void> {
        if (!sent.target() && sent.id() != item.id())
            return fail("module.not_wasm", "no");
        return {};
    };
    ASSERT_TRUE(messenger->accept(item));
    ASSERT_TRUE(messenger->accept(
        item::build({.target = Digest(parent), .tags = {{"Data-Protocol", "ao"}, {"Type", "Message"}}}, wallet).value()));
    ASSERT_TRUE(comes([&] { return is(State::accepted, parent, 1, 0); }));
    EXPECT_TRUE(is(State::dead, parent, 0, 0));
    EXPECT_EQ(scheduler->process(parent).value().slots, 2U);
}

TEST_F(ADelivery, waits_for_an_evaluation_that_fails_at_times)
{
    const auto item = process_item("sender");
    const ProcessId sender(item.id());
    sends(sender, 0, {to(receiver, "at last")});
    std::atomic<int> tries = 0;
    compute.before = [&](const units::Slot& slot) -> Result<void> {
        if (slot.process == sender && ++tries < 3)
            return fail("compute.worker_died", "again");
        return {};
    };
    ASSERT_TRUE(messenger->accept(item));
    EXPECT_TRUE(comes([&] { return is(State::accepted, sender, 0, 0); }));
    EXPECT_EQ(scheduler->texts(receiver), (std::vector<std::string>{"at last"}));
}

TEST_F(ADelivery, begins_behind_the_state_that_somebody_else_computed)
{
    const auto item = process_item("sender");
    const ProcessId sender(item.id());
    sends(sender, 2, {to(receiver, "after")});
    compute.begins = units::Slot{sender, 1};
    compute.before = [&](const units::Slot& slot) -> Result<void> {
        if (slot.process == sender && slot <= *compute.begins)
            return fail(compute_begins_later, "this node goes on from a checkpoint");
        return {};
    };
    ASSERT_TRUE(messenger->accept(item));
    for (const auto* data : {"one", "two"})
        ASSERT_TRUE(messenger->accept(item::build({.target = Digest(sender),
                                                      .tags = {{"Data-Protocol", "ao"}, {"Type", "Message"}},
                                                      .data = to_buffer(std::string_view(data))},
            wallet)
                .value()));
    ASSERT_TRUE(comes([&] { return records->meta("delivered " + sender.text()).value() == "2.1"; }));
    EXPECT_EQ(scheduler->texts(receiver), (std::vector<std::string>{"after"}));
}

TEST_F(ADelivery, is_written_down_after_many_slots_or_at_the_end_and_done_once)
{
    start(authority, 4);
    const auto item = process_item("sender");
    const ProcessId sender(item.id());
    const auto cursor = [&] { return records->meta("delivered " + sender.text()).value(); };
    for (std::uint64_t nonce = 0; nonce < 6; ++nonce)
        sends(sender, nonce, {to(receiver, std::to_string(nonce))});
    const auto accept = [&](std::uint64_t nonce) {
        ASSERT_TRUE(messenger->accept(item::build({.target = Digest(sender),
                                                      .tags = {{"Data-Protocol", "ao"}, {"Type", "Message"}},
                                                      .data = to_buffer(std::string_view(std::to_string(nonce)))},
            wallet)
                .value()));
        ASSERT_TRUE(comes([&] { return is(State::accepted, sender, nonce, 0); }));
    };
    ASSERT_TRUE(messenger->accept(item));
    for (std::uint64_t nonce = 1; nonce < 4; ++nonce)
        accept(nonce);
    EXPECT_EQ(cursor(), std::nullopt);
    accept(4);
    EXPECT_TRUE(comes([&] { return cursor() == "4.1"; }));
    accept(5);
    messenger.reset();
    EXPECT_EQ(cursor(), "5.1");
    // As after a crash, before anything was written.
    ASSERT_TRUE(records->write([&](store::RecordsWriter& writer) { return writer.remove_meta("delivered " + sender.text()); }));
    start(authority);
    ASSERT_TRUE(messenger->resume());
    EXPECT_TRUE(comes([&] { return cursor() == "5.1"; }));
    EXPECT_EQ(scheduler->texts(receiver), (std::vector<std::string>{"0", "1", "2", "3", "4", "5"}));
}

TEST_F(ADelivery, is_written_down_for_all_at_once_where_they_are_too_many_to_be_remembered)
{
    start(authority, 64, 2);
    std::vector<ProcessId> all;
    for (const auto* name : {"one", "two", "three"}) {
        const auto item = process_item(name);
        all.emplace_back(item.id());
        ASSERT_TRUE(messenger->accept(item));
    }
    const auto written = [&] {
        return std::ranges::count_if(
            all, [&](const ProcessId& process) { return records->meta("delivered " + process.text()).value() == "0.1"; });
    };
    EXPECT_TRUE(comes([&] { return written() == 2; })) << written();
    messenger.reset();
    EXPECT_EQ(written(), 3);
}

TEST_F(ADelivery, under_way_when_the_messenger_ends_is_finished_first)
{
    const auto item = process_item("sender");
    const ProcessId sender(item.id());
    sends(sender, 0, {to(receiver, "late")});
    std::promise<void> begun;
    std::promise<void> go_on;
    scheduler->before = [&, waits = go_on.get_future().share()](const item::DataItem& sent) -> Result<void> {
        if (as_text(sent.data()) == "late") {
            begun.set_value();
            waits.wait();
        }
        return {};
    };
    ASSERT_TRUE(messenger->accept(item));
    begun.get_future().wait();
    {
        const auto ending = thread_pool("ending", 1);
        ending->post([&] { messenger.reset(); });
        system_clock().sleep_ms(100);
        go_on.set_value();
    }
    EXPECT_EQ(scheduler->texts(receiver), (std::vector<std::string>{"late"}));
    EXPECT_TRUE(is(State::accepted, sender, 0, 0));
}

TEST_F(ADelivery, of_a_chain_without_end_stops_and_says_where)
{
    const auto ping_item = process_item("ping");
    const auto pong_item = process_item("pong");
    const ProcessId ping(ping_item.id());
    const ProcessId pong(pong_item.id());
    for (std::uint64_t nonce = 1; nonce < 30; ++nonce) {
        sends(ping, nonce, {to(pong, std::to_string(nonce))});
        sends(pong, nonce, {to(ping, std::to_string(nonce))});
    }
    ASSERT_TRUE(messenger->accept(ping_item));
    ASSERT_TRUE(messenger->accept(pong_item));
    const auto first =
        item::build({.target = Digest(ping), .tags = {{"Data-Protocol", "ao"}, {"Type", "Message"}}}, wallet).value();
    ASSERT_TRUE(messenger->accept(first));
    // Twenty hops: ten messages of each; the one after is dead.
    ASSERT_TRUE(comes([&] { return is(State::dead, ping, 11, 0); }));
    const auto dead = *ledger(ping, 11, 0);
    EXPECT_TRUE(dead.last_error.starts_with("messenger.too_many_hops: ")) << dead.last_error;
    EXPECT_NE(dead.last_error.find(first.id().text()), std::string::npos) << "which message began it";
    EXPECT_EQ(scheduler->texts(pong).size(), 10U);
    EXPECT_EQ(records->deliveries({.state = State::dead}).value().size(), 1U);

    // Whoever pushes it on begins a chain anew.
    EXPECT_EQ(messenger->push({ping, 11}, 0).value(), item::DataItem::parse(dead.item).value().id());
    ASSERT_TRUE(comes([&] { return scheduler->texts(pong).size() > 15; }));
}

TEST_F(ADelivery, that_was_refused_is_sent_again_when_somebody_pushes_it)
{
    const auto item = process_item("sender");
    const ProcessId sender(item.id());
    sends(sender, 0, {to(receiver, "refused"), to(receiver, "after")});
    std::atomic<bool> refuses = true;
    scheduler->before = [&](const item::DataItem& sent) -> Result<void> {
        if (refuses && as_text(sent.data()) == "refused")
            return fail("scheduler.over_limit", "no");
        return {};
    };
    ASSERT_TRUE(messenger->accept(item));
    ASSERT_TRUE(comes([&] { return is(State::accepted, sender, 0, 1); }));
    ASSERT_TRUE(is(State::dead, sender, 0, 0));
    const auto signed_before = ledger(sender, 0, 0)->item;
    refuses = false;
    ASSERT_TRUE(messenger->push({sender, 0}, 0));
    ASSERT_TRUE(comes([&] { return is(State::accepted, sender, 0, 0); }));
    EXPECT_EQ(scheduler->texts(receiver), (std::vector<std::string>{"after", "refused"}));
    EXPECT_EQ(ledger(sender, 0, 0)->item, signed_before) << "the same item";
    EXPECT_EQ(messenger->push({sender, 0}, 7).error().code, errors::unknown_delivery);

    // What was accepted is taken once, however often it is pushed.
    ASSERT_TRUE(messenger->push({sender, 0}, 1));
    ASSERT_TRUE(comes([&] { return is(State::accepted, sender, 0, 1); }));
    EXPECT_EQ(scheduler->texts(receiver).size(), 2U);
}

TEST_F(ADelivery, believes_nobody_but_a_forwarder_about_what_began_a_chain)
{
    const auto trusting = item::build(
        {.tags = {{"Data-Protocol", "ao"}, {"Type", "Process"}, {"Authority", "x, " + another.address().text()}}}, wallet)
                              .value();
    const ProcessId process(trusting.id());
    sends(process, 1, {to(receiver, "a")});
    sends(process, 2, {to(receiver, "b")});
    ASSERT_TRUE(messenger->accept(trusting));
    const auto from = [&](const item::Signer& key) {
        return item::build(
            {.target = Digest(process), .tags = {{"Data-Protocol", "ao"}, {"Type", "Message"}, {"Pushed-For", "made up"}}}, key)
            .value();
    };
    const auto stranger = from(wallet);
    ASSERT_TRUE(messenger->accept(stranger));
    ASSERT_TRUE(messenger->accept(from(another)));
    ASSERT_TRUE(comes([&] { return scheduler->texts(receiver).size() == 2; }));
    EXPECT_EQ(scheduler->entry({receiver, 1}).value().message.tags().first("Pushed-For"), stranger.id().text());
    EXPECT_EQ(scheduler->entry({receiver, 2}).value().message.tags().first("Pushed-For"), "made up");
}

TEST_F(ADelivery, of_what_cron_sends_begins_when_the_owner_has_the_process_watched)
{
    const auto item = process_item("cron");
    const ProcessId process(item.id());
    const auto asking = [&](const item::Signer& key) {
        return item::build({.target = Digest(process), .anchor = std::string(32, 'm')}, key).value();
    };
    const auto tick = [&](std::uint64_t cron, std::int64_t time_ms) {
        sends(process, 0, {to(receiver, std::to_string(cron))}, store::OutboxRecord::Kind::message, cron);
        const std::lock_guard lock(compute.mutex);
        compute.ticks[{process, 0, cron}] = time_ms;
    };
    tick(1, system_clock().wall_ms() - 1000);
    ASSERT_TRUE(messenger->accept(item));
    EXPECT_EQ(messenger->monitor(asking(another)).error().code, errors::not_allowed);
    EXPECT_EQ(messenger->unmonitor(asking(wallet)).error().code, errors::not_monitored);
    EXPECT_EQ(compute.polls, 0) << "nobody is watched";
    ASSERT_TRUE(messenger->monitor(asking(wallet)));
    EXPECT_EQ(messenger->monitor(asking(wallet)).error().code, errors::already_monitored);
    tick(2, system_clock().wall_ms() + 1000);
    ASSERT_TRUE(comes([&] { return scheduler->texts(receiver) == std::vector<std::string>{"2"}; })) << "not what was due before";
    EXPECT_FALSE(scheduler->entry({receiver, 1}).value().message.tags().first("Pushed-For"));

    // A restart goes on watching.
    messenger.reset();
    start(authority);
    ASSERT_TRUE(messenger->resume());
    tick(3, system_clock().wall_ms() + 1000);
    ASSERT_TRUE(comes([&] { return scheduler->texts(receiver) == std::vector<std::string>{"2", "3"}; }));

    ASSERT_TRUE(messenger->unmonitor(asking(wallet)));
    EXPECT_EQ(messenger->unmonitor(asking(another)).error().code, errors::not_allowed);
    tick(4, system_clock().wall_ms() + 1000);
    ASSERT_TRUE(messenger->resume());
    system_clock().sleep_ms(50);
    EXPECT_EQ(scheduler->texts(receiver).size(), 2U);
}

TEST_F(ADelivery, to_a_wallet_is_stored_when_a_client_sends_it_as_well)
{
    const auto item = item::build({.target = Digest(sha256(as_bytes("wallet"))),
                                      .tags = {{"Data-Protocol", "ao"}, {"Type", "Message"}},
                                      .data = to_buffer("x")},
        wallet)
                          .value();
    scheduler->before = [&](const item::DataItem&) -> Result<void> { return fail("scheduler.unknown_process", "no"); };
    const auto accepted = messenger->accept(item).value();
    EXPECT_FALSE(accepted.slot);
    EXPECT_TRUE(weave->has(item.id()));
    auto forged = item.wire();
    forged.back() ^= std::byte{1};
    EXPECT_FALSE(messenger->accept(item::DataItem::parse(forged).value()));
}
