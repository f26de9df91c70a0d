#include "item/signature.hpp"

#include <array>
#include <memory>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

namespace altiplano::item {

namespace {

struct Free {
    void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
    void operator()(EVP_PKEY_CTX* p) const { EVP_PKEY_CTX_free(p); }
    void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
    void operator()(BIGNUM* p) const { BN_free(p); }
    void operator()(OSSL_PARAM_BLD* p) const { OSSL_PARAM_BLD_free(p); }
    void operator()(OSSL_PARAM* p) const { OSSL_PARAM_free(p); }
};
template <class T> using Owned = std::unique_ptr<T, Free>;

const unsigned char* raw(Bytes bytes)
{
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

bool verify_ed25519(Bytes owner, Bytes signature, const Sha384& message)
{
    const Owned<EVP_PKEY> key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(owner), owner.size()));
    const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
    return key && context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1
        && EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(message), message.size()) == 1;
}

/// RSA-PSS with SHA-256 over the deep hash; the salt's length is read from the signature, since WebCrypto, Node and
/// wallets use different ones (ao-protocol.md 1.2).
bool verify_arweave(Bytes owner, Bytes signature, const Sha384& message)
{
    const Owned<BIGNUM> modulus(BN_bin2bn(raw(owner), static_cast<int>(owner.size()), nullptr));
    const Owned<BIGNUM> exponent(BN_new());
    const Owned<OSSL_PARAM_BLD> builder(OSSL_PARAM_BLD_new());
    if (!modulus || !exponent || !builder || BN_set_word(exponent.get(), 65537) != 1
        || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1
        || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1)
        return false;
    const Owned<OSSL_PARAM> parameters(OSSL_PARAM_BLD_to_param(builder.get()));
    const Owned<EVP_PKEY_CTX> maker(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
    EVP_PKEY* made = nullptr;
    if (!parameters || !maker || EVP_PKEY_fromdata_init(maker.get()) != 1
        || EVP_PKEY_fromdata(maker.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
        return false;
    const Owned<EVP_PKEY> key(made);
    const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* settings = nullptr;  // borrowed from `context`
    return context && EVP_DigestVerifyInit(context.get(), &settings, EVP_sha256(), nullptr, key.get()) == 1
        && EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1
        && EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_AUTO) == 1
        && EVP_PKEY_CTX_set_rsa_mgf1_md(settings, EVP_sha256()) == 1
        && EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(message), message.size()) == 1;
}

constexpr std::array types{
    SignatureType{1, "arweave", 512, 512, verify_arweave},
    SignatureType{2, "ed25519", 64, 32, verify_ed25519},
    SignatureType{3, "ethereum", 65, 65, nullptr},
    SignatureType{4, "solana", 64, 32, nullptr},
    SignatureType{5, "injectedAptos", 64, 32, nullptr},
    SignatureType{6, "multiAptos", 2052, 1025, nullptr},
    SignatureType{7, "typedEthereum", 65, 42, nullptr},
    SignatureType{101, "kyve", 65, 65, nullptr},
};

}  // namespace

const SignatureType* signature_type(std::uint16_t number)
{
    for (const auto& type : types)
        if (type.number == number)
            return &type;
    return nullptr;
}

Address address_of(Bytes owner)
{
    return Address(sha256(owner));
}

}  // namespace altiplano::item
