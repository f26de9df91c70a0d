// `bench restore`: a process of 16 GiB comes back from its image, to the first byte that it reads and the first that it
// writes, against one of 64 MiB (law 5), and against copying what it holds, which is what a loader that copies pays.
#include "lib/bench.hpp"
#include "memory/image.hpp"

#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

using namespace altiplano;
using bench::must;

namespace {

constexpr std::uint64_t page = memory::page_bytes;
constexpr std::uint64_t mib = std::uint64_t{1} << 20;

void done(Result<void> result)
{
    if (!result)
        bench::give_up(result.error());
}

class Asleep {
public:
    Asleep(const Path& folder, std::uint64_t length, std::uint64_t held)
        : path_(folder / fmt::format("image-{}", length / mib))
        , length_(length)
        , held_(held)
    {
        memory::PageTree tree;
        auto region = must(memory::Region::fresh(length));
        done(region.grow(length));
        for (std::uint64_t at = 0; at < held; at += page)
            region.bytes()[at] = std::byte{7};
        const auto root = must(tree.commit(region, {}));
        must(memory::save_image(system_files(), path_, region, tree, {}, root, {}, {.durable = false}));
    }
    bench::Sample wake()
    {
        std::uint64_t work = 0;
        memory::PageTree tree;
        std::optional<memory::Region> region;
        const double seconds = bench::seconds([&] {
            const auto file = must(system_files().open(path_, Files::Mode::read));
            const File* const layers[] = {file.get()};
            region = must(memory::Region::fresh(length_));
            must(memory::load_image(layers, *region, tree, [](memory::Region&, const memory::MappedRange&) -> Result<void> {
                return fail("bench.no_items", "there are none");
            }));
            work = static_cast<std::uint64_t>(region->bytes()[held_ / 2]);
            region->bytes()[held_ / 2 + 1] = std::byte{9};
        });
        return {.figure = seconds * 1e6, .work = work};
    }
    bench::Sample copy()
    {
        std::uint64_t work = 0;
        const double seconds = bench::seconds([&] {
            const auto file = must(system_files().open(path_, Files::Mode::read));
            Buffer bytes(held_);
            must(file->read_at(page, bytes));
            work = static_cast<std::uint64_t>(bytes[held_ / 2]);
            bench::used(bytes);
        });
        return {.figure = seconds * 1e6, .work = work};
    }

private:
    Path path_;
    std::uint64_t length_;
    std::uint64_t held_;
};

}  // namespace

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values);
    const Path folder = std::filesystem::temp_directory_path() / fmt::format("altiplano-bench-restore-{}", getpid());
    std::filesystem::create_directories(folder);
    {
        Asleep large(folder, given.smoke ? 1024 * mib : 16384 * mib, given.smoke ? 64 * mib : 2048 * mib);
        Asleep small(folder, 64 * mib, 32 * mib);
        const int runs = given.smoke ? 5 : 51;
        const auto name = fmt::format("wake {} MiB", given.smoke ? 1024 : 16384);
        bench::report({bench::in_turn(
                           name, "wake 64 MiB", "us", bench::Better::less, runs, [&] { return large.wake(); },
                           [&] { return small.wake(); }),
                          bench::in_turn(
                              name, "copy what it holds", "us", bench::Better::less, given.smoke ? 2 : 5,
                              [&] { return large.wake(); }, [&] { return large.copy(); })},
            given.json);
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
}
