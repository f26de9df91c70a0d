#include "weave/follow.hpp"

#include "base/json.hpp"
#include "weave/errors.hpp"
#include "weave/weave.hpp"

#include <fmt/format.h>

namespace altiplano::weave {

namespace {

constexpr std::uint64_t answer_bytes_max = 256 << 20;

std::unexpected<Error> cannot(std::string_view what)
{
    return fail(errors::cannot_follow, fmt::format("the weave that is followed {}", what),
        "is the URL that of the same gateway as before? a copy follows one weave for life");
}

/// The next part behind its length.
Result<Bytes> part_of(Bytes& rest)
{
    if (rest.size() < 8 || read_u64(rest) > rest.size() - 8)
        return cannot("came cut off");
    const auto size = static_cast<std::size_t>(read_u64(rest));
    const auto part = rest.subspan(8, size);
    rest = rest.subspan(8 + size);
    return part;
}

Result<NewItem> verified(Bytes wire, store::Blobs& blobs)
{
    Upload upload(blobs);
    TRY_OK(upload.append(wire));
    return upload.finish();
}

}  // namespace

Result<std::optional<std::uint64_t>> Follower::height()
{
    TRY(const auto tip, records_.tip());
    return tip ? std::optional(tip->height) : std::nullopt;
}

Result<void> Follower::reach(std::uint64_t height)
{
    TRY(const auto have, this->height());
    if (have && *have >= height)
        return {};
    TRY_OK(catch_up());
    TRY(const auto now, this->height());
    if (!now || *now < height)
        return cannot(fmt::format("has {} blocks, but one of height {} was spoken of", now ? *now + 1 : 0, height));
    return {};
}

Result<void> Follower::catch_up()
{
    const std::lock_guard lock(mutex_);
    for (;;) {
        TRY(const auto have, height());
        TRY(const auto came, copy_from(have ? *have + 1 : 0));
        if (came == 0)
            return {};
    }
}

Result<std::size_t> Follower::copy_from(std::uint64_t height)
{
    TRY(const auto answer,
        http_.send({.url = net::join(url_, fmt::format("/~altiplano/weave/{}", height)), .answer_bytes_max = answer_bytes_max}));
    if (answer.status != 200)
        return cannot(fmt::format("is not offered by {}: it answered {}", url_, answer.status));
    std::size_t count = 0;
    for (auto rest = as_bytes(answer.body); !rest.empty(); ++count) {
        TRY(const auto head, part_of(rest));
        TRY(auto inside, part_of(rest));
        TRY(const auto json, JsonView::parse(as_text(head)));
        const auto text = [&](std::string_view name) { return json.find(name) ? json.find(name)->string().value_or("") : ""; };
        const auto number = [&](std::string_view name) { return json.find(name) ? json.find(name)->integer().value_or(-1) : -1; };
        Block block{.height = height + count, .hash = {}, .previous = {}, .timestamp_ms = number("timestamp"), .items = {}};
        if (number("height") != static_cast<std::int64_t>(block.height))
            return cannot(fmt::format("has {} where block {} should be", number("height"), block.height));
        TRY(block.hash, BlockHash::parse(text("hash")));
        TRY(block.previous, BlockHash::parse(text("previous")));

        std::vector<NewItem> items;
        const auto listed = json.find("items");
        for (const auto& one : listed ? listed->elements() : std::vector<JsonView>{}) {
            TRY(const auto id, ItemId::parse(one.find("id") ? one.find("id")->string().value_or("") : ""));
            block.items.push_back(id);
            const bool within = one.find("within") && one.find("within")->boolean() == true;
            const auto item = [&]() -> Result<NewItem> {
                if (within) {
                    TRY(const auto wire, part_of(inside));
                    return verified(wire, blobs_);
                }
                Upload upload(blobs_);
                TRY(const auto got,
                    http_.download({.url = net::join(url_, "/~altiplano/item/" + id.text()),
                                       .answer_bytes_max = UINT64_MAX,
                                       .total_ms_max = 0},
                        [&](Bytes piece) { return upload.append(piece); }));
                if (got.status != 200)
                    return cannot(fmt::format("does not give its item {}: {}", id.text(), got.status));
                return upload.finish();
            }();
            if (!item)
                return std::unexpected(item.error());
            if (item->header.id() != id)
                return cannot(fmt::format("gave the item {} for {}", item->header.id().text(), id.text()));
            items.push_back(*item);
        }
        TRY_OK(adopt(records_, block, items));
    }
    return count;
}

Result<void> Follower::put(const item::DataItem& item)
{
    const auto wire = item.wire();
    TRY(const auto answer, http_.send({.method = "POST", .url = net::join(url_, "/tx"), .body = wire}));
    if (answer.status != 200 && answer.status != 208)
        return cannot(
            fmt::format("does not take the item {}: {} {}", item.id().text(), answer.status, answer.body.substr(0, 200)));
    return {};
}

}  // namespace altiplano::weave
