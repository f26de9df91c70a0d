#include "node/aliases.hpp"

#include "node/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::node {

namespace {

constexpr std::string_view key_beginning = "alias ";
constexpr std::size_t what_bytes_max = 1024;
constexpr std::string_view expected = "a published id of 43 characters, and an id or Tag=Value that stands for it";

std::string key_of(const ItemId& published)
{
    return std::string(key_beginning) + published.text();
}

bool names_something(std::string_view what)
{
    return what.size() <= what_bytes_max && (ItemId::parse(what) || what.find('=') != what.npos);
}

}  // namespace

Result<Aliases> Aliases::of(const std::map<std::string, std::string>& configured, store::Records& records, bool on)
{
    std::map<ItemId, std::string> by_id;
    for (const auto& [published, what] : configured) {
        const auto id = ItemId::parse(published);
        if (!id || !names_something(what))
            return fail(errors::bad_config, fmt::format("the alias '{}' = '{}' is none", published, what), std::string(expected));
        by_id.emplace(*id, what);
    }
    return Aliases(std::move(by_id), records, on);
}

Result<std::optional<std::string>> Aliases::named(const ItemId& published) const
{
    if (!on_)
        return std::optional<std::string>{};
    if (const auto found = configured_.find(published); found != configured_.end())
        return std::optional(found->second);
    return records_->meta(key_of(published));
}

std::optional<ItemId> Aliases::resolve(const ItemId& published) const
{
    const auto found_name = named(published);
    if (!found_name || !*found_name)
        return std::nullopt;
    const auto& what = **found_name;
    if (const auto id = ItemId::parse(what)) {
        const auto item = records_->item(*id);
        return item && *item ? std::optional(*id) : std::nullopt;
    }
    const auto equals = what.find('=');
    store::Work work{.left = 100'000};
    const auto found = records_->find(
        {.each_of = {{store::Term::tag(what.substr(0, equals), what.substr(equals + 1))}}, .newest_first = true, .limit = 1},
        work);
    return found && !found->ids.empty() ? std::optional(found->ids.front()) : std::nullopt;
}

Result<std::vector<Aliases::One>> Aliases::all() const
{
    std::vector<One> found;
    if (!on_)
        return found;
    for (const auto& [published, what] : configured_)
        found.push_back({.published = published, .what = what});
    TRY(const auto added, records_->metas(key_beginning));
    for (const auto& [key, what] : added)
        if (const auto id = ItemId::parse(std::string_view(key).substr(key_beginning.size())); id && !configured_.contains(*id))
            found.push_back({.published = *id, .what = what, .configured = false});
    std::ranges::sort(found, {}, &One::published);
    return found;
}

Result<ItemId> Aliases::changeable(std::string_view published) const
{
    if (!on_)
        return fail(errors::development_only, "this node is not for development: no id stands for another one here");
    const auto id = ItemId::parse(published);
    if (!id)
        return fail(errors::bad_option, fmt::format("'{}' is no published id", published.substr(0, 100)), std::string(expected));
    if (configured_.contains(*id))
        return fail(errors::bad_option, fmt::format("the alias of {} stands in the configuration", id->text()),
            "change it there: [aliases], or --aliases");
    return *id;
}

Result<void> Aliases::add(std::string_view published, std::string_view what)
{
    TRY(const auto id, changeable(published));
    if (!names_something(what))
        return fail(errors::bad_option, fmt::format("'{}' stands for nothing", what.substr(0, 100)), std::string(expected));
    return records_->write([&](store::RecordsWriter& writer) { return writer.put_meta(key_of(id), what); });
}

Result<void> Aliases::remove(std::string_view published)
{
    TRY(const auto id, changeable(published));
    return records_->write([&](store::RecordsWriter& writer) -> Result<void> {
        TRY(const auto there, writer.meta(key_of(id)));
        if (!there)
            return fail(
                errors::bad_option, fmt::format("nothing stands for {}", id.text()), "`altiplano alias ls` lists what does");
        return writer.remove_meta(key_of(id));
    });
}

}  // namespace altiplano::node
