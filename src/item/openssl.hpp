#pragma once

#include "base/bytes.hpp"

#include <memory>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

/// OpenSSL's objects with owners. For the key files of this room, and for the benchmark that sets OpenSSL itself beside them.
namespace altiplano::item::openssl {

struct Free {
    void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
    void operator()(EVP_PKEY_CTX* p) const { EVP_PKEY_CTX_free(p); }
    void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
    void operator()(BIGNUM* p) const { BN_clear_free(p); }
    void operator()(BN_CTX* p) const { BN_CTX_free(p); }
    void operator()(OSSL_PARAM_BLD* p) const { OSSL_PARAM_BLD_free(p); }
    void operator()(OSSL_PARAM* p) const { OSSL_PARAM_free(p); }
};
template <class T> using Owned = std::unique_ptr<T, Free>;

inline const unsigned char* raw(Bytes bytes)
{
    return reinterpret_cast<const unsigned char*>(bytes.data());
}
inline unsigned char* raw_to(std::span<std::byte> bytes)
{
    return reinterpret_cast<unsigned char*>(bytes.data());
}

}  // namespace altiplano::item::openssl
