// Deliveries among spawns, restarts and ends; the plain way is in messenger_test.cpp.
#include "base/test_folder.hpp"
#include "item/ed25519.hpp"
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
    Result<std::optional<units::SlotResult>> stored(const units::Slot&) override { return std::optional<units::SlotResult>{}; }
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
    void start(const item::Signer& key)
    {
        messenger = std::make_unique<LocalMessenger>(*scheduler, compute, *weave, *records, *cache, key, system_clock(),
            LocalMessenger::Options{.threads = 4, .retry_ms = 1});
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
        store::OutboxRecord::Kind kind = store::OutboxRecord::Kind::message)
    {
        std::vector<store::OutboxRecord> outbox;
        for (const auto& json : jsons)
            outbox.push_back({.index = outbox.size(), .kind = kind, .json = json});
        ASSERT_TRUE(cache->put_result({.process = process, .nonce = nonce, .output = {}, .state_root = {}}, outbox));
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
