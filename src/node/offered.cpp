#include "node/offered.hpp"

#include "node/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::node {

Result<std::vector<ItemId>> Offered::all() const
{
    std::vector<ItemId> ids;
    if (!files_.exists(list_))
        return ids;
    TRY(const auto bytes, read_file(files_, list_));
    auto rest = as_text(bytes);
    while (!rest.empty()) {
        const auto end = rest.find('\n');
        const auto line = rest.substr(0, end);
        rest = end == rest.npos ? std::string_view{} : rest.substr(end + 1);
        if (line.empty())
            continue;
        const auto id = ItemId::parse(line);
        if (!id)
            return fail(errors::bad_extensions,
                fmt::format("{} has a line that is no id: {}", list_.string(), line.substr(0, 100)),
                "it has an item's id per line; `altiplano extension ls` lists them");
        ids.push_back(*id);
    }
    return ids;
}

bool Offered::has(const ItemId& id) const
{
    const auto ids = all();
    return ids && std::ranges::find(*ids, id) != ids->end();
}

Result<bool> Offered::add(const ItemId& id) const
{
    TRY(auto ids, all());
    if (std::ranges::find(ids, id) != ids.end())
        return false;
    ids.push_back(id);
    TRY_OK(write(ids));
    return true;
}

Result<bool> Offered::remove(const ItemId& id) const
{
    TRY(auto ids, all());
    if (std::erase(ids, id) == 0)
        return false;
    TRY_OK(write(ids));
    return true;
}

Result<void> Offered::write(const std::vector<ItemId>& ids) const
{
    std::string text;
    for (const auto& id : ids)
        text += id.text() + "\n";
    return write_file(files_, list_, as_bytes(text));
}

}  // namespace altiplano::node
