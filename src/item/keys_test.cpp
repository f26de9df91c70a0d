// Keys of all kinds: files, determinism, and what is refused.
#include "base/base64url.hpp"
#include "item/deep_hash.hpp"
#include "item/ed25519.hpp"
#include "item/errors.hpp"
#include "item/ethereum.hpp"
#include "item/keccak.hpp"
#include "item/rsa.hpp"
#include "item/wallet.hpp"

#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::item;

namespace {

const RsaSigner& rsa()
{
    static const auto made = RsaSigner::generate();
    return made;
}
Fields hello()
{
    return {.tags = {{"Action", "Eval"}}, .data = to_buffer(as_bytes("hello"))};
}

}  // namespace

TEST(Keccak, is_the_hash_of_the_competition)
{
    EXPECT_EQ(hex(keccak256({}).bytes()), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    EXPECT_EQ(hex(keccak256(as_bytes("abc")).bytes()), "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
    // One block less a byte, one block, and one more: the padding's three cases.
    const std::string a(200, 'a');
    EXPECT_NE(keccak256(as_bytes(a.substr(0, 135))), keccak256(as_bytes(a.substr(0, 136))));
    EXPECT_EQ(
        hex(keccak256(as_bytes(a.substr(0, 136))).bytes()), "a6c4d403279fe3e0af03729caada8374b5ca54d8065329a3ebcaeb4b60aa386e");
}

TEST(Rsa, signs_the_same_message_the_same_way)
{
    const auto one = build(hello(), rsa()).value();
    EXPECT_TRUE(one.verify());
    EXPECT_EQ(one.header().signature_type().number, arweave_signature);
    EXPECT_EQ(one.id(), build(hello(), RsaSigner::from_jwk(rsa().jwk()).value()).value().id());
    auto other = hello();
    other.data.push_back(std::byte{1});
    EXPECT_NE(one.id(), build(std::move(other), rsa()).value().id());
}

TEST(Rsa, refuses_keys_that_are_not_whole)
{
    const auto jwk = rsa().jwk();
    for (const auto* name : {"n", "e", "d", "p", "q", "dp", "dq", "qi"}) {
        auto broken = jwk;
        const auto at = broken.find(std::string("\"") + name + "\":\"");
        ASSERT_NE(at, std::string::npos);
        broken.insert(at + 1, "x");
        EXPECT_EQ(RsaSigner::from_jwk(broken).error().code, errors::bad_key) << name;
    }
    auto mixed = jwk;
    const auto other = RsaSigner::generate().jwk();
    const auto end = [](const std::string& text) { return text.find("\",\"e\""); };
    mixed.replace(0, end(mixed), other.substr(0, end(other)));
    EXPECT_EQ(RsaSigner::from_jwk(mixed).error().code, errors::bad_key) << "the modulus of another key";
    for (const auto* text : {"", "{}", "[]", R"({"kty":"RSA"})", R"({"kty":"RSA","n":"AQAB","e":"AQAB"})"})
        EXPECT_EQ(RsaSigner::from_jwk(text).error().code, errors::bad_key) << text;
}

TEST(Ethereum, has_checksummed_addresses_and_refuses_the_malleable_twin)
{
    // The key 1, whose address everybody knows.
    const auto signer = EthereumSigner::from_hex(std::string(63, '0') + "1").value();
    EXPECT_EQ(signer.address().text(), "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
    const auto item = build(hello(), signer).value();
    EXPECT_TRUE(item.verify());
    EXPECT_EQ(item.owner().text(), signer.address().text());

    // n - s with the other v signs the same message under the same key, by arithmetic.
    constexpr std::string_view order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    auto wire = item.wire();
    int borrow = 0;
    for (std::size_t i = 32; i-- > 0;) {
        const auto digit = std::stoi(std::string(order.substr(2 * i, 2)), nullptr, 16);
        auto& byte = wire[2 + 32 + i];
        int left = digit - std::to_integer<int>(byte) - borrow;
        borrow = left < 0 ? 1 : 0;
        byte = static_cast<std::byte>(left & 255);
    }
    wire[2 + 64] ^= std::byte{7};  // 27 and 28 change places
    const auto twin = DataItem::parse(wire).value();
    EXPECT_NE(twin.id(), item.id());
    EXPECT_EQ(twin.verify().error().code, errors::bad_signature);

    for (const auto* text : {"", "0x", "zz", "0x00", "0000000000000000000000000000000000000000000000000000000000000000",
             "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
             "+000000000000000000000000000000000000000000000000000000000000001"})
        EXPECT_EQ(EthereumSigner::from_hex(text).error().code, errors::bad_key) << text;
}

TEST(Wallets, of_every_kind_are_read_back)
{
    const auto ed25519 = Ed25519Signer(std::array<std::byte, 32>{std::byte{3}});
    const auto ethereum = EthereumSigner::generate(system_random());
    EXPECT_EQ(read_wallet(ed25519.jwk()).value()->address(), ed25519.address());
    EXPECT_EQ(read_wallet(rsa().jwk()).value()->address(), rsa().address());
    EXPECT_EQ(read_wallet(ethereum.hex() + "\n").value()->address(), ethereum.address());
    for (const auto* text : {"", "{}", "null", "[]", R"({"kty":"EC"})", "not a key"})
        EXPECT_EQ(read_wallet(text).error().code, errors::bad_key) << text;
}

TEST(Ed25519, is_verified_by_one_rule_whichever_library_finds_it_first)
{
    const Ed25519Signer signer(std::array<std::byte, 32>{std::byte{3}});
    const auto message = sha384(as_bytes("hello"));
    const auto signature = signer.sign(message);
    EXPECT_TRUE(verify_ed25519(signer.owner_key(), signature, message));
    EXPECT_FALSE(verify_ed25519(signer.owner_key(), signature, sha384(as_bytes("other"))));
    for (std::size_t at = 0; at < signature.size(); ++at) {
        auto changed = signature;
        changed[at] ^= std::byte{1};
        EXPECT_FALSE(verify_ed25519(signer.owner_key(), changed, message)) << at;
    }
    EXPECT_FALSE(verify_ed25519(signer.owner_key(), Bytes(signature).first(63), message));
    EXPECT_FALSE(verify_ed25519(Bytes(signer.owner_key()).first(31), signature, message));

    // The same second half plus the order of the group fits the equation as well, and is refused.
    constexpr std::array<unsigned, 32> order{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
        0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10};
    auto larger = signature;
    unsigned carry = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        const auto sum = std::to_integer<unsigned>(larger[32 + i]) + order[i] + carry;
        larger[32 + i] = static_cast<std::byte>(sum & 0xff);
        carry = sum >> 8;
    }
    EXPECT_FALSE(verify_ed25519(signer.owner_key(), larger, message));

    // A key of small order, under which this is a signature of anything: OpenSSL accepts it, libsodium would not.
    Buffer neutral(32);
    neutral[0] = std::byte{1};
    auto of_anything = neutral;
    of_anything.resize(64);
    EXPECT_TRUE(verify_ed25519(neutral, of_anything, message));
}
