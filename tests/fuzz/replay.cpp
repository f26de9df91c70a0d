// A fuzzer without libFuzzer: runs it over the files of folders, so that what its corpus has found stays found; or, with
// `--made-up RUNS SEED` or `--made-up SECONDSs SEED`, over what its own mutator makes up. No edges are counted then, but it needs
// nothing but the ordinary build.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" [[gnu::weak]] std::size_t LLVMFuzzerCustomMutator(
    std::uint8_t* data, std::size_t size, std::size_t size_max, unsigned seed);

/// What libFuzzer has for mutators that leave something to it.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t)
{
    static std::uint64_t state = 1;
    state = state * 6364136223846793005U + 1442695040888963407U;
    if (size > 0)
        data[(state >> 33) % size] = static_cast<std::uint8_t>(state >> 25);
    return size;
}

namespace {

int made_up(const std::string& much, unsigned seed)
{
    if (LLVMFuzzerCustomMutator == nullptr) {
        std::fprintf(stderr, "this fuzzer makes nothing up by itself\n");
        return 2;
    }
    constexpr std::size_t size_max = std::size_t{1} << 20;
    std::vector<std::uint8_t> input(size_max);
    std::size_t size = 0;
    unsigned runs = 0;
    const auto most = static_cast<unsigned>(std::atoi(much.c_str()));
    const bool by_clock = much.ends_with('s');
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(most);
    for (; by_clock ? std::chrono::steady_clock::now() < end : runs < most; ++runs) {
        size = LLVMFuzzerCustomMutator(input.data(), size, size_max, seed + runs);
        const std::vector<std::uint8_t> exact(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(size));
        // Left behind by whoever ends the program.
        std::ofstream("made-up.input", std::ios::binary)
            .write(reinterpret_cast<const char*>(exact.data()), static_cast<std::streamsize>(size));
        LLVMFuzzerTestOneInput(exact.data(), exact.size());
    }
    std::filesystem::remove("made-up.input");
    std::printf("%u made up, from seed %u\n", runs, seed);
    return 0;
}

}  // namespace

int main(int count, char** values)
{
    if (count == 4 && std::string(values[1]) == "--made-up")
        return made_up(values[2], static_cast<unsigned>(std::atoi(values[3])));
    int files = 0;
    for (int i = 1; i < count; ++i)
        for (const auto& entry : std::filesystem::directory_iterator(values[i])) {
            std::ifstream file(entry.path(), std::ios::binary);
            const std::string content((std::istreambuf_iterator<char>(file)), {});
            // No terminator behind the end, so that a sanitizer sees a read beyond it.
            const std::basic_string<std::uint8_t> bytes(content.begin(), content.end());
            LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
            // Each of its beginnings too: input that is cut off is the commonest of all.
            for (std::size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 64)
                LLVMFuzzerTestOneInput(bytes.data(), size);
            ++files;
        }
    std::printf("%d files\n", files);
    return files > 0 ? 0 : 1;
}
