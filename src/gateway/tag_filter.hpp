#pragma once

#include "gateway/graphql/values.hpp"
#include "item/tags.hpp"

namespace altiplano::gateway {

/// One `TagFilter` of a query.
struct TagFilter {
    enum class Match : std::uint8_t { exact, wildcard, all_words, any_word };

    std::optional<std::string> name{};  ///< nothing: any
    std::optional<std::vector<std::string>> values{};  ///< any of these; nothing: any at all
    bool must_be = true;  ///< false: no such tag may be there
    Match match = Match::exact;

    static TagFilter of(const graphql::Input& input);
    /// Whether an item with these tags fits.
    bool fits(const item::Tags& tags) const;
    /// Whether the index alone can decide it.
    bool is_indexed() const { return name && values && match == Match::exact; }
};

/// Whether `text` is `pattern` with some text in place of each `*`. Cost: the product of the lengths at most.
bool matches_wildcard(std::string_view pattern, std::string_view text);

}  // namespace altiplano::gateway
