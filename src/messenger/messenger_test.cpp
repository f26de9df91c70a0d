#include "messenger/messenger.hpp"

#include "base/test_folder.hpp"
#include "item/ed25519.hpp"
#include "item/errors.hpp"
#include "messenger/errors.hpp"
#include "store/sqlite/sqlite.hpp"

#include <algorithm>
#include <condition_variable>

using namespace altiplano;
using namespace altiplano::messenger;

namespace {

/// Gives slots, and fails as often as it is told.
class FakeScheduler final : public units::Scheduler {
public:
    explicit FakeScheduler(store::Records& records)
        : records_(records)
    {
    }

    Result<units::Assignment> assign(const item::DataItem& item) override
    {
        TRY_OK(item.verify());
        const std::lock_guard lock(mutex);
        if (failing) {
            ++failed;
            return std::unexpected(*failing);
        }
        const auto process = item.target() ? ProcessId(*item.target()) : ProcessId(item.id());
        auto& log = logs[process];
        auto found = std::ranges::find(log, item.id(), &item::DataItem::id);
        if (found == log.end()) {
            if (log.empty()) {
                EXPECT_TRUE(records_.write([&](store::RecordsWriter& writer) {
                    return writer.put_process({.id = process, .module = {}, .owner = {}, .scheduler = {}});
                }));
            }
            log.push_back(item);
            found = log.end() - 1;
        }
        units::Assignment assignment;
        assignment.slot = {process, static_cast<std::uint64_t>(found - log.begin())};
        changed.notify_all();
        return assignment;
    }
    Result<units::LogEntry> entry(const units::Slot& slot) override
    {
        const std::lock_guard lock(mutex);
        return units::LogEntry{.assignment = {}, .message = logs.at(slot.process).at(slot.nonce)};
    }
    Result<units::Assignment> assign(const units::AssignRequest&) override { return fail("unused", ""); }
    Result<std::uint64_t> slot_after(const ProcessId&, std::int64_t) override { return fail("unused", ""); }
    Result<units::Slot> slot_of(const ProcessId&, const ItemId&) override { return fail("unused", ""); }
    Result<units::ProcessInfo> process(const ProcessId& id) override
    {
        const std::lock_guard lock(mutex);
        if (!logs.contains(id))
            return fail("scheduler.unknown_process", "not ours");
        return units::ProcessInfo{.id = id,
            .module = ModuleId(sha256(as_bytes("module"))),
            .owner = {},
            .scheduler = Address("us"),
            .slots = logs[id].size()};
    }
    Result<std::vector<ProcessId>> processes() override
    {
        const std::lock_guard lock(mutex);
        std::vector<ProcessId> all;
        for (const auto& [id, log] : logs)
            all.push_back(id);
        return all;
    }
    Address address() const override { return Address("us"); }

    std::mutex mutex;
    std::condition_variable changed;
    std::map<ProcessId, std::vector<item::DataItem>> logs;
    std::optional<Error> failing;
    int failed = 0;

private:
    store::Records& records_;
};

class FakeCompute final : public units::Compute {
public:
    Result<units::SlotResult> result(const units::Slot& slot) override
    {
        return units::SlotResult{.slot = slot, .output = {}, .state_root = {}};
    }
    Result<std::optional<units::SlotResult>> stored(const units::Slot&) override { return std::optional<units::SlotResult>{}; }
    Result<units::SlotResult> dry_run(const units::DryRun&) override { return fail("unused", ""); }
    std::shared_ptr<void> watch(const ProcessId&, std::function<void(const units::ConsolePiece&)>) override { return nullptr; }
};

class AMessenger : public testing::Test {
protected:
    AMessenger()
    {
        records = store::open_records(folder / "records.db", {.durable = false}).value();
        cache = store::open_cache(folder / "cache.db", {.durable = false}).value();
        blobs = store::Blobs::open(system_files(), folder / "blobs").value();
        weave = weave::Weave::open(*records, *blobs, system_clock(), system_random()).value();
        scheduler = std::make_unique<FakeScheduler>(*records);
        sender = spawn("sender");
        receiver = spawn("receiver");
    }
    void start()
    {
        messenger = std::make_unique<LocalMessenger>(*scheduler, compute, *weave, *records, *cache, authority, system_clock(),
            LocalMessenger::Options{.threads = 2, .retry_ms = 25});
    }
    ProcessId spawn(std::string name)
    {
        return scheduler
            ->assign(
                item::build({.tags = {{"Data-Protocol", "ao"}, {"Type", "Process"}, {"Name", std::move(name)}}}, wallet).value())
            .value()
            .slot.process;
    }
    item::DataItem to_sender(std::string data, item::Tags tags = {{"Data-Protocol", "ao"}, {"Type", "Message"}})
    {
        return item::build({.target = Digest(sender), .tags = std::move(tags), .data = to_buffer(std::string_view(data))}, wallet)
            .value();
    }
    static std::string json_to(const std::string& target, std::string_view data)
    {
        return R"({"Target":")" + target + R"(","Data":")" + std::string(data) + R"(","Tags":[]})";
    }
    /// What the sender's slot `nonce` sends, as a result would say it.
    void sends(std::uint64_t nonce, const std::vector<std::string>& messages)
    {
        std::vector<store::OutboxRecord> outbox;
        for (const auto& json : messages)
            outbox.push_back({.index = outbox.size(), .kind = store::OutboxRecord::Kind::message, .json = json});
        ASSERT_TRUE(
            cache->put_result({.process = sender, .nonce = nonce, .kind = 0, .output = {}, .state_root = {}, .gas = 0}, outbox));
    }
    /// Waits until the receiver's log has so many entries. @return the data of those that came from the sender
    std::vector<std::string> received(std::size_t slots)
    {
        std::unique_lock lock(scheduler->mutex);
        EXPECT_TRUE(scheduler->changed.wait_for(
            lock, std::chrono::seconds(20), [&] { return scheduler->logs[receiver].size() >= slots; }));
        std::vector<std::string> data;
        for (std::size_t i = 1; i < scheduler->logs[receiver].size(); ++i)
            data.push_back(to_string(scheduler->logs[receiver][i].data()));
        return data;
    }
    std::optional<store::DeliveryRecord> delivery(std::uint64_t nonce, std::uint64_t index)
    {
        return records->delivery(sender, nonce, index).value();
    }
    void wait_for_state(std::uint64_t nonce, std::uint64_t index, store::DeliveryRecord::State state)
    {
        for (int i = 0; i < 400 && !(delivery(nonce, index) && delivery(nonce, index)->state == state); ++i)
            system_clock().sleep_ms(25);
        ASSERT_TRUE(delivery(nonce, index));
        EXPECT_EQ(delivery(nonce, index)->state, state);
    }

    using State = store::DeliveryRecord::State;
    TestFolder folder;
    item::Ed25519Signer wallet = item::Ed25519Signer::generate(system_random());
    item::Ed25519Signer authority = item::Ed25519Signer::generate(system_random());
    std::unique_ptr<store::Records> records;
    std::unique_ptr<store::Cache> cache;
    std::unique_ptr<store::Blobs> blobs;
    std::unique_ptr<weave::Weave> weave;
    std::unique_ptr<FakeScheduler> scheduler;
    FakeCompute compute;
    ProcessId sender;
    ProcessId receiver;
    std::unique_ptr<LocalMessenger> messenger;  // last: it uses the others
};

}  // namespace

TEST_F(AMessenger, delivers_in_the_order_of_slots_and_outboxes)
{
    sends(0, {json_to(receiver.text(), "a"), json_to(receiver.text(), "b")});
    sends(1, {});
    sends(2, {json_to(receiver.text(), "c")});
    start();
    ASSERT_TRUE(messenger->accept(to_sender("one")));
    ASSERT_TRUE(messenger->accept(to_sender("two")));
    EXPECT_EQ(received(4), (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_EQ(scheduler->logs[receiver][1].owner(), authority.address()) << "signed by the authority";
}

TEST_F(AMessenger, refuses_what_is_forged_or_no_message)
{
    start();
    auto wire = to_sender("x").wire();
    wire.back() ^= std::byte{1};
    EXPECT_EQ(messenger->accept(item::DataItem::parse(wire).value()).error().code, item::errors::bad_signature);
    EXPECT_EQ(messenger->accept(to_sender("x", {{"Data-Protocol", "ao"}, {"Type", "Attestation"}})).error().code,
        messenger::errors::not_a_message);
    EXPECT_EQ(messenger->accept(to_sender("x", {})).error().code, messenger::errors::not_a_message);
    EXPECT_EQ(scheduler->logs[sender].size(), 1U);
}

TEST_F(AMessenger, signs_once_and_sends_that_item_for_ever)
{
    sends(0, {json_to(receiver.text(), "a")});
    // A run that ended between the ledger's write and the sending left this behind.
    const auto signed_before =
        item::build({.target = Digest(receiver), .anchor = std::string(32, 'x'), .data = to_buffer("signed before")}, authority)
            .value();
    ASSERT_TRUE(records->write([&](store::RecordsWriter& writer) {
        return writer.put_delivery({.process = sender, .nonce = 0, .index = 0, .item = signed_before.wire(), .last_error = {}});
    }));
    start();
    ASSERT_TRUE(messenger->resume());
    EXPECT_EQ(received(2), std::vector<std::string>{"signed before"});
    EXPECT_EQ(scheduler->logs[receiver][1].id(), signed_before.id());
    wait_for_state(0, 0, State::accepted);
    messenger.reset();
    start();
    ASSERT_TRUE(messenger->resume());
    ASSERT_TRUE(messenger->accept(to_sender("x")));
    messenger.reset();
    EXPECT_EQ(scheduler->logs[receiver].size(), 2U) << "nothing is sent again";
}

TEST_F(AMessenger, tries_again_what_may_pass)
{
    sends(0, {json_to(receiver.text(), "a"), json_to(receiver.text(), "b")});
    scheduler->failing = Error{"store.disk_full", "full", ""};  // nobody runs yet
    start();
    ASSERT_TRUE(messenger->resume());
    for (int i = 0; i < 400; ++i) {
        system_clock().sleep_ms(10);
        const std::lock_guard lock(scheduler->mutex);
        if (scheduler->failed >= 2) {
            scheduler->failing.reset();
            break;
        }
    }
    EXPECT_EQ(received(3), (std::vector<std::string>{"a", "b"})) << "in order, though the first was stuck";
    wait_for_state(0, 0, State::accepted);
    EXPECT_GE(delivery(0, 0)->attempts, 3U);
}

TEST_F(AMessenger, keeps_what_was_refused_with_its_reason_and_goes_on)
{
    sends(0, {R"({"no":"target"})", json_to(receiver.text(), "a")});
    start();
    ASSERT_TRUE(messenger->resume());
    EXPECT_EQ(received(2), std::vector<std::string>{"a"});
    wait_for_state(0, 0, State::dead);
    EXPECT_TRUE(delivery(0, 0)->last_error.starts_with("messenger.bad_outgoing: "));

    sends(1, {json_to(receiver.text(), "b")});
    {
        const std::lock_guard lock(scheduler->mutex);
        scheduler->failing = Error{"module.not_wasm", "no", ""};
        scheduler->logs[sender].push_back(to_sender("one"));
    }
    ASSERT_TRUE(messenger->resume());
    wait_for_state(1, 0, State::dead);
    EXPECT_TRUE(delivery(1, 0)->last_error.starts_with("module.not_wasm: "));
}

TEST_F(AMessenger, puts_what_goes_to_a_wallet_into_the_weave)
{
    sends(0, {json_to(wallet.address().text(), "for you")});
    start();
    ASSERT_TRUE(messenger->resume());
    wait_for_state(0, 0, State::accepted);
    const auto item = item::DataItem::parse(delivery(0, 0)->item).value();
    EXPECT_EQ(as_text(weave->data(item.id()).value()->all().value()), "for you");
}
