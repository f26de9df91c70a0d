#pragma once

#include <string_view>

/// The codes of the room `tensor`. All but the last are GuestFaults and are recorded, so their sentences belong to the semantics.
namespace altiplano::tensor::errors {
inline constexpr std::string_view trap_bad_graph = "trap.tensor_bad_graph";  ///< a graph that is refused, node and reason named
inline constexpr std::string_view trap_unsupported =
    "trap.tensor_unsupported";  ///< an operation or format outside the specification
inline constexpr std::string_view trap_not_finite =
    "trap.tensor_not_finite";  ///< a result is not a number, or infinite where it may not be
inline constexpr std::string_view trap_bad_index = "trap.tensor_bad_index";  ///< an index outside what it is for
inline constexpr std::string_view differs = "tensor.differs";  ///< reference module and host code disagree: our mistake
}  // namespace altiplano::tensor::errors
