#pragma once

#include "base/bytes.hpp"
#include "base/id.hpp"

#include <array>
#include <memory>

namespace altiplano {

using Sha384 = std::array<std::byte, 48>;

Digest sha256(Bytes bytes);
Sha384 sha384(Bytes bytes);

/// A hash fed piece by piece, for data that is not held in memory. One thread.
template <class Digest_> class Hasher {
public:
    Hasher();
    Hasher(Hasher&&) noexcept;
    Hasher& operator=(Hasher&&) noexcept;
    ~Hasher();
    void update(Bytes bytes);
    /// Ends the hash; the object may only be destroyed afterwards.
    Digest_ finish();

private:
    struct Context;
    std::unique_ptr<Context> context_;
};

using Sha256Hasher = Hasher<Digest>;
using Sha384Hasher = Hasher<Sha384>;

}  // namespace altiplano
