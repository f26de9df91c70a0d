// `bench models`: a small model with random weights of every architecture that llama.cpp knows, made by its own generator and
// quantised to Q4_0, read token by token inside our VM. What it expects at each position is compared with the same weights as
// F32, computed natively with F32 keys and values; so is what native llama.cpp expects of the quantised model.
//   bench_models LLAMA.wasm FOLDER [--json] [--smoke] [ARCHITECTURE...]    FOLDER has the programs `generate` and `native`
#include "drive/extension.hpp"
#include "lib/divergence.hpp"
#include "lib/llama_process.hpp"
#include "tensor/extension.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <sstream>

using namespace altiplano;
using bench::must;

namespace {

constexpr double ratio_max = 1.2;  ///< of our divergence over that of native llama.cpp
constexpr double equal_below = 1e-9;  ///< nats: nothing to compare

/// What the talk names, and today's small ones.
const std::vector<std::string> named{"gpt2", "llama", "phi2", "phi3", "falcon", "qwen2", "openelm", "gemma3"};

struct Verdict {
    enum class Kind { agrees, differs, fails, not_made } kind = Kind::not_made;
    std::string why;
    double ours = 0;
    double native = 0;
    bool by_chunks = false;  ///< read in chunks, the last logits have the same bits
};

std::string quoted(const Path& path)
{
    return "'" + path.string() + "'";
}

std::string from_hex(std::string_view text)
{
    const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    std::string bytes;
    bytes.reserve(text.size() / 2);
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        bytes += static_cast<char>(digit(text[i]) * 16 + digit(text[i + 1]));
    return bytes;
}

/// The text of tokens is that of native.cpp.
std::string reading(int positions)
{
    return fmt::format(R"(
local llama = require('llama')
assert(llama.load('/data/{}', {{context = 512, batch = 64}}))
local engine, tokens, rows, vocab = llama.engine, {{}}, {{}}, llama.info().vocab
for i = 0, {} - 1 do
  tokens[i + 1] = 1 + (i * 7919 + i * i * 13) % (vocab - 1)
  if i == 0 then engine.start({{tokens[1]}}) else engine.feed({{tokens[i + 1]}}) end
  rows[i + 1] = engine.logits()
  engine.rest()  -- as if each token were a message
end
engine.start({{tokens[1] % (vocab - 1) + 1}})
engine.start(tokens)
rows[#rows + 1] = engine.logits()
return (table.concat(rows):gsub('.', function(c) return ('%02x'):format(c:byte()) end)))",
        std::string(43, 'A'), positions);
}

Verdict judge(const std::shared_ptr<const vm::Module>& module, const Path& fixture, const Path& folder, int positions)
{
    Verdict verdict;
    const auto text = bench::output_of(fmt::format("{} measure {} {} {} || echo '{{\"error\": \"native llama.cpp aborts\"}}'",
        quoted(folder / "native"), quoted(fixture), quoted(folder), positions));
    const auto last_line = text.substr(text.rfind('{'));
    const auto native = must(JsonView::parse(last_line));
    if (const auto error = native.find("error")) {
        verdict.why = error->text().value();
        return verdict;
    }
    const auto width = static_cast<std::size_t>(native.find("vocab")->integer().value());
    verdict.native = native.find("kl")->number().value();
    const auto file = must(read_file(system_files(), folder / "reference.f32"));
    const auto reference = bench::floats_of(as_text(file));

    bench::Process process(module, folder / "model.gguf");
    const auto said = process.say(reading(positions));
    if (!said.fine) {
        verdict.kind = Verdict::Kind::fails;
        verdict.why = said.text;
        return verdict;
    }
    auto ours = bench::floats_of(from_hex(said.text));
    if (ours.size() != reference.size() + width) {
        verdict.kind = Verdict::Kind::fails;
        verdict.why = fmt::format("{} logits came, {} were expected", ours.size(), reference.size() + width);
        return verdict;
    }
    verdict.by_chunks = std::memcmp(&ours[reference.size()], &ours[reference.size() - width], width * sizeof(float)) == 0;
    ours.resize(reference.size());
    verdict.ours = bench::divergence(reference, ours, width);
    const bool close = verdict.ours <= ratio_max * verdict.native || std::abs(verdict.ours) < equal_below;
    verdict.kind = close ? Verdict::Kind::agrees : Verdict::Kind::differs;
    return verdict;
}

std::string one_line(std::string text)
{
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text.substr(0, 400);
}

}  // namespace

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values);
    if (given.rest.size() < 2) {
        fmt::print(stderr, "usage: bench_models LLAMA.wasm FOLDER [--json] [--smoke] [ARCHITECTURE...]\n");
        return 2;
    }
    const Path folder = given.rest[1];
    std::vector<std::string> chosen(given.rest.begin() + 2, given.rest.end());
    std::size_t known = 0;
    {
        std::istringstream lines(bench::output_of(quoted(folder / "native") + " list"));
        std::vector<std::string> all;
        for (std::string line; std::getline(lines, line);)
            all.push_back(line);
        known = all.size();
        if (chosen.empty())
            chosen = given.smoke ? named : all;
    }
    const auto engine = must(vm::Engine::create(vm::Engine::small_reservation_bytes));
    const auto cache = must(vm::ModuleCache::open(engine, system_files(), system_random(),
        {.folder = folder / "modules", .extensions = {drive::extension(), tensor::extension()}}));
    const auto module = must(cache->compile(must(read_file(system_files(), given.rest[0]))));

    constexpr std::array<const char*, 4> words{"agrees", "DIFFERS", "fails", "not made"};
    std::map<Verdict::Kind, int> counts;
    bool fine = true;
    JsonWriter rows;
    rows.begin_object().key("rows").begin_array();
    for (const auto& name : chosen) {
        const bool is_named = std::find(named.begin(), named.end(), name) != named.end();
        const int positions = given.smoke ? 48 : is_named ? 500 : 128;
        const auto made = folder / "made";
        std::filesystem::remove_all(made);
        std::filesystem::create_directory(made);
        bench::output_of(
            fmt::format("{} -a '{}' -s 1 -d 0.3 -o {} >/dev/null 2>&1 || true", quoted(folder / "generate"), name, quoted(made)));
        std::vector<Path> fixtures;
        for (const auto& entry : std::filesystem::directory_iterator(made))
            fixtures.push_back(entry.path());
        std::sort(fixtures.begin(), fixtures.end());
        if (fixtures.empty())
            fixtures.push_back(made / (name + ".gguf"));
        for (const auto& fixture : fixtures) {
            Verdict verdict;
            if (std::filesystem::exists(fixture))
                verdict = judge(module, fixture, folder, positions);
            else
                verdict.why = "the engine's generator makes none";
            counts[verdict.kind]++;
            const std::string word = words[static_cast<std::size_t>(verdict.kind)];
            fine &= verdict.kind != Verdict::Kind::differs && (!is_named || verdict.kind == Verdict::Kind::agrees);
            const auto label = fixture.stem().string();
            if (!given.json) {
                if (verdict.why.empty())
                    fmt::print("{:<24} {:<9} kl {:.3e}  native {:.3e}  ratio {:.2f}{}\n", label, word, verdict.ours,
                        verdict.native, verdict.ours / verdict.native, verdict.by_chunks ? "" : "  chunks give other bits");
                else
                    fmt::print("{:<24} {:<9} {}\n", label, word, one_line(verdict.why));
                std::fflush(stdout);
            }
            rows.begin_object()
                .member("name", std::string_view(label))
                .member("verdict", std::string_view(word))
                .member("kl", std::string_view(fmt::format("{:.6e}", verdict.ours)))
                .member("native_kl", std::string_view(fmt::format("{:.6e}", verdict.native)))
                .member("chunks_equal", verdict.by_chunks)
                .member("why", std::string_view(one_line(verdict.why)))
                .end_object();
        }
        std::filesystem::remove_all(made);
    }
    rows.end_array().member("architectures", static_cast<std::int64_t>(known)).end_object();
    if (given.json)
        fmt::print("{}\n", rows.text());
    else
        fmt::print("{} architectures known; of the models made of those asked for: {} agree, {} fail with a sentence, {} differ; "
                   "{} not made\n",
            known, counts[Verdict::Kind::agrees], counts[Verdict::Kind::fails], counts[Verdict::Kind::differs],
            counts[Verdict::Kind::not_made]);
    return fine ? 0 : 1;
}
