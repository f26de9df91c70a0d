#include "item/data_item.hpp"
#include "item/deep_hash.hpp"
#include "item/ed25519.hpp"
#include "item/errors.hpp"

#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::item;

namespace {

const Ed25519Signer signer(std::array<std::byte, 32>{std::byte{3}});

/// A zigzag variable-length integer, as Avro has it.
Buffer avro(std::int64_t value)
{
    auto rest = static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
    Buffer out;
    do {
        out.push_back(static_cast<std::byte>((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0)));
        rest >>= 7;
    } while (rest != 0);
    return out;
}
Buffer avro(std::string_view text)
{
    auto out = avro(static_cast<std::int64_t>(text.size()));
    append(out, as_bytes(text));
    return out;
}
Buffer joined(std::initializer_list<Buffer> parts)
{
    Buffer whole;
    for (const auto& part : parts)
        append(whole, part);
    return whole;
}
std::string_view refusal(const Buffer& wire, std::uint64_t declared)
{
    const auto tags = decode_tags(wire, declared);
    return tags ? "accepted" : tags.error().code;
}

}  // namespace

TEST(Tags, are_read_from_any_number_of_blocks_with_or_without_sizes)
{
    const Tags two{{"a", "1"}, {"b", "2"}};
    const auto first = joined({avro("a"), avro("1")});
    const auto second = joined({avro("b"), avro("2")});
    EXPECT_EQ(decode_tags(joined({avro(2), first, second, avro(0)}), 2).value(), two);
    EXPECT_EQ(decode_tags(joined({avro(1), first, avro(1), second, avro(0)}), 2).value(), two);
    EXPECT_EQ(decode_tags(joined({avro(-2), avro(8), first, second, avro(0)}), 2).value(), two)
        << "a negative count carries its bytes";
    EXPECT_EQ(decode_tags(joined({avro(-1), avro(4), first, avro(1), second, avro(0)}), 2).value(), two);
    EXPECT_EQ(decode_tags({}, 0).value(), Tags{});
    EXPECT_EQ(decode_tags(avro(0), 0).value(), Tags{});
}

TEST(Tags, that_are_not_what_they_say_are_refused)
{
    const auto one = joined({avro("a"), avro("1")});
    for (const auto& [wire, declared] : std::initializer_list<std::pair<Buffer, std::uint64_t>>{
             {joined({avro(1), one, avro(0)}), 2},  // fewer than declared
             {joined({avro(2), one, one, avro(0)}), 1},  // more
             {joined({avro(1), one}), 1},  // no final block
             {joined({avro(1), one, avro(0), avro(0)}), 1},  // something behind it
             {joined({avro(1), avro(-1), avro("1"), avro(0)}), 1},  // a negative length
             {joined({avro(1), avro(INT64_MAX), avro("1"), avro(0)}), 1},  // a length past the end
             {joined({avro(INT64_MAX), one, avro(0)}), 1}, {joined({avro(INT64_MIN), avro(4), one, avro(0)}), 1},
             {{std::byte{0x80}}, 1},  // a number that does not end
             {Buffer(11, std::byte{0xff}), 1},  // one that is too long
         })
        EXPECT_EQ(refusal(wire, declared), errors::bad_tags);
    const auto good = joined({avro(1), one, avro(0)});
    for (std::size_t cut = 0; cut < good.size(); ++cut)
        EXPECT_EQ(refusal(Buffer(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(cut)), 1), errors::bad_tags) << cut;
}

TEST(Tags, keep_any_bytes_and_the_first_of_a_name_wins)
{
    const Tags tags{{std::string("\0\xff", 2), std::string("\x80\0", 2)}, {"", ""}, {"Action", "one"}, {"Action", "two"},
        {"action", "other"}};
    EXPECT_EQ(decode_tags(encode_tags(tags), 5).value(), tags);
    EXPECT_EQ(tags.first("Action"), "one");
    EXPECT_EQ(tags.all("Action"), (std::vector<std::string_view>{"one", "two"}));
    EXPECT_TRUE(tags.has("Action", "two"));
    EXPECT_FALSE(tags.first("ACTION"));
}

TEST(Tags, as_they_were_signed_are_what_is_verified)
{
    // Another encoder's blocks: our own encoding of the same tags would have other bytes, and another signature.
    const auto blocks = joined({avro(-1), avro(4), avro("a"), avro("1"), avro(1), avro("b"), avro("2"), avro(0)});
    const auto plain = build({.tags = {{"a", "1"}, {"b", "2"}}, .data = to_buffer("x")}, signer).value();
    auto wire = plain.wire();
    const auto tags_at = plain.header().size() - plain.header().tag_bytes().size();
    wire.resize(tags_at);
    wire[tags_at - 8] = static_cast<std::byte>(blocks.size());
    append(wire, blocks);
    append(wire, as_bytes("x"));
    const auto unsigned_item = DataItem::parse(wire).value();
    EXPECT_EQ(unsigned_item.tags(), plain.tags());
    EXPECT_EQ(unsigned_item.verify().error().code, errors::bad_signature) << "the bytes are signed, not the tags";
    const auto signature = signer.sign(unsigned_item.header().message(deep_hash_blob(as_bytes("x"))));
    std::ranges::copy(signature, wire.begin() + 2);
    EXPECT_TRUE(DataItem::parse(wire).value().verify());
}

TEST(DataItem, has_a_limit_of_tag_bytes_that_a_process_s_own_may_exceed)
{
    const auto large = build({.tags = {{"name", std::string(5000, 'v')}}}, signer).value().wire();
    EXPECT_EQ(DataItem::parse(large).error().code, errors::tag_bytes_over_limit);
    EXPECT_TRUE(DataItem::parse(large, UINT64_MAX).value().verify());
}

TEST(DataItem, refuses_what_is_no_item)
{
    const auto wire = build({.target = Digest{}, .anchor = std::string(32, 'a')}, signer).value().wire();
    const auto refusal = [&](std::size_t at, unsigned value) {
        auto spoilt = wire;
        spoilt[at] = static_cast<std::byte>(value);
        return DataItem::parse(spoilt).error().code;
    };
    EXPECT_EQ(refusal(0, 99), errors::bad_signature_type);
    EXPECT_EQ(refusal(1, 1), errors::bad_signature_type);
    EXPECT_EQ(refusal(2 + 64 + 32, 2), errors::bad_presence_byte);
    EXPECT_EQ(refusal(2 + 64 + 32 + 33, 2), errors::bad_presence_byte);
    EXPECT_EQ(refusal(wire.size() - 1, 0x7f), errors::tag_bytes_over_limit) << "a tag length near 2^63";
    EXPECT_EQ(refusal(wire.size() - 9, 0x7f), errors::bad_tags) << "a tag count near 2^63 over no bytes";
}

TEST(Signer, gives_the_same_item_for_the_same_fields)
{
    const Fields fields{.tags = {{"a", "b"}}, .data = to_buffer("data")};
    EXPECT_EQ(build(fields, signer).value().id(), build(fields, signer).value().id());
    EXPECT_EQ(build({.anchor = "short"}, signer).error().code, errors::bad_field);
}

TEST(Signer, comes_back_from_its_jwk_and_from_nothing_else)
{
    const auto again = Ed25519Signer::from_jwk(signer.jwk()).value();
    EXPECT_EQ(again.address(), signer.address());
    for (const auto* text : {"", "{}", R"({"kty":"RSA"})", R"({"kty":"OKP","crv":"Ed25519","d":"AA","x":"AA"})",
             R"({"kty":"OKP","crv":"X25519","d":"","x":""})"})
        EXPECT_EQ(Ed25519Signer::from_jwk(text).error().code, errors::bad_key) << text;
    // A public half that is not the secret's would sign items that nobody can verify.
    auto mixed = signer.jwk();
    const auto other = Ed25519Signer(std::array<std::byte, 32>{std::byte{4}}).jwk();
    const auto at = mixed.find("\"x\":");
    mixed.replace(at, 48, other.substr(other.find("\"x\":"), 48));
    EXPECT_EQ(Ed25519Signer::from_jwk(mixed).error().code, errors::bad_key);
}

TEST(Header, is_built_for_data_that_is_elsewhere)
{
    const auto whole = build({.tags = {{"a", "b"}}, .data = to_buffer("somewhere else")}, signer).value();
    const auto header = build_header({.tags = {{"a", "b"}}}, deep_hash_blob(as_bytes("somewhere else")), signer).value();
    EXPECT_EQ(header.id(), whole.id());
    EXPECT_TRUE(header.verify(deep_hash_blob(14, sha384(as_bytes("somewhere else")))));
    EXPECT_EQ(header.verify(deep_hash_blob(as_bytes("something else"))).error().code, errors::bad_signature);
}
