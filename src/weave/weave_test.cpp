#include "weave/weave.hpp"

#include "base/test_folder.hpp"
#include "item/ed25519.hpp"
#include "item/errors.hpp"
#include "store/errors.hpp"
#include "store/sqlite/database.hpp"
#include "store/sqlite/sqlite.hpp"
#include "weave/errors.hpp"

#include <filesystem>
#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::weave;

namespace {

class SlowClock final : public Clock {
public:
    std::int64_t wall_ms() const override { return 1000; }  // stands still
    std::int64_t monotonic_ns() const override { return 0; }
    void sleep_ms(std::int64_t) override { }
};

class AWeave : public testing::Test {
protected:
    AWeave()
    {
        records = store::open_records(folder / "records.db", {.durable = false}).value();
        blobs = store::Blobs::open(system_files(), folder / "blobs").value();
        weave = Weave::open(*records, *blobs, clock, system_random()).value();
    }
    item::DataItem item(std::string_view data, item::Tags tags = {})
    {
        return item::build({.tags = std::move(tags), .data = to_buffer(data)}, signer).value();
    }
    Result<Block> put(const item::DataItem& one) { return weave->put({stage(one, *blobs).value()}); }

    TestFolder folder;
    SlowClock clock;
    item::Ed25519Signer signer = item::Ed25519Signer::generate(system_random());
    std::unique_ptr<store::Records> records;
    std::unique_ptr<store::Blobs> blobs;
    std::unique_ptr<Weave> weave;
};

}  // namespace

TEST_F(AWeave, seals_a_linked_block_for_each_write)
{
    const auto first = put(item("one")).value();
    const auto second = put(item("two")).value();
    EXPECT_EQ(first.height, 1U);
    EXPECT_EQ(first.previous.array(), weave->id().array());
    EXPECT_EQ(second.previous, first.hash);
    EXPECT_GT(second.timestamp_ms, first.timestamp_ms) << "though the clock stands still";
    EXPECT_EQ(weave->block(2).value().hash, second.hash);
    EXPECT_EQ(weave->block(3).error().code, errors::unknown_block);
}

TEST_F(AWeave, passes_over_what_it_has)
{
    const auto one = item("one");
    ASSERT_TRUE(put(one));
    EXPECT_EQ(put(one).value().height, 1U) << "no new block";
}

TEST_F(AWeave, gives_small_and_large_data_back)
{
    for (const auto& content : {std::string("small"), std::string(300'000, 'x'), std::string()}) {
        const auto one = item(content);
        ASSERT_TRUE(put(one));
        EXPECT_EQ(as_text(weave->data(one.id()).value()->all().value()), content);
        EXPECT_EQ(weave->whole(one.id()).value().wire(), one.wire());
        EXPECT_TRUE(weave->check(one.id()));
    }
    EXPECT_EQ(weave->data(ItemId{}).error().code, errors::unknown_item);
}

TEST_F(AWeave, keeps_its_id_when_it_is_opened_again)
{
    const auto id = weave->id();
    weave = Weave::open(*records, *blobs, clock, system_random()).value();
    EXPECT_EQ(weave->id(), id);
}

TEST_F(AWeave, notices_a_changed_file)
{
    const auto one = item(std::string(300'000, 'x'));
    const auto staged = stage(one, *blobs).value();
    ASSERT_TRUE(weave->put({staged}));
    const auto path = blobs->path(*staged.blob);
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    ASSERT_TRUE(system_files().open(path, Files::Mode::create).value()->write_at(5, as_bytes("y")));
    EXPECT_EQ(weave->data(one.id()).error().code, errors::broken_item);
    EXPECT_EQ(weave->check(one.id()).error().code, errors::broken_item);
}

TEST_F(AWeave, finds_what_was_said_at_or_below_a_height)
{
    const auto one = item("", {{"Type", "Attestation"}, {"Message", "m"}});
    const auto height = put(one).value().height;
    const std::vector<std::pair<std::string, std::string>> tags{{"Type", "Attestation"}, {"Message", "m"}};
    EXPECT_TRUE(weave->has_item_with(tags, {signer.address().text()}, height).value());
    EXPECT_FALSE(weave->has_item_with(tags, {signer.address().text()}, height - 1).value());
    EXPECT_FALSE(weave->has_item_with(tags, {"somebody else"}, height).value());
}

TEST_F(AWeave, stores_nothing_when_the_maker_fails)
{
    const auto one = stage(item("one"), *blobs).value();
    const auto sealed = weave->seal([&](store::RecordsWriter& writer, const Block&) -> Result<std::vector<NewItem>> {
        TRY_OK(writer.put_meta("key", "value"));
        return fail(errors::unknown_item, "the caller changed its mind");
    });
    EXPECT_FALSE(sealed);
    EXPECT_FALSE(records->meta("key").value());
    EXPECT_EQ(weave->tip().value().height, 0U);
}

TEST_F(AWeave, takes_an_upload_in_pieces_of_any_size)
{
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{5000}, std::size_t{1} << 20}) {
        const auto one = item(std::string(step == 1 ? 300 : 200'000, 'x'), {{"Name", "value"}});
        const auto wire = one.wire();
        Upload upload(*blobs);
        for (std::size_t at = 0; at < wire.size(); at += step)
            ASSERT_TRUE(upload.append(Bytes(wire).subspan(at, std::min(step, wire.size() - at))));
        const auto done = upload.finish().value();
        EXPECT_EQ(done.header.id(), one.id());
        EXPECT_EQ(done.blob.has_value(), step != 1);
    }
}

TEST_F(AWeave, keeps_nothing_of_an_upload_that_is_cut_or_forged)
{
    const auto one = item(std::string(200'000, 'x'));
    auto wire = one.wire();
    {
        Upload upload(*blobs);
        ASSERT_TRUE(upload.append(Bytes(wire).first(50)));
        EXPECT_EQ(upload.finish().error().code, item::errors::truncated);
    }
    {
        Upload upload(*blobs);
        ASSERT_TRUE(upload.append(Bytes(wire).first(100'000)));
        EXPECT_EQ(upload.finish().error().code, item::errors::bad_signature);
    }
    wire.back() ^= std::byte{1};
    Upload upload(*blobs);
    ASSERT_TRUE(upload.append(wire));
    EXPECT_EQ(upload.finish().error().code, item::errors::bad_signature);
    const Buffer garbage(20'000, std::byte{0xff});
    EXPECT_FALSE(Upload(*blobs).append(garbage));
    EXPECT_TRUE(blobs->scrub().value().empty());
}

TEST_F(AWeave, makes_its_index_anew_when_a_folder_has_none)
{
    const item::Tags tags{{"Type", "Attestation"}, {"Message", "m"}};
    ASSERT_TRUE(put(item("attested", tags)));
    weave.reset();
    records.reset();
    {
        // As the first format had it: tags in a table, no bundles.
        const auto database = store::sqlite::Database::open(folder / "records.db", store::sqlite::Database::Durable::off).value();
        ASSERT_TRUE(database->execute("DROP TABLE postings; ALTER TABLE items DROP COLUMN bundle; CREATE TABLE tags (name BLOB); "
                                      "DELETE FROM meta WHERE key = CAST('index' AS BLOB); "
                                      "UPDATE meta SET value = CAST('1' AS BLOB) WHERE key = CAST('format' AS BLOB)"));
    }
    EXPECT_EQ(store::open_records(folder / "records.db", {.to_read = true}).error().code, store::errors::newer_format);
    records = store::open_records(folder / "records.db", {.durable = false}).value();
    EXPECT_EQ(Weave::open_to_read(*records, *blobs, clock).error().code, errors::no_index);
    weave = Weave::open(*records, *blobs, clock, system_random()).value();
    EXPECT_TRUE(
        weave->has_item_with({{"Type", "Attestation"}, {"Message", "m"}}, {signer.address().text()}, weave->tip().value().height)
            .value());
    EXPECT_TRUE(Weave::open_to_read(*records, *blobs, clock));
}

TEST_F(AWeave, lets_another_item_stand_for_an_id_that_is_not_here)
{
    const auto published = ItemId::parse(std::string(42, 'a') + "A").value();
    const auto first = item("first", {});
    const auto second = item("second", {});
    ASSERT_TRUE(put(first));
    ASSERT_TRUE(put(second));
    EXPECT_EQ(weave->real(published).value(), published) << "not unless it was asked for";
    weave->resolve_by([&](const ItemId& asked) {
        return asked == published ? std::optional(first.id()) : asked == first.id() ? std::optional(second.id()) : std::nullopt;
    });
    EXPECT_EQ(weave->real(published).value(), first.id());
    EXPECT_EQ(weave->real(first.id()).value(), first.id()) << "an item that is here answers for itself";
    const auto unknown = ItemId::parse(std::string(42, 'b') + "A").value();
    EXPECT_EQ(weave->real(unknown).value(), unknown);
}
