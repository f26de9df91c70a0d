#pragma once

#include "item/winston.hpp"
#include "weave/weave.hpp"

/// Test AR: what wallets have, what a transaction costs them, which one may spend. Whoever has the node has the mint: this AR is
/// worth nothing, and only makes clients' transfers and prices work.
namespace altiplano::weave {

/// What a transaction must offer as its reward: `base` and as much for each byte of its data. Nothing by default: a local weave
/// costs its owner disk, not AR. Rewards that are offered are taken, and nobody gets them.
struct Price {
    item::Winston base{};
    item::Winston per_byte{};
    /// @return weave.over_limit for a product past 2^127
    Result<item::Winston> of(std::uint64_t bytes) const;
};

/// How old a block may be that a transaction names as its anchor: 50 blocks as on Arweave, where they take 100 minutes. Here one
/// write is one block, so a younger one than that always does.
inline constexpr std::uint64_t anchor_blocks_max = 50;
inline constexpr std::int64_t anchor_age_max_ms = std::int64_t{100} * 60 * 1000;

/// Takes a transaction's quantity and reward from its owner's wallet, whose last transaction it then is. Inside the transaction
/// that keeps it. @return the sum; weave.bad_transfer, weave.bad_anchor, weave.reward_too_low, weave.no_funds
Result<item::Winston> charge(
    store::RecordsWriter& records, const item::Header& transaction, const Price& price, const Block& tip);
/// Gives an amount to a wallet. @return weave.over_limit past 2^127
Result<void> credit(store::RecordsWriter& records, std::string_view address, item::Winston amount);

}  // namespace altiplano::weave
