#include "memory/page_tree.hpp"

#include <algorithm>
#include <altiplano_shim.h>

namespace altiplano::memory {

namespace {

Digest blake3(Bytes bytes, const std::byte* key)
{
    std::array<std::byte, 32> out;
    altiplano_blake3(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(),
        reinterpret_cast<const std::uint8_t*>(key), reinterpret_cast<std::uint8_t*>(out.data()));
    return Digest(out);
}

bool all_zero(Bytes page)
{
    return page[0] == std::byte{0} && std::memcmp(page.data(), page.data() + 1, page.size() - 1) == 0;
}

}  // namespace

Digest keyed_hash(HashKind kind, Bytes bytes)
{
    static const std::array keys{
        blake3(as_bytes("altiplano memory page 1"), nullptr),
        blake3(as_bytes("altiplano memory node 1"), nullptr),
        blake3(as_bytes("altiplano state root 1"), nullptr),
    };
    return blake3(bytes, keys[static_cast<std::size_t>(kind)].bytes().data());
}

void PageTree::set(std::size_t level, std::uint64_t number, const Digest& hash)
{
    auto& groups = levels_[level];
    const auto group = groups.find(number / arity);
    if (group != groups.end()) {
        (*group->second)[number % arity] = hash;
    } else if (!hash.is_zero()) {
        auto children = std::make_unique<Children>();
        (*children)[number % arity] = hash;
        groups.emplace(number / arity, std::move(children));
    }
}

void PageTree::set_page(std::uint64_t number, Bytes page)
{
    set(0, number, all_zero(page) ? Digest{} : keyed_hash(HashKind::page, page));
    stale_.push_back(number / arity);
}

void PageTree::update()
{
    auto stale = std::exchange(stale_, {});
    for (std::size_t level = 0; level + 1 < levels; ++level) {
        std::ranges::sort(stale);
        const auto doubles = std::ranges::unique(stale);
        stale.erase(doubles.begin(), doubles.end());
        auto& groups = levels_[level];
        for (auto& number : stale) {
            Digest hash;
            if (const auto group = groups.find(number); group != groups.end()) {
                const bool empty = std::ranges::all_of(*group->second, [](const Digest& child) { return child.is_zero(); });
                if (empty)
                    groups.erase(group);
                else
                    hash =
                        keyed_hash(HashKind::node, {reinterpret_cast<const std::byte*>(group->second->data()), sizeof(Children)});
            }
            set(level + 1, number, hash);
            number /= arity;
        }
    }
}

Digest PageTree::root() const
{
    const auto& top = levels_[levels - 1];
    const auto group = top.find(0);
    if (group == top.end() || std::ranges::all_of(*group->second, [](const Digest& child) { return child.is_zero(); }))
        return {};
    return keyed_hash(HashKind::node, {reinterpret_cast<const std::byte*>(group->second->data()), sizeof(Children)});
}

Result<Digest> PageTree::commit(Region& region, Bytes globals)
{
    TRY(const auto dirty, region.dirty_pages());
    const Bytes memory = region.bytes();
    for (const auto page : dirty)
        set_page(page, memory.subspan(page * page_bytes, page_bytes));
    update();
    TRY_OK(region.commit());
    return state_root(root(), memory.size(), globals, region.mapped_ranges());
}

Digest state_root(const Digest& pages, std::uint64_t length_bytes, Bytes globals, const std::vector<MappedRange>& mapped)
{
    Buffer text;
    append_u64(text, 1);  // format
    append_u64(text, length_bytes);
    append(text, pages.bytes());
    append_u64(text, globals.size());
    append(text, globals);
    append_u64(text, mapped.size());
    for (const auto& range : mapped) {
        append_u64(text, range.at);
        append_u64(text, range.length);
        append(text, range.item.bytes());
        append_u64(text, range.item_offset);
    }
    return keyed_hash(HashKind::root, text);
}

Digest state_root_of(Bytes memory, Bytes globals, const std::vector<MappedRange>& mapped)
{
    PageTree tree;
    for (std::uint64_t page = 0; page < memory.size() / page_bytes; ++page)
        tree.set_page(page, memory.subspan(page * page_bytes, page_bytes));
    tree.update();
    return state_root(tree.root(), memory.size(), globals, mapped);
}

}  // namespace altiplano::memory
