// What arbundles and arweave-js made (tests/vectors) is read, verified and built again here, byte for byte.
#include "base/base64url.hpp"
#include "base/files.hpp"
#include "base/json.hpp"
#include "item/data_item.hpp"
#include "item/deep_hash.hpp"
#include "item/ed25519.hpp"
#include "item/errors.hpp"
#include "item/ethereum.hpp"

#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::item;

namespace {

const std::string& text()
{
    static const auto whole =
        to_string(read_file(system_files(), Path(ALTIPLANO_SOURCE_DIR) / "tests/vectors/vectors.json").value());
    return whole;
}
JsonView vectors()
{
    return JsonView::parse(text()).value();
}
std::string field(const JsonView& object, std::string_view name)
{
    return object.find(name)->string().value();
}
Buffer bytes(const JsonView& object, std::string_view name)
{
    return from_base64url(field(object, name)).value();
}

Sha384 deep_hash(const JsonView& value)
{
    if (const auto repeat = value.find("repeat"))
        return deep_hash_blob(
            Buffer(static_cast<std::size_t>(*repeat->integer()), static_cast<std::byte>(*value.find("byte")->integer())));
    if (value.kind() == JsonView::Kind::string)
        return deep_hash_blob(from_base64url(*value.string()).value());
    std::vector<Sha384> children;
    for (const auto& child : value.elements())
        children.push_back(deep_hash(child));
    return deep_hash_list(children);
}

}  // namespace

TEST(Vectors, of_deep_hashes_come_out_the_same)
{
    const auto all = vectors().find("deep_hashes")->elements();
    ASSERT_GE(all.size(), 7U);
    for (const auto& vector : all)
        EXPECT_EQ(base64url(deep_hash(*vector.find("value"))), field(vector, "hash"))
            << vector.find("value")->raw().substr(0, 80);
}

TEST(Vectors, of_items_are_read_and_verified)
{
    const auto all = vectors().find("items")->elements();
    ASSERT_EQ(all.size(), 28U);
    for (const auto& vector : all) {
        SCOPED_TRACE(field(vector, "name"));
        const auto wire = bytes(vector, "wire");
        const auto item = DataItem::parse(wire).value();
        EXPECT_TRUE(item.verify());
        EXPECT_EQ(item.id().text(), field(vector, "id"));
        EXPECT_EQ(item.owner().text(), field(vector, "address"));
        EXPECT_TRUE(equal(item.header().owner_key(), bytes(vector, "owner")));
        EXPECT_EQ(item.header().signature_type().number, vector.find("type")->integer());
        EXPECT_EQ(item.target() ? item.target()->text() : "", field(vector, "target"));
        EXPECT_TRUE(equal(item.anchor(), bytes(vector, "anchor")));
        EXPECT_TRUE(equal(item.data(), bytes(vector, "data")));
        std::vector<Tag> tags;
        for (const auto& tag : vector.find("tags")->elements())
            tags.push_back({field(tag, "name"), field(tag, "value")});
        EXPECT_EQ(item.tags(), Tags(tags));
        EXPECT_EQ(item.wire(), wire);
    }
}

TEST(Vectors, of_ed25519_items_are_built_byte_for_byte)
{
    std::array<std::byte, 32> seed;
    std::ranges::copy(bytes(vectors(), "seed"), seed.begin());
    const Ed25519Signer signer(seed);
    int built = 0;
    for (const auto& vector : vectors().find("items")->elements()) {
        if (vector.find("type")->integer() != ed25519_signature)
            continue;
        const auto wire = bytes(vector, "wire");
        const auto item = DataItem::parse(wire).value();
        EXPECT_EQ(build({.target = item.target(),
                            .anchor = to_string(item.anchor()),
                            .tags = item.tags(),
                            .data = to_buffer(item.data())},
                      signer)
                      .value()
                      .wire(),
            wire)
            << field(vector, "name");
        ++built;
    }
    EXPECT_EQ(built, 7);
}

TEST(Vectors, of_ethereum_and_solana_items_are_built_with_the_same_ids)
{
    std::array<std::byte, 32> seed;
    std::ranges::copy(bytes(vectors(), "seed"), seed.begin());
    const auto ethereum = EthereumSigner::from_hex(hex(seed)).value();
    const SolanaSigner solana(seed);
    int built = 0;
    for (const auto& vector : vectors().find("items")->elements()) {
        const auto type = vector.find("type")->integer();
        if (type != ethereum_signature && type != solana_signature)
            continue;
        const auto wire = bytes(vector, "wire");
        const auto item = DataItem::parse(wire).value();
        const auto& signer = type == ethereum_signature ? static_cast<const Signer&>(ethereum) : solana;
        EXPECT_EQ(build({.target = item.target(),
                            .anchor = to_string(item.anchor()),
                            .tags = item.tags(),
                            .data = to_buffer(item.data())},
                      signer)
                      .value()
                      .id()
                      .text(),
            field(vector, "id"))
            << field(vector, "name");
        ++built;
    }
    EXPECT_EQ(built, 14);
}

TEST(Vectors, that_are_spoilt_anywhere_are_refused)
{
    for (const auto& vector : vectors().find("items")->elements()) {
        const auto wire = bytes(vector, "wire");
        // Every byte of the small ones; of the large ones a sample that meets every field.
        for (std::size_t at = 0; at < wire.size(); at += wire.size() > 400 ? 37U : 1U) {
            auto spoilt = wire;
            spoilt[at] ^= std::byte{0x10};
            const auto item = DataItem::parse(spoilt);
            EXPECT_FALSE(item && item->verify()) << field(vector, "name") << " at " << at;
        }
    }
}

TEST(Vectors, that_are_cut_anywhere_are_refused)
{
    for (const auto& vector : vectors().find("items")->elements()) {
        const auto wire = bytes(vector, "wire");
        const auto header = DataItem::parse(wire).value().header().size();
        for (std::size_t size = 0; size < wire.size(); size += wire.size() > 400 && size < header - 100 ? 23U : 1U) {
            const auto item = DataItem::parse(Bytes(wire).first(size));
            if (size < header)
                EXPECT_EQ(item ? "read" : item.error().code, errors::truncated) << field(vector, "name") << " of " << size;
            else
                EXPECT_EQ(item->verify() ? "verified" : item->verify().error().code, errors::bad_signature)
                    << field(vector, "name") << " of " << size;
        }
    }
}
