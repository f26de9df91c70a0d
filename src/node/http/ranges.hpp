#pragma once

#include "base/result.hpp"
#include "node/http/message.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace altiplano::node::http {

/// Bytes [offset, offset + length) of something.
struct Part {
    std::uint64_t offset;
    std::uint64_t length;
    friend bool operator==(const Part&, const Part&) = default;
};

/// What a Range header asks for of `size` bytes (RFC 9110, 14). Empty: all of it. That is also the answer to a header that makes
/// no sense, since WeaveDrive's clients send such and expect the whole (ao-protocol.md 7.2), and to more ranges than parts_max or
/// ones that overlap to more than the whole.
/// @return node.bad_range when it makes sense, but names no byte that is there
inline constexpr std::size_t parts_max = 32;
Result<std::vector<Part>> parts_of(std::string_view range, std::uint64_t size);

/// Makes `reply`, which is to give all of `data`, give these parts of it with status 206; several as multipart/byteranges.
/// @param boundary  that is not in the data
void give_parts(Reply& reply, std::unique_ptr<weave::ItemData> data, const std::vector<Part>& parts, std::string_view boundary);

}  // namespace altiplano::node::http
