// `bench llama`: tokens per second of llama.cpp inside our VM, its graphs computed by the extension `tensor`, against llama.cpp
// built natively. Prefill and decode apart, one and two threads; and decode with one thread against what the memory could
// deliver, if a token cost nothing but reading every weight once: after that prompt, whose keys and values are read as well, and
// after a few words, where weights are nearly all that there is to read. The model is mapped on both sides.
//   bench_llama LLAMA.wasm MODEL.gguf NATIVE_PROGRAM MODULES_FOLDER [--implementation NAME] [--threads N] [--pairs N] [--json]
//   [--smoke]
#include "lib/inference.hpp"
#include "tensor/extension.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>

using namespace altiplano;
using bench::must;

namespace {

/// A file in this program's memory.
std::span<const std::uint64_t> words_of(const Path& path)
{
    const auto file = must(system_files().open(path, Files::Mode::read));
    const auto bytes = must(file->size());
    auto* const at = mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, file->descriptor(), 0);
    ENSURE(at != MAP_FAILED, "a file that is there can be mapped");
    return {static_cast<const std::uint64_t*>(at), bytes / sizeof(std::uint64_t)};
}

/// Processor seconds of reading all of it once, with nothing done but a sum.
double reading_seconds(std::span<const std::uint64_t> words)
{
    std::uint64_t sums[16] = {};
    const auto seconds = bench::thread_seconds([&] {
        for (std::size_t i = 0; i + std::size(sums) <= words.size(); i += std::size(sums))
            for (std::size_t lane = 0; lane < std::size(sums); ++lane)
                sums[lane] += words[i + lane];
    });
    bench::used(sums);
    return seconds;
}

}  // namespace

int main(int count, char** values)
{
    auto given = bench::arguments(count, values);
    std::string implementation;
    int pairs = 30;
    unsigned only_threads = 0;
    while (given.rest.size() >= 6) {
        const auto option = given.rest[given.rest.size() - 2];
        if (option == "--implementation")
            implementation = given.rest.back();
        else if (option == "--threads")
            only_threads = static_cast<unsigned>(std::max(1, std::atoi(given.rest.back().c_str())));
        else if (option == "--pairs")
            pairs = std::max(1, std::atoi(given.rest.back().c_str()));
        else
            break;
        given.rest.resize(given.rest.size() - 2);
    }
    if (given.rest.size() != 4) {
        fmt::print(stderr,
            "usage: bench_llama LLAMA.wasm MODEL.gguf NATIVE_PROGRAM MODULES_FOLDER [--implementation NAME] [--threads N] "
            "[--pairs N] "
            "[--json] [--smoke]\n");
        return 2;
    }
    const Path model = given.rest[1];
    const int words = given.smoke ? 32 : 512;
    const int tokens = given.smoke ? 4 : 64;
    constexpr int few_words = 16;
    const int runs = given.smoke ? 1 : pairs;

    const auto engine = must(vm::Engine::create(vm::Engine::small_reservation_bytes));
    const auto wasm = must(read_file(system_files(), given.rest[0]));
    const auto weights = words_of(model);
    std::vector<bench::Row> rows;
    bool equal = true;
    for (const unsigned threads : only_threads != 0 ? std::vector{only_threads} : std::vector{1U, 2U}) {
        const auto tensor = tensor::extension({.implementation = implementation, .threads = threads});
        if (!tensor) {
            fmt::print(stderr, "this machine cannot run {}\n", implementation);
            return 1;
        }
        auto process = bench::loaded(engine, wasm, given.rest[3], model, tensor);
        bench::Compared compared;
        bench::Compared law;
        bench::Compared short_law;
        for (int run = 0; run < runs; ++run) {
            const auto ours = bench::inside(process, words, tokens, threads > 1);
            compared.add(ours, bench::outside(given.rest[2], model, ours.prompt, tokens, threads));
            auto read = ours;
            // Takes a hundredth of a second, and half as long again beside somebody else who reads: once says little.
            std::vector<double> readings(5);
            std::ranges::generate(readings, [&] { return reading_seconds(weights); });
            read.decode = 1 / bench::median(readings);
            law.add(ours, read);
            if (threads == 1) {
                const auto few = bench::inside(process, few_words, tokens);
                read.work = few.work;
                short_law.add(few, read);
            }
        }
        equal &= compared.equal();
        const auto with = fmt::format("{} thread{}", threads, threads == 1 ? "" : "s");
        rows.push_back(compared.prefill(fmt::format("prefill {}, {}", words, with), "native llama.cpp"));
        rows.push_back(compared.decode(fmt::format("decode, {}", with), "native llama.cpp"));
        // With tied embeddings, as the model of the tests has them, a token reads the whole file.
        if (threads == 1) {
            rows.push_back(law.decode("decode over the bandwidth law, 1 thread", "reading the file"));
            rows.push_back(short_law.decode(
                fmt::format("the same after {} words in the place of {}", few_words, words), "reading the file"));
        }
    }
    bench::report(rows, given.json);
    return equal ? 0 : 1;
}
