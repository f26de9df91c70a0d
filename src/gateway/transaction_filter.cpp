#include "gateway/transaction_filter.hpp"

#include "base/base64url.hpp"
#include "base/hash.hpp"
#include "gateway/errors.hpp"
#include "gateway/tag_filter.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::gateway {

namespace {

/// An owner may be named by the public key, which is longer than any address.
std::string address_of(const std::string& owner)
{
    if (owner.size() < 64)
        return owner;
    const auto key = from_base64url(owner);
    return key ? Id<struct OwnerKind>(sha256(*key)).text() : owner;
}

std::vector<TagFilter> tag_filters(const graphql::Inputs& arguments)
{
    std::vector<TagFilter> filters;
    const auto found = arguments.find("tags");
    if (found != arguments.end())
        if (const auto* list = std::get_if<graphql::Input::List>(&found->second.value))
            for (const auto& one : *list)
                filters.push_back(TagFilter::of(one));
    return filters;
}

/// Some texts, as the terms that a group is made of.
template <class MakeTerm>
void add_group(store::Find& find, const std::optional<std::vector<std::string>>& texts, const MakeTerm& term)
{
    if (!texts || texts->empty())
        return;
    auto& group = find.each_of.emplace_back();
    for (const auto& text : *texts)
        if (const std::optional<store::Term> made = term(text))
            group.push_back(*made);
}

Result<void> add_heights(Asked& asked, const graphql::Inputs& arguments, store::Find& find)
{
    const auto limit = [&](std::optional<std::int64_t> min, std::optional<std::int64_t> max) {
        if (min)
            find.height_min = std::max(find.height_min, static_cast<std::uint64_t>(std::max<std::int64_t>(*min, 0)));
        if (max && *max < 0)
            find.each_of.emplace_back();  // No item is that old.
        else if (max)
            find.height_max = std::min(find.height_max, static_cast<std::uint64_t>(*max));
    };
    const auto block = range_of(arguments, "block");
    limit(block.min, block.max);

    // Items are taken in when their block is sealed, so a time is a height.
    const auto ingested = range_of(arguments, "ingested_at");
    if (ingested.min) {
        TRY(const auto height, asked.height_from(*ingested.min));
        limit(static_cast<std::int64_t>(height), {});
    }
    if (ingested.max) {
        TRY(const auto height, asked.height_from(*ingested.max + 1));
        limit({}, static_cast<std::int64_t>(height) - 1);
    }
    return {};
}

}  // namespace

Result<store::Find> search_of(Asked& asked, const graphql::Inputs& arguments)
{
    store::Find find;
    TRY(const auto page, page_of(arguments));
    find.limit = page.first;
    find.newest_first = page.newest_first;
    if (page.after) {
        const auto cursor = ItemId::parse(*page.after);
        if (!cursor)
            return fail(errors::bad_cursor, fmt::format("\"{}\" is no cursor of this gateway", page.after->substr(0, 100)),
                "a cursor comes from an edge of the page before");
        find.after = *cursor;
    }

    // What the index decides.
    if (const auto ids = texts_argument(arguments, "ids"); ids && !ids->empty()) {
        find.ids.emplace();
        for (const auto& text : *ids)
            if (const auto id = ItemId::parse(text)) {
                TRY(const auto real, asked.weave().real(*id));
                find.ids->push_back(real);
            }
    }
    add_group(find, texts_argument(arguments, "owners"),
        [](const std::string& owner) { return std::optional(store::Term::owner(address_of(owner))); });
    add_group(find, texts_argument(arguments, "recipients"),
        [](const std::string& recipient) { return std::optional(store::Term::recipient(recipient)); });
    for (const auto* name : {"bundledIn", "parent"})
        add_group(find, texts_argument(arguments, name), [](const std::string& text) {
            const auto id = ItemId::parse(text);
            return id ? std::optional(store::Term::bundle(*id)) : std::nullopt;
        });
    TRY_OK(add_heights(asked, arguments, find));
    std::vector<TagFilter> rest;
    for (auto& filter : tag_filters(arguments)) {
        if (!filter.is_indexed()) {
            rest.push_back(std::move(filter));
            continue;
        }
        std::vector<store::Term> terms;
        for (const auto& value : *filter.values)
            terms.push_back(store::Term::tag(*filter.name, value));
        if (filter.must_be)
            find.each_of.push_back(std::move(terms));
        else
            find.none_of.insert(find.none_of.end(), terms.begin(), terms.end());
    }

    // What each item is asked. An explicit null asks for items out of no bundle.
    const bool no_bundle = std::ranges::any_of(std::initializer_list<std::string_view>{"bundledIn", "parent"}, [&](auto name) {
        const auto found = arguments.find(name);
        return found != arguments.end() && found->second.is_null();
    });
    if (!rest.empty() || no_bundle)
        find.only = [rest = std::move(rest), no_bundle](const store::ItemRecord& item) {
            if (no_bundle && item.bundle)
                return false;
            if (rest.empty())
                return true;
            const auto header = item::Header::parse_stored(item.header);
            return header && std::ranges::all_of(rest, [&](const TagFilter& filter) { return filter.fits(header->tags()); });
        };
    return find;
}

}  // namespace altiplano::gateway
