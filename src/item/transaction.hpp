#pragma once

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "item/signer.hpp"
#include "item/tags.hpp"
#include "item/winston.hpp"

#include <optional>

/// Transactions of Arweave's first layer, as arweave-js makes them. Stored and read they are items like any other: a
/// Header holds them too.
namespace altiplano::item {

/// Most bytes of all names and values of a transaction's tags, and most tags (a node's ar_tx).
inline constexpr std::size_t transaction_tag_bytes_max = 2048;
inline constexpr std::size_t transaction_tags_max = 128;
/// Most data inside a transaction's own JSON; more is uploaded in chunks.
inline constexpr std::uint64_t inline_data_bytes_max = std::uint64_t{10} << 20;

/// A transaction's JSON, read: its header, and its data where that was inside.
struct PostedTransaction {
    Header header;
    Buffer data{};
};
/// Structure only, the signature is not checked. Formats 1 and 2; tags, amounts and keys within the network's limits; the id is
/// that of the signature. @return item.bad_transaction, item.bad_amount, item.bad_data_root, item.tag_bytes_over_limit
Result<PostedTransaction> read_transaction(std::string_view json);

/// What a transaction is signed with.
struct TransactionFields {
    std::optional<Digest> target{};
    Tags tags{};
    Winston quantity{};
    Winston reward{};
    Buffer anchor{};  ///< `last_tx`: empty, a transaction's or a block's id
    std::uint64_t data_size = 0;
    std::optional<Digest> data_root{};  ///< of any data
};
/// One of format 2. @param signer  has an Arweave key @return item.bad_field
Result<Header> build_transaction(const TransactionFields& fields, const Signer& signer);

/// Whether a transaction's data is what it signs: by its root, in format 1 by the signature itself.
/// @return item.bad_data_root, item.bad_signature
Result<void> verify_data(const Header& transaction, Bytes data);

}  // namespace altiplano::item
