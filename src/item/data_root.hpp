#pragma once

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/result.hpp"

#include <optional>
#include <vector>

/// The tree over chunks of data that a transaction of format 2 signs the root of (arweave-js: lib/merkle; the same as a
/// node's ar_merkle). All numbers in it are 32 bytes, big-endian.
namespace altiplano::item {

inline constexpr std::uint64_t chunk_bytes_max = std::uint64_t{256} * 1024;
/// A proof this long is of a tree of 2^63 chunks and more.
inline constexpr std::size_t data_path_bytes_max = std::size_t{64} + 96 * 64;

/// How data is cut where the uploader leaves it to us. Both end data of a whole number of chunks with an empty one.
enum class Cut {
    even,  ///< chunks of 256 KiB and a rest: what nodes do
    balanced,  ///< the last two of equal size where the rest would be below 32 KiB: what arweave-js does
};
/// Where the chunks of data of this size end, ascending; the last is `size`, twice when it is a whole number of chunks.
std::vector<std::uint64_t> chunk_ends(std::uint64_t size, Cut cut);

/// A chunk, [`begin`, `end`) of the data, with what proves it. An empty one has no path.
struct Chunk {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    Buffer path{};
};
struct DataTree {
    Digest root;
    std::vector<Chunk> chunks;  ///< without the empty one
};
/// Takes data of a known size piece by piece, and keeps of it only hashes.
class TreeBuilder {
public:
    TreeBuilder(std::uint64_t size, Cut cut);
    void update(Bytes piece);  ///< all pieces together not more than `size` bytes
    /// Once, after `size` bytes.
    DataTree finish();

private:
    void end_chunk();
    std::vector<std::uint64_t> ends_;
    std::vector<Digest> hashes_;
    Sha256Hasher hasher_;
    std::uint64_t at_ = 0;
};
DataTree data_tree(Bytes data, Cut cut);

/// What a path proves of the byte at `offset`: which chunk it lies in, and that chunk's SHA-256.
struct Proven {
    std::uint64_t begin;
    std::uint64_t end;
    Digest data_hash;
};
/// Follows a path from the root of data of `size` bytes. The chunk has at most chunk_bytes_max bytes, all of them inside the
/// data. @return item.bad_proof
Result<Proven> follow(Bytes path, const Digest& root, std::uint64_t size, std::uint64_t offset);

}  // namespace altiplano::item
