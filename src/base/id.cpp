#include "base/id.hpp"

#include "base/base64url.hpp"
#include "base/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::detail {

Result<std::array<std::byte, 32>> id_from_bytes(Bytes bytes)
{
    if (bytes.size() != 32)
        return fail(errors::bad_id, fmt::format("an id has 32 bytes, not {}", bytes.size()));
    std::array<std::byte, 32> array;
    std::ranges::copy(bytes, array.begin());
    return array;
}

Result<std::array<std::byte, 32>> parse_id(std::string_view text)
{
    if (text.size() != 43)
        return fail(
            errors::bad_id, fmt::format("an id has 43 characters, not {}", text.size()), "copy the whole id, without quotes");
    auto bytes = from_base64url(text);
    if (!bytes)
        return fail(errors::bad_id, fmt::format("'{}' is not an id: {}", text, bytes.error().sentence));
    return id_from_bytes(*bytes);
}

std::string id_text(Bytes bytes)
{
    return base64url(bytes);
}

}  // namespace altiplano::detail
