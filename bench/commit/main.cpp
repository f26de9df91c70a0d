// `bench commit`: a message that changes 1 MiB, scattered, in a process of 16 GiB of which 4 GiB were touched, against the
// same in a process of 64 MiB (law 5: cost follows change). What is timed is the commit: finding, hashing, keeping, watching.
// The large process changes another stretch of 64 MiB each time, the small one has but one. First every stretch once: these pages
// were written once, all together, and never again; of the small one other pages each time, which are such pages too. Then the
// stretches again and again, against a small one that changes the same pages every time, so that they need no watching; and what
// is first against that one as well, which is not the same work.
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
    /// @param other_pages  each time, where there is but one stretch
    Process(std::uint64_t length, std::uint64_t touched, bool other_pages = false)
        : region_(must(memory::Region::fresh(length)))
        , pages_(touched / page)
        , other_pages_(other_pages)
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
        const auto step = stretch / changed;
        const auto first = pages_ == stretch ? (other_pages_ ? round_ % step : 0) : round_ * 7919 * stretch % (pages_ - stretch);
        for (std::uint64_t i = 0; i < changed; ++i)
            region_.bytes()[(first + i * step) * page + 8] ^= std::byte{1};
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
    bool other_pages_;
    std::uint64_t round_ = 0;
};

}  // namespace

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values);
    constexpr std::uint64_t mib = std::uint64_t{1} << 20;
    Process large(given.smoke ? 1024 * mib : 16384 * mib, given.smoke ? 128 * mib : 4096 * mib);
    Process small(64 * mib, 64 * mib);
    Process small_first(64 * mib, 64 * mib, true);
    const auto row = [&](std::string name, const char* outside_name, int runs, const auto& ours, const auto& theirs) {
        return bench::in_turn(fmt::format("commit 1 MiB of {} MiB, {}", given.smoke ? 1024 : 16384, name), outside_name, "us",
            bench::Better::less, runs, ours, theirs);
    };
    // One commit of the large one's is compared with both: its stretches are first once.
    std::vector<bench::Sample> firsts;
    const auto first = row(
        "first", "the same of 64 MiB", given.smoke ? 3 : 61,
        [&] {
            firsts.push_back(large.commit());
            return firsts.back();
        },
        [&] { return small_first.commit(); });
    std::size_t next = 0;
    const auto first_to_again =
        row("first", "of 64 MiB, again", given.smoke ? 3 : 61, [&] { return firsts[next++]; }, [&] { return small.commit(); });
    const auto again =
        row("again", "the same of 64 MiB", given.smoke ? 9 : 101, [&] { return large.commit(); }, [&] { return small.commit(); });
    bench::report({again, first, first_to_again}, given.json);
}
