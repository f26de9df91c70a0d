#include "item/deep_hash.hpp"

#include <string>

namespace altiplano::item {

namespace {

Sha384 hash_pair(const Sha384& left, const Sha384& right)
{
    Sha384Hasher hasher;
    hasher.update(left);
    hasher.update(right);
    return hasher.finish();
}

}  // namespace

Sha384 deep_hash_blob(std::uint64_t length, const Sha384& hash_of_bytes)
{
    return hash_pair(sha384(as_bytes("blob" + std::to_string(length))), hash_of_bytes);
}

Sha384 deep_hash_blob(Bytes bytes)
{
    return deep_hash_blob(bytes.size(), sha384(bytes));
}

Sha384 deep_hash_list(std::span<const Sha384> children)
{
    auto hash = sha384(as_bytes("list" + std::to_string(children.size())));
    for (const auto& child : children)
        hash = hash_pair(hash, child);
    return hash;
}

}  // namespace altiplano::item
