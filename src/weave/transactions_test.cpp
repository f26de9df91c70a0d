#include "weave/transactions.hpp"

#include "base/base64url.hpp"
#include "base/test_folder.hpp"
#include "item/bundle.hpp"
#include "item/ed25519.hpp"
#include "item/errors.hpp"
#include "item/rsa.hpp"
#include "store/sqlite/sqlite.hpp"
#include "weave/errors.hpp"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::weave;
using item::Winston;

namespace {

class HandClock final : public Clock {
public:
    std::int64_t wall_ms() const override { return now_ms; }
    std::int64_t monotonic_ns() const override { return 0; }
    void sleep_ms(std::int64_t) override { }
    std::int64_t now_ms = 1000;
};

// Making a key takes a second.
const item::RsaSigner& alice()
{
    static const auto key = item::RsaSigner::generate();
    return key;
}

Buffer pattern(std::size_t size, std::size_t seed = 0)
{
    Buffer bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>((i + seed) * 7 + (i >> 8) * 13);
    return bytes;
}

class ATransaction : public testing::Test {
protected:
    ATransaction()
    {
        records = store::open_records(folder / "records.db", {.durable = false}).value();
        blobs = store::Blobs::open(system_files(), folder / "blobs").value();
        weave = Weave::open(*records, *blobs, clock, system_random()).value();
        open();
    }
    void open(Transactions::Options options = {})
    {
        transactions.reset();
        transactions = Transactions::open(*weave, *records, system_files(), clock, folder / "uploads", options).value();
    }
    void mint(std::string_view amount)
    {
        ASSERT_TRUE(transactions->mint(alice().address().text(), Winston::parse(amount).value()));
    }
    std::string balance(const std::string& address) { return transactions->wallet(address).value().balance; }
    std::string balance() { return balance(alice().address().text()); }

    item::TransactionFields fields(const Buffer& data = {}, item::Tags tags = {})
    {
        item::TransactionFields made{.tags = std::move(tags), .anchor = to_buffer(weave->tip().value().hash.bytes())};
        if (!data.empty()) {
            made.data_size = data.size();
            made.data_root = item::data_tree(data, item::Cut::balanced).root;
        }
        return made;
    }
    item::Header header(const item::TransactionFields& made) { return item::build_transaction(made, alice()).value(); }
    Result<Transactions::Posted> post(const item::Header& one, Buffer data = {})
    {
        return transactions->post({.header = one, .data = std::move(data)});
    }
    Transactions::NewChunk chunk(const Buffer& data, std::size_t index)
    {
        const auto tree = item::data_tree(data, item::Cut::balanced);
        const auto& one = tree.chunks.at(index);
        return {.data_root = tree.root,
            .data_size = data.size(),
            .offset = one.end - 1,
            .path = one.path,
            .bytes = to_buffer(Bytes(data).subspan(one.begin, one.end - one.begin))};
    }
    std::size_t files_of_uploads()
    {
        return static_cast<std::size_t>(
            std::distance(std::filesystem::directory_iterator(folder / "uploads"), std::filesystem::directory_iterator{}));
    }

    TestFolder folder;
    HandClock clock;
    std::unique_ptr<store::Records> records;
    std::unique_ptr<store::Blobs> blobs;
    std::unique_ptr<Weave> weave;
    std::unique_ptr<Transactions> transactions;
    const Digest bob = sha256(as_bytes("bob"));
};

}  // namespace

TEST_F(ATransaction, with_its_data_is_in_a_block_and_readable_at_once)
{
    for (const auto size : {std::size_t{5}, std::size_t{3} * store::Blobs::size_min}) {
        const auto data = pattern(size);
        const auto one = header(fields(data, {{"Content-Type", "text/plain"}}));
        const auto posted = post(one, data).value();
        ASSERT_TRUE(posted.block);
        const auto stored = weave->item(one.id()).value();
        EXPECT_EQ(stored.height, posted.block->height);
        EXPECT_EQ(stored.header.tags().first("Content-Type"), "text/plain");
        EXPECT_EQ(weave->data(one.id()).value()->all().value(), data);
        EXPECT_TRUE(weave->check(one.id()));
        EXPECT_TRUE(weave->whole(one.id()).value().verify());
        EXPECT_TRUE(weave->has_item_with({{"Content-Type", "text/plain"}}, {alice().address().text()}, UINT64_MAX).value());
    }
    EXPECT_EQ(transactions->weave_size(UINT64_MAX >> 1).value(), 5 + 3 * store::Blobs::size_min);
}

TEST_F(ATransaction, moves_test_ar_and_its_reward_is_gone)
{
    mint("100");
    auto made = fields();
    made.target = bob;
    made.quantity = Winston(60);
    made.reward = Winston(1);
    const auto one = header(made);
    ASSERT_TRUE(post(one));
    EXPECT_EQ(balance(), "39");
    EXPECT_EQ(balance(bob.text()), "60");
    EXPECT_EQ(transactions->wallet(alice().address().text()).value().last_transaction, one.id());

    made.quantity = Winston(39);
    made.anchor = to_buffer(one.id().bytes());
    EXPECT_EQ(post(header(made)).error().code, errors::no_funds) << "39 and the reward";
    EXPECT_EQ(balance(), "39");
    made.quantity = Winston(38);
    EXPECT_TRUE(post(header(made))) << "the last transaction is an anchor too";
    EXPECT_EQ(balance(), "0");
}

TEST_F(ATransaction, is_refused_a_second_time)
{
    mint("10");
    auto made = fields();
    made.target = bob;
    made.quantity = Winston(4);
    const auto one = header(made);
    ASSERT_TRUE(post(one));
    EXPECT_EQ(post(one).error().code, errors::known_transaction);
    EXPECT_EQ(balance(bob.text()), "4");
}

TEST_F(ATransaction, is_refused_by_name_and_nothing_is_taken)
{
    mint("100");
    const auto before = weave->tip().value().height;
    const auto refused = [&](item::TransactionFields made, std::string_view code) {
        EXPECT_EQ(post(header(made)).error().code, code);
    };
    auto made = fields();
    made.quantity = Winston(5);
    refused(made, errors::bad_transfer);
    made.target = Digest::parse(alice().address().text()).value();
    refused(made, errors::bad_transfer);
    made.target = bob;
    made.anchor = to_buffer(sha256(as_bytes("some other weave")).bytes());
    refused(made, errors::bad_anchor);
    made.anchor = Buffer(48);
    refused(made, errors::bad_anchor);
    made = fields();
    made.reward = Winston(101);
    refused(made, errors::no_funds);
    const auto data = pattern(10);
    EXPECT_EQ(post(header(fields(data)), pattern(10, 1)).error().code, item::errors::bad_data_root);
    auto forged = header(fields(data));
    auto wire = to_buffer(forged.wire());
    wire[700] ^= std::byte{1};
    EXPECT_EQ(post(item::Header::parse_stored(wire).value(), data).error().code, item::errors::bad_signature);
    EXPECT_EQ(balance(), "100");
    EXPECT_EQ(weave->tip().value().height, before);
}

TEST_F(ATransaction, names_a_block_that_is_young_by_number_or_by_time)
{
    const auto anchor = fields().anchor;
    const auto at = [&](std::int64_t now_ms) {
        clock.now_ms = now_ms;
        EXPECT_TRUE(weave->seal_empty());
        auto made = fields();
        made.anchor = anchor;
        made.tags = {{"At", std::to_string(now_ms)}};
        return post(header(made)).has_value();
    };
    EXPECT_TRUE(at(1000)) << "the first";
    for (std::uint64_t i = 0; i < anchor_blocks_max; ++i)
        ASSERT_TRUE(weave->seal_empty());
    EXPECT_TRUE(at(1000 + anchor_age_max_ms - 1000)) << "old by number, young by time";
    EXPECT_FALSE(at(1000 + anchor_age_max_ms + 1000));
}

TEST_F(ATransaction, has_no_anchor_only_as_a_wallet_s_first)
{
    auto made = fields();
    made.anchor.clear();
    EXPECT_TRUE(post(header(made)));
    made.tags = {{"Another", "one"}};
    EXPECT_EQ(post(header(made)).error().code, errors::bad_anchor);
}

TEST_F(ATransaction, costs_what_the_price_says)
{
    open({.price = {.base = Winston(10), .per_byte = Winston(2)}});
    EXPECT_EQ(transactions->price(100).value().text(), "210");
    EXPECT_TRUE(transactions->price(UINT64_MAX));
    mint("1000");
    const auto data = pattern(100);
    auto made = fields(data);
    made.reward = Winston(209);
    EXPECT_EQ(post(header(made), data).error().code, errors::reward_too_low);
    made.reward = Winston(210);
    EXPECT_TRUE(post(header(made), data));
    EXPECT_EQ(balance(), "790");
}

TEST_F(ATransaction, waits_for_its_chunks_in_any_order_and_is_sealed_by_the_last)
{
    mint("10");
    const auto data = pattern(3 * item::chunk_bytes_max + 40'000);
    auto made = fields(data);
    made.target = bob;
    made.quantity = Winston(7);
    const auto one = header(made);
    EXPECT_FALSE(post(one).value().block);
    EXPECT_EQ(balance(), "3") << "taken at once";
    EXPECT_EQ(balance(bob.text()), "0") << "given when it is in a block";
    EXPECT_EQ(weave->item(one.id()).error().code, errors::unknown_item);
    EXPECT_FALSE(transactions->find(one.id()).value().height);
    EXPECT_EQ(transactions->pending().value(), std::vector{one.id()});
    EXPECT_EQ(post(one).error().code, errors::known_transaction);

    for (const std::size_t index : {2U, 0U, 2U, 3U}) {
        EXPECT_FALSE(transactions->put_chunk(chunk(data, index)).value().block) << index;
        open();  // a restart loses no chunk
    }
    const auto sealed = transactions->put_chunk(chunk(data, 1)).value();
    ASSERT_TRUE(sealed.block);
    EXPECT_EQ(weave->item(one.id()).value().height, sealed.block->height);
    EXPECT_EQ(weave->data(one.id()).value()->all().value(), data);
    EXPECT_TRUE(weave->check(one.id()));
    EXPECT_EQ(balance(bob.text()), "7");
    EXPECT_TRUE(transactions->pending().value().empty());
    EXPECT_EQ(files_of_uploads(), 0U);
    EXPECT_TRUE(transactions->put_chunk(chunk(data, 1))) << "again, behind the end";

    const auto place = transactions->place(one.id()).value();
    EXPECT_EQ(place.end, data.size());
    for (std::size_t index = 0; index < 4; ++index) {
        const auto expected = chunk(data, index);
        const auto found = transactions->chunk(expected.offset).value();
        EXPECT_EQ(found.bytes, expected.bytes) << index;
        EXPECT_EQ(found.path, expected.path) << index;
    }
    EXPECT_EQ(transactions->chunk(data.size()).error().code, errors::unknown_chunk);
}

TEST_F(ATransaction, of_little_data_may_come_in_chunks_too)
{
    const auto data = pattern(100);
    const auto one = header(fields(data));
    ASSERT_TRUE(post(one));
    EXPECT_TRUE(transactions->put_chunk(chunk(data, 0)).value().block);
    EXPECT_EQ(weave->data(one.id()).value()->all().value(), data);
}

TEST_F(ATransaction, takes_no_chunk_that_is_not_proven)
{
    const auto data = pattern(2 * item::chunk_bytes_max);
    ASSERT_TRUE(post(header(fields(data))));
    auto changed = chunk(data, 0);
    changed.bytes[5] ^= std::byte{1};
    EXPECT_EQ(transactions->put_chunk(changed).error().code, errors::bad_chunk);
    changed = chunk(data, 0);
    changed.bytes.pop_back();
    EXPECT_EQ(transactions->put_chunk(changed).error().code, errors::bad_chunk);
    changed = chunk(data, 0);
    changed.path.back() ^= std::byte{1};
    EXPECT_EQ(transactions->put_chunk(changed).error().code, item::errors::bad_proof);
    changed = chunk(data, 0);
    changed.offset = data.size();
    EXPECT_EQ(transactions->put_chunk(changed).error().code, item::errors::bad_proof);
    EXPECT_EQ(transactions->put_chunk(chunk(pattern(1000, 3), 0)).error().code, errors::unknown_upload);
    EXPECT_EQ(files_of_uploads(), 0U);
}

TEST_F(ATransaction, of_data_that_is_here_needs_no_upload)
{
    const auto data = pattern(100'000);
    ASSERT_TRUE(post(header(fields(data)), data));
    const auto second = header(fields(data, {{"The", "second"}}));
    EXPECT_TRUE(post(second).value().block);
    EXPECT_EQ(weave->data(second.id()).value()->all().value(), data);
    EXPECT_TRUE(weave->check(second.id()));
}

TEST_F(ATransaction, is_sealed_with_every_other_that_waits_for_the_same_data)
{
    const auto data = pattern(item::chunk_bytes_max + 100'000);
    const auto one = header(fields(data));
    const auto other = header(fields(data, {{"The", "other"}}));
    ASSERT_TRUE(post(one));
    ASSERT_TRUE(post(other));
    ASSERT_TRUE(transactions->put_chunk(chunk(data, 0)));
    // Meanwhile a third one brings the data whole.
    const auto third = header(fields(data, {{"The", "third"}}));
    ASSERT_TRUE(post(third, data));
    ASSERT_TRUE(transactions->put_chunk(chunk(data, 1)).value().block);
    for (const auto& id : {one.id(), other.id(), third.id()})
        EXPECT_TRUE(weave->check(id));
    EXPECT_EQ(files_of_uploads(), 0U);
}

TEST_F(ATransaction, that_was_whole_when_the_node_died_is_sealed_by_the_next_run)
{
    const auto data = pattern(item::chunk_bytes_max + 100'000);
    const auto one = header(fields(data));
    for (const bool moved : {false, true}) {
        const auto here = header(fields(data, {{"Moved", moved ? "yes" : "no"}}));
        const auto tree = item::data_tree(data, item::Cut::balanced);
        ASSERT_TRUE(records->write([&](store::RecordsWriter& writer) -> Result<void> {
            if (!moved)
                TRY_OK(writer.layer1().remove_chunks(tree.root, data.size()));
            return writer.layer1().put_pending({.id = here.id(),
                .header = to_buffer(here.wire()),
                .owner = here.owner().text(),
                .cost = "0",
                .data_root = tree.root,
                .size = data.size(),
                .begun_ms = clock.now_ms,
                .blob = {}});
        }));
        // As the process leaves it that ends behind its last chunk, or behind the move of the file.
        const auto name = folder / "uploads" / (hex(tree.root.bytes()) + "-" + std::to_string(data.size()));
        ASSERT_TRUE(write_file(system_files(), name, data));
        ASSERT_TRUE(records->write([&](store::RecordsWriter& writer) -> Result<void> {
            for (const auto& part : tree.chunks)
                TRY_OK(writer.layer1().put_chunk(tree.root, data.size(), {part.begin, part.end, part.path}));
            return moved ? writer.layer1().set_pending_blob(tree.root, data.size(), sha256(data)) : Result<void>{};
        }));
        if (moved) {
            ASSERT_TRUE(blobs->take(name, sha256(data)));
        }
        open();
        EXPECT_TRUE(weave->check(here.id())) << moved;
        EXPECT_EQ(files_of_uploads(), 0U);
    }
}

TEST_F(ATransaction, whose_data_does_not_come_is_given_up_and_gets_its_costs_back)
{
    mint("10");
    const auto data = pattern(2 * item::chunk_bytes_max);
    auto made = fields(data);
    made.target = bob;
    made.quantity = Winston(7);
    const auto one = header(made);
    ASSERT_TRUE(post(one));
    ASSERT_TRUE(transactions->put_chunk(chunk(data, 0)));
    clock.now_ms += transactions->options().pending_age_max_ms + 1;
    open();
    EXPECT_EQ(balance(), "10");
    EXPECT_EQ(transactions->find(one.id()).error().code, errors::unknown_item);
    EXPECT_EQ(transactions->put_chunk(chunk(data, 1)).error().code, errors::unknown_upload);
    EXPECT_EQ(files_of_uploads(), 0U);
    EXPECT_EQ(records->layer1().chunk_bytes(*made.data_root, data.size()).value(), 0U);
}

TEST_F(ATransaction, over_a_limit_is_refused)
{
    open({.data_bytes_max = 1000, .pending_max = 1});
    EXPECT_EQ(post(header(fields(pattern(1001)))).error().code, errors::over_limit);
    EXPECT_TRUE(post(header(fields(pattern(1000)))));
    EXPECT_EQ(post(header(fields(pattern(999)))).error().code, errors::over_limit);
}

TEST_F(ATransaction, that_is_a_bundle_is_taken_apart_before_it_is_sealed)
{
    const item::Ed25519Signer signer{std::array<std::byte, 32>{std::byte{1}}};
    const item::Tags tags{{"Bundle-Format", "binary"}, {"Bundle-Version", "2.0.0"}};
    for (const bool chunked : {false, true}) {
        const auto content = pattern(70'000, chunked ? 1 : 0);
        const auto member = item::build({.tags = {{"Type", "Member"}}, .data = content}, signer).value();
        const auto wire = member.wire();
        const auto data = item::encode_bundle({{member.id(), wire}});
        const auto one = header(fields(data, tags));
        const auto posted = chunked ? [&] {
            EXPECT_TRUE(post(one));
            return transactions->put_chunk(chunk(data, 0)).value();
        }()
                                    : post(one, data).value();
        ASSERT_TRUE(posted.bundle);
        EXPECT_EQ(posted.bundle->members, 1U);
        const auto found = weave->item(member.id()).value();
        EXPECT_EQ(found.bundle, one.id());
        EXPECT_EQ(weave->data(member.id()).value()->all().value(), content);
    }
    auto broken = fields(pattern(50), tags);
    const auto one = header(broken);
    const auto posted = post(one, pattern(50)).value();
    EXPECT_EQ(posted.no_bundle->code, item::errors::bad_bundle);
    EXPECT_TRUE(weave->has(one.id())) << "it is a transaction like any other";
}
