#pragma once

#include "base/bytes.hpp"
#include "base/id.hpp"
#include "base/result.hpp"
#include "item/tags.hpp"

namespace altiplano::announced {

/// A function of an extension. Parameters and result are i64; the last two parameters are the address and the bytes of a scratch,
/// at least `scratch_bytes_min`, at whose end the reference module's stack begins. The guest gets it back as it was.
struct Function {
    struct Price {
        unsigned parameter;  ///< from 1
        std::uint64_t gas;  ///< per unit of it
    };
    std::string name;
    unsigned parameters = 0;
    std::uint64_t gas = 0;  ///< of every call
    std::vector<Price> prices;

    /// What a call costs; saturates.
    std::uint64_t cost(std::span<const std::uint64_t> arguments) const noexcept;
};

inline constexpr std::uint64_t scratch_bytes_min = 64 * 1024;
inline constexpr unsigned parameters_max = 8;
inline constexpr std::size_t functions_max = 16, module_bytes_max = std::size_t{16} << 20;

/// What an item of the weave announces. Its data is the reference module, its tags are
///   Type: Extension
///   Name: regex                                 small letters, digits and hyphens; the module that guests import from
///   Version: 1
///   Function: match/6 = 2000 + 16*2 + 64*4      name, parameters; gas: of a call, and per unit of a parameter
struct Announcement {
    std::string name, version;
    std::vector<Function> functions;
    std::vector<std::string> lines;  ///< of the functions, as they were announced
    Buffer wasm;
    Digest wasm_sha256;
    Digest specification;  ///< of all of it: what slot 0 records
};

/// @return announced.bad_announcement, announced.bad_module
Result<Announcement> read(const item::Tags& tags, Bytes wasm);

}  // namespace altiplano::announced
