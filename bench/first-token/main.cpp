// `bench first-token`: how long a question to a sleeping process takes until its first token, with the model in the page cache,
// against the bare prefill of the same prompt in a process that is awake.
//   bench_first_token LLAMA.wasm MODEL.gguf MODULES_FOLDER [--json] [--smoke]
#include "drive/extension.hpp"
#include "lib/llama_process.hpp"
#include "tensor/extension.hpp"

using namespace altiplano;
using bench::must;

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values, "LLAMA.wasm MODEL.gguf MODULES_FOLDER");
    const int words = given.smoke ? 16 : 64;
    const int runs = given.smoke ? 1 : 11;
    const Path folder = given.rest[2];
    const auto engine = must(vm::Engine::create(vm::Engine::small_reservation_bytes));
    const auto cache = must(vm::ModuleCache::open(
        engine, system_files(), system_random(), {.folder = folder, .extensions = {drive::extension(), tensor::extension()}}));
    bench::Process process(must(cache->compile(must(read_file(system_files(), given.rest[0])))), given.rest[1]);
    process.eval(fmt::format(
        "llama = require('llama') assert(llama.load('/data/{}')) llama.set({{stream = false}}) return 1", std::string(43, 'A')));

    // Every prompt begins otherwise, so that nothing of the one before can be kept.
    int nonce = 0;
    const auto ask = [&] {
        return process.eval(
            fmt::format("local n = llama.setPrompt('{} and ' .. string.rep(' one', {})) llama.next() return n", nonce++, words));
    };
    ask();
    std::vector<double> asleep;
    std::vector<double> awake;
    std::int64_t tokens = 0;
    for (int run = 0; run < runs; ++run) {
        process.save(folder / "image");
        process.drop();
        asleep.push_back(bench::seconds([&] {
            process.wake(folder / "image");
            tokens = ask().value;
        }));
        awake.push_back(ask().seconds);
    }
    bench::Row row{.name = fmt::format("first token of a sleeping process, {} tokens of prompt", tokens),
        .outside_name = "bare prefill",
        .ours = bench::median(std::move(asleep)),
        .outside = bench::median(std::move(awake)),
        .unit = "s",
        .better = "less",
        .ratio = 0,
        .work = fmt::format("{} tokens", tokens)};
    row.ratio = row.outside / row.ours;
    bench::report({row}, given.json);
    return 0;
}
