#pragma once

#include "drive/extension.hpp"
#include "lib/llama_process.hpp"

/// Tokens per second of a model, in a process and outside, for the benchmarks that compare them.
namespace altiplano::bench {

/// llama.wasm with a model loaded, and the cache that its module is of.
struct Loaded {
    std::unique_ptr<vm::ModuleCache> cache;
    Process process;
};

/// @param computes  the graphs
inline Loaded loaded(std::shared_ptr<vm::Engine> engine, Bytes wasm, const Path& modules, const Path& model,
    std::shared_ptr<vm::Extension> computes)
{
    auto cache = must(vm::ModuleCache::open(std::move(engine), system_files(), system_random(),
        {.folder = modules, .extensions = {drive::extension(), std::move(computes)}}));
    auto module = must(cache->compile(wasm));
    Loaded made{std::move(cache), Process(std::move(module), model)};
    made.process.eval(fmt::format(
        "llama = require('llama') assert(llama.load('/data/{}', {{batch = 512}})) llama.set({{stream = false}}) return 1",
        std::string(43, 'A')));
    return made;
}

/// One prompt and the tokens after it.
struct Rates {
    double prefill = 0, decode = 0;  ///< tokens per second
    std::uint64_t prompt = 0, work = 0;  ///< tokens of the prompt, and of both
};

/// @param by_clock  else by the processor time of this thread, so that a busy machine matters less
inline Rates inside(Loaded& model, int prompt_words, int decode_tokens, bool by_clock = false)
{
    // A prompt is computed when its first token is asked for, and only what the one before did not begin with: each begins with a
    // number of its own. " one" is one token each for the tokenizers that we know; what the guest counted is what counts.
    const auto prompt = model.process.eval(
        fmt::format("runs = (runs or 0) + 1 local n = llama.setPrompt(runs .. string.rep(' one', {})) llama.next() return n",
            prompt_words - 1));
    const auto generated = model.process.eval(
        fmt::format("local n = 0 for i = 1, {} do if llama.next() == nil then break end n = n + 1 end return n", decode_tokens));
    const auto rate = [&](const Process::Evaluated& done) {
        return static_cast<double>(done.value) / (by_clock ? done.seconds : done.cpu_seconds);
    };
    return {rate(prompt), rate(generated), static_cast<std::uint64_t>(prompt.value),
        static_cast<std::uint64_t>(prompt.value + generated.value)};
}

/// The same by bench/llama/native.cpp, `program`.
inline Rates outside(const Path& program, const Path& model, std::uint64_t prompt, int decode_tokens, unsigned threads)
{
    const auto text =
        output_of(fmt::format("'{}' '{}' {} {} 1 {}", program.string(), model.string(), prompt, decode_tokens, threads));
    const auto native = must(JsonView::parse(text));
    return {native.find("prefill")->number().value(), native.find("decode")->number().value(), prompt,
        static_cast<std::uint64_t>(native.find("work")->integer().value())};
}

/// Rates of both sides, run by run, as the rows of a table.
class Compared {
public:
    void add(const Rates& ours, const Rates& outside)
    {
        for (auto& [all, one] : {std::pair{&ours_, &ours}, {&outside_, &outside}}) {
            all->prefill.push_back(one->prefill);
            all->decode.push_back(one->decode);
            all->work = one->work;
        }
    }
    bool equal() const { return ours_.work == outside_.work; }
    Row prefill(std::string name, std::string outside_name) const
    {
        return row(std::move(name), std::move(outside_name), ours_.prefill, outside_.prefill);
    }
    Row decode(std::string name, std::string outside_name) const
    {
        return row(std::move(name), std::move(outside_name), ours_.decode, outside_.decode);
    }

private:
    struct Side {
        std::vector<double> prefill{}, decode{};
        std::uint64_t work = 0;
    };
    Row row(std::string name, std::string outside_name, const std::vector<double>& ours, const std::vector<double>& outside) const
    {
        Row made{.name = std::move(name),
            .outside_name = std::move(outside_name),
            .ours = median(ours),
            .outside = median(outside),
            .unit = "tokens/s",
            .better = "more",
            .ratio = 0,
            .work = equal() ? fmt::format("{} tokens", ours_.work) : fmt::format("DIFFERS {} {}", ours_.work, outside_.work)};
        made.ratio = made.ours / made.outside;
        made.interval = ratio_interval(ours, outside);
        return made;
    }
    Side ours_{}, outside_{};
};

}  // namespace altiplano::bench
