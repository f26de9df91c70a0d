#include "base/hash.hpp"

#include <openssl/evp.h>

namespace altiplano {

namespace {

/// Looked up once: OpenSSL else searches its providers for every hash, which takes longer than hashing a tag.
const EVP_MD* algorithm(const Digest*)
{
    static const EVP_MD* const found = EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
    return found;
}
const EVP_MD* algorithm(const Sha384*)
{
    static const EVP_MD* const found = EVP_MD_fetch(nullptr, "SHA2-384", nullptr);
    return found;
}

template <class Digest_> Digest_ finish_into(EVP_MD_CTX* context)
{
    std::array<std::byte, sizeof(Digest_)> out;
    unsigned length = 0;
    ENSURE(EVP_DigestFinal_ex(context, reinterpret_cast<unsigned char*>(out.data()), &length) == 1 && length == out.size(),
        "OpenSSL ends a digest it began");
    return Digest_(out);
}

}  // namespace

template <class Digest_> struct Hasher<Digest_>::Context {
    EVP_MD_CTX* evp = EVP_MD_CTX_new();
    Context()
    {
        ENSURE(evp && EVP_DigestInit_ex(evp, algorithm(static_cast<Digest_*>(nullptr)), nullptr) == 1, "OpenSSL has SHA-2");
    }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    ~Context() { EVP_MD_CTX_free(evp); }
};

template <class Digest_>
Hasher<Digest_>::Hasher()
    : context_(std::make_unique<Context>())
{
}
template <class Digest_> Hasher<Digest_>::Hasher(Hasher&&) noexcept = default;
template <class Digest_> Hasher<Digest_>& Hasher<Digest_>::operator=(Hasher&&) noexcept = default;
template <class Digest_> Hasher<Digest_>::~Hasher() = default;

template <class Digest_> void Hasher<Digest_>::update(Bytes bytes)
{
    ENSURE(EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()) == 1, "a digest takes any bytes");
}
template <class Digest_> Digest_ Hasher<Digest_>::finish()
{
    return finish_into<Digest_>(context_->evp);
}

template class Hasher<Digest>;
template class Hasher<Sha384>;

Digest sha256(Bytes bytes)
{
    Sha256Hasher hasher;
    hasher.update(bytes);
    return hasher.finish();
}

Sha384 sha384(Bytes bytes)
{
    Sha384Hasher hasher;
    hasher.update(bytes);
    return hasher.finish();
}

}  // namespace altiplano
