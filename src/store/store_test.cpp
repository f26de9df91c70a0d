// The suite that every store must pass, whatever keeps its records.
#include "base/errors.hpp"
#include "base/executor.hpp"
#include "base/test_folder.hpp"
#include "store/blobs.hpp"
#include "store/errors.hpp"
#include "store/sqlite/sqlite.hpp"

#include <atomic>
#include <filesystem>
#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::store;

namespace {

template <class IdType> IdType id(int number)
{
    return IdType(sha256(as_bytes(std::to_string(number))));
}

ItemRecord item(int number, std::uint64_t height, std::string owner = "alice")
{
    return {.id = id<ItemId>(number),
        .header = to_buffer("header"),
        .data = to_buffer("data"),
        .blob = {},
        .data_size = 4,
        .height = height,
        .owner = owner,
        .terms = {Term::tag("Type", "Attestation"), Term::tag("Message", "m" + std::to_string(number % 3)), Term::owner(owner)}};
}

class AnyStore : public testing::TestWithParam<SqliteOptions> {
protected:
    TestFolder folder;
    std::unique_ptr<Records> records = open_records(folder / "records.db", GetParam()).value();
    std::unique_ptr<Cache> cache = open_cache(folder / "cache.db", GetParam()).value();

    Result<void> append(int process, std::uint64_t nonce, int message)
    {
        return records->write([=](RecordsWriter& w) {
            return w.append_log({id<ProcessId>(process), nonce, id<ItemId>(message), id<AssignmentId>(message + 1000)});
        });
    }
};
INSTANTIATE_TEST_SUITE_P(Sqlite, AnyStore,
    testing::Values(SqliteOptions{true, true}, SqliteOptions{false, true}, SqliteOptions{false, false}), [](const auto& given) {
        return std::string(given.param.durable ? "durable" : given.param.group ? "grouped" : "one_by_one");
    });

}  // namespace

TEST_P(AnyStore, gives_items_back_and_refuses_a_second_of_the_same_id)
{
    ASSERT_TRUE(records->write([](RecordsWriter& w) { return w.put_item(item(1, 5)); }));
    const auto found = records->item(id<ItemId>(1)).value();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->data, to_buffer("data"));
    EXPECT_EQ(found->height, 5U);
    EXPECT_FALSE(found->blob);
    EXPECT_FALSE(records->item(id<ItemId>(2)).value());
    EXPECT_EQ(records->write([](RecordsWriter& w) { return w.put_item(item(1, 6)); }).error().code, store::errors::conflict);
}

TEST_P(AnyStore, finds_items_by_terms_and_height_in_either_order)
{
    ASSERT_TRUE(records->write([](RecordsWriter& w) -> Result<void> {
        for (int i = 0; i < 9; ++i)
            TRY_OK(w.put_item(item(i, static_cast<std::uint64_t>(i / 2), i < 5 ? "alice" : "bob")));
        return {};
    }));
    const Find::Group attested{Term::tag("Type", "Attestation")};
    const Find::Group m1{Term::tag("Message", "m1")};
    const auto found = [&](Find find) {
        find.limit = 100;
        Work work;
        return records->find(find, work).value().ids;
    };
    EXPECT_EQ(found({.each_of = {attested, m1}}), (std::vector{id<ItemId>(1), id<ItemId>(4), id<ItemId>(7)}));
    EXPECT_EQ(
        found({.each_of = {attested, m1}, .newest_first = true}), (std::vector{id<ItemId>(7), id<ItemId>(4), id<ItemId>(1)}));
    EXPECT_EQ(found({.each_of = {m1, {Term::owner("bob"), Term::owner("carol")}}}), (std::vector{id<ItemId>(7)}));
    EXPECT_EQ(found({.each_of = {m1}, .none_of = {Term::owner("bob")}}), (std::vector{id<ItemId>(1), id<ItemId>(4)}));
    EXPECT_EQ(found({.each_of = {m1}, .height_min = 1, .height_max = 2}), (std::vector{id<ItemId>(4)}));
    EXPECT_EQ(
        found({.each_of = {m1}, .ids = std::vector{id<ItemId>(7), id<ItemId>(2), id<ItemId>(99)}}), (std::vector{id<ItemId>(7)}));
    EXPECT_EQ(found({.each_of = {m1}, .after = id<ItemId>(3)}), (std::vector{id<ItemId>(4), id<ItemId>(7)}));
    EXPECT_TRUE(found({.each_of = {m1, {Term::tag("Type", "x")}}}).empty());
    EXPECT_TRUE(found({.each_of = {m1, {}}}).empty()) << "an empty group has no items";
    EXPECT_EQ(found({.height_max = 0}), (std::vector{id<ItemId>(0), id<ItemId>(1)})) << "no filter but the height";
}

TEST_P(AnyStore, gives_what_it_finds_as_records_without_data_when_they_are_wanted)
{
    ASSERT_TRUE(records->write([](RecordsWriter& w) -> Result<void> {
        TRY_OK(w.put_item(item(1, 3, "alice")));
        return w.put_item(item(4, 5, "bob"));
    }));
    Find find{.each_of = {{Term::tag("Message", "m1")}}, .newest_first = true, .limit = 5};
    Work work;
    EXPECT_TRUE(records->find(find, work).value().records.empty());
    find.with_records = true;
    const auto found = records->find(find, work).value();
    ASSERT_EQ(found.records.size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(found.records[i].id, found.ids[i]);
        EXPECT_EQ(found.records[i].header, to_buffer("header"));
        EXPECT_EQ(found.records[i].data_size, 4U);
        EXPECT_TRUE(found.records[i].data.empty());
    }
    EXPECT_EQ(found.records[0].owner, "bob");
    EXPECT_EQ(found.records[0].height, 5U);
    EXPECT_EQ(found.records[1].height, 3U);
}

TEST_P(AnyStore, says_exactly_whether_more_items_fit_and_begins_after_a_cursor)
{
    ASSERT_TRUE(records->write([](RecordsWriter& w) -> Result<void> {
        for (int i = 0; i < 6; ++i)
            TRY_OK(w.put_item(item(i, 1)));
        return {};
    }));
    Work work;
    Find find{.each_of = {{Term::owner("alice")}}, .newest_first = true, .limit = 3};
    const auto first = records->find(find, work).value();
    EXPECT_EQ(first.ids, (std::vector{id<ItemId>(5), id<ItemId>(4), id<ItemId>(3)}));
    EXPECT_TRUE(first.more);
    find.after = first.ids.back();
    const auto second = records->find(find, work).value();
    EXPECT_EQ(second.ids, (std::vector{id<ItemId>(2), id<ItemId>(1), id<ItemId>(0)}));
    EXPECT_FALSE(second.more) << "though the page is full";
    EXPECT_EQ(records->count(find, work).value(), 6U);
    find.after = id<ItemId>(77);
    EXPECT_EQ(records->find(find, work).error().code, store::errors::not_found);
}

TEST_P(AnyStore, ends_a_search_that_looks_at_too_much)
{
    ASSERT_TRUE(records->write([](RecordsWriter& w) -> Result<void> {
        for (int i = 0; i < 200; ++i)
            TRY_OK(w.put_item(item(i, 1, i % 2 ? "alice" : "bob")));
        return {};
    }));
    const Find never{.each_of = {{Term::owner("alice")}, {Term::owner("bob")}}, .limit = 1};
    Work work{.left = 100};
    EXPECT_EQ(records->find(never, work).error().code, store::errors::too_much_work);
    Work enough;
    EXPECT_TRUE(records->find(never, enough).value().ids.empty());
}

TEST_P(AnyStore, refuses_an_item_below_the_last_ones_height)
{
    ASSERT_TRUE(records->write([](RecordsWriter& w) { return w.put_item(item(1, 5)); }));
    EXPECT_EQ(records->write([](RecordsWriter& w) { return w.put_item(item(2, 4)); }).error().code, store::errors::conflict);
    EXPECT_FALSE(records->item(id<ItemId>(2)).value());
}

TEST_P(AnyStore, makes_its_index_anew_some_items_at_a_time)
{
    ASSERT_TRUE(records->write([](RecordsWriter& w) -> Result<void> {
        for (int i = 0; i < 5; ++i)
            TRY_OK(w.put_item(item(i, 1)));
        return {};
    }));
    Work work;
    ASSERT_TRUE(records->write([](RecordsWriter& w) { return w.forget_index(); }));
    const Find find{.each_of = {{Term::owner("carol")}}, .limit = 9};
    EXPECT_TRUE(records->find(find, work).value().ids.empty());
    int batches = 0;
    ASSERT_TRUE(records->write([&](RecordsWriter& w) -> Result<void> {
        std::optional<std::uint64_t> after = 0;
        for (; after; ++batches) {
            TRY(after, w.index_items(*after, 2, [](const ItemRecord&) -> Result<std::vector<Term>> {
                return std::vector{Term::owner("carol")};
            }));
        }
        return {};
    }));
    EXPECT_EQ(batches, 4);
    EXPECT_EQ(records->find(find, work).value().ids.size(), 5U);
}

TEST_P(AnyStore, takes_only_the_block_that_follows_the_tip)
{
    const auto put = [&](std::uint64_t height, int hash, int previous) {
        return records->write([=](RecordsWriter& w) {
            return w.put_block({height, id<BlockHash>(hash), id<BlockHash>(previous), 7, {id<ItemId>(1), id<ItemId>(2)}});
        });
    };
    EXPECT_FALSE(records->tip().value());
    EXPECT_EQ(put(1, 1, 0).error().code, store::errors::conflict);
    ASSERT_TRUE(put(0, 1, 0));
    EXPECT_EQ(put(1, 2, 9).error().code, store::errors::conflict);
    EXPECT_EQ(put(2, 2, 1).error().code, store::errors::conflict);
    ASSERT_TRUE(put(1, 2, 1));
    const auto tip = records->tip().value();
    EXPECT_EQ(tip->height, 1U);
    EXPECT_EQ(tip->items.size(), 2U);
    EXPECT_EQ(records->block(0).value()->hash, id<BlockHash>(1));
    EXPECT_EQ(records->block_by_hash(id<BlockHash>(2)).value()->height, 1U);
    EXPECT_FALSE(records->block_by_hash(id<BlockHash>(9)).value());
    const auto heads = records->block_heads({0, 1, 7}).value();
    ASSERT_EQ(heads.size(), 2U);
    EXPECT_EQ(heads[1].hash, id<BlockHash>(2));
    EXPECT_EQ(heads[1].previous, heads[0].hash);
    EXPECT_EQ(heads[1].timestamp_ms, 7);
    EXPECT_TRUE(heads[1].items.empty());
}

TEST_P(AnyStore, appends_to_a_log_only_at_its_end_and_each_message_once)
{
    ASSERT_TRUE(
        records->write([](RecordsWriter& w) { return w.put_process({id<ProcessId>(1), id<ModuleId>(2), "alice", "us", 0}); }));
    EXPECT_EQ(append(1, 1, 1).error().code, store::errors::conflict);
    ASSERT_TRUE(append(1, 0, 1));
    EXPECT_EQ(append(1, 0, 2).error().code, store::errors::conflict);
    EXPECT_EQ(append(1, 1, 1).error().code, store::errors::conflict);
    ASSERT_TRUE(append(1, 1, 2));
    EXPECT_EQ(records->process(id<ProcessId>(1)).value()->slots, 2U);
    EXPECT_EQ(records->log(id<ProcessId>(1), 1).value()->message, id<ItemId>(2));
    EXPECT_EQ(records->log_of(id<ProcessId>(1), id<ItemId>(2)).value()->nonce, 1U);
    EXPECT_FALSE(records->log_of(id<ProcessId>(1), id<ItemId>(3)).value());
}

TEST_P(AnyStore, undoes_a_failed_transaction_and_no_other)
{
    std::atomic<int> kept = 0;
    {
        const auto pool = thread_pool("callers", 8);
        for (int i = 0; i < 64; ++i)
            pool->post([&, i] {
                const auto done = records->write([i](RecordsWriter& w) -> Result<void> {
                    TRY_OK(w.put_meta("key" + std::to_string(i), "value"));
                    if (i % 3 == 0)
                        return fail(store::errors::conflict, "the caller changed its mind");
                    return {};
                });
                kept += done.has_value() ? 1 : 0;
            });
    }
    EXPECT_EQ(kept, 42);
    for (int i = 0; i < 64; ++i)
        EXPECT_EQ(records->meta("key" + std::to_string(i)).value().has_value(), i % 3 != 0) << i;
}

TEST_P(AnyStore, keeps_deliveries_until_they_are_accepted)
{
    DeliveryRecord delivery{.process = id<ProcessId>(1), .nonce = 3, .index = 0, .item = to_buffer("signed"), .last_error = {}};
    const auto put = [&] { return records->write([&](RecordsWriter& w) { return w.put_delivery(delivery); }); };
    ASSERT_TRUE(put());
    EXPECT_EQ(records->open_deliveries().value().size(), 1U);
    delivery.attempts = 2;
    delivery.last_error = "nobody there";
    ASSERT_TRUE(put());
    EXPECT_EQ(records->delivery(delivery.process, 3, 0).value()->last_error, "nobody there");
    delivery.state = DeliveryRecord::State::accepted;
    ASSERT_TRUE(put());
    EXPECT_TRUE(records->open_deliveries().value().empty());
    EXPECT_EQ(records->delivery(delivery.process, 3, 0).value()->item, to_buffer("signed"));
}

TEST_P(AnyStore, is_all_there_after_reopening)
{
    ASSERT_TRUE(append(1, 0, 1));
    records.reset();
    records = open_records(folder / "records.db", GetParam()).value();
    EXPECT_TRUE(records->log(id<ProcessId>(1), 0).value());
}

TEST_P(AnyStore, refuses_records_of_a_newer_format)
{
    ASSERT_TRUE(records->write([](RecordsWriter& w) { return w.put_meta("format", "1000000"); }));
    records.reset();
    EXPECT_EQ(open_records(folder / "records.db", GetParam()).error().code, store::errors::newer_format);
}

TEST_P(AnyStore, keeps_a_result_with_its_outbox_and_never_overwrites_it)
{
    const ResultRecord result{id<ProcessId>(1), 0, 0, "output", id<Digest>(5), 77};
    ASSERT_TRUE(cache->put_result(result, {{0, OutboxRecord::Kind::message, "{}"}, {1, OutboxRecord::Kind::spawn, "{1}"}}));
    ASSERT_TRUE(cache->put_result(result, {})) << "the same again is no error";
    EXPECT_EQ(cache->result(result.process, 0).value(), result);
    EXPECT_EQ(cache->outbox(result.process, 0).value().size(), 2U);
    for (auto other : {ResultRecord{id<ProcessId>(1), 0, 1, "output", id<Digest>(5), 77},
             ResultRecord{id<ProcessId>(1), 0, 0, "outpux", id<Digest>(5), 77},
             ResultRecord{id<ProcessId>(1), 0, 0, "output", id<Digest>(6), 77},
             ResultRecord{id<ProcessId>(1), 0, 0, "output", id<Digest>(5), 78}})
        EXPECT_EQ(cache->put_result(other, {}).error().code, store::errors::result_differs);
    EXPECT_EQ(cache->result(result.process, 0).value(), result);
    EXPECT_EQ(cache->disagreements(result.process).value().size(), 4U);
    EXPECT_EQ(cache->results_end(result.process).value(), 1U);
    ASSERT_TRUE(cache->put_result({id<ProcessId>(1), 2, 0, "", id<Digest>(5), 0}, {}));
    EXPECT_EQ(cache->results_end(result.process).value(), 1U) << "slot 1 is missing";
}

TEST_P(AnyStore, finds_results_whether_they_are_still_in_memory_or_not)
{
    const auto process = id<ProcessId>(1);
    EXPECT_FALSE(cache->result(process, 0).value());
    const auto of = [&](std::uint64_t nonce) {
        return ResultRecord{process, nonce, 0, std::to_string(nonce), id<Digest>(5), nonce};
    };
    const std::string large(100'000, 'x');
    for (std::uint64_t nonce = 0; nonce < 300; ++nonce)
        ASSERT_TRUE(
            cache->put_result(of(nonce), {{0, OutboxRecord::Kind::message, nonce == 299 ? large : std::to_string(nonce)}}));
    for (const std::uint64_t nonce : std::initializer_list<std::uint64_t>{0, 20, 150, 298, 299}) {
        EXPECT_EQ(cache->result(process, nonce).value(), of(nonce));
        EXPECT_EQ(cache->outbox(process, nonce).value().front().json, nonce == 299 ? large : std::to_string(nonce));
    }
    EXPECT_FALSE(cache->result(process, 300).value());
    EXPECT_FALSE(cache->result(process, 299, 1).value());
    // Places that were written in no order.
    ASSERT_TRUE(cache->put_result({process, 400, 0, "", id<Digest>(5), 0, 2}, {}));
    EXPECT_FALSE(cache->result(process, 350).value());
    EXPECT_TRUE(cache->result(process, 400, 2).value());
    EXPECT_FALSE(cache->result(process, 400, 3).value());
}

TEST_P(AnyStore, sees_what_another_program_writes_where_it_only_reads)
{
    const auto process = id<ProcessId>(1);
    auto options = GetParam();
    options.to_read = true;
    const auto reader = open_cache(folder / "cache.db", options).value();
    EXPECT_FALSE(reader->result(process, 0).value());
    EXPECT_FALSE(reader->trusted(process).value());
    ASSERT_TRUE(cache->put_result({process, 0, 0, "output", id<Digest>(5), 77}, {}));
    ASSERT_TRUE(cache->put_trusted({process, 7, id<Digest>(5), id<ItemId>(6), "signer", false}));
    EXPECT_TRUE(reader->result(process, 0).value());
    EXPECT_TRUE(reader->trusted(process).value());
}

TEST_P(AnyStore, lists_results_of_messages_and_cron_between_two_places)
{
    const auto process = id<ProcessId>(1);
    const auto put = [&](std::uint64_t nonce, std::uint64_t cron, std::int64_t time_ms, std::uint8_t kind = 0) {
        const ResultRecord result{process, nonce, kind, "", id<Digest>(5), 0, cron, time_ms, cron > 0 ? "0-1-second" : ""};
        ASSERT_TRUE(cache->put_result(result, {{0, OutboxRecord::Kind::message, std::to_string(cron)}}));
        EXPECT_EQ(cache->result(process, nonce, cron).value(), result);
        EXPECT_EQ(cache->outbox(process, nonce, cron).value().front().json, std::to_string(cron));
    };
    put(0, 0, 10);
    put(0, 1, 11);
    put(0, 2, 12, 1);
    put(1, 0, 13);
    put(1, 1, 14);
    const auto list = [&](ResultQuery query) {
        query.process = process;
        std::string places;
        const auto found = cache->results(query).value();
        for (const auto& result : found)
            places += std::to_string(result.nonce) + "." + std::to_string(result.cron) + " ";
        return places;
    };
    EXPECT_EQ(list({.limit = 9}), "0.0 0.1 0.2 1.0 1.1 ");
    EXPECT_EQ(list({.limit = 2}), "0.0 0.1 ");
    EXPECT_EQ(list({.descending = true, .limit = 2}), "1.1 1.0 ");
    EXPECT_EQ(list({.first = {0, 1}, .last = {1, 0}, .limit = 9}), "0.1 0.2 1.0 ");
    EXPECT_EQ(list({.after_ms = 10, .until_ms = 13, .limit = 9}), "0.1 0.2 1.0 ");
    EXPECT_EQ(list({.cron_only = true, .limit = 9}), "0.1 0.2 1.1 ");
    EXPECT_EQ(list({.plain_only = true, .limit = 9}), "0.0 0.1 1.0 1.1 ");
    EXPECT_EQ(cache->results_end(process).value(), 2U);
}

TEST_P(AnyStore, counts_results_from_what_was_taken_in_on_trust)
{
    const auto process = id<ProcessId>(1);
    EXPECT_FALSE(cache->trusted(process).value());
    ASSERT_TRUE(cache->put_result({process, 0, 0, "", id<Digest>(5), 0}, {}));
    const TrustedRecord taken{process, 6, id<Digest>(7), id<ItemId>(8), "somebody"};
    ASSERT_TRUE(cache->put_trusted(taken));
    EXPECT_EQ(cache->trusted(process).value(), taken);
    EXPECT_EQ(cache->results_end(process).value(), 7U) << "whatever has results before it";
    ASSERT_TRUE(cache->put_result({process, 7, 0, "", id<Digest>(5), 0}, {}));
    EXPECT_EQ(cache->results_end(process).value(), 8U);
    ASSERT_TRUE(cache->put_result({process, 9, 0, "", id<Digest>(5), 0}, {}));
    EXPECT_EQ(cache->results_end(process).value(), 8U) << "slot 8 is missing";
    const TrustedRecord later{process, 20, id<Digest>(9), id<ItemId>(8), "somebody", true};
    ASSERT_TRUE(cache->put_trusted(later));
    EXPECT_EQ(cache->trusted(process).value(), later);
    EXPECT_FALSE(cache->trusted(id<ProcessId>(2)).value());
}

TEST_P(AnyStore, lists_images_newest_first)
{
    for (std::uint64_t nonce : {3U, 9U, 5U})
        ASSERT_TRUE(cache->put_image({id<ProcessId>(1), nonce, "f" + std::to_string(nonce), id<Digest>(1)}));
    ASSERT_TRUE(cache->remove_image({id<ProcessId>(1), 9, "f9", {}}));
    const auto images = cache->images(id<ProcessId>(1)).value();
    ASSERT_EQ(images.size(), 2U);
    EXPECT_EQ(images[0].nonce, 5U);
}

TEST(Blobs, are_named_by_their_bytes_and_never_change)
{
    const TestFolder folder;
    const auto blobs = Blobs::open(system_files(), folder).value();
    const std::string content(200'000, 'x');
    const auto write = [&] {
        const auto writer = blobs->write().value();
        EXPECT_TRUE(writer->append(as_bytes(content).first(100)));
        EXPECT_TRUE(writer->append(as_bytes(content).subspan(100)));
        return writer->finish().value();
    };
    const auto hash = write();
    EXPECT_EQ(hash, sha256(as_bytes(content)));
    EXPECT_EQ(write(), hash) << "the same bytes again";
    Buffer back(10);
    EXPECT_EQ(blobs->read(hash).value()->read_at(199'995, back).value(), 5U);
    EXPECT_EQ(blobs->read(Digest{}).error().code, store::errors::not_found);
    EXPECT_EQ(blobs->scrub().value(), std::vector<Digest>{});

    std::filesystem::permissions(blobs->path(hash), std::filesystem::perms::owner_all);
    const auto file = system_files().open(blobs->path(hash), Files::Mode::create).value();
    ASSERT_TRUE(file->write_at(7, as_bytes("y")));
    EXPECT_EQ(blobs->scrub().value(), std::vector{hash});
}

TEST(Blobs, leave_nothing_when_they_are_not_finished)
{
    const TestFolder folder;
    const auto blobs = Blobs::open(system_files(), folder).value();
    {
        const auto writer = blobs->write().value();
        ASSERT_TRUE(writer->append(as_bytes("half")));
    }
    EXPECT_TRUE(std::filesystem::is_empty(Path(folder)));
}

TEST_P(AnyStore, knows_which_bundle_an_item_came_in)
{
    auto member = item(1, 5);
    member.bundle = id<ItemId>(9);
    ASSERT_TRUE(records->write([&](RecordsWriter& w) -> Result<void> {
        TRY_OK(w.put_item(member));
        return w.put_item(item(2, 5));
    }));
    EXPECT_EQ(records->item(member.id).value()->bundle, id<ItemId>(9));
    EXPECT_FALSE(records->item(id<ItemId>(2)).value()->bundle);
}

TEST_P(AnyStore, keeps_wallets_and_where_transactions_lie)
{
    ASSERT_TRUE(records->write([](RecordsWriter& w) -> Result<void> {
        TRY_OK(w.layer1().put_wallet("alice", {.balance = "340282366920938463463374607431768211455", .last_transaction = {}}));
        TRY_OK(w.layer1().put_wallet("bob", {.balance = "1", .last_transaction = {}}));
        TRY_OK(w.layer1().put_wallet("bob", {.balance = "2", .last_transaction = id<ItemId>(1)}));
        TRY_OK(w.layer1().put_place({id<ItemId>(1), id<Digest>(1), 10, 10, 3}));
        return w.layer1().put_place({id<ItemId>(2), id<Digest>(2), 5, 15, 4});
    }));
    auto& layer1 = records->layer1();
    EXPECT_EQ(layer1.wallet("alice").value().balance, "340282366920938463463374607431768211455");
    EXPECT_EQ(layer1.wallet("bob").value().balance, "2");
    EXPECT_EQ(layer1.wallet("bob").value().last_transaction, id<ItemId>(1));
    EXPECT_EQ(layer1.wallet("carol").value().balance, "0");
    EXPECT_EQ(layer1.place(id<ItemId>(2)).value()->end, 15U);
    EXPECT_EQ(layer1.place_at(0).value()->id, id<ItemId>(1));
    EXPECT_EQ(layer1.place_at(9).value()->id, id<ItemId>(1));
    EXPECT_EQ(layer1.place_at(10).value()->id, id<ItemId>(2));
    EXPECT_FALSE(layer1.place_at(15).value());
    EXPECT_EQ(layer1.place_with(id<Digest>(2), 5).value()->id, id<ItemId>(2));
    EXPECT_FALSE(layer1.place_with(id<Digest>(2), 6).value());
    EXPECT_FALSE(layer1.place_at(UINT64_MAX).value());
    EXPECT_EQ(layer1.weave_size(2).value(), 0U);
    EXPECT_EQ(layer1.weave_size(3).value(), 10U);
    EXPECT_EQ(layer1.weave_size(9).value(), 15U);
}

TEST_P(AnyStore, keeps_uploads_and_their_chunks_until_they_are_removed)
{
    const auto put = [&](std::uint64_t begin, std::uint64_t end) {
        return records->write(
            [=](RecordsWriter& w) { return w.layer1().put_chunk(id<Digest>(1), 30, {begin, end, to_buffer("path")}); });
    };
    ASSERT_TRUE(records->write([](RecordsWriter& w) -> Result<void> {
        TRY_OK(w.layer1().put_pending({id<ItemId>(1), to_buffer("header"), "alice", "7", id<Digest>(1), 30, 5, {}}));
        return w.layer1().put_pending({id<ItemId>(2), to_buffer("header"), "bob", "0", id<Digest>(1), 30, 6, {}});
    }));
    ASSERT_TRUE(put(10, 20));
    ASSERT_TRUE(put(10, 20)) << "the same again";
    ASSERT_TRUE(put(20, 30));
    for (const auto& [begin, end] :
        std::vector<std::pair<std::uint64_t, std::uint64_t>>{{0, 11}, {19, 21}, {10, 19}, {11, 20}, {5, 25}})
        EXPECT_EQ(put(begin, end).error().code, store::errors::conflict) << begin;
    auto& layer1 = records->layer1();
    EXPECT_EQ(layer1.chunk_bytes(id<Digest>(1), 30).value(), 20U);
    EXPECT_EQ(layer1.chunk_bytes(id<Digest>(1), 31).value(), 0U);
    EXPECT_FALSE(layer1.chunk_at(id<Digest>(1), 30, 9).value());
    EXPECT_EQ(layer1.chunk_at(id<Digest>(1), 30, 19).value()->begin, 10U);
    EXPECT_FALSE(layer1.chunk_at(id<Digest>(1), 30, 30).value());
    EXPECT_EQ(layer1.pending(id<ItemId>(1)).value()->cost, "7");
    EXPECT_EQ(layer1.pending_for(id<Digest>(1), 30).value().size(), 2U);
    ASSERT_TRUE(records->write([](RecordsWriter& w) { return w.layer1().set_pending_blob(id<Digest>(1), 30, id<Digest>(5)); }));
    EXPECT_EQ(layer1.pending(id<ItemId>(2)).value()->blob, id<Digest>(5));
    EXPECT_EQ(layer1.all_pending().value(), (std::vector{id<ItemId>(1), id<ItemId>(2)}));
    ASSERT_TRUE(records->write([](RecordsWriter& w) -> Result<void> {
        TRY_OK(w.layer1().remove_pending(id<ItemId>(1)));
        return w.layer1().remove_chunks(id<Digest>(1), 30);
    }));
    EXPECT_FALSE(layer1.pending(id<ItemId>(1)).value());
    EXPECT_EQ(layer1.chunk_bytes(id<Digest>(1), 30).value(), 0U);
}

namespace {

/// A bit of every page of a file, one after the other.
template <class Look> void with_each_page_changed(const Path& file, Look&& look)
{
    constexpr std::size_t page = 4096;
    const auto sound = read_file(system_files(), file).value();
    ASSERT_GT(sound.size(), 4 * page);
    for (std::size_t at = 0; at < sound.size(); at += page) {
        auto changed = sound;
        changed[at + 1234] ^= std::byte{4};
        for (const auto* const beside : {"", "-wal", "-shm"})
            std::filesystem::remove(Path(file.string() + beside));
        system_files().open(file, Files::Mode::create_new).value()->write_at(0, changed).value();
        look(at / page + 1);
    }
}

ResultRecord result_of(std::uint64_t nonce)
{
    return {.process = id<ProcessId>(1),
        .nonce = nonce,
        .output = std::string(300, static_cast<char>('a' + nonce % 26)),
        .state_root = id<Digest>(2)};
}

}  // namespace

TEST(DamagedFile, of_a_cache_gives_no_wrong_answer_and_the_next_start_begins_anew)
{
    const TestFolder folder;
    const auto file = folder / "cache.db";
    {
        const auto cache = open_cache(file).value();
        for (std::uint64_t nonce = 0; nonce < 200; ++nonce)
            ASSERT_TRUE(cache->put_result(result_of(nonce), {}));
    }
    std::size_t named = 0;
    with_each_page_changed(file, [&](std::size_t page) {
        bool damaged = false;
        if (const auto cache = open_cache(file)) {
            for (std::uint64_t nonce = 0; nonce < 200; ++nonce) {
                const auto found = (*cache)->result(id<ProcessId>(1), nonce);
                damaged = damaged || (!found && found.error().code == store::errors::damaged);
                EXPECT_TRUE(!found || !*found || **found == result_of(nonce)) << page;
                EXPECT_TRUE(found || found.error().code == store::errors::damaged) << found.error().sentence;
            }
        }
        named += damaged ? 1 : 0;
        const auto again = open_cache(file);
        ASSERT_TRUE(again) << again.error().sentence;
        const auto found = (*again)->result(id<ProcessId>(1), 7);
        ASSERT_TRUE(found) << page << ": " << found.error().sentence;
        EXPECT_TRUE(!damaged || !*found);
        EXPECT_TRUE((*again)->put_result(result_of(7), {}));
    });
    EXPECT_GT(named, 3U);
}

TEST(DamagedFile, of_records_is_named)
{
    const TestFolder folder;
    const auto file = folder / "records.db";
    {
        const auto records = open_records(file).value();
        ASSERT_TRUE(records->write([](RecordsWriter& w) -> Result<void> {
            for (int number = 0; number < 100; ++number)
                TRY_OK(w.put_item(item(number, 5)));
            return {};
        }));
    }
    std::size_t named = 0;
    with_each_page_changed(file, [&](std::size_t page) {
        const auto records = open_records(file);
        if (!records) {
            ++named;
            EXPECT_EQ(records.error().code, store::errors::damaged) << page;
            return;
        }
        for (int number = 0; number < 100; ++number) {
            const auto found = (*records)->item(id<ItemId>(number));
            if (!found) {
                ++named;
                EXPECT_EQ(found.error().code, store::errors::damaged) << page;
                break;
            }
            ASSERT_TRUE(*found);
            EXPECT_EQ((*found)->data, to_buffer("data"));
        }
    });
    EXPECT_GT(named, 3U);
}
