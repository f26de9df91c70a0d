// A bundle through the unbundler. The first byte says how the rest is read: as the bytes of a bundle, or as a recipe by which
// one is made, since nobody guesses signatures: signed members, bundles inside, and tables that lie.
#include "place.hpp"

#include "item/bundle.hpp"
#include "item/errors.hpp"
#include "weave/unbundle.hpp"

#include <algorithm>

using namespace altiplano;

namespace {

const item::Tags bundle_tags{{"Bundle-Format", "binary"}, {"Bundle-Version", "2.0.0"}};

Buffer make(fuzz::Input& input, const item::Signer& signer, int depth)
{
    std::vector<Buffer> wires;
    std::vector<ItemId> ids;
    for (auto count = input.byte() % 6; count > 0; --count) {
        const auto kind = input.byte();
        item::Tags tags;
        Buffer data;
        if (kind % 4 == 0) {
            // Not signed at all.
            wires.push_back(to_buffer(input.take(input.byte())));
            ids.push_back(ItemId(sha256(wires.back())));
            continue;
        }
        if (kind % 4 == 1 && depth < 12) {
            tags = bundle_tags;
            data = make(input, signer, depth + 1);
        } else if (kind % 4 == 2) {
            tags = bundle_tags;
            data = to_buffer(input.take(input.byte()));
        } else {
            tags.add("Name", to_string(input.take(input.byte() % 8)));
            // Now and then one that becomes a blob, which is synced.
            data = Buffer(
                input.number(2) % 2048 + ((kind & 0x70) == 0x70 ? store::Blobs::size_min : 0), static_cast<std::byte>(kind));
        }
        const auto member = item::build({.tags = std::move(tags), .data = std::move(data)}, signer).value();
        wires.push_back(member.wire());
        ids.push_back(member.id());
        // One byte changed, somewhere.
        if (kind & 0x80)
            wires.back()[input.number(2) % wires.back().size()] ^= static_cast<std::byte>(1U << (kind >> 4 & 7U));
    }
    std::vector<item::BundlePart> parts;
    for (std::size_t i = 0; i < wires.size(); ++i)
        parts.push_back({ids[i], wires[i]});
    auto wire = item::encode_bundle(parts);
    if (const auto lie = input.byte(); lie & 1)
        wire[input.number(2) % wire.size()] = static_cast<std::byte>(lie);
    else if (lie & 2)
        wire.resize(input.number(2) % (wire.size() + 1));
    return wire;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    // What verified members leave in the weave must not slow the next ones down for ever.
    static auto place = std::make_unique<fuzz::Place>();
    static int runs = 0;
    if (++runs % 20'000 == 0)
        place = std::make_unique<fuzz::Place>();

    fuzz::Input input(data, size);
    const bool raw = input.byte() % 2 == 0;
    auto wire = raw ? to_buffer(input.rest()) : make(input, place->signer, 0);
    const auto outer = item::build({.tags = bundle_tags, .data = wire}, place->signer).value();

    // What the table says, read apart from the unbundler.
    std::uint64_t direct = 0;
    const auto count = item::bundle_count(Bytes(wire).first(std::min(wire.size(), item::bundle_count_bytes)), wire.size());
    if (count) {
        const auto table = Bytes(wire).subspan(item::bundle_count_bytes, *count * item::bundle_entry_bytes);
        const auto begin = item::bundle_count_bytes + table.size();
        if (const auto members = item::bundle_members(table, begin, wire.size())) {
            direct = members->size();
            ENSURE(direct == *count, "a table has as many members as its front says");
            auto at = begin;
            for (const auto& member : *members) {
                ENSURE(member.offset == at && member.size <= wire.size() - at, "members lie one after the other, inside");
                at += member.size;
            }
        }
    }

    const weave::ItemData whole(std::move(wire));
    const auto apart = weave::unbundle(*place->weave, outer.id(), whole);
    if (!apart) {
        ENSURE(apart.error().code == item::errors::bad_bundle, "what is no bundle is called so");
        return 0;
    }
    ENSURE(apart->members + apart->refused >= direct, "each member is taken or refused");
    ENSURE(apart->refusals.size() == std::min<std::uint64_t>(apart->refused, weave::Unbundled::refusals_max),
        "the first refusals are named");
    for (const auto& refusal : apart->refusals)
        ENSURE(refusal.error.code.starts_with("item."), "a refusal says what is wrong with the item");
    if (raw)
        return 0;
    // A recipe's own members are in the weave as they were signed.
    if (const auto members = count
            ? item::bundle_members(Bytes(outer.data()).subspan(item::bundle_count_bytes, *count * item::bundle_entry_bytes),
                  item::bundle_count_bytes + *count * item::bundle_entry_bytes, outer.data().size())
            : Result<std::vector<item::Member>>(std::unexpected(count.error())))
        for (const auto& member : *members)
            if (place->weave->has(member.id))
                ENSURE(place->weave->check(member.id), "only what verifies is in the weave");
    return 0;
}
