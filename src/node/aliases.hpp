#pragma once

#include "base/id.hpp"
#include "store/records.hpp"

#include <map>
#include <string>
#include <vector>

namespace altiplano::node {

/// Published ids, and what stands for each here, for development: an item of this weave that is named by its id, or the newest
/// one with a tag. The configuration names some, others are added while the node runs and are kept. Asked only when something is
/// accepted or read by a client: what a process was given stands in its log. Safe from any thread.
class Aliases {
public:
    struct One {
        ItemId published;
        std::string what;  ///< an id, or Tag=Value
        bool configured = true;  ///< else added
    };

    /// @param configured  published id -> id, or Tag=Value @param on  whether there are aliases here at all
    /// @return node.bad_config
    static Result<Aliases> of(const std::map<std::string, std::string>& configured, store::Records& records, bool on);

    /// Nothing when nothing stands for it, or what does is not here.
    std::optional<ItemId> resolve(const ItemId& published) const;
    /// By published id. @return store.*
    Result<std::vector<One>> all() const;
    /// What the configuration says stays; what was added is replaced. Durable when it returns.
    /// @return node.development_only, node.bad_option, store.*
    Result<void> add(std::string_view published, std::string_view what);
    /// @return node.development_only, node.bad_option when it was not added, store.*
    Result<void> remove(std::string_view published);

private:
    Aliases(std::map<ItemId, std::string> configured, store::Records& records, bool on)
        : configured_(std::move(configured))
        , records_(&records)
        , on_(on)
    {
    }
    Result<std::optional<std::string>> named(const ItemId& published) const;
    Result<ItemId> changeable(std::string_view published) const;

    std::map<ItemId, std::string> configured_;
    store::Records* records_;
    bool on_;
};

}  // namespace altiplano::node
