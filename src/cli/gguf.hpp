#pragma once

#include "base/files.hpp"

#include <map>

/// What a GGUF file says of the model in it: its head, without the weights.
namespace altiplano::cli {

struct Gguf {
    /// Keys whose values are a text, a number or a truth value, as text: "general.architecture" -> "llama".
    std::map<std::string, std::string> values;
    std::uint64_t tensors = 0;
    std::uint64_t weights = 0;  ///< elements of all tensors
    std::uint64_t data_end = 0;  ///< how long the file must be at least

    /// Empty when it is not there.
    std::string value(const std::string& key) const;
    /// Of a model that is cut into several files: its part, from 1, and how many there are; 1 of 1 for a whole one.
    std::pair<std::uint64_t, std::uint64_t> part() const;
};

/// Reads the head and checks that every tensor lies inside the file. Bounded in memory whatever the file claims.
/// @return cli.bad_argument with what is wrong; base.*
Result<Gguf> read_gguf(const File& file);

}  // namespace altiplano::cli
