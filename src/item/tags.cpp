#include "item/tags.hpp"

#include "item/errors.hpp"

#include <fmt/format.h>

namespace altiplano::item {

namespace {

/// Reads Avro longs and byte strings from hostile bytes.
class AvroReader {
public:
    explicit AvroReader(Bytes wire)
        : wire_(wire)
    {
    }

    bool at_end() const { return position_ == wire_.size(); }
    std::size_t position() const { return position_; }

    Result<std::int64_t> number()
    {
        std::uint64_t zigzag = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            if (at_end())
                return fail(errors::bad_tags, fmt::format("the tags end inside a number at byte {}", position_));
            const auto byte = static_cast<std::uint64_t>(wire_[position_++]);
            if (shift == 63 && byte > 1)
                break;
            zigzag |= (byte & 127) << shift;
            if ((byte & 128) == 0)
                return static_cast<std::int64_t>(zigzag >> 1) ^ -static_cast<std::int64_t>(zigzag & 1);
        }
        return fail(
            errors::bad_tags, fmt::format("the number that ends at byte {} of the tags has more than 64 bits", position_));
    }

    Result<std::string> text()
    {
        TRY(const auto length, number());
        if (length < 0 || static_cast<std::uint64_t>(length) > wire_.size() - position_)
            return fail(errors::bad_tags,
                fmt::format("a string of {} bytes at byte {} does not fit the {} tag bytes", length, position_, wire_.size()));
        const auto bytes = wire_.subspan(position_, static_cast<std::size_t>(length));
        position_ += bytes.size();
        return to_string(bytes);
    }

private:
    Bytes wire_;
    std::size_t position_ = 0;
};

void append_number(Buffer& to, std::int64_t value)
{
    auto zigzag = static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
    while (zigzag >= 128) {
        to.push_back(static_cast<std::byte>(zigzag | 128));
        zigzag >>= 7;
    }
    to.push_back(static_cast<std::byte>(zigzag));
}

void append_text(Buffer& to, std::string_view text)
{
    append_number(to, static_cast<std::int64_t>(text.size()));
    append(to, as_bytes(text));
}

}  // namespace

std::optional<std::string_view> Tags::first(std::string_view name) const
{
    for (const auto& tag : tags_)
        if (tag.name == name)
            return tag.value;
    return std::nullopt;
}

std::vector<std::string_view> Tags::all(std::string_view name) const
{
    std::vector<std::string_view> values;
    for (const auto& tag : tags_)
        if (tag.name == name)
            values.emplace_back(tag.value);
    return values;
}

bool Tags::has(std::string_view name, std::string_view value) const
{
    for (const auto& tag : tags_)
        if (tag.name == name && tag.value == value)
            return true;
    return false;
}

Result<Tags> decode_tags(Bytes wire, std::uint64_t declared)
{
    std::vector<Tag> tags;
    AvroReader reader(wire);
    while (!wire.empty()) {
        TRY(auto count, reader.number());
        if (count == 0)
            break;
        std::optional<std::size_t> block_end;
        if (count < 0) {
            // A negative count is followed by the block's size in bytes, so that readers may skip it.
            TRY(const auto size, reader.number());
            if (size < 0 || static_cast<std::uint64_t>(size) > wire.size() - reader.position())
                return fail(
                    errors::bad_tags, fmt::format("a block of {} bytes does not fit the {} tag bytes", size, wire.size()));
            block_end = reader.position() + static_cast<std::size_t>(size);
            // Two bytes is the least that a tag takes, which bounds the count before it is negated.
            if (count < -static_cast<std::int64_t>(wire.size()))
                return fail(errors::bad_tags, "a block counts more tags than the tags have bytes");
            count = -count;
        }
        for (std::int64_t i = 0; i < count; ++i) {
            TRY(auto name, reader.text());
            TRY(auto value, reader.text());
            tags.push_back({std::move(name), std::move(value)});
        }
        if (block_end && *block_end != reader.position())
            return fail(errors::bad_tags, fmt::format("a block ends at byte {} but says {}", reader.position(), *block_end));
    }
    if (!reader.at_end())
        return fail(
            errors::bad_tags, fmt::format("{} bytes follow the final block of the tags", wire.size() - reader.position()));
    if (tags.size() != declared)
        return fail(errors::bad_tags, fmt::format("the item declares {} tags, its tag bytes hold {}", declared, tags.size()));
    return Tags(std::move(tags));
}

Buffer encode_tags(const Tags& tags)
{
    Buffer wire;
    if (tags.empty())
        return wire;
    append_number(wire, static_cast<std::int64_t>(tags.size()));
    for (const auto& tag : tags) {
        append_text(wire, tag.name);
        append_text(wire, tag.value);
    }
    append_number(wire, 0);
    return wire;
}

}  // namespace altiplano::item
