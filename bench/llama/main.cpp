// `bench llama`: tokens per second of llama.cpp inside our VM against llama.cpp built natively, one thread each, CPU
// seconds of that thread. Prefill and decode apart. The model is mapped on both sides.
//   bench_llama LLAMA.wasm MODEL.gguf NATIVE_PROGRAM MODULES_FOLDER [--json] [--smoke]
#include "lib/llama_process.hpp"

using namespace altiplano;
using bench::must;

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values);
    if (given.rest.size() != 4) {
        fmt::print(stderr, "usage: bench_llama LLAMA.wasm MODEL.gguf NATIVE_PROGRAM MODULES_FOLDER [--json] [--smoke]\n");
        return 2;
    }
    const Path model = given.rest[1];
    const int prompt_words = given.smoke ? 32 : 512;
    const int decode_tokens = given.smoke ? 4 : 64;
    const int runs = given.smoke ? 1 : 5;

    const auto engine = must(vm::Engine::create());
    const auto cache = must(vm::ModuleCache::open(
        engine, system_files(), system_random(), {.folder = given.rest[3], .extensions = compute::extensions()}));
    const auto module = must(cache->compile(must(read_file(system_files(), given.rest[0]))));
    bench::Process process(module, model);
    process.eval(
        "llama = require('llama') assert(llama.load('/data/" + std::string(43, 'A') + "')) llama.set({stream = false}) return 1");

    // " one" is one token each for the tokenizers that we know; what the guest counted is what counts.
    const auto prefill_code = fmt::format("return llama.setPrompt(string.rep(' one', {}))", prompt_words);
    const auto decode_code =
        fmt::format("local n = 0 for i = 1, {} do if llama.next() == nil then break end n = n + 1 end return n", decode_tokens);
    std::vector<double> prefill;
    std::vector<double> decode;
    std::vector<double> native_prefill;
    std::vector<double> native_decode;
    std::uint64_t work = 0;
    std::uint64_t native_work = 0;
    for (int run = 0; run < runs; ++run) {
        const auto [prompt_tokens, prefill_seconds] = process.eval(prefill_code);
        const auto [generated, decode_seconds] = process.eval(decode_code);
        prefill.push_back(static_cast<double>(prompt_tokens) / prefill_seconds);
        decode.push_back(static_cast<double>(generated) / decode_seconds);
        work = static_cast<std::uint64_t>(prompt_tokens + generated);

        const auto text =
            bench::output_of(fmt::format("'{}' '{}' {} {} 1", given.rest[2], model.string(), prompt_tokens, decode_tokens));
        const auto native = must(JsonView::parse(text));
        native_prefill.push_back(native.find("prefill")->number().value());
        native_decode.push_back(native.find("decode")->number().value());
        native_work = static_cast<std::uint64_t>(native.find("work")->integer().value());
    }
    const auto row = [&](const char* name, std::vector<double> ours, std::vector<double> outside) {
        bench::Row made{.name = name,
            .outside_name = "native llama.cpp",
            .ours = bench::median(std::move(ours)),
            .outside = bench::median(std::move(outside)),
            .unit = "tokens/s",
            .better = "more",
            .ratio = 0,
            .work = work == native_work ? fmt::format("{} tokens", work) : fmt::format("DIFFERS {} {}", work, native_work)};
        made.ratio = made.ours / made.outside;
        return made;
    };
    bench::report({row("prefill", prefill, native_prefill), row("decode", decode, native_decode)}, given.json);
    return work == native_work ? 0 : 1;
}
