// `bench bits`: one hash over the logits of a prompt and the tokens after it, for every way in which they can be computed.
//   bench_bits LLAMA.wasm MODEL.gguf FOLDER [--tokens N] [--only WAY,WAY..] [--v8 COMMAND] [--smoke] [--json]
// COMMAND prints the hash that another engine comes to, given a chunk, a number of tokens and a prompt (v8.mjs).
#include "base/hash.hpp"
#include "drive/extension.hpp"
#include "kernels/implementations.hpp"
#include "lib/llama_process.hpp"
#include "tensor/extension.hpp"
#include "tensor/graph.hpp"

#include <chrono>
#include <cstring>

using namespace altiplano;
using bench::must;

namespace {

/// The extension, with a hash over the result of each graph's last node: the logits.
class Recorder final : public vm::Extension {
public:
    explicit Recorder(std::shared_ptr<vm::Extension> inner)
        : inner_(std::move(inner))
    {
    }
    std::string_view name() const override { return inner_->name(); }
    std::string_view version() const override { return inner_->version(); }
    Digest specification() const override { return inner_->specification(); }
    const std::vector<vm::Import>& imports() const override { return inner_->imports(); }
    vm::Answer<vm::Value> call(vm::CallContext& context, std::size_t import, std::span<const vm::Value> arguments) override
    {
        auto answer = inner_->call(context, import, arguments);
        if (!answer)
            return answer;
        const auto graph = context.read(arguments[0], arguments[1]);
        tensor::NodeRecord last;
        std::memcpy(&last, graph->data() + graph->size() - sizeof last, sizeof last);
        const auto bytes = 4 * last.result.extent[0];
        const auto row = last.result.address + (last.result.extent[1] - 1) * last.result.stride[1];
        latest_ = sha256(*context.read(row, bytes));
        if (chaining_)
            chain();
        return answer;
    }

    /// From now on every graph counts; before, only the latest: how a prompt was cut must not matter.
    void start()
    {
        chaining_ = true;
        chain();
    }
    std::string text() const { return chained_.text(); }

private:
    void chain()
    {
        auto both = to_buffer(chained_.bytes());
        append(both, latest_.bytes());
        chained_ = sha256(both);
    }
    std::shared_ptr<vm::Extension> inner_;
    Digest latest_{}, chained_{};
    bool chaining_ = false;
};

struct Way {
    std::string name;
    tensor::Options options{};
    int chunk = 64;
    bool mapped = true;
    bool restored = false;
};

std::vector<Way> ways()
{
    std::vector<Way> all;
    for (const auto* implementation : kernels::implementations())
        all.push_back({implementation->name, {.implementation = implementation->name}});
    if (tensor::extension({.implementation = "cuda"}))
        all.push_back({"graphics card", {.implementation = "cuda"}});
    all.push_back({"reference module", {.by = tensor::Options::By::reference}});
    for (const unsigned threads : {2U, 3U})
        all.push_back({fmt::format("{} threads", threads), {.threads = threads}});
    for (const int chunk : {1, 7, 512})
        all.push_back({fmt::format("chunk {}", chunk), {}, chunk});
    all.push_back({"copied", {}, 64, false});
    all.push_back({"restored", {}, 64, true, true});
    return all;
}

/// The first line that a command prints.
std::string said_by(const std::string& command)
{
    auto* const pipe = popen(command.c_str(), "r");
    char line[256] = {};
    const bool got = pipe != nullptr && std::fgets(line, sizeof line, pipe) != nullptr;
    const bool well = pipe != nullptr && pclose(pipe) == 0;
    return got && well ? std::string(line, std::strcspn(line, "\n")) : "no answer";
}

}  // namespace

int main(int count, char** values)
{
    auto given = bench::arguments(count, values);
    int tokens = given.smoke ? 3 : 256;
    std::string v8;
    std::string only;
    bool understood = given.rest.size() >= 3 && given.rest.size() % 2 == 1;
    for (std::size_t i = 3; understood && i < given.rest.size(); i += 2) {
        if (given.rest[i] == "--tokens")
            tokens = std::stoi(given.rest[i + 1]);
        else if (given.rest[i] == "--only")
            only = given.rest[i + 1];
        else if (given.rest[i] == "--v8")
            v8 = given.rest[i + 1];
        else
            understood = false;
    }
    if (!understood) {
        fmt::print(stderr,
            "usage: bench_bits LLAMA.wasm MODEL.gguf FOLDER [--tokens N] [--only WAY,WAY..] [--v8 COMMAND] [--json] [--smoke]\n");
        return 2;
    }
    const Path folder = given.rest[2];
    const auto wasm = must(read_file(system_files(), given.rest[0]));
    const auto engine = must(vm::Engine::create(vm::Engine::small_reservation_bytes));
    const std::string prompt = given.smoke
        ? "Llamas live in the"
        : "The Altiplano is a high plain in the Andes. Its lakes are salt, its nights are cold, and the people who live "
          "there have kept llamas for six thousand years. What a llama carries, it carries far:";

    JsonWriter rows;
    rows.begin_object().key("rows").begin_array();
    std::string first;
    bool equal = true;
    const auto report = [&](const std::string& name, const std::string& hash, double seconds) {
        first = first.empty() ? hash : first;
        equal &= hash == first;
        if (!given.json) {
            fmt::print("{:<18} {}  {:.1f} s{}\n", name, hash, seconds, hash == first ? "" : "  DIFFERS");
            std::fflush(stdout);
        }
        rows.begin_object().member("name", std::string_view(name)).member("hash", std::string_view(hash)).end_object();
    };
    for (const auto& way : ways()) {
        if (!only.empty() && ("," + only + ",").find("," + way.name + ",") == std::string::npos)
            continue;
        const auto recorder = std::make_shared<Recorder>(tensor::extension(way.options));
        const auto cache = must(vm::ModuleCache::open(
            engine, system_files(), system_random(), {.folder = folder, .extensions = {drive::extension(), recorder}}));
        bench::Process process(must(cache->compile(wasm)), given.rest[1], way.mapped);
        const auto seconds = bench::seconds([&] {
            process.eval(fmt::format(
                "llama = require('llama') assert(llama.load('/data/{}', {{batch = {}}})) llama.set({{stream = false}}) "
                "llama.setPrompt('{}') return 1",
                std::string(43, 'A'), way.chunk, prompt));
            if (way.restored)
                process.restore(folder / "image");
            recorder->start();
            process.eval(fmt::format("for i = 1, {} do llama.next() end return 1", tokens));
        });
        report(way.name, recorder->text().substr(0, 16), seconds);
    }
    if (!v8.empty()) {
        std::string hash;
        const auto seconds = bench::seconds([&] { hash = said_by(fmt::format("{} 64 {} '{}'", v8, tokens, prompt)); });
        report("reference in V8", hash, seconds);
    }
    rows.end_array().member("equal", equal).end_object();
    if (given.json)
        fmt::print("{}\n", rows.text());
    else
        fmt::print("{} tokens: {}\n", tokens, equal ? "one hash" : "DIFFERENT HASHES");
    return equal ? 0 : 1;
}
