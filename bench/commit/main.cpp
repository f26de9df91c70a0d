// `bench commit`: a message that changes 1 MiB, scattered, in a process of 16 GiB of which 4 GiB were touched, against the
// same in a process of 64 MiB (law 5: cost follows change). What is timed is the commit: finding, hashing, keeping, watching.
// The large process changes another stretch of 64 MiB each time, the small one has but one. First every stretch once: these pages
// were written once, all together, and never again. Then the stretches again and again.
#include "lib/bench.hpp"
#include "memory/page_tree.hpp"

#include <fmt/format.h>

using namespace altiplano;
using bench::must;

namespace {

constexpr std::uint64_t page = memory::page_bytes;
constexpr std::uint64_t changed = 256;  // pages: 1 MiB

class Process {
public:
    Process(std::uint64_t length, std::uint64_t touched)
        : region_(must(memory::Region::fresh(length)))
        , pages_(touched / page)
    {
        must_all(region_.grow(length));
        for (std::uint64_t i = 0; i < pages_; ++i)
            region_.bytes()[i * page] = std::byte{1};
        must(tree_.commit(region_, {}));
    }
    /// Changes pages here and there in one stretch of 64 MiB, as a program's heap does, and commits.
    bench::Sample commit()
    {
        ++round_;
        const auto stretch = std::min<std::uint64_t>(pages_, (std::uint64_t{64} << 20) / page);
        const auto first = pages_ == stretch ? 0 : round_ * 7919 * stretch % (pages_ - stretch);
        for (std::uint64_t i = 0; i < changed; ++i)
            region_.bytes()[(first + i * (stretch / changed)) * page + 8] ^= std::byte{1};
        const double seconds = bench::seconds([&] { bench::used(must(tree_.commit(region_, {}))); });
        return {.figure = seconds * 1e6, .work = changed};
    }

private:
    static void must_all(Result<void> done)
    {
        if (!done)
            bench::give_up(done.error());
    }
    memory::PageTree tree_;
    memory::Region region_;
    std::uint64_t pages_;
    std::uint64_t round_ = 0;
};

}  // namespace

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values);
    constexpr std::uint64_t mib = std::uint64_t{1} << 20;
    Process large(given.smoke ? 1024 * mib : 16384 * mib, given.smoke ? 128 * mib : 4096 * mib);
    Process small(64 * mib, 64 * mib);
    const auto row = [&](const std::string& name, int runs) {
        return bench::in_turn(
            fmt::format("commit 1 MiB of {} MiB, {}", given.smoke ? 1024 : 16384, name), "the same of 64 MiB", "us",
            bench::Better::less, runs, [&] { return large.commit(); }, [&] { return small.commit(); });
    };
    const auto first = row("first", given.smoke ? 3 : 61);
    bench::report({row("again", given.smoke ? 9 : 101), first}, given.json);
}
