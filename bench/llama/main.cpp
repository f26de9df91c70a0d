// `bench llama`: tokens per second of llama.cpp inside our VM, its graphs computed by the extension `tensor`, against llama.cpp
// built natively. Prefill and decode apart, one and two threads. The model is mapped on both sides.
//   bench_llama LLAMA.wasm MODEL.gguf NATIVE_PROGRAM MODULES_FOLDER [--json] [--smoke]
#include "drive/extension.hpp"
#include "lib/llama_process.hpp"
#include "tensor/extension.hpp"

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

    // " one" is one token each for the tokenizers that we know; what the guest counted is what counts.
    const auto prefill_code = fmt::format("return llama.setPrompt(string.rep(' one', {}))", prompt_words);
    const auto decode_code =
        fmt::format("local n = 0 for i = 1, {} do if llama.next() == nil then break end n = n + 1 end return n", decode_tokens);
    const auto engine = must(vm::Engine::create());
    const auto wasm = must(read_file(system_files(), given.rest[0]));
    std::vector<bench::Row> rows;
    bool equal = true;
    for (const unsigned threads : {1U, 2U}) {
        const auto cache = must(vm::ModuleCache::open(engine, system_files(), system_random(),
            {.folder = given.rest[3], .extensions = {drive::extension(), tensor::extension({.threads = threads})}}));
        bench::Process process(must(cache->compile(wasm)), model);
        process.eval(
            fmt::format("llama = require('llama') assert(llama.load('/data/{}', {{batch = 512}})) llama.set({{stream = false}}) "
                        "return 1",
                std::string(43, 'A')));
        std::vector<double> prefill;
        std::vector<double> decode;
        std::vector<double> native_prefill;
        std::vector<double> native_decode;
        std::uint64_t work = 0;
        std::uint64_t native_work = 0;
        // One thread counts its own CPU seconds, so that a busy machine matters less; several have only the clock.
        const auto seconds = [&](const bench::Process::Evaluated& done) {
            return threads == 1 ? done.cpu_seconds : done.seconds;
        };
        for (int run = 0; run < runs; ++run) {
            const auto prompt = process.eval(prefill_code);
            const auto generated = process.eval(decode_code);
            prefill.push_back(static_cast<double>(prompt.value) / seconds(prompt));
            decode.push_back(static_cast<double>(generated.value) / seconds(generated));
            work = static_cast<std::uint64_t>(prompt.value + generated.value);

            const auto text = bench::output_of(
                fmt::format("'{}' '{}' {} {} 1 {}", given.rest[2], model.string(), prompt.value, decode_tokens, threads));
            const auto native = must(JsonView::parse(text));
            native_prefill.push_back(native.find("prefill")->number().value());
            native_decode.push_back(native.find("decode")->number().value());
            native_work = static_cast<std::uint64_t>(native.find("work")->integer().value());
        }
        equal &= work == native_work;
        const auto row = [&](std::string name, std::vector<double> ours, std::vector<double> outside) {
            bench::Row made{.name = fmt::format("{}, {} thread{}", name, threads, threads == 1 ? "" : "s"),
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
        rows.push_back(row(fmt::format("prefill {}", prompt_words), prefill, native_prefill));
        rows.push_back(row("decode", decode, native_decode));
    }
    bench::report(rows, given.json);
    return equal ? 0 : 1;
}
