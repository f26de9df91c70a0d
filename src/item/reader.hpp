#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "item/errors.hpp"

#include <fmt/format.h>
#include <string_view>

namespace altiplano::item {

/// Takes fields from the front of hostile bytes.
class Reader {
public:
    explicit Reader(Bytes wire)
        : wire_(wire)
    {
    }

    std::size_t position() const { return position_; }

    Result<Bytes> take(std::uint64_t length, std::string_view what)
    {
        if (length > wire_.size() - position_)
            return fail(errors::truncated,
                fmt::format(
                    "the item ends inside its {}: {} bytes are there, {} are needed", what, wire_.size() - position_, length));
        const auto field = wire_.subspan(position_, static_cast<std::size_t>(length));
        position_ += field.size();
        return field;
    }

    /// A presence byte and, if it is 1, 32 bytes.
    Result<Bytes> take_optional(std::string_view what)
    {
        TRY(const auto presence, take(1, what));
        if (presence[0] != std::byte{0} && presence[0] != std::byte{1})
            return fail(errors::bad_presence_byte,
                fmt::format("the presence byte of the {} is {}, not 0 or 1", what, static_cast<int>(presence[0])));
        return take(presence[0] == std::byte{1} ? 32 : 0, what);
    }

private:
    Bytes wire_;
    std::size_t position_ = 0;
};

}  // namespace altiplano::item
