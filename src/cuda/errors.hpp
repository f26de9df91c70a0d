#pragma once

#include <string_view>

/// The codes of the room `cuda`. None is ever recorded: what a card cannot do, the processor does.
namespace altiplano::cuda::errors {
inline constexpr std::string_view no_card = "cuda.no_card";  ///< no driver, no card, or one that is too old
inline constexpr std::string_view card = "cuda.card";  ///< the driver refused something
inline constexpr std::string_view wrong_bits = "cuda.wrong_bits";  ///< the card failed its self-test
}  // namespace altiplano::cuda::errors
