#pragma once

#include "node/http/message.hpp"

#include <list>
#include <unordered_map>

namespace altiplano::node::http {

/// Finished replies to targets that have the same reply for ever (`Reply::lasting`): what was asked for last stays, within a
/// number of bytes. One thread.
class KeptReplies {
public:
    struct Kept {
        std::string head;  ///< status line and fields, without the empty line behind them
        std::string body;
        std::string route;
    };
    static constexpr std::size_t reply_bytes_max = std::size_t{256} << 10;  ///< of one that is kept

    explicit KeptReplies(std::size_t bytes_max)
        : bytes_max_(bytes_max)
    {
    }

    std::shared_ptr<const Kept> find(const Site& site, std::string_view target);
    /// Makes room for it by forgetting what was not asked for longest. One that is too large is not kept.
    void keep(const Site& site, std::string target, Kept reply);
    std::size_t bytes() const noexcept { return bytes_; }

private:
    struct Entry {
        const Site* site;
        std::string target;
        std::shared_ptr<const Kept> kept;
        std::size_t bytes() const;
    };
    struct Key {
        const Site* site;
        std::string_view target;  ///< of the entry
        bool operator==(const Key&) const = default;
    };
    struct KeyHash {
        std::size_t operator()(const Key& key) const noexcept
        {
            return std::hash<std::string_view>{}(key.target) ^ std::hash<const Site*>{}(key.site);
        }
    };
    std::list<Entry> entries_;  ///< the latest first
    std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> by_key_;
    const std::size_t bytes_max_;
    std::size_t bytes_ = 0;
};

}  // namespace altiplano::node::http
