// `bench reference`: tokens per second of llama.cpp inside our VM with its graphs computed by the reference module, in the VM
// too, against llama.cpp built natively: what a doubter pays who trusts no native kernel. One thread.
//   bench_reference LLAMA.wasm MODEL.gguf NATIVE_PROGRAM MODULES_FOLDER [--json] [--smoke]
#include "lib/inference.hpp"
#include "tensor/extension.hpp"

using namespace altiplano;
using bench::must;

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values, "LLAMA.wasm MODEL.gguf NATIVE_PROGRAM MODULES_FOLDER");
    const Path model = given.rest[1];
    const int words = given.smoke ? 16 : 512;
    const int tokens = given.smoke ? 3 : 64;
    const auto engine = must(vm::Engine::create(vm::Engine::small_reservation_bytes));
    auto process = bench::loaded(engine, must(read_file(system_files(), given.rest[0])), given.rest[3], model,
        tensor::extension({.by = tensor::Options::By::reference}));
    bench::Compared compared;
    for (int run = 0; run < (given.smoke ? 1 : 5); ++run) {
        const auto ours = bench::inside(process, words, tokens);
        compared.add(ours, bench::outside(given.rest[2], model, ours.prompt, tokens, 1));
    }
    const std::vector rows{compared.prefill(fmt::format("prefill {} by the reference module", words), "native llama.cpp"),
        compared.decode("decode by the reference module", "native llama.cpp")};
    bench::report(rows, given.json);
    return compared.equal() ? 0 : 1;
}
