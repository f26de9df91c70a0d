// `bench quality`: how well a real model does in our VM, on three fixed texts: its perplexity, and the mean divergence (KL) of
// what it expects from what the same weights expect in F32 with F32 activations, keys and values. Both against native llama.cpp.
//   bench_quality LLAMA.wasm MODEL.gguf NATIVE_PROGRAM FOLDER TEXT... [--json] [--smoke]
#include "drive/extension.hpp"
#include "lib/divergence.hpp"
#include "lib/llama_process.hpp"
#include "tensor/extension.hpp"

#include <algorithm>
#include <cmath>

using namespace altiplano;
using bench::must;

namespace {

constexpr double perplexity_max = 1.006, divergence_max = 1.1;  ///< ours over that of native llama.cpp

std::vector<std::int32_t> tokens_in(const Path& path)
{
    const auto bytes = must(read_file(system_files(), path));
    std::vector<std::int32_t> tokens(bytes.size() / 4);
    std::memcpy(tokens.data(), bytes.data(), tokens.size() * 4);
    return tokens;
}

/// The logits behind every token of a text, read one by one: they come through the guest's console.
std::vector<float> read_by(
    const std::shared_ptr<const vm::Module>& module, const Path& model, std::span<const std::int32_t> tokens)
{
    bench::Process process(module, model);
    std::string console;
    const auto said = process.say(fmt::format(R"(
local llama = require('llama')
assert(llama.load('/data/{}', {{context = {}, batch = 64}}))
for i, token in ipairs({{{}}}) do
  if i == 1 then llama.engine.start({{token}}) else llama.engine.feed({{token}}) end
  llama.engine.emit(llama.engine.logits())
end
return 'read')",
                                      std::string(43, 'A'), (tokens.size() + 63) / 64 * 64, fmt::join(tokens, ",")),
        [&](int, std::string_view text) { console += text; });
    if (!said.fine) {
        fmt::print(stderr, "the guest answered: {}\n", said.text);
        std::exit(1);
    }
    console.resize(console.size() - std::min(console.size(), said.text.size()));  // which is printed as well
    return bench::floats_of(console);
}

/// What two sides say of a text.
struct Score {
    std::size_t tokens = 0;
    double surprise = 0, native_surprise = 0;  ///< nats per token that is to be foretold
    double divergence = 0, native_divergence = 0;  ///< nats per token

    void add(const Score& other)
    {
        const auto all = static_cast<double>(tokens + other.tokens);
        const auto mix = [&](double& mine, double theirs) {
            mine = (mine * static_cast<double>(tokens) + theirs * static_cast<double>(other.tokens)) / all;
        };
        mix(surprise, other.surprise);
        mix(native_surprise, other.native_surprise);
        mix(divergence, other.divergence);
        mix(native_divergence, other.native_divergence);
        tokens += other.tokens;
    }
    double perplexity_ratio() const { return std::exp(surprise - native_surprise); }
    double divergence_ratio() const { return divergence / native_divergence; }
    void rows(std::vector<bench::Row>& rows, const std::string& text) const
    {
        const auto put = [&](std::string_view what, double ours, double outside, std::string unit) {
            rows.push_back({.name = fmt::format("{}, {}", what, text),
                .outside_name = "native llama.cpp",
                .ours = ours,
                .outside = outside,
                .unit = std::move(unit),
                .better = "less",
                .ratio = outside / ours,
                .work = fmt::format("{} tokens", tokens)});
        };
        put("perplexity", std::exp(surprise), std::exp(native_surprise), "");
        put("divergence", divergence, native_divergence, "nats");
    }
};

}  // namespace

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values);
    if (given.rest.size() < 5) {
        fmt::print(stderr, "usage: bench_quality LLAMA.wasm MODEL.gguf NATIVE_PROGRAM FOLDER TEXT... [--json] [--smoke]\n");
        return 2;
    }
    const Path model = given.rest[1];
    const Path folder = given.rest[3];
    const auto engine = must(vm::Engine::create(vm::Engine::small_reservation_bytes));
    const auto cache = must(vm::ModuleCache::open(engine, system_files(), system_random(),
        {.folder = folder / "modules", .extensions = {drive::extension(), tensor::extension()}}));
    const auto module = must(cache->compile(must(read_file(system_files(), given.rest[0]))));

    std::vector<bench::Row> rows;
    Score all;
    for (std::size_t i = 4; i < given.rest.size(); ++i) {
        const Path text = given.rest[i];
        const auto output = bench::output_of(fmt::format("'{}' text '{}' '{}' '{}' {}", given.rest[2], model.string(),
            text.string(), folder.string(), given.smoke ? 24 : 4096));
        const auto last_line = output.substr(output.rfind('{'));
        const auto native = must(JsonView::parse(last_line));
        if (const auto error = native.find("error")) {
            fmt::print(stderr, "native llama.cpp: {}\n", error->text().value());
            return 1;
        }
        const auto width = static_cast<std::size_t>(native.find("vocab")->integer().value());
        const auto tokens = tokens_in(folder / "tokens.i32");
        const auto reference = bench::floats_of(as_text(must(read_file(system_files(), folder / "reference.f32"))));
        const auto ours = read_by(module, model, tokens);
        ENSURE(ours.size() == tokens.size() * width && ours.size() == reference.size(), "a row of logits for every token");
        const Score score{tokens.size(), bench::surprise(ours, tokens, width), native.find("surprise")->number().value(),
            bench::divergence(reference, ours, width), native.find("kl")->number().value()};
        score.rows(rows, text.stem().string());
        all.add(score);
    }
    all.rows(rows, "all texts");
    bench::report(rows, given.json);
    const bool good = all.perplexity_ratio() <= perplexity_max && all.divergence_ratio() <= divergence_max;
    return good || given.smoke ? 0 : 1;
}
