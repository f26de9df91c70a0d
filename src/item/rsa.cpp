#include "item/rsa.hpp"

#include "base/base64url.hpp"
#include "base/json.hpp"
#include "item/errors.hpp"
#include "item/openssl.hpp"

#include <array>
#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>

namespace altiplano::item {

using namespace openssl;

namespace {

constexpr std::size_t modulus_bytes = 512;

/// The members of a JWK (RFC 7518, 6.3) and what OpenSSL calls them.
constexpr std::array<std::pair<const char*, const char*>, 8> parts{{
    {"n", OSSL_PKEY_PARAM_RSA_N},
    {"e", OSSL_PKEY_PARAM_RSA_E},
    {"d", OSSL_PKEY_PARAM_RSA_D},
    {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
    {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},
    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
    {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2},
    {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
}};

Owned<EVP_PKEY> key_of(const std::vector<std::pair<const char*, Buffer>>& numbers, int selection)
{
    const Owned<OSSL_PARAM_BLD> builder(OSSL_PARAM_BLD_new());
    std::vector<Owned<BIGNUM>> kept;
    for (const auto& [name, bytes] : numbers) {
        kept.emplace_back(BN_bin2bn(raw(Bytes(bytes)), static_cast<int>(bytes.size()), nullptr));
        if (!builder || !kept.back() || OSSL_PARAM_BLD_push_BN(builder.get(), name, kept.back().get()) != 1)
            return nullptr;
    }
    const Owned<OSSL_PARAM> parameters(OSSL_PARAM_BLD_to_param(builder.get()));
    const Owned<EVP_PKEY_CTX> maker(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
    EVP_PKEY* made = nullptr;
    if (!parameters || !maker || EVP_PKEY_fromdata_init(maker.get()) != 1
        || EVP_PKEY_fromdata(maker.get(), &made, selection, parameters.get()) != 1)
        return nullptr;
    return Owned<EVP_PKEY>(made);
}

Buffer number_of(const EVP_PKEY* key, const char* name)
{
    BIGNUM* got = nullptr;
    ENSURE(EVP_PKEY_get_bn_param(key, name, &got) == 1, "a whole RSA key has all its parts");
    const Owned<BIGNUM> number(got);
    Buffer bytes(static_cast<std::size_t>(BN_num_bytes(got)));
    BN_bn2bin(got, raw_to(bytes));
    return bytes;
}

/// MGF1 with SHA-256 (RFC 8017, B.2.1), xored over `into`.
void mask(Bytes seed, std::span<std::byte> into)
{
    Buffer input = to_buffer(seed);
    input.resize(seed.size() + 4);
    for (std::size_t done = 0, counter = 0; done < into.size(); ++counter) {
        for (std::size_t i = 0; i < 4; ++i)
            input[seed.size() + i] = static_cast<std::byte>(counter >> (24 - 8 * i));
        const auto block = sha256(input);
        for (std::size_t i = 0; i < Digest::size && done < into.size(); ++i, ++done)
            into[done] ^= block.array()[i];
    }
}

/// EMSA-PSS-ENCODE (RFC 8017, 9.1.1) of a message for a modulus of 4096 bits. By hand because OpenSSL takes no salt.
std::array<std::byte, modulus_bytes> encode(Bytes message, const Digest& salt)
{
    Buffer inner(8);
    append(inner, sha256(message).bytes());
    append(inner, salt.bytes());
    const auto hash = sha256(inner);

    std::array<std::byte, modulus_bytes> encoded{};
    const auto data = std::span(encoded).first(modulus_bytes - Digest::size - 1);
    data[data.size() - Digest::size - 1] = std::byte{1};
    std::ranges::copy(salt.bytes(), data.end() - Digest::size);
    mask(hash.bytes(), data);
    data[0] &= std::byte{0x7f};  // one bit less than the modulus
    std::ranges::copy(hash.bytes(), data.end());
    encoded.back() = std::byte{0xbc};
    return encoded;
}

}  // namespace

bool verify_rsa(Bytes modulus, Bytes signature, const Sha384& message)
{
    return verify_rsa_of(modulus, signature, message);
}

bool verify_rsa_of(Bytes modulus, Bytes signature, Bytes message)
{
    const auto key = key_of(
        {{OSSL_PKEY_PARAM_RSA_N, to_buffer(modulus)}, {OSSL_PKEY_PARAM_RSA_E, Buffer{std::byte{1}, std::byte{0}, std::byte{1}}}},
        EVP_PKEY_PUBLIC_KEY);
    const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* settings = nullptr;  // borrowed from `context`
    return key && context && EVP_DigestVerifyInit(context.get(), &settings, EVP_sha256(), nullptr, key.get()) == 1
        && EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1
        && EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_AUTO) == 1
        && EVP_PKEY_CTX_set_rsa_mgf1_md(settings, EVP_sha256()) == 1
        && EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(message), message.size()) == 1;
}

struct RsaSigner::Key {
    Owned<EVP_PKEY> key;
};

RsaSigner::RsaSigner(std::shared_ptr<const Key> key)
    : key_(std::move(key))
    , modulus_(number_of(key_->key.get(), OSSL_PKEY_PARAM_RSA_N))
{
    Buffer secret = to_buffer(as_bytes("altiplano salt of RSA-PSS v1"));
    append(secret, number_of(key_->key.get(), OSSL_PKEY_PARAM_RSA_D));
    secret_ = sha256(secret);
}

RsaSigner RsaSigner::generate()
{
    Owned<EVP_PKEY> key(EVP_RSA_gen(modulus_bytes * 8));
    ENSURE(key, "OpenSSL makes an RSA key");
    return RsaSigner(std::make_shared<const Key>(std::move(key)));
}

Result<RsaSigner> RsaSigner::from_jwk(std::string_view text)
{
    const auto json = JsonView::parse(text);
    const auto member = [&](std::string_view name) {
        const auto value = json ? json->find(name) : std::nullopt;
        return value ? value->string().value_or("") : std::string();
    };
    if (member("kty") != "RSA")
        return fail(errors::bad_key, "this is not a JWK of an RSA key");
    std::vector<std::pair<const char*, Buffer>> numbers;
    for (const auto& [name, parameter] : parts) {
        const auto bytes = from_base64url(member(name));
        if (!bytes || bytes->empty() || bytes->size() > modulus_bytes)
            return fail(errors::bad_key, fmt::format("the member \"{}\" of the JWK is no number of an RSA key", name),
                "a wallet file has n, e, d, p, q, dp, dq and qi");
        numbers.emplace_back(parameter, *bytes);
    }
    if (numbers[0].second.size() != modulus_bytes)
        return fail(errors::bad_key,
            fmt::format("the RSA key has {} bits; Arweave's have {}", numbers[0].second.size() * 8, modulus_bytes * 8));
    auto key = key_of(numbers, EVP_PKEY_KEYPAIR);
    const Owned<EVP_PKEY_CTX> checker(key ? EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr) : nullptr);
    if (numbers[1].second != Buffer{std::byte{1}, std::byte{0}, std::byte{1}} || !checker
        || EVP_PKEY_pairwise_check(checker.get()) != 1)
        return fail(errors::bad_key, "the parts of the RSA key do not belong together");
    return RsaSigner(std::make_shared<const Key>(std::move(key)));
}

std::string RsaSigner::jwk() const
{
    std::string text = "{\"kty\":\"RSA\"";
    for (const auto& [name, parameter] : parts)
        text += fmt::format(",\"{}\":\"{}\"", name, base64url(number_of(key_->key.get(), parameter)));
    return text + "}\n";
}

Buffer RsaSigner::sign(const Sha384& message) const
{
    auto seed = to_buffer(secret_.bytes());
    append(seed, message);
    const auto encoded = encode(message, sha256(seed));
    const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_->key.get(), nullptr));
    Buffer signature(modulus_bytes);
    std::size_t length = signature.size();
    ENSURE(context && EVP_PKEY_sign_init(context.get()) == 1 && EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_NO_PADDING) == 1
            && EVP_PKEY_sign(context.get(), raw_to(signature), &length, raw(encoded), encoded.size()) == 1
            && length == modulus_bytes,
        "an RSA key signs any message");
    return signature;
}

}  // namespace altiplano::item
