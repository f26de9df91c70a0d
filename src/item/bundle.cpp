#include "item/bundle.hpp"

#include "item/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::item {

namespace {

/// 32 bytes, little-endian. @return nothing for what needs more than 64 bits
std::optional<std::uint64_t> number_of(Bytes wire)
{
    if (std::ranges::any_of(wire.subspan(8, 24), [](std::byte b) { return b != std::byte{0}; }))
        return std::nullopt;
    return read_u64(wire);
}

void append_number(Buffer& to, std::uint64_t number)
{
    append_u64(to, number);
    to.resize(to.size() + 24);
}

}  // namespace

bool is_bundle(const Tags& tags)
{
    return tags.first("Bundle-Format") == "binary" && tags.first("Bundle-Version") == "2.0.0";
}

Result<std::uint64_t> bundle_count(Bytes front, std::uint64_t size)
{
    const auto count = front.size() < bundle_count_bytes ? std::nullopt : number_of(front.first(bundle_count_bytes));
    if (!count || *count > (size - bundle_count_bytes) / bundle_entry_bytes)
        return fail(errors::bad_bundle,
            fmt::format("{} bytes are no bundle of {} members", size, count ? std::to_string(*count) : "any number of"),
            "the tags Bundle-Format and Bundle-Version say that the data is a bundle");
    return *count;
}

Result<std::vector<Member>> bundle_members(Bytes entries, std::uint64_t offset, std::uint64_t size)
{
    std::vector<Member> members;
    for (; entries.size() >= bundle_entry_bytes; entries = entries.subspan(bundle_entry_bytes)) {
        Member member{.id = {}, .offset = offset, .size = 0};
        TRY(member.id, ItemId::from_bytes(entries.subspan(32, 32)));
        const auto length = number_of(entries.first(32));
        if (!length || *length > size - offset)
            return fail(errors::bad_bundle,
                fmt::format("the member {} begins at {} and has {} bytes, but the bundle ends at {}", member.id.text(), offset,
                    length ? std::to_string(*length) : "more than 2^64", size));
        member.size = *length;
        offset += *length;
        members.push_back(member);
    }
    return members;
}

Buffer encode_bundle(const std::vector<BundlePart>& members)
{
    Buffer wire;
    append_number(wire, members.size());
    for (const auto& member : members) {
        append_number(wire, member.wire.size());
        append(wire, member.id.bytes());
    }
    for (const auto& member : members)
        append(wire, member.wire);
    return wire;
}

}  // namespace altiplano::item
