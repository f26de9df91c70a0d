#include "item/data_root.hpp"

#include "item/errors.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace altiplano::item {

namespace {

constexpr std::uint64_t chunk_bytes_min = std::uint64_t{32} * 1024;  // of a balanced cut

using Note = std::array<std::byte, 32>;

Note note_of(std::uint64_t number)
{
    Note note{};
    for (std::size_t i = 0; i < 8; ++i)
        note[31 - i] = static_cast<std::byte>(number >> (8 * i));
    return note;
}

/// @return nothing for a number of more than 64 bits, which no offset of ours is
std::optional<std::uint64_t> number_of(Bytes note)
{
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < 32; ++i) {
        if (i < 24 && note[i] != std::byte{0})
            return std::nullopt;
        number = number << 8 | static_cast<std::uint64_t>(note[i]);
    }
    return number;
}

/// The hash of a node: of the hashes of its parts.
Digest node_of(std::initializer_list<Bytes> parts)
{
    Sha256Hasher hasher;
    for (const auto part : parts)
        hasher.update(sha256(part).bytes());
    return hasher.finish();
}

struct Node {
    Digest id;
    std::uint64_t end;
    std::size_t first;  ///< of the leaves below it
    std::size_t last;
};

/// Puts a layer over a layer until one node is left, and what each branch adds in front of the paths below it.
DataTree tree_of(const std::vector<Digest>& hashes, const std::vector<std::uint64_t>& ends)
{
    std::vector<Node> layer;
    DataTree tree;
    std::vector<Buffer> backwards(hashes.size());  // of each path the parts, the last first
    for (std::size_t i = 0; i < hashes.size(); ++i) {
        const auto note = note_of(ends[i]);
        layer.push_back({.id = node_of({hashes[i].bytes(), note}), .end = ends[i], .first = i, .last = i});
        append(backwards[i], hashes[i].bytes());
        append(backwards[i], note);
    }
    std::vector<std::vector<Buffer>> fronts(hashes.size());
    while (layer.size() > 1) {
        std::vector<Node> above;
        for (std::size_t i = 0; i + 1 < layer.size(); i += 2) {
            const auto& left = layer[i];
            const auto& right = layer[i + 1];
            const auto note = note_of(left.end);
            auto front = to_buffer(left.id.bytes());
            append(front, right.id.bytes());
            append(front, note);
            for (auto leaf = left.first; leaf <= right.last; ++leaf)
                fronts[leaf].push_back(front);
            above.push_back({.id = node_of({left.id.bytes(), right.id.bytes(), note}),
                .end = right.end,
                .first = left.first,
                .last = right.last});
        }
        // One that has no partner goes up as it is.
        if (layer.size() % 2 == 1)
            above.push_back(layer.back());
        layer = std::move(above);
    }
    tree.root = layer.front().id;
    for (std::size_t i = 0; i < hashes.size(); ++i) {
        Chunk chunk{.begin = i == 0 ? 0 : ends[i - 1], .end = ends[i], .path = {}};
        if (chunk.begin == chunk.end)
            continue;
        for (auto front = fronts[i].rbegin(); front != fronts[i].rend(); ++front)
            append(chunk.path, *front);
        append(chunk.path, backwards[i]);
        tree.chunks.push_back(std::move(chunk));
    }
    return tree;
}

}  // namespace

std::vector<std::uint64_t> chunk_ends(std::uint64_t size, Cut cut)
{
    std::vector<std::uint64_t> ends;
    std::uint64_t at = 0;
    while (size - at >= chunk_bytes_max) {
        const auto left = size - at;
        const auto after = left - chunk_bytes_max;
        at += cut == Cut::balanced && after > 0 && after < chunk_bytes_min ? (left + 1) / 2 : chunk_bytes_max;
        ends.push_back(at);
    }
    ends.push_back(size);
    return ends;
}

TreeBuilder::TreeBuilder(std::uint64_t size, Cut cut)
    : ends_(chunk_ends(size, cut))
{
}

void TreeBuilder::update(Bytes piece)
{
    while (!piece.empty()) {
        ENSURE(hashes_.size() < ends_.size(), "callers give no more than the size they named");
        const auto part =
            piece.first(static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), ends_[hashes_.size()] - at_)));
        hasher_.update(part);
        at_ += part.size();
        piece = piece.subspan(part.size());
        if (at_ == ends_[hashes_.size()])
            end_chunk();
    }
}

void TreeBuilder::end_chunk()
{
    hashes_.push_back(hasher_.finish());
    hasher_ = Sha256Hasher();
}

DataTree TreeBuilder::finish()
{
    ENSURE(at_ == ends_.back(), "callers give all of the size they named");
    // Data of a whole number of chunks ends with an empty one.
    if (hashes_.size() < ends_.size())
        end_chunk();
    return tree_of(hashes_, ends_);
}

DataTree data_tree(Bytes data, Cut cut)
{
    TreeBuilder builder(data.size(), cut);
    builder.update(data);
    return builder.finish();
}

Result<Proven> follow(Bytes path, const Digest& root, std::uint64_t size, std::uint64_t offset)
{
    constexpr std::size_t leaf_bytes = 64;
    constexpr std::size_t branch_bytes = 96;
    const auto bad = [](std::string_view what) {
        return fail(errors::bad_proof, fmt::format("the path does not prove the chunk: {}", what),
            "is it the path of this chunk, and of the transaction with this data root?");
    };
    if (path.size() < leaf_bytes || path.size() > data_path_bytes_max || (path.size() - leaf_bytes) % branch_bytes != 0)
        return bad(fmt::format("{} bytes are no number of branches and a leaf", path.size()));
    if (offset >= size)
        return bad(fmt::format("the offset {} is past the {} bytes of the data", offset, size));

    Digest node = root;
    std::uint64_t begin = 0;
    std::uint64_t end = size;
    for (; path.size() > leaf_bytes; path = path.subspan(branch_bytes)) {
        const auto left = path.first(32);
        const auto right = path.subspan(32, 32);
        const auto note = path.subspan(64, 32);
        if (node_of({left, right, note}) != node)
            return bad("a branch is not under the one above it");
        const auto middle = number_of(note);
        if (!middle || *middle <= begin || *middle >= end) {
            // A right branch with nothing in it is how data of a whole number of chunks ends.
            if (middle != end)
                return bad("a branch divides where its data is not");
        }
        const bool goes_left = offset < *middle;
        TRY(node, Digest::from_bytes(goes_left ? left : right));
        (goes_left ? end : begin) = *middle;
    }
    const auto hash = path.first(32);
    const auto note = path.subspan(32, 32);
    if (node_of({hash, note}) != node)
        return bad("the leaf is not under the last branch");
    const auto leaf_end = number_of(note);
    // A leaf that ends elsewhere than its branch says would make two chunks of one range possible.
    if (leaf_end != end || end <= begin)
        return bad(fmt::format("the leaf ends elsewhere than at {}", end));
    if (end - begin > chunk_bytes_max)
        return bad(fmt::format("the chunk has {} bytes; at most {} are allowed", end - begin, chunk_bytes_max));
    Proven proven{.begin = begin, .end = end, .data_hash = {}};
    TRY(proven.data_hash, Digest::from_bytes(hash));
    return proven;
}

}  // namespace altiplano::item
