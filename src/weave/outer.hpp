#pragma once

#include "base/clock.hpp"
#include "net/http.hpp"
#include "weave/transactions.hpp"

#include <map>

namespace altiplano::weave {

/// Other gateways, asked for what this weave does not hold. What they say is believed only as far as it is signed: an item comes
/// in when its signature, and of a transaction its data's root, have been verified; then it lies in a block of this weave like
/// any other. Nobody is asked unless the operator named gateways. Safe from any thread.
class Outer {
public:
    struct Options {
        std::vector<std::string> gateways{};  ///< URLs, asked in this order
        std::uint64_t data_bytes_max = std::uint64_t{4} << 30;  ///< of one item
        std::int64_t forget_ms = 30'000;  ///< for so long a gateway's "not here" is believed
    };
    Outer(Transactions& transactions, Weave& weave, net::Http& http, Clock& clock, Options options)
        : transactions_(transactions)
        , weave_(weave)
        , http_(http)
        , clock_(clock)
        , options_(std::move(options))
    {
    }

    /// Puts an item into the weave, unless it is there. @return weave.unknown_item when no gateway has it; weave.bad_answer for
    /// one that cannot be verified; net.*, store.*, base.*
    Result<void> fetch(const ItemId& id);

private:
    Result<void> fetch_from(const std::string& gateway, const ItemId& id);
    Result<void> fetch_transaction(const std::string& gateway, const ItemId& id, const item::Header& header, Buffer data);
    Result<void> fetch_item(const std::string& gateway, const ItemId& id, const std::vector<item::Header>& headers);
    Result<std::optional<std::vector<item::Header>>> ask_graphql(const std::string& gateway, const ItemId& id);
    Result<void> download(
        const std::string& gateway, const ItemId& id, std::uint64_t size_max, const std::function<Result<void>(Bytes)>& take);
    std::shared_ptr<std::mutex> alone_with(const ItemId& id);

    Transactions& transactions_;
    Weave& weave_;
    net::Http& http_;
    Clock& clock_;
    Options options_;
    std::mutex lock_;
    std::map<ItemId, std::weak_ptr<std::mutex>> under_way_;
    std::map<ItemId, std::int64_t> missing_;  ///< since when
};

}  // namespace altiplano::weave
