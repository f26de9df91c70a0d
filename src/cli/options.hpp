#pragma once

#include "base/files.hpp"
#include "base/result.hpp"
#include "item/signer.hpp"

#include <string>
#include <vector>

namespace altiplano::cli {

/// What scripts rely on.
enum class Exit { ok = 0, failure = 1, usage = 2, not_found = 3, refused = 4, mismatch = 5 };
Exit exit_of(std::string_view code);

/// Options that every command takes.
struct Common {
    bool json = false;  ///< print exactly one document
    std::string url;  ///< of the node; from ALTIPLANO_NODE, else http://127.0.0.1:4000
    std::string wallet;  ///< file of the key that signs; from ALTIPLANO_WALLET, else under ~/.config/altiplano

    /// The key of the wallet, made at its first use. @return item.bad_key, base.*
    Result<std::unique_ptr<item::Signer>> key() const;
};
Common defaults();

/// A variable of the environment, or something else where it is not set or empty.
std::string environment_or(const char* name, std::string otherwise);

/// `name=value`. @return cli.bad_argument
Result<item::Tag> parse_tag(std::string_view text);

/// Prints an error as people read it, or as JSON, and gives the exit code that belongs to it.
/// @param kept  what happened to what was sent; empty: nothing to say
Exit report(const Common& common, const Error& error, std::string_view kept = {});

/// Prints one JSON document, or lines of `name  value`.
void print(const Common& common, const std::string& json, const std::vector<std::pair<std::string, std::string>>& lines);

/// Whether colours may be used on stdout: a terminal, and no NO_COLOR.
bool colours();
/// Text from a guest, fit for a terminal: without control characters that would move the cursor or worse.
std::string printable(std::string_view text);

}  // namespace altiplano::cli
