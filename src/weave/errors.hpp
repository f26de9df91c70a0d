#pragma once

#include <string_view>

/// The codes of the room `weave`.
namespace altiplano::weave::errors {
inline constexpr std::string_view unknown_item = "weave.unknown_item";
inline constexpr std::string_view unknown_block = "weave.unknown_block";
inline constexpr std::string_view broken_item = "weave.broken_item";  ///< what is stored is not what was signed
inline constexpr std::string_view broken_block = "weave.broken_block";  ///< a block's hash or link is not that of its content
inline constexpr std::string_view known_transaction = "weave.known_transaction";  ///< it is here already
inline constexpr std::string_view bad_anchor =
    "weave.bad_anchor";  ///< last_tx names neither a new block nor the last transaction
inline constexpr std::string_view reward_too_low = "weave.reward_too_low";
inline constexpr std::string_view no_funds = "weave.no_funds";  ///< a wallet that has less than it spends
inline constexpr std::string_view bad_transfer = "weave.bad_transfer";  ///< to nobody, or to oneself
inline constexpr std::string_view over_limit = "weave.over_limit";  ///< more data, uploads or AR than this node takes
inline constexpr std::string_view unknown_upload = "weave.unknown_upload";  ///< a chunk that no transaction here waits for
inline constexpr std::string_view bad_chunk = "weave.bad_chunk";  ///< a chunk's bytes are not those that its path proves
inline constexpr std::string_view unknown_chunk = "weave.unknown_chunk";
inline constexpr std::string_view unknown_wallet = "weave.unknown_wallet";  ///< what is asked about is no wallet's address
inline constexpr std::string_view bad_answer = "weave.bad_answer";  ///< what another gateway gives cannot be verified
inline constexpr std::string_view bad_manifest = "weave.bad_manifest";  ///< a path manifest that cannot be read
inline constexpr std::string_view unknown_path = "weave.unknown_path";  ///< a path that a manifest does not have
inline constexpr std::string_view no_weave = "weave.no_weave";  ///< opened for reading, but there is none
inline constexpr std::string_view no_index = "weave.no_index";  ///< the index of items is missing; a node makes it
inline constexpr std::string_view cannot_follow =
    "weave.cannot_follow";  ///< another node's weave is not there, or not what it was
}  // namespace altiplano::weave::errors
