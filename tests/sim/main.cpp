// The simulator: a whole node in this process, on a disk that is stopped, cut, filled and spoilt.
#include "scenes.hpp"

#include "base/log.hpp"

#include <charconv>
#include <fmt/format.h>

using namespace altiplano;
using namespace altiplano::sim;

namespace {

constexpr std::string_view usage = R"(usage: sim crash|full|flip|twice
  --points N              of a sample, spread over the whole run
  --all                   every point, each with every tear
  --shard I/N             a part of the cases
  --seed S --messages N --rounds N     what the script does
  --point K --tear lost|kept|prefix|scattered     one case, as a failure names it
  --forgetful             the disk ignores every sync: something must then be lost
  --list                  the operations, by number
)";

struct Wrong { };

std::size_t number(std::string_view text)
{
    std::size_t value = 0;
    const auto* const end = text.data() + text.size();
    if (const auto [rest, code] = std::from_chars(text.data(), end, value); code != std::errc{} || rest != end)
        throw Wrong{};
    return value;
}

Arguments parse(std::span<char*> words)
{
    Arguments given;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        const auto value = [&]() -> std::string_view {
            if (++i == words.size())
                throw Wrong{};
            return words[i];
        };
        if (word == "--all") {
            given.all = true;
        } else if (word == "--list") {
            given.list = true;
        } else if (word == "--forgetful") {
            given.forgetful = true;
        } else if (word == "--verbose") {
            given.verbose = true;
        } else if (word == "--points") {
            given.points = std::max<std::size_t>(number(value()), 1);
        } else if (word == "--seed") {
            given.seed = number(value());
        } else if (word == "--messages") {
            given.messages = number(value());
        } else if (word == "--rounds") {
            given.rounds = number(value());
        } else if (word == "--point") {
            given.point = number(value());
        } else if (word == "--shard") {
            const auto text = value();
            const auto slash = text.find('/');
            given.shard = number(text.substr(0, slash));
            given.shards = slash == text.npos ? 0 : number(text.substr(slash + 1));
            if (given.shard >= given.shards)
                throw Wrong{};
        } else if (word == "--tear") {
            const auto name = value();
            for (std::size_t tear = 0; tear < tears; ++tear)
                if (name_of(static_cast<Tear>(tear)) == name)
                    given.tear = static_cast<Tear>(tear);
            if (!given.tear)
                throw Wrong{};
        } else {
            throw Wrong{};
        }
    }
    return given;
}

}  // namespace

int main(int count, char** words)
{
    try {
        if (count < 2)
            throw Wrong{};
        const std::string_view what = words[1];
        const auto given = parse(std::span(words + 2, words + count));
        register_vfs();
        if (!given.verbose)
            log::set_level(log::Level::error);
        if (what == "crash")
            return crash(given);
        if (what == "full")
            return full(given);
        if (what == "flip")
            return flip(given);
        if (what == "twice")
            return twice(given);
        throw Wrong{};
    } catch (const Wrong&) {
        fmt::print(stderr, "{}", usage);
        return 2;
    }
}
