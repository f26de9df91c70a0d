#include "weave/ledger.hpp"

#include "weave/errors.hpp"

#include <fmt/format.h>

namespace altiplano::weave {

namespace {

/// Empty is for a wallet's first transaction; else the wallet's last one, or a block of this weave that is not too old.
Result<void> check_anchor(
    store::RecordsWriter& records, const item::Header& transaction, const store::WalletRecord& wallet, const Block& tip)
{
    const auto anchor = transaction.anchor();
    if (anchor.empty() && !wallet.last_transaction)
        return {};
    if (anchor.size() == ItemId::size) {
        if (wallet.last_transaction && equal(anchor, wallet.last_transaction->bytes()))
            return {};
        TRY(const auto hash, BlockHash::from_bytes(anchor));
        TRY(const auto block, records.block_by_hash(hash));
        if (block
            && (tip.height - block->height <= anchor_blocks_max || tip.timestamp_ms - block->timestamp_ms <= anchor_age_max_ms))
            return {};
    }
    return fail(errors::bad_anchor,
        fmt::format("the last_tx of transaction {} is neither a young block of this weave nor the last transaction of {}",
            transaction.id().text(), transaction.owner().text()),
        "GET /tx_anchor gives one");
}

}  // namespace

Result<item::Winston> Price::of(std::uint64_t bytes) const
{
    const auto data = per_byte.times(bytes);
    const auto sum = data ? data->plus(base) : std::nullopt;
    if (!sum)
        return fail(errors::over_limit, fmt::format("{} bytes cost more AR than there can be", bytes));
    return *sum;
}

Result<item::Winston> charge(store::RecordsWriter& records, const item::Header& transaction, const Price& price, const Block& tip)
{
    const auto& layer1 = *transaction.layer1();
    const auto& owner = transaction.owner().text();
    if (!layer1.quantity.is_zero() && !transaction.target())
        return fail(errors::bad_transfer,
            fmt::format("transaction {} gives {} Winston to nobody", transaction.id().text(), layer1.quantity.text()));
    if (transaction.target() && transaction.target()->text() == owner)
        return fail(errors::bad_transfer, fmt::format("transaction {} goes from {} to itself", transaction.id().text(), owner));

    TRY(auto wallet, records.layer1().wallet(owner));
    TRY_OK(check_anchor(records, transaction, wallet, tip));
    TRY(const auto least, price.of(layer1.data_size));
    if (layer1.reward < least)
        return fail(errors::reward_too_low,
            fmt::format("the reward is {} Winston; {} bytes cost {}", layer1.reward.text(), layer1.data_size, least.text()),
            fmt::format("GET /price/{} says what to offer", layer1.data_size));
    TRY(const auto balance, item::Winston::parse(wallet.balance));
    const auto cost = layer1.quantity.plus(layer1.reward);
    const auto left = cost ? balance.minus(*cost) : std::nullopt;
    if (!left)
        return fail(errors::no_funds,
            fmt::format("{} has {} Winston; the transaction spends {} and {} for its reward", owner, balance.text(),
                layer1.quantity.text(), layer1.reward.text()),
            fmt::format("on a development node GET /mint/{}/WINSTON gives some", owner));
    wallet.balance = left->text();
    wallet.last_transaction = transaction.id();
    TRY_OK(records.layer1().put_wallet(owner, wallet));
    return *cost;
}

Result<void> credit(store::RecordsWriter& records, std::string_view address, item::Winston amount)
{
    if (amount.is_zero())
        return {};
    TRY(auto wallet, records.layer1().wallet(address));
    TRY(const auto balance, item::Winston::parse(wallet.balance));
    const auto sum = balance.plus(amount);
    if (!sum)
        return fail(errors::over_limit, fmt::format("{} would have more AR than there can be", address));
    wallet.balance = sum->text();
    return records.layer1().put_wallet(address, wallet);
}

}  // namespace altiplano::weave
