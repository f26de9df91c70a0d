#include "scheduler/scheduler.hpp"

#include "base/executor.hpp"
#include "base/test_folder.hpp"
#include "item/ed25519.hpp"
#include "item/errors.hpp"
#include "scheduler/errors.hpp"
#include "store/sqlite/sqlite.hpp"
#include "units/assignment.hpp"

#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::scheduler;

namespace {

class AScheduler : public testing::Test {
protected:
    AScheduler()
    {
        records = store::open_records(folder / "records.db", {.durable = false}).value();
        blobs = store::Blobs::open(system_files(), folder / "blobs").value();
        weave = weave::Weave::open(*records, *blobs, system_clock(), system_random()).value();
        scheduler = std::make_unique<LocalScheduler>(*weave, *records, key, system_clock(),
            LocalScheduler::Options{.admit = [this](const item::DataItem&) { return admit(); }});
    }
    Result<units::Assignment::Semantics> admit()
    {
        if (refuses)
            return std::unexpected(*refuses);
        return units::Assignment::Semantics{1, Digest{}, {}};
    }
    item::DataItem process(std::string named)
    {
        return item::build({.tags = {{"Data-Protocol", "ao"}, {"Type", "Process"}, {"Module", ModuleId{}.text()},
                                {"Scheduler", std::move(named)}}},
            wallet)
            .value();
    }
    item::DataItem message(const ProcessId& to, std::string data)
    {
        return item::build(
            {.target = Digest(to), .tags = {{"Data-Protocol", "ao"}, {"Type", "Message"}}, .data = to_buffer(data)}, wallet)
            .value();
    }
    ProcessId spawn() { return scheduler->assign(process(key.address().text())).value().slot.process; }

    TestFolder folder;
    item::Ed25519Signer wallet = item::Ed25519Signer::generate(system_random());
    item::Ed25519Signer key = item::Ed25519Signer::generate(system_random());
    std::unique_ptr<store::Records> records;
    std::unique_ptr<store::Blobs> blobs;
    std::unique_ptr<weave::Weave> weave;
    std::optional<Error> refuses;
    std::unique_ptr<LocalScheduler> scheduler;
};

}  // namespace

TEST_F(AScheduler, gives_slots_in_order_and_a_chain_that_links_them)
{
    const auto pid = spawn();
    LogReader reader(*weave, *records);
    std::optional<units::Assignment> previous;
    for (int i = 0; i < 4; ++i)
        ASSERT_EQ(scheduler->assign(message(pid, std::to_string(i))).value().slot.nonce, static_cast<std::uint64_t>(i + 1));
    for (std::uint64_t nonce = 0; nonce < 5; ++nonce) {
        const auto entry = scheduler->entry({pid, nonce}).value();
        EXPECT_TRUE(reader.check_entry(entry, previous ? &*previous : nullptr, key.address().text()));
        EXPECT_EQ(entry.assignment.semantics.has_value(), nonce == 0);
        previous = entry.assignment;
    }
    EXPECT_EQ(scheduler->process(pid).value().slots, 5U);
    EXPECT_EQ(scheduler->entry({pid, 5}).error().code, errors::unknown_slot);
}

TEST_F(AScheduler, gives_the_same_entry_whether_it_is_still_in_memory_or_not)
{
    const auto pid = spawn();
    constexpr std::uint64_t count = 300;
    for (std::uint64_t i = 1; i < count; ++i)
        ASSERT_TRUE(scheduler->assign(message(pid, i == count - 1 ? std::string(50'000, 'x') : std::to_string(i))));
    LogReader reader(*weave, *records);
    for (const std::uint64_t nonce : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{100}, count - 2, count - 1}) {
        const auto given = scheduler->entry({pid, nonce}).value();
        const auto stored = reader.entry({pid, nonce}).value();
        EXPECT_EQ(given.message.wire(), stored.message.wire());
        EXPECT_EQ(given.assignment.item.wire(), stored.assignment.item.wire());
        EXPECT_EQ(given.assignment.id, stored.assignment.id);
        EXPECT_EQ(given.assignment.slot, stored.assignment.slot);
        EXPECT_EQ(given.assignment.message, stored.assignment.message);
        EXPECT_EQ(given.assignment.hash_chain, stored.assignment.hash_chain);
        EXPECT_EQ(given.assignment.height, stored.assignment.height);
        EXPECT_EQ(given.assignment.block_hash, stored.assignment.block_hash);
        EXPECT_EQ(given.assignment.timestamp_ms, stored.assignment.timestamp_ms);
        EXPECT_EQ(given.assignment.exclude, stored.assignment.exclude);
        EXPECT_EQ(given.assignment.semantics.has_value(), stored.assignment.semantics.has_value());
    }
    EXPECT_EQ(scheduler->entry({pid, count}).error().code, errors::unknown_slot);
}

TEST_F(AScheduler, answers_the_same_item_with_the_same_assignment)
{
    const auto pid = spawn();
    const auto one = message(pid, "x");
    const auto first = scheduler->assign(one).value();
    EXPECT_EQ(scheduler->assign(one).value().id, first.id);
    EXPECT_EQ(scheduler->process(pid).value().slots, 2U);
    EXPECT_EQ(scheduler->slot_of(pid, one.id()).value().nonce, 1U);
}

TEST_F(AScheduler, refuses_what_it_cannot_place_and_stores_nothing)
{
    const auto height = weave->tip().value().height;
    EXPECT_EQ(scheduler->assign(message(ProcessId{}, "x")).error().code, errors::unknown_process);
    EXPECT_EQ(scheduler->assign(process("another")).error().code, errors::other_scheduler);
    const auto build = [&](item::Tags tags) { return item::build({.tags = std::move(tags)}, wallet).value(); };
    EXPECT_EQ(scheduler->assign(build({})).error().code, errors::missing_tag);
    EXPECT_EQ(scheduler->assign(build({{"Data-Protocol", "ao"}})).error().code, errors::missing_tag);
    EXPECT_EQ(scheduler->assign(build({{"Data-Protocol", "ao"}, {"Type", "Message"}})).error().code, errors::no_target);
    EXPECT_EQ(scheduler->assign(build({{"Data-Protocol", "ao"}, {"Type", "Process"}})).error().code, errors::missing_tag);
    EXPECT_EQ(scheduler->assign(build({{"Data-Protocol", "ao"}, {"Type", "Process"}, {"Module", "x"}, {"Scheduler", "us"}}))
                  .error()
                  .code,
        errors::bad_tag);
    refuses = Error{"module.not_wasm", "no", ""};
    EXPECT_EQ(scheduler->assign(process(key.address().text())).error().code, "module.not_wasm");
    EXPECT_EQ(weave->tip().value().height, height);
}

TEST_F(AScheduler, checks_in_the_order_of_the_original)
{
    // Each item has every later fault as well: the first one is named.
    const auto say = [&](item::Fields fields) {
        const auto assigned = scheduler->assign(item::build(std::move(fields), wallet).value());
        return assigned ? "assigned" : assigned.error().sentence;
    };
    const auto has = [](const std::string& sentence, std::string_view words) { return sentence.find(words) != sentence.npos; };
    EXPECT_TRUE(has(say({.tags = {{"X", "y+link"}}}), "Type tag not present"));
    EXPECT_TRUE(has(say({.tags = {{"Type", "Odd"}, {"X", "y+link"}}}), "Unsupported Type tag value"));
    EXPECT_TRUE(has(say({.target = Digest{}, .tags = {{"Type", "Message"}, {"X", "y+link"}}}), "Data-Protocol tag not present"));
    EXPECT_TRUE(has(say({.target = Digest{}, .tags = {{"Type", "Message"}, {"Data-Protocol", "ao"}, {"X", "y+link"}}}), "+link"));
    EXPECT_TRUE(has(say({.target = Digest{}, .tags = {{"Type", "Message"}, {"Data-Protocol", "ao"}, {"X+link", "y"}}}), "+link"));
    EXPECT_TRUE(has(say({.tags = {{"Type", "Process"}, {"Data-Protocol", "ao"}, {"On-Boot", "x"}}}),
        "Required Module and Scheduler tags for Process type not present"));
    EXPECT_TRUE(has(say({.tags = {{"Type", "Process"}, {"Data-Protocol", "ao"}, {"Module", ModuleId{}.text()},
                             {"Scheduler", "us"}, {"On-Boot", ItemId{}.text()}}}),
        "Invalid tx id for On-Boot tag"));
    EXPECT_EQ(weave->tip().value().height, 0U);
}

TEST_F(AScheduler, takes_items_up_to_its_limit)
{
    const auto pid = spawn();
    LocalScheduler small(*weave, *records, key, system_clock(), {.admit = {}, .message_bytes_max = 1000});
    EXPECT_TRUE(small.assign(message(pid, std::string(500, 'x'))));
    EXPECT_EQ(small.assign(message(pid, std::string(1000, 'x'))).error().code, errors::over_limit);
}

TEST_F(AScheduler, takes_once_what_several_forwarders_bring)
{
    const auto other = item::Ed25519Signer::generate(system_random());
    const auto pid = scheduler
                         ->assign(item::build({.tags = {{"Data-Protocol", "ao"}, {"Type", "Process"},
                                                   {"Module", ModuleId{}.text()}, {"Scheduler", key.address().text()},
                                                   {"Authority", key.address().text() + ", " + other.address().text()}}},
                             wallet)
                                 .value())
                         .value()
                         .slot.process;
    const auto pushed = [&](const item::Signer& by, std::string began, std::string anchor, std::string from = ItemId{}.text()) {
        return scheduler->assign(item::build({.target = Digest(pid),
                                                 .anchor = std::string(32, anchor.front()),
                                                 .tags = {{"Data-Protocol", "ao"}, {"Type", "Message"},
                                                     {"From-Process", std::move(from)}, {"Pushed-For", std::move(began)}},
                                                 .data = to_buffer("x")},
            by)
                .value());
    };
    EXPECT_EQ(pushed(wallet, "a", "1").value().slot.nonce, 1U) << "a stranger's word uses nothing up";
    EXPECT_EQ(pushed(key, "a", "1").value().slot.nonce, 2U);
    EXPECT_EQ(pushed(key, "b", "1").value().slot.nonce, 2U) << "Pushed-For does not count";
    EXPECT_EQ(pushed(other, "a", "1").value().slot.nonce, 2U) << "nor who signs";
    EXPECT_EQ(pushed(other, "a", "2").value().slot.nonce, 3U) << "another anchor is another message";
    EXPECT_EQ(scheduler->process(pid).value().slots, 4U);

    EXPECT_EQ(pushed(wallet, "a", "3", other.address().text()).error().code, errors::bad_tag) << "nobody passes for a forwarder";
    EXPECT_TRUE(pushed(key, "a", "3", other.address().text()));
}

TEST_F(AScheduler, refuses_a_forged_item)
{
    const auto pid = spawn();
    auto wire = message(pid, "x").wire();
    wire.back() ^= std::byte{1};
    EXPECT_EQ(scheduler->assign(item::DataItem::parse(wire).value()).error().code, item::errors::bad_signature);
    EXPECT_EQ(scheduler->process(pid).value().slots, 1U);
}

TEST_F(AScheduler, keeps_order_under_many_callers)
{
    const auto pid = spawn();
    {
        const auto pool = thread_pool("callers", 8);
        for (int i = 0; i < 64; ++i)
            pool->post([&, i] { EXPECT_TRUE(scheduler->assign(message(pid, std::to_string(i / 2)))); });  // each twice
    }
    EXPECT_EQ(scheduler->process(pid).value().slots, 33U);
    LogReader reader(*weave, *records);
    std::optional<units::Assignment> previous;
    for (std::uint64_t nonce = 0; nonce < 33; ++nonce) {
        const auto entry = reader.entry({pid, nonce}).value();
        EXPECT_TRUE(reader.check_entry(entry, previous ? &*previous : nullptr, key.address().text()));
        previous = entry.assignment;
    }
}

TEST_F(AScheduler, never_assigns_a_time_that_it_promised_to_be_settled)
{
    const auto pid = spawn();
    EXPECT_EQ(scheduler->close(pid, INT64_MIN).value().time_ms, INT64_MIN) << "nothing is promised yet";
    const auto now = system_clock().wall_ms();
    const auto closed = scheduler->close(pid, now + 3'600'000).value();
    EXPECT_GE(closed.time_ms, now);
    EXPECT_LE(closed.time_ms, system_clock().wall_ms()) << "never ahead of the clock";
    EXPECT_EQ(closed.height, weave->tip().value().height);
    EXPECT_EQ(scheduler->close(pid, now - 1000).value().time_ms, closed.time_ms) << "a promise stays";
    // A clock that was set back.
    ASSERT_TRUE(records->write([&](store::RecordsWriter& w) { return w.close_process(pid, closed.time_ms + 3'600'000, 0); }));
    EXPECT_EQ(scheduler->assign(message(pid, "x")).value().timestamp_ms, closed.time_ms + 3'600'001);
    EXPECT_EQ(scheduler->close(ProcessId{}, now).error().code, errors::unknown_process);
}

TEST_F(AScheduler, notices_an_entry_that_does_not_link)
{
    const auto pid = spawn();
    for (int i = 0; i < 2; ++i)
        ASSERT_TRUE(scheduler->assign(message(pid, std::to_string(i))));
    LogReader reader(*weave, *records);
    const auto zero = reader.entry({pid, 0}).value();
    const auto two = reader.entry({pid, 2}).value();
    EXPECT_EQ(reader.check_entry(two, &zero.assignment, key.address().text()).error().code, errors::broken_log);
    EXPECT_EQ(reader.check_entry(zero, nullptr, "another scheduler").error().code, errors::broken_log);
}

// ---- quotas

namespace {

class AQuota : public AScheduler {
protected:
    class OurClock final : public Clock {
    public:
        std::int64_t wall_ms() const override { return now_ms; }
        std::int64_t monotonic_ns() const override { return now_ms * 1'000'000; }
        void sleep_ms(std::int64_t duration_ms) override { now_ms += duration_ms; }
        std::int64_t now_ms = 1'700'000'000'000;
    };
    void limit(Quota::Limits limits)
    {
        scheduler = std::make_unique<LocalScheduler>(*weave, *records, key, clock,
            LocalScheduler::Options{.admit =
                                        [this](const item::DataItem&) {
                                            ++admitted;
                                            return admit();
                                        },
                .quota = std::move(limits)});
    }
    item::DataItem one(const item::Signer& signer, item::Tags more = {})
    {
        item::Tags tags{{"Data-Protocol", "ao"}, {"Type", "Process"}, {"Module", ModuleId{}.text()},
            {"Scheduler", key.address().text()}, {"Number", std::to_string(++made)}};
        for (const auto& tag : more)
            tags.add(tag.name, tag.value);
        return item::build({.tags = std::move(tags)}, signer).value();
    }
    std::string code(const item::DataItem& item)
    {
        const auto assigned = scheduler->assign(item);
        return assigned ? "" : std::string(assigned.error().code);
    }

    OurClock clock;
    item::Ed25519Signer other = item::Ed25519Signer::generate(system_random());
    int made = 0;
    int admitted = 0;
};

}  // namespace

TEST_F(AQuota, lets_an_owner_have_so_many_processes_and_says_how_many)
{
    limit({.processes = 2});
    const auto first = one(wallet);
    EXPECT_EQ(code(first), "");
    EXPECT_EQ(code(one(wallet)), "");
    const auto height = weave->tip().value().height;
    const auto refused = scheduler->assign(one(wallet));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, errors::over_quota);
    EXPECT_NE(refused.error().sentence.find("2 processes here and would for 3; at most 2"), std::string::npos)
        << refused.error().sentence;
    EXPECT_EQ(weave->tip().value().height, height) << "nothing was stored";
    EXPECT_EQ(admitted, 2) << "nor compiled";
    EXPECT_EQ(code(first), "") << "what is there gets its answer again";
    EXPECT_EQ(code(message(ProcessId(first.id()), "x")), "") << "and its messages";
    EXPECT_EQ(code(one(other)), "");
    // It holds after a start, and a larger one lets more in.
    limit({.processes = 2});
    EXPECT_EQ(code(one(wallet)), errors::over_quota);
    limit({.processes = 3});
    EXPECT_EQ(code(one(wallet)), "");
    EXPECT_EQ(code(one(wallet)), errors::over_quota);
    limit({.processes = 3, .exempt = {wallet.address().text()}});
    EXPECT_EQ(code(one(wallet)), "");
}

TEST_F(AQuota, counts_what_a_process_spawns_for_whoever_answers_for_the_process)
{
    limit({.processes = 4});
    item::Ed25519Signer authority = item::Ed25519Signer::generate(system_random());
    const auto parent = one(wallet, {{"Authority", authority.address().text()}});
    EXPECT_EQ(code(parent), "");
    const auto child_of = [&](const item::DataItem& of) {
        return one(authority, {{"From-Process", of.id().text()}, {"Authority", authority.address().text()}});
    };
    const auto child = child_of(parent);
    EXPECT_EQ(code(child), "");
    EXPECT_EQ(scheduler->process(ProcessId(child.id())).value().owner, authority.address());
    EXPECT_EQ(scheduler->account(ProcessId(child.id())).value(), wallet.address());
    const auto grandchild = child_of(child);
    EXPECT_EQ(code(grandchild), "");
    EXPECT_EQ(scheduler->account(ProcessId(grandchild.id())).value(), wallet.address());
    EXPECT_EQ(code(child_of(grandchild)), "");
    EXPECT_EQ(code(child_of(grandchild)), errors::over_quota);
    EXPECT_EQ(code(one(wallet)), errors::over_quota);

    // Whoever only says that a process of somebody else's sent it answers for it.
    const auto pretended = one(other, {{"From-Process", child.id().text()}});
    EXPECT_EQ(code(pretended), "");
    EXPECT_EQ(scheduler->account(ProcessId(pretended.id())).value(), other.address());
    EXPECT_EQ(scheduler->account(ProcessId{}).error().code, errors::unknown_process);
}

TEST_F(AQuota, lets_an_owner_spawn_so_many_in_an_hour)
{
    limit({.spawns_per_hour = 2});
    clock.now_ms = 1'700'000'000'000 / 3'600'000 * 3'600'000;
    for (int hour = 0; hour < 3; ++hour) {
        EXPECT_EQ(code(one(wallet)), "");
        clock.now_ms += 1'800'000;
        EXPECT_EQ(code(one(wallet)), "");
        const auto refused = scheduler->assign(one(wallet));
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, errors::over_quota);
        EXPECT_NE(refused.error().hint.find("in 1801 s"), std::string::npos) << refused.error().hint;
        // A clock that goes back opens nothing.
        clock.now_ms -= 7'200'000;
        EXPECT_EQ(code(one(wallet)), errors::over_quota);
        clock.now_ms += 7'200'000 + 1'800'000;
    }
}
