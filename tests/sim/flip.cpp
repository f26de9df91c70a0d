#include "scenes.hpp"

#include "store/sqlite/checked.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::sim {

namespace {

bool is_cache(std::string_view path)
{
    return path.starts_with("cache.db") || path.starts_with("images/") || path.starts_with("modules/");
}

}  // namespace

int flip(const Arguments& given)
{
    Scratch scratch;
    const auto made = record(scratch, given);
    if (!made) {
        fmt::print(stderr, "error  the script fails on a sound disk: {} ({})\n", made.error().sentence, made.error().code);
        return 1;
    }
    // A bit in each file, and more where it is large: files get a share by the root of their size.
    struct Bit {
        std::string path;
        std::uint64_t at;
        unsigned bit;
    };
    std::vector<Bit> bits;
    Chance chance(given.seed);
    for (const auto& [path, content] : made->after.files) {
        if (content.empty())
            continue;
        const auto share =
            given.all ? std::max<std::size_t>(content.size() / 512, 8) : 1 + given.points / made->after.files.size();
        for (std::size_t i = 0; i < share; ++i)
            bits.push_back({path, chance() % content.size(), static_cast<unsigned>(chance() % 8)});
    }
    std::size_t repaired = 0;
    std::size_t unseen = 0;
    std::map<std::string, std::size_t> named;
    std::size_t runs = 0;
    for (std::size_t i = 0; i < bits.size(); ++i) {
        if (i % given.shards != given.shard || (given.point && i != *given.point))
            continue;
        const auto& bit = bits[i];
        auto spoilt = made->after;
        spoilt.files[bit.path][bit.at] ^= static_cast<std::byte>(1U << bit.bit);
        auto setting = made->setting;
        setting.data = scratch.fresh("restarted");
        setting.spoilt = true;
        write_tree(spoilt, setting.data);
        for (const auto* const file : {"records.db", "cache.db"})
            store::sqlite::forget_damage(setting.data / file);
        ++runs;
        const auto held = check(setting, made->told, made->ops.size(), system_files(), nullptr);
        if (held) {
            ++(is_cache(bit.path) ? repaired : unseen);
            continue;
        }
        // A cache may say what is wrong once; after another start it is made anew.
        const bool named_it = !held.error().code.starts_with("sim.");
        auto again = held;
        if (named_it && is_cache(bit.path))
            again = check(setting, made->told, made->ops.size(), system_files(), nullptr);
        if (again || (named_it && !is_cache(bit.path))) {
            ++named[std::string(held.error().code)];
            repaired += again ? 1U : 0U;
            continue;
        }
        fmt::print(stderr,
            "error  bit {} of byte {} of {} flipped: {} ({})\nagain  sim flip --seed {} --messages {} --rounds {}{} --point {}\n",
            bit.bit, bit.at, bit.path, held.error().sentence, held.error().code, given.seed, given.messages, given.rounds,
            given.all ? " --all" : fmt::format(" --points {}", given.points), i);
        if (!given.verbose)
            return 1;
    }
    std::string codes;
    for (const auto& [code, count] : named)
        codes += fmt::format(" {} {}", code, count);
    fmt::print(
        "flip: {} bits in {} files: {} in caches, all answers equal; {} where nothing is kept, all answers equal; named:{}\n",
        runs, made->after.files.size(), repaired, unseen, codes);
    return 0;
}

}  // namespace altiplano::sim
