// `bench drive`: reading an item of the weave in a guest. One after the other, against copying the same bytes out of a mapping
// into a buffer of the same size; and how much of a sparse item of 10 GiB a read of 4 KiB at 2^33 brings into memory.
//   bench_drive READ.wasm FOLDER [--json] [--smoke]
#include "lib/llama_process.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace altiplano;
using bench::must;

namespace {

/// A file as an item, without asking what its hash is.
std::shared_ptr<vm::GuestFiles> items(const Path& path)
{
    return std::make_shared<bench::ModelFiles>(path, true, ItemId{});
}

/// A file in this program's memory; its pages are not touched by that.
class Mapping {
public:
    explicit Mapping(const Path& path)
        : file_(must(system_files().open(path, Files::Mode::read)))
        , bytes_(must(file_->size()))
        , at_(mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file_->descriptor(), 0))
    {
        ENSURE(at_ != MAP_FAILED, "a file that is there can be mapped");
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping() { munmap(at_, bytes_); }
    Bytes bytes() const { return {static_cast<const std::byte*>(at_), bytes_}; }
    /// How much of it the kernel holds.
    std::uint64_t resident_bytes() const
    {
        std::vector<unsigned char> pages((bytes_ + 4095) / 4096);
        ENSURE(mincore(at_, bytes_, pages.data()) == 0, "the mapping is there");
        return 4096 * static_cast<std::uint64_t>(std::ranges::count_if(pages, [](auto page) { return (page & 1) != 0; }));
    }
    void forget() { posix_fadvise(file_->descriptor(), 0, 0, POSIX_FADV_DONTNEED); }

private:
    std::unique_ptr<File> file_;
    std::uint64_t bytes_;
    void* at_;
};

/// What the guest does with what it read.
std::uint64_t copied(Bytes from, std::span<std::byte> buffer)
{
    std::uint64_t sum = 0;
    while (!from.empty()) {
        const auto piece = std::min(from.size(), buffer.size());
        std::memcpy(buffer.data(), from.data(), piece);
        bench::used(buffer);
        for (std::size_t at = 0; at + 4096 <= piece; at += 4096)
            sum = sum * 31 + read_u64(buffer.subspan(at, 8));
        from = from.subspan(piece);
    }
    return sum >> 1;
}

}  // namespace

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values, "READ.wasm FOLDER");
    const Path folder = given.rest[1];
    const auto whole = folder / "item";
    const auto sparse = folder / "sparse";
    const std::uint64_t bytes = (given.smoke ? std::uint64_t{16} : std::uint64_t{512}) << 20;
    constexpr std::uint64_t sparse_bytes = std::uint64_t{10} << 30;
    constexpr std::uint64_t far = std::uint64_t{1} << 33;
    {
        const auto file = must(system_files().open(whole, Files::Mode::create));
        Buffer piece(1 << 20);
        for (std::uint64_t at = 0; at < bytes; at += piece.size()) {
            for (std::size_t i = 0; i < piece.size(); i += 8) {
                const auto word = (at + i) * 0x9e3779b97f4a7c15U;
                std::memcpy(&piece[i], &word, sizeof word);
            }
            must(file->write_at(at, piece));
        }
        const auto holes = must(system_files().open(sparse, Files::Mode::create));
        must(holes->truncate(sparse_bytes));
        must(holes->sync());
    }

    const auto engine = must(vm::Engine::create(vm::Engine::small_reservation_bytes));
    const auto cache = must(vm::ModuleCache::open(engine, system_files(), system_random(), {.folder = folder}));
    const auto module = must(cache->compile(must(read_file(system_files(), given.rest[0]))));
    bench::Process reader(module, items(whole));
    const Mapping mapped(whole);
    Buffer buffer(1 << 20);
    const auto gigabytes = static_cast<double>(bytes) / 1e9;
    // Both sides once, so that the pages are there.
    reader.eval(fmt::format("0 {}", bytes));
    copied(mapped.bytes(), buffer);
    std::vector rows{bench::in_turn(
        fmt::format("reading {} MiB in a guest", bytes >> 20), "memcpy", "GB/s", bench::Better::more, given.smoke ? 1 : 15,
        [&] {
            const auto read = reader.eval(fmt::format("0 {}", bytes));
            return bench::Sample{gigabytes / read.cpu_seconds, static_cast<std::uint64_t>(read.value)};
        },
        [&] {
            std::uint64_t sum = 0;
            const auto seconds = bench::thread_seconds([&] { sum = copied(mapped.bytes(), buffer); });
            return bench::Sample{gigabytes / seconds, sum};
        })};

    Mapping far_mapped(sparse);
    far_mapped.forget();
    const auto before = far_mapped.resident_bytes();
    bench::Process(module, items(sparse)).eval(fmt::format("{} 4096", far));
    const auto touched = far_mapped.resident_bytes() - before;
    constexpr double allowed = 1 << 20;
    rows.push_back({.name = "4 KiB at 2^33 of a sparse item of 10 GiB",
        .outside_name = "1 MiB",
        .ours = static_cast<double>(touched) / 1024,
        .outside = allowed / 1024,
        .unit = "KiB held",
        .better = "less",
        .ratio = allowed / std::max(1.0, static_cast<double>(touched)),
        .work = "4096 bytes"});
    bench::report(rows, given.json);
    must(system_files().remove(whole));
    must(system_files().remove(sparse));
    return static_cast<double>(touched) < allowed ? 0 : 1;
}
