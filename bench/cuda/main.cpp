// `bench cuda`: tokens per second of a model in a process, its graphs computed by a graphics card, against llama.cpp's own CUDA
// backend on the same card, by the clock. `bench bits` shows that the card has the processor's bits.
//   bench_cuda LLAMA.wasm MODEL.gguf NATIVE_PROGRAM MODULES_FOLDER [--json] [--smoke]
#include "lib/inference.hpp"
#include "tensor/extension.hpp"

using namespace altiplano;
using bench::must;

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values, "LLAMA.wasm MODEL.gguf NATIVE_PROGRAM MODULES_FOLDER");
    const int words = given.smoke ? 32 : 512;
    const int tokens = given.smoke ? 8 : 128;
    const int runs = given.smoke ? 1 : 5;
    constexpr unsigned by_the_clock = 2;  // threads, which decide how the other side measures

    const auto tensor = tensor::extension({.implementation = "cuda"});
    if (!tensor) {
        fmt::print(stderr, "this machine has no graphics card that can be used\n");
        return 1;
    }
    auto process = bench::loaded(must(vm::Engine::create(vm::Engine::small_reservation_bytes)),
        must(read_file(system_files(), given.rest[0])), given.rest[3], given.rest[1], tensor);
    (void)bench::inside(process, words, tokens, true);  // the weights go to the card
    bench::Compared compared;
    for (int run = 0; run < runs; ++run) {
        const auto ours = bench::inside(process, words, tokens, true);
        compared.add(ours, bench::outside(given.rest[2], given.rest[1], ours.prompt, tokens, by_the_clock));
    }
    bench::report({compared.prefill("prefill 512", "llama.cpp, CUDA"), compared.decode("decode", "llama.cpp, CUDA")}, given.json);
    return compared.equal() ? 0 : 1;
}
