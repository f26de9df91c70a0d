#pragma once

#include "item/data_item.hpp"
#include "net/http.hpp"
#include "store/blobs.hpp"
#include "store/records.hpp"

#include <mutex>

namespace altiplano::weave {

/// Keeps a copy of another node's weave: the same blocks at the same heights, each with the hash that its content has and
/// each item verified before it is stored. Whoever reads the copy calls `reach` first. Safe from any thread.
class Follower {
public:
    /// @param url  of a gateway of ours
    Follower(net::Http& http, std::string url, store::Records& records, store::Blobs& blobs)
        : http_(http)
        , url_(std::move(url))
        , records_(records)
        , blobs_(blobs)
    {
    }
    /// Copies what is there now, from block 0 on. @return net.*, weave.cannot_follow: what does not fit is not stored
    Result<void> catch_up();
    /// Returns when the copy has the block of this height. Cost: nothing when it has. @return as `catch_up`
    Result<void> reach(std::uint64_t height);
    /// Stores an item at the gateway. Durable there when it returns. @return net.*, weave.cannot_follow
    Result<void> put(const item::DataItem& item);

private:
    Result<std::optional<std::uint64_t>> height();
    /// @return how many blocks came
    Result<std::size_t> copy_from(std::uint64_t height);

    net::Http& http_;
    const std::string url_;
    store::Records& records_;
    store::Blobs& blobs_;
    std::mutex mutex_;  ///< one copies at a time
};

}  // namespace altiplano::weave
