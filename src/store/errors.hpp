#pragma once

#include <string_view>

/// The codes of the room `store`.
namespace altiplano::store::errors {
inline constexpr std::string_view not_found = "store.not_found";
inline constexpr std::string_view conflict = "store.conflict";  ///< another record has that key
inline constexpr std::string_view result_differs = "store.result_differs";  ///< a slot has another result already; both are kept
inline constexpr std::string_view newer_format = "store.newer_format";  ///< the data folder is of a newer program
inline constexpr std::string_view database = "store.database";  ///< SQLite failed
inline constexpr std::string_view too_much_work = "store.too_much_work";  ///< a search that would look at too much
inline constexpr std::string_view damaged = "store.damaged";  ///< a database file holds other bytes than were written
inline constexpr std::string_view disk_full = "store.disk_full";
inline constexpr std::string_view broken = "store.broken";  ///< an earlier commit failed: reopen from disk
}  // namespace altiplano::store::errors
