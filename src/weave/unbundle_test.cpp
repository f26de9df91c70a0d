#include "weave/unbundle.hpp"

#include "base/test_folder.hpp"
#include "item/bundle.hpp"
#include "item/ed25519.hpp"
#include "item/errors.hpp"
#include "store/sqlite/sqlite.hpp"
#include "weave/errors.hpp"

#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::weave;

namespace {

const item::Tags bundle_tags{{"Bundle-Format", "binary"}, {"Bundle-Version", "2.0.0"}};

class ABundle : public testing::Test {
protected:
    item::DataItem item(std::string_view data, item::Tags tags = {})
    {
        return item::build({.tags = std::move(tags), .data = to_buffer(data)}, signer).value();
    }
    static Buffer encode(const std::vector<item::DataItem>& members)
    {
        std::vector<Buffer> wires;
        wires.reserve(members.size());
        for (const auto& member : members)
            wires.push_back(member.wire());
        std::vector<item::BundlePart> parts;
        for (std::size_t i = 0; i < members.size(); ++i)
            parts.push_back({members[i].id(), wires[i]});
        return item::encode_bundle(parts);
    }
    item::DataItem bundle(const Buffer& data) { return item::build({.tags = bundle_tags, .data = data}, signer).value(); }
    Taken put(const item::DataItem& one) { return take(*weave, stage(one, *blobs).value()).value(); }
    std::string text(const ItemId& id) { return to_string(weave->data(id).value()->all().value()); }

    TestFolder folder;
    item::Ed25519Signer signer{std::array<std::byte, 32>{std::byte{1}}};
    std::unique_ptr<store::Records> records = store::open_records(folder / "records.db", {.durable = false}).value();
    std::unique_ptr<store::Blobs> blobs = store::Blobs::open(system_files(), folder / "blobs").value();
    std::unique_ptr<Weave> weave = Weave::open(*records, *blobs, system_clock(), system_random()).value();
};

}  // namespace

TEST_F(ABundle, gives_its_members_and_theirs_to_the_weave)
{
    const auto small = item("small", {{"Type", "Small"}});
    const auto large = item(std::string(300'000, 'x'));
    const auto deep = item("deep");
    const auto inner = bundle(encode({deep, item("deeper")}));
    const auto outer = bundle(encode({small, inner, large}));
    const auto taken = put(outer);
    EXPECT_EQ(taken.bundle->members, 5U);
    EXPECT_EQ(taken.bundle->refused, 0U);
    EXPECT_EQ(text(small.id()), "small");
    EXPECT_EQ(text(large.id()), std::string(300'000, 'x'));
    EXPECT_EQ(text(deep.id()), "deep");
    EXPECT_EQ(weave->item(small.id()).value().bundle, outer.id());
    EXPECT_EQ(weave->item(deep.id()).value().bundle, inner.id());
    EXPECT_EQ(weave->item(inner.id()).value().bundle, outer.id());
    EXPECT_FALSE(weave->item(outer.id()).value().bundle);
    EXPECT_LE(weave->item(small.id()).value().height, weave->item(outer.id()).value().height);
    EXPECT_TRUE(weave->has_item_with({{"Type", "Small"}}, {signer.address().text()}, UINT64_MAX).value());
    for (const auto& id : {small.id(), large.id(), deep.id(), inner.id(), outer.id()})
        EXPECT_TRUE(weave->check(id));
}

TEST_F(ABundle, leaves_out_members_that_cannot_be_verified_and_names_them)
{
    const auto good = item("good");
    auto forged = item("forged").wire();
    forged.back() ^= std::byte{1};
    const auto forged_id = item("forged").id();
    const auto good_wire = good.wire();
    const auto outer = bundle(item::encode_bundle({{forged_id, forged}, {ItemId(sha256(as_bytes("another"))), good_wire},
        {good.id(), good_wire}, {ItemId{}, as_bytes("rubbish")}, {ItemId{}, {}}}));
    const auto taken = put(outer);
    EXPECT_EQ(taken.bundle->members, 1U);
    ASSERT_EQ(taken.bundle->refused, 4U);
    EXPECT_EQ(taken.bundle->refusals[0].error.code, item::errors::bad_signature);
    EXPECT_EQ(taken.bundle->refusals[1].error.code, item::errors::bad_bundle);
    EXPECT_TRUE(weave->has(good.id()));
    EXPECT_FALSE(weave->has(forged_id));
    EXPECT_TRUE(weave->has(outer.id()));
}

TEST_F(ABundle, whose_signature_is_broken_gives_no_member_of_its_own)
{
    const auto deep = item("deep");
    auto inner = bundle(encode({deep})).wire();
    inner[10] ^= std::byte{1};  // the signature, and so the id
    const auto id = item::Header::parse(inner).value().id();
    const auto taken = put(bundle(item::encode_bundle({{id, inner}})));
    EXPECT_EQ(taken.bundle->refused, 1U);
    EXPECT_FALSE(weave->has(deep.id()));
}

TEST_F(ABundle, without_a_table_is_an_item_like_any_other)
{
    for (const auto& data : {Buffer{}, to_buffer("short"), Buffer(32, std::byte{1}), Buffer(1000, std::byte{0xff})}) {
        const auto one = bundle(data);
        const auto taken = put(one);
        EXPECT_EQ(taken.no_bundle->code, item::errors::bad_bundle) << data.size();
        EXPECT_TRUE(weave->has(one.id()));
    }
    EXPECT_EQ(put(bundle(Buffer(32))).bundle->members, 0U);
}

TEST_F(ABundle, of_bundles_of_bundles_is_opened_so_deep_and_no_deeper)
{
    auto nested = item("core");
    std::vector<ItemId> ids{nested.id()};
    for (int depth = 0; depth < bundle_depth_max + 2; ++depth) {
        nested = bundle(encode({nested}));
        ids.push_back(nested.id());
    }
    put(nested);
    std::size_t found = 0;
    for (const auto& id : ids)
        found += weave->has(id) ? std::size_t{1} : 0;
    EXPECT_EQ(found, static_cast<std::size_t>(bundle_depth_max) + 1);
}

TEST_F(ABundle, that_comes_again_is_passed_over_with_all_its_members)
{
    const auto one = bundle(encode({item("a"), item("b")}));
    const auto first = put(one);
    const auto again = put(one);
    EXPECT_EQ(again.bundle->members, 2U);
    EXPECT_EQ(again.block.height, first.block.height);
}

TEST_F(ABundle, of_many_members_is_sealed_in_a_few_blocks)
{
    std::vector<item::DataItem> members;
    for (int i = 0; i < 2000; ++i)
        members.push_back(item(std::to_string(i)));
    const auto before = weave->tip().value().height;
    EXPECT_EQ(put(bundle(encode(members))).bundle->members, 2000U);
    EXPECT_LE(weave->tip().value().height - before, 6U);
    EXPECT_EQ(text(members[1999].id()), "1999");
}
