#pragma once

#include "base/bytes.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// A disk that knows what was synced: from a record of everything that was done to it, what a power failure may leave.
namespace altiplano::sim {

using Chance = std::mt19937_64;

/// One thing done to the disk. Paths are relative to the folder that is watched; `file` numbers what a path named then.
struct Op {
    enum class Kind : std::uint8_t { create, write, truncate, sync, rename, remove, make_directory, sync_directory, protect };
    Kind kind = Kind::write;
    std::uint32_t file = 0;
    std::string path{};
    std::string to{};  ///< rename
    std::uint64_t offset = 0;  ///< write; truncate: the new size
    Buffer bytes{};
};
std::string describe(const Op& op);

/// What of the unsynced survives.
enum class Tear : std::uint8_t {
    lost,  ///< nothing
    kept,  ///< everything, as when only the program died
    prefix,  ///< everything up to a point, which may lie inside a write
    scattered,  ///< any sectors; of what was done to folders everything up to a point
};
inline constexpr std::size_t tears = 4;
std::string_view name_of(Tear tear);

/// Files and folders with their content.
struct Tree {
    std::set<std::string> folders{};
    std::map<std::string, Buffer> files{};
    std::set<std::string> read_only{};
    std::size_t fingerprint() const;
};

/// Follows a record op by op. What was written is durable when its file was synced; a name when its folder was: this disk
/// promises what POSIX does and no more. A rename is durable with the folder of either name, never half.
class Disk {
public:
    static constexpr std::uint64_t sector_bytes = 512;

    /// @param before  what was there, all durable; its files are numbered from 1 in the order of their names
    explicit Disk(const Tree& before = {});
    /// `op` must outlive the disk.
    void apply(const Op& op);
    Tree after_crash(Tear tear, Chance& chance) const;
    /// How many things are not durable yet.
    std::size_t pending() const noexcept { return pending_.size(); }

private:
    struct Names {
        std::map<std::string, std::uint32_t> files{};
        std::set<std::string> folders{};
        void apply(const Op& op);
    };
    static bool is_data(const Op& op) { return op.kind == Op::Kind::write || op.kind == Op::Kind::truncate; }
    static void put(Buffer& content, const Op& op, std::uint64_t begin, std::uint64_t end);

    Names names_;  ///< durable
    std::map<std::uint32_t, Buffer> content_;  ///< durable
    std::set<std::string> read_only_;
    std::vector<const Op*> pending_;
};

}  // namespace altiplano::sim
