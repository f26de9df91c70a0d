#include "memory/page_tree.hpp"

#include "memory/errors.hpp"

#include <algorithm>
#include <altiplano_shim.h>
#include <cstring>
#include <fmt/format.h>

namespace altiplano::memory {

namespace {

Digest blake3(Bytes bytes, const std::byte* key)
{
    std::array<std::byte, 32> out;
    altiplano_blake3(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(),
        reinterpret_cast<const std::uint8_t*>(key), reinterpret_cast<std::uint8_t*>(out.data()));
    return Digest(out);
}

const std::byte* key_of(HashKind kind)
{
    static const std::array keys{
        blake3(as_bytes("altiplano memory page 1"), nullptr),
        blake3(as_bytes("altiplano memory node 1"), nullptr),
        blake3(as_bytes("altiplano state root 1"), nullptr),
    };
    return keys[static_cast<std::size_t>(kind)].bytes().data();
}

Digest page_hash(Bytes page)
{
    return is_zero(page) ? Digest{} : keyed_hash(HashKind::page, page);
}
Digest node_hash(Bytes children)
{
    return is_zero(children) ? Digest{} : keyed_hash(HashKind::node, children);
}

std::unexpected<Error> bad_image()
{
    return fail(errors::bad_image, "the memory image has other bytes, or other hashes, than were saved",
        "images are caches: delete it, the log rebuilds it");
}

/// Groups that level `level` needs for that many pages.
std::uint64_t groups_of(std::size_t level, std::uint64_t pages)
{
    for (std::size_t i = 0; i <= level; ++i)
        pages = (pages + PageTree::arity - 1) / PageTree::arity;
    return pages;
}

}  // namespace

Digest keyed_hash(HashKind kind, Bytes bytes)
{
    return blake3(bytes, key_of(kind));
}

void tree_hashes(HashKind kind, std::span<const std::byte* const> inputs, std::size_t length, std::span<Digest> into)
{
    constexpr std::size_t at_once = PageTree::arity;
    for (std::size_t begin = 0; begin < inputs.size(); begin += at_once) {
        // What is not zeros, and where its hash goes.
        std::array<const std::uint8_t*, at_once> some{};
        std::array<std::size_t, at_once> places{};
        std::size_t count = 0;
        for (auto i = begin; i < std::min(begin + at_once, inputs.size()); ++i) {
            into[i] = Digest{};
            if (is_zero({inputs[i], length}))
                continue;
            some[count] = reinterpret_cast<const std::uint8_t*>(inputs[i]);
            places[count++] = i;
        }
        std::array<std::array<std::byte, Digest::size>, at_once> out;
        altiplano_blake3_many(some.data(), count, length, reinterpret_cast<const std::uint8_t*>(key_of(kind)),
            reinterpret_cast<std::uint8_t*>(out.data()));
        for (std::size_t i = 0; i < count; ++i)
            into[places[i]] = Digest(out[i]);
    }
}

std::uint64_t PageTree::level_bytes(std::size_t level, std::uint64_t pages)
{
    return (groups_of(level, pages) * group_bytes + page_bytes - 1) / page_bytes * page_bytes;
}

Result<PageTree> PageTree::reserve(std::uint64_t bytes_max)
{
    PageTree tree;
    bytes_max = std::min(bytes_max, Region::memory_bytes_max);
    for (std::size_t level = 0; level < levels; ++level) {
        TRY(tree.levels_[level], SparseBytes::reserve(level_bytes(level, std::max<std::uint64_t>(bytes_max / page_bytes, 1))));
    }
    return tree;
}

PageTree::Children& PageTree::children(std::size_t level, std::uint64_t number) const noexcept
{
    return reinterpret_cast<Children*>(levels_[level].data())[number];
}
bool PageTree::fits(std::size_t level, std::uint64_t number) const noexcept
{
    return number < levels_[level].size() / group_bytes;
}
Bytes PageTree::group(std::size_t level, std::uint64_t number) const noexcept
{
    return {levels_[level].data() + number * group_bytes, group_bytes};
}

bool PageTree::has_page(std::uint64_t page) const noexcept
{
    return fits(0, page / arity) && !children(0, page / arity)[page % arity].is_zero();
}

Digest PageTree::page(std::uint64_t number) const noexcept
{
    return fits(0, number / arity) ? children(0, number / arity)[number % arity] : Digest{};
}

void PageTree::each_group(const std::function<void(std::uint64_t)>& visit) const
{
    const auto descend = [&](const auto& self, std::size_t level, std::uint64_t number) -> void {
        if (level == 0) {
            visit(number);
            return;
        }
        for (std::size_t i = 0; i < arity; ++i)
            if (!children(level, number)[i].is_zero())
                self(self, level - 1, number * arity + i);
    };
    if (fits(levels - 1, 0) && !is_zero(group(levels - 1, 0)))
        descend(descend, levels - 1, 0);
}

std::vector<PageTree::Leaf> PageTree::pages() const
{
    std::vector<Leaf> all;
    each_group([&](std::uint64_t group) {
        for (std::size_t i = 0; i < arity; ++i)
            if (const auto& hash = children(0, group)[i]; !hash.is_zero())
                all.push_back({group * arity + i, hash});
    });
    return all;
}

std::vector<PageRange> differences(std::span<const PageTree::Leaf> before, std::span<const PageTree::Leaf> after)
{
    std::vector<PageRange> found;
    const auto add = [&](std::uint64_t page) {
        if (!found.empty() && found.back().first + found.back().count == page)
            ++found.back().count;
        else
            found.push_back({page, 1});
    };
    while (!before.empty() || !after.empty()) {
        const bool only_before = after.empty() || (!before.empty() && before.front().page < after.front().page);
        const bool only_after = before.empty() || (!after.empty() && after.front().page < before.front().page);
        if (only_before || only_after)
            add(only_before ? before.front().page : after.front().page);
        else if (before.front().hash != after.front().hash)
            add(after.front().page);
        if (!only_after)
            before = before.subspan(1);
        if (!only_before)
            after = after.subspan(1);
    }
    return found;
}

// ---- what was loaded

Result<void> PageTree::load_level(std::size_t level, std::uint64_t bytes, int descriptor, std::uint64_t offset)
{
    return levels_[level].show(0, bytes, descriptor, offset);
}

Result<void> PageTree::load_group(std::size_t level, std::uint64_t number, Bytes hashes)
{
    if (level >= levels || hashes.size() != group_bytes || !fits(level, number))
        return fail(errors::bad_image, fmt::format("there is no group {} of hashes at level {}", number, level));
    std::memcpy(levels_[level].data() + number * group_bytes, hashes.data(), group_bytes);
    return {};
}

void PageTree::believe(const Digest& root) noexcept
{
    loaded_ = true;
    loaded_root_ = root;
}

/// Whether a group hashes to what stands above it. What was checked once is ours from then on.
bool PageTree::checked(std::size_t level, std::uint64_t number) noexcept
{
    if (!loaded_)
        return true;
    if (checked_[level].data() == nullptr) {
        auto reserved = SparseBytes::reserve(levels_[level].size() / group_bytes);
        if (!reserved)
            return false;
        checked_[level] = *std::move(reserved);
    }
    if (checked_[level][number] != 0)
        return true;
    Digest above = loaded_root_;
    if (level + 1 < levels) {
        if (!checked(level + 1, number / arity))
            return false;
        above = children(level + 1, number / arity)[number % arity];
    }
    if (node_hash(group(level, number)) != above)
        return false;
    checked_[level][number] = 1;
    return true;
}

bool PageTree::check_hashes(std::uint64_t first, std::span<const Digest> hashes) noexcept
{
    for (std::size_t i = 0; i < hashes.size(); ++i) {
        const auto page = first + i;
        if (!fits(0, page / arity) || !checked(0, page / arity) || children(0, page / arity)[page % arity] != hashes[i]) {
            broken_ = true;
            return false;
        }
    }
    return true;
}

bool PageTree::check_pages(std::uint64_t first, Bytes bytes) noexcept
{
    unfinished_->wait(true, std::memory_order_acquire);
    const auto count = bytes.size() / page_bytes;
    for (std::uint64_t done = 0; done < count; done += arity) {
        std::array<const std::byte*, arity> pages{};
        std::array<Digest, arity> hashes{};
        const auto now = std::min<std::uint64_t>(arity, count - done);
        for (std::size_t i = 0; i < now; ++i)
            pages[i] = bytes.data() + (done + i) * page_bytes;
        tree_hashes(HashKind::page, std::span(pages).first(now), page_bytes, hashes);
        if (!check_hashes(first + done, std::span(hashes).first(now)))
            return false;
    }
    return true;
}

bool PageTree::check_all() noexcept
{
    each_group([this](std::uint64_t group) {
        if (!checked(0, group))
            broken_ = true;
    });
    return !broken_ && checked(levels - 1, 0);
}

// ---- what is written

void PageTree::set(std::size_t level, std::uint64_t number, const Digest& hash)
{
    ENSURE(fits(level, number / arity), "a tree is reserved for all that its region can hold");
    if (!checked(level, number / arity))
        broken_ = true;
    auto& place = children(level, number / arity)[number % arity];
    // A zero over a zero stays unwritten: the array costs memory only where it is written.
    if (place != hash)
        place = hash;
}

bool PageTree::set_page(std::uint64_t number, Bytes page)
{
    return set_leaf(number, page_hash(page));
}

bool PageTree::set_leaf(std::uint64_t number, const Digest& hash)
{
    ENSURE(fits(0, number / arity), "a tree is reserved for all that its region can hold");
    if (children(0, number / arity)[number % arity] == hash && checked(0, number / arity))
        return false;
    set(0, number, hash);
    stale_.push_back(number / arity);
    return true;
}

void PageTree::update()
{
    auto stale = std::exchange(stale_, {});
    for (std::size_t level = 0; level + 1 < levels; ++level) {
        std::ranges::sort(stale);
        const auto doubles = std::ranges::unique(stale);
        stale.erase(doubles.begin(), doubles.end());
        std::vector<const std::byte*> groups;
        groups.reserve(stale.size());
        for (const auto number : stale)
            groups.push_back(group(level, number).data());
        std::vector<Digest> hashes(stale.size());
        tree_hashes(HashKind::node, groups, group_bytes, hashes);
        for (std::size_t i = 0; i < stale.size(); ++i) {
            set(level + 1, stale[i], hashes[i]);
            stale[i] /= arity;
        }
    }
}

Digest PageTree::root() const
{
    return fits(levels - 1, 0) ? node_hash(group(levels - 1, 0)) : Digest{};
}

namespace {

std::vector<Digest> hashes_of(Region& region, std::span<const std::uint64_t> pages)
{
    const Bytes memory = region.bytes();
    std::vector<Digest> hashes(pages.size());
    std::vector<const std::byte*> unknown;
    unknown.reserve(pages.size());
    for (std::size_t i = 0; i < pages.size(); ++i) {
        if (const auto* known = region.known_hash(pages[i]))
            hashes[i] = *known;
        else
            unknown.push_back(memory.subspan(pages[i] * page_bytes, page_bytes).data());
    }
    if (unknown.size() == pages.size()) {
        tree_hashes(HashKind::page, unknown, page_bytes, hashes);
    } else {
        std::vector<Digest> found(unknown.size());
        tree_hashes(HashKind::page, unknown, page_bytes, found);
        for (std::size_t i = 0, next = 0; i < pages.size() && next < unknown.size(); ++i)
            if (unknown[next] == memory.subspan(pages[i] * page_bytes).data())
                hashes[i] = found[next++];
    }
    if (!region.mapped_ranges().empty())
        for (std::size_t i = 0; i < pages.size(); ++i)
            region.note_hash(pages[i], hashes[i]);
    return hashes;
}

}  // namespace

Result<Digest> PageTree::commit(Region& region, Bytes globals)
{
    if (levels_[0].data() == nullptr) {
        TRY(*this, reserve(region.reserved_bytes()));
    }
    region.cool(std::exchange(cooled_, {}));
    TRY(const auto dirty, region.dirty_pages());
    const auto hashes = hashes_of(region, dirty);
    std::vector<bool> changed(dirty.size());
    for (std::size_t i = 0; i < dirty.size(); ++i)
        changed[i] = set_leaf(dirty[i], hashes[i]);
    update();
    if (broken_ || region.damaged())
        return bad_image();
    TRY_OK(region.commit(dirty, changed));
    return state_root(root(), region.bytes().size(), globals, region.mapped_ranges());
}

Result<void> PageTree::begin(Region& region, Bytes globals)
{
    if (levels_[0].data() == nullptr) {
        TRY(*this, reserve(region.reserved_bytes()));
    }
    region.cool(std::exchange(cooled_, {}));
    TRY(const auto dirty, region.dirty_pages());
    const Bytes memory = region.bytes();
    // What is hot counts as changed, as it nearly always is; `finish` finds out.
    std::vector<bool> changed(dirty.size(), true);
    Begun begun{.pages = {}, .kept = {}, .length_bytes = memory.size(), .globals = to_buffer(globals), .mapped = {}};
    std::vector<std::size_t> now;
    std::vector<const std::byte*> pages;
    for (std::size_t i = 0; i < dirty.size(); ++i) {
        if (region.is_hot(dirty[i])) {
            begun.pages.push_back(dirty[i]);
            continue;
        }
        now.push_back(i);
        pages.push_back(memory.subspan(dirty[i] * page_bytes, page_bytes).data());
    }
    std::vector<Digest> hashes(now.size());
    tree_hashes(HashKind::page, pages, page_bytes, hashes);
    for (std::size_t i = 0; i < now.size(); ++i)
        changed[now[i]] = set_leaf(dirty[now[i]], hashes[i]);
    if (broken_ || region.damaged())
        return bad_image();
    TRY_OK(region.commit(dirty, changed));
    begun.kept.reserve(begun.pages.size());
    for (const auto page : begun.pages) {
        TRY(const auto kept, region.kept(page));
        begun.kept.push_back(kept.data());
    }
    begun.mapped = region.mapped_ranges();
    begun_ = std::move(begun);
    unfinished_->store(true, std::memory_order_relaxed);
    return {};
}

Result<Digest> PageTree::finish()
{
    ENSURE(begun_, "what is finished was begun");
    const auto begun = *std::exchange(begun_, std::nullopt);
    std::vector<Digest> hashes(begun.pages.size());
    tree_hashes(HashKind::page, begun.kept, page_bytes, hashes);
    for (std::size_t i = 0; i < hashes.size(); ++i)
        if (!set_leaf(begun.pages[i], hashes[i]))
            cooled_.push_back(begun.pages[i]);
    update();
    const auto all = root();
    const bool is_bad = broken_;
    unfinished_->store(false, std::memory_order_release);
    unfinished_->notify_all();
    if (is_bad)
        return bad_image();
    return state_root(all, begun.length_bytes, begun.globals, begun.mapped);
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
    // Level by level, each as a plain list.
    std::vector<Digest> hashes(memory.size() / page_bytes);
    for (std::size_t page = 0; page < hashes.size(); ++page)
        hashes[page] = page_hash(memory.subspan(page * page_bytes, page_bytes));
    for (std::size_t level = 0; level < PageTree::levels; ++level) {
        std::vector<Digest> above;
        for (std::size_t first = 0; first < hashes.size(); first += PageTree::arity) {
            std::array<Digest, PageTree::arity> children{};
            std::copy_n(hashes.begin() + static_cast<std::ptrdiff_t>(first),
                std::min<std::size_t>(PageTree::arity, hashes.size() - first), children.begin());
            above.push_back(node_hash({reinterpret_cast<const std::byte*>(children.data()), sizeof children}));
        }
        hashes = std::move(above);
    }
    return state_root(hashes.empty() ? Digest{} : hashes.front(), memory.size(), globals, mapped);
}

}  // namespace altiplano::memory
