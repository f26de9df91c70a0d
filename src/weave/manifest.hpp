#pragma once

#include "base/id.hpp"
#include "base/result.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace altiplano::weave {

inline constexpr std::string_view manifest_type = "application/x.arweave-manifest+json";
inline constexpr std::uint64_t manifest_bytes_max = std::uint64_t{16} << 20;

/// The item that a path manifest (`arweave/paths`, versions 0.1.0 and 0.2.0) has at a path; the empty path is its index. What it
/// does not have is its fallback, if it names one. A path means the same with and without a slash at its end.
/// @return weave.bad_manifest, weave.unknown_path
Result<ItemId> resolve_path(std::string_view manifest, std::string_view path);

}  // namespace altiplano::weave
