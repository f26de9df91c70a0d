#pragma once

#include "base/files.hpp"
#include "base/id.hpp"

namespace altiplano::node {

/// The extensions of others that a node offers to new processes: `DIR/extensions`, an item's id per line. Its operator's list:
/// processes that were spawned with an extension keep it, whatever stands here later. Looked at anew whenever somebody asks.
class Offered {
public:
    Offered(Files& files, Path list)
        : files_(files)
        , list_(std::move(list))
    {
    }
    /// In the order in which they were added. No list is an empty one. @return node.bad_extensions, base.*
    Result<std::vector<ItemId>> all() const;
    bool has(const ItemId& id) const;
    /// @return whether that changed anything; base.*
    Result<bool> add(const ItemId& id) const;
    Result<bool> remove(const ItemId& id) const;

private:
    Result<void> write(const std::vector<ItemId>& ids) const;

    Files& files_;
    Path list_;
};

}  // namespace altiplano::node
