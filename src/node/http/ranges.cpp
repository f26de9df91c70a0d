#include "node/http/ranges.hpp"

#include "node/errors.hpp"
#include "node/http/reply.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

/// One range of a list. Nothing: it makes no sense. A length of 0: it names no byte.
std::optional<Part> part_of(std::string_view spec, std::uint64_t size)
{
    while (spec.starts_with(' '))
        spec.remove_prefix(1);
    while (spec.ends_with(' '))
        spec.remove_suffix(1);
    const auto dash = spec.find('-');
    if (dash == spec.npos)
        return std::nullopt;
    const auto first = number_in(spec.substr(0, dash), "range");
    const auto last = number_in(spec.substr(dash + 1), "range");
    if (dash == 0 && last)
        return Part{size - std::min(*last, size), std::min(*last, size)};
    if (!first || (!last && dash + 1 != spec.size()) || (last && *last < *first))
        return std::nullopt;
    if (*first >= size)
        return Part{size, 0};
    return Part{*first, (last ? std::min(*last, size - 1) : size - 1) - *first + 1};
}

/// Parts of data with text between them, as one.
class Parts final : public weave::ItemData {
public:
    struct Piece {
        std::string text;  ///< or, when it is empty, a part of the data
        Part part;
    };
    Parts(std::unique_ptr<weave::ItemData> data, std::vector<Piece> pieces)
        : weave::ItemData(size_of(pieces))
        , data_(std::move(data))
        , pieces_(std::move(pieces))
    {
    }

    Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) const override
    {
        for (const auto& piece : pieces_) {
            if (into.empty())
                return {};
            if (offset >= piece.part.length) {
                offset -= piece.part.length;
                continue;
            }
            const auto now =
                into.first(static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), piece.part.length - offset)));
            if (piece.text.empty()) {
                TRY_OK(data_->read_at(piece.part.offset + offset, now));
            } else {
                std::ranges::copy(as_bytes(piece.text).subspan(static_cast<std::size_t>(offset), now.size()), now.begin());
            }
            into = into.subspan(now.size());
            offset = 0;
        }
        ENSURE(into.empty(), "callers stay inside the data");
        return {};
    }

private:
    static std::uint64_t size_of(const std::vector<Piece>& pieces)
    {
        std::uint64_t size = 0;
        for (const auto& piece : pieces)
            size += piece.part.length;
        return size;
    }
    std::unique_ptr<weave::ItemData> data_;
    std::vector<Piece> pieces_;  ///< of a text too, `part.length` is its length
};

std::string content_range(const Part& part, std::uint64_t size)
{
    return fmt::format("bytes {}-{}/{}", part.offset, part.offset + part.length - 1, size);
}

}  // namespace

Result<std::vector<Part>> parts_of(std::string_view range, std::uint64_t size)
{
    constexpr std::string_view unit = "bytes=";
    std::vector<Part> parts;
    if (!range.starts_with(unit))
        return parts;
    std::uint64_t sum = 0;
    std::size_t specs = 0;
    for (auto rest = range.substr(unit.size());; rest.remove_prefix(rest.find(',') + 1)) {
        const auto part = part_of(rest.substr(0, rest.find(',')), size);
        if (!part || ++specs > parts_max)
            return std::vector<Part>{};
        if (part->length > 0) {
            sum += part->length;
            parts.push_back(*part);
        }
        if (rest.find(',') == rest.npos)
            break;
    }
    if (parts.empty())
        return fail(errors::bad_range, fmt::format("the range {} holds no byte of {}", range.substr(0, 100), size));
    if (parts.size() > 1 && sum > size)
        return std::vector<Part>{};
    return parts;
}

void give_parts(Reply& reply, std::unique_ptr<weave::ItemData> data, const std::vector<Part>& parts, std::string_view boundary)
{
    const auto size = data->size();
    reply.status = 206;
    if (parts.size() == 1) {
        reply.headers.emplace_back("Content-Range", content_range(parts[0], size));
        reply.data = std::move(data);
        reply.data_offset = parts[0].offset;
        reply.data_length = parts[0].length;
        return;
    }
    std::vector<Parts::Piece> pieces;
    const auto say = [&](std::string text) {
        const auto length = text.size();
        pieces.push_back({std::move(text), {0, length}});
    };
    for (const auto& part : parts) {
        say(fmt::format("\r\n--{}\r\nContent-Type: {}\r\nContent-Range: {}\r\n\r\n", boundary, reply.content_type,
            content_range(part, size)));
        pieces.push_back({"", part});
    }
    say(fmt::format("\r\n--{}--\r\n", boundary));
    reply.content_type = fmt::format("multipart/byteranges; boundary={}", boundary);
    reply.data = std::make_unique<Parts>(std::move(data), std::move(pieces));
    reply.data_offset = 0;
    reply.data_length = reply.data->size();
}

}  // namespace altiplano::node::http
