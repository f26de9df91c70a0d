#include "gateway/tag_filter.hpp"

#include <algorithm>
#include <set>

namespace altiplano::gateway {

namespace {

/// Words are runs of ASCII letters and digits, in lower case, and of other bytes than ASCII.
std::set<std::string> words_of(std::string_view text)
{
    std::set<std::string> words;
    std::string word;
    const auto end_word = [&] {
        if (!word.empty())
            words.insert(std::exchange(word, {}));
    };
    for (const char c : text) {
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80)
            word += c;
        else if (c >= 'A' && c <= 'Z')
            word += static_cast<char>(c - 'A' + 'a');
        else
            end_word();
    }
    end_word();
    return words;
}

bool matches(TagFilter::Match how, std::string_view wanted, std::string_view value)
{
    if (how == TagFilter::Match::exact)
        return wanted == value;
    if (how == TagFilter::Match::wildcard)
        return matches_wildcard(wanted, value);
    const auto want = words_of(wanted);
    const auto have = words_of(value);
    const auto is_there = [&](const std::string& word) { return have.contains(word); };
    return how == TagFilter::Match::all_words ? std::ranges::all_of(want, is_there) : std::ranges::any_of(want, is_there);
}

}  // namespace

bool matches_wildcard(std::string_view pattern, std::string_view text)
{
    // Going back to the last star is enough: an earlier one could only have taken less.
    std::size_t at = 0;
    std::size_t in = 0;
    std::size_t star = std::string_view::npos;
    std::size_t star_in = 0;
    while (in < text.size()) {
        if (at < pattern.size() && pattern[at] == '*') {
            star = at++;
            star_in = in;
        } else if (at < pattern.size() && pattern[at] == text[in]) {
            ++at;
            ++in;
        } else if (star != std::string_view::npos) {
            at = star + 1;
            in = ++star_in;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

TagFilter TagFilter::of(const graphql::Input& input)
{
    TagFilter filter;
    const auto text = [&](std::string_view field) -> std::optional<std::string> {
        const auto* value = input.member(field);
        return value ? std::optional(std::get<std::string>(value->value)) : std::nullopt;
    };
    filter.name = text("name");
    if (const auto* values = input.member("values")) {
        filter.values.emplace();
        for (const auto& one : std::get<graphql::Input::List>(values->value))
            filter.values->push_back(std::get<std::string>(one.value));
    }
    filter.must_be = text("op") != "NEQ";
    const auto match = text("match").value_or("EXACT");
    filter.match = match == "WILDCARD" ? Match::wildcard
        : match == "FUZZY_AND"         ? Match::all_words
        : match == "FUZZY_OR"          ? Match::any_word
                                       : Match::exact;
    return filter;
}

bool TagFilter::fits(const item::Tags& tags) const
{
    const auto is_such = [&](const item::Tag& tag) {
        if (name && *name != tag.name)
            return false;
        return !values
            || std::ranges::any_of(*values, [&](const std::string& wanted) { return matches(match, wanted, tag.value); });
    };
    return std::any_of(tags.begin(), tags.end(), is_such) == must_be;
}

}  // namespace altiplano::gateway
