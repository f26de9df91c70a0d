#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace altiplano::item {

/// A name and a value of any bytes. Names are case-sensitive (ao-protocol.md 2).
struct Tag {
    std::string name;
    std::string value;
    friend bool operator==(const Tag&, const Tag&) = default;
};

/// The tags of an item, in its order. When a name repeats, the first one wins.
class Tags {
public:
    Tags() = default;
    Tags(std::initializer_list<Tag> tags)
        : tags_(tags)
    {
    }
    explicit Tags(std::vector<Tag> tags)
        : tags_(std::move(tags))
    {
    }

    std::optional<std::string_view> first(std::string_view name) const;
    std::vector<std::string_view> all(std::string_view name) const;
    bool has(std::string_view name, std::string_view value) const;  ///< any tag of that name has that value
    void add(std::string name, std::string value) { tags_.push_back({std::move(name), std::move(value)}); }

    std::size_t size() const noexcept { return tags_.size(); }
    bool empty() const noexcept { return tags_.empty(); }
    auto begin() const noexcept { return tags_.begin(); }
    auto end() const noexcept { return tags_.end(); }
    friend bool operator==(const Tags&, const Tags&) = default;

private:
    std::vector<Tag> tags_;
};

/// Avro array of {name, value} (ao-protocol.md 1.4): any number of blocks, negative counts with a byte size, a final
/// block of 0. No bytes at all, or the final block alone, are no tags.
/// @param declared  the item's own count, which must agree
/// @return item.bad_tags
Result<Tags> decode_tags(Bytes wire, std::uint64_t declared);

/// One positive block and the final 0; no bytes at all for no tags, as arbundles writes it.
Buffer encode_tags(const Tags& tags);

}  // namespace altiplano::item
