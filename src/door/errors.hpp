#pragma once

#include <string_view>

/// The codes of the room `door`.
namespace altiplano::door::errors {
inline constexpr std::string_view bad_request = "door.bad_request";  ///< a request that is not as OpenAI's API has it
inline constexpr std::string_view not_offered = "door.not_offered";  ///< a parameter of that API which this door does not have
inline constexpr std::string_view unknown_model = "door.unknown_model";
inline constexpr std::string_view no_module = "door.no_module";  ///< the node has no llama module to make workers of
inline constexpr std::string_view prompt_too_long = "door.prompt_too_long";  ///< for the model's context
inline constexpr std::string_view worker_failed = "door.worker_failed";  ///< the process answered with an error
inline constexpr std::string_view foreign_origin = "door.foreign_origin";  ///< a web page of somebody else asks
inline constexpr std::string_view body_over_limit = "door.body_over_limit";
}  // namespace altiplano::door::errors
