#pragma once

#include "base/id.hpp"
#include "store/records.hpp"

#include <map>
#include <string>

namespace altiplano::node {

/// The aliases of the configuration: published ids, and what stands for each here, an item of this weave that is named by its
/// id, or the newest one with a tag. Asked only when something is accepted or read by a client: what a process was given stands
/// in its log.
class ConfiguredAliases {
public:
    /// @param table  published id -> id, or Tag=Value @return node.bad_config
    static Result<ConfiguredAliases> of(const std::map<std::string, std::string>& table, store::RecordsReader& records);

    /// Nothing when nothing stands for it, or what does is not here. Safe from any thread.
    std::optional<ItemId> resolve(const ItemId& published) const;
    /// As the operator wrote them, by published id.
    const std::map<ItemId, std::string>& table() const noexcept { return table_; }

private:
    ConfiguredAliases(std::map<ItemId, std::string> table, store::RecordsReader& records)
        : table_(std::move(table))
        , records_(&records)
    {
    }

    std::map<ItemId, std::string> table_;
    store::RecordsReader* records_;
};

}  // namespace altiplano::node
