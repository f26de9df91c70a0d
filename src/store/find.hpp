#pragma once

#include "base/bytes.hpp"
#include "base/id.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

/// What items are found by, and how one asks for them.
namespace altiplano::store {

struct ItemRecord;

/// One thing that an item is found by: the first 16 bytes of a SHA-256, so that a term of any length costs the same in the
/// index. Two that a stranger makes equal would take 2^64 hashes, and name one another only.
class Term {
public:
    static Term tag(std::string_view name, std::string_view value);
    static Term owner(std::string_view address);
    static Term recipient(std::string_view address);
    static Term bundle(const ItemId& bundle);  ///< that the item lies in

    Bytes bytes() const noexcept { return bytes_; }
    friend auto operator<=>(const Term&, const Term&) = default;

private:
    explicit Term(const std::array<std::byte, 16>& bytes)
        : bytes_(bytes)
    {
    }
    std::array<std::byte, 16> bytes_;
};

/// How much a search may do: rows of the index and of items that it looks at. Shared by the searches of one request.
struct Work {
    std::uint64_t left = UINT64_MAX;
};

/// A search among the items, in the order in which they came, which is also the order of their heights.
struct Find {
    using Group = std::vector<Term>;
    std::vector<Group> each_of{};  ///< an item must have a term of every group; an empty group has no items
    std::vector<Term> none_of{};
    std::optional<std::vector<ItemId>> ids{};  ///< only these
    std::uint64_t height_min = 0;
    std::uint64_t height_max = INT64_MAX;
    std::optional<ItemId> after{};  ///< begins behind this item, which need not match itself
    bool newest_first = false;
    std::size_t limit = 0;
    bool with_records = false;  ///< whether what is found comes with the items' records
    /// What the index cannot decide, asked per item that fits otherwise; it gets the record without its data.
    std::function<bool(const ItemRecord& item)> only{};
};

}  // namespace altiplano::store
