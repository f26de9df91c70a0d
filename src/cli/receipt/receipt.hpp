#pragma once

#include "cli/receipt/facts.hpp"
#include "net/http.hpp"

#include <set>

namespace altiplano::cli {

/// A receipt as it lies in a file: what it says, and with a bundle what is needed to compute it again.
struct Receipt {
    Facts facts;
    std::string gateway;  ///< URL of the node that gave it, where the rest may be fetched
    struct Bundle {
        std::vector<weave::Block> blocks;  ///< from block 0 on, with the ids of their items
        std::map<ItemId, std::string> items;  ///< as signed, in base64url
        std::set<ItemId> elsewhere;  ///< needed as well, but too large for a bundle: fetched
    };
    std::optional<Bundle> bundle{};
    bool whole = true;  ///< whether every byte of the file is as it was written
};

/// Largest item that a bundle carries.
inline constexpr std::uint64_t bundled_bytes_max = std::uint64_t{512} << 20;

/// The text of a file: one JSON object whose last member is the SHA-256 of all bytes before it.
std::string write_receipt(const Receipt& receipt);
/// @return cli.receipt_differs for a file that is no receipt
Result<Receipt> read_receipt(std::string_view text);

/// What a slot's recomputation needs of this weave. @param opened  items that the process opened until then
/// @return weave.*, store.*
Result<Receipt::Bundle> make_bundle(weave::Weave& weave, store::Records& records, scheduler::LogReader& log,
    const units::Slot& slot, const std::set<ItemId>& opened);

/// Fills an empty data folder with what a receipt needs: from its bundle, or all of the weave that it speaks of from the gateway.
/// Every signature, link and id is verified. @return cli.receipt_differs naming what was changed; net.*, weave.*, store.*
Result<void> fill_folder(const Path& folder, const Receipt& receipt, net::Http& http, const std::string& gateway);

}  // namespace altiplano::cli
