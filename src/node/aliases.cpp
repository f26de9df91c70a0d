#include "node/aliases.hpp"

#include "node/errors.hpp"

#include <fmt/format.h>

namespace altiplano::node {

Result<ConfiguredAliases> ConfiguredAliases::of(const std::map<std::string, std::string>& table, store::RecordsReader& records)
{
    std::map<ItemId, std::string> by_id;
    for (const auto& [published, local] : table) {
        const auto id = ItemId::parse(published);
        if (!id || (!ItemId::parse(local) && local.find('=') == local.npos))
            return fail(errors::bad_config, fmt::format("the alias '{}' = '{}' is none", published, local),
                "a published id of 43 characters, and an id or Tag=Value that stands for it");
        by_id.emplace(*id, local);
    }
    return ConfiguredAliases(std::move(by_id), records);
}

std::optional<ItemId> ConfiguredAliases::resolve(const ItemId& published) const
{
    const auto named = table_.find(published);
    if (named == table_.end())
        return std::nullopt;
    const auto& what = named->second;
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

}  // namespace altiplano::node
