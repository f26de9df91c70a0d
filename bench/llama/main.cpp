// `bench llama`: tokens per second of llama.cpp inside our VM against llama.cpp built natively, one thread each, CPU
// seconds of that thread. Prefill and decode apart. The model is mapped on both sides.
//   bench_llama LLAMA.wasm MODEL.gguf NATIVE_PROGRAM MODULES_FOLDER [--json] [--smoke]
#include "base/json.hpp"
#include "compute/context.hpp"
#include "lib/bench.hpp"
#include "store/blobs.hpp"
#include "vm/errors.hpp"
#include "vm/module.hpp"

#include <cstdio>
#include <fmt/format.h>

using namespace altiplano;
using bench::must;

namespace {

/// A file of this machine as the item with its hash.
class ModelFile final : public vm::GuestFile {
public:
    explicit ModelFile(const Path& path)
        : file_(must(system_files().open(path, Files::Mode::read)))
        , size_(must(file_->size()))
        , item_(must(store::sha256_of(*file_)))
    {
    }
    std::uint64_t size() const override { return size_; }
    Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) override
    {
        TRY(const auto got, file_->read_at(offset, into));
        return got == into.size() ? Result<void>{} : fail(vm::errors::host_file, "the model became shorter");
    }
    std::optional<Backing> backing() const override { return Backing{file_->descriptor(), 0}; }
    ItemId item() const override { return item_; }

private:
    std::unique_ptr<File> file_;
    std::uint64_t size_;
    ItemId item_;
};

class ModelFiles final : public vm::GuestFiles {
public:
    explicit ModelFiles(Path path)
        : path_(std::move(path))
    {
    }
    Result<std::unique_ptr<vm::GuestFile>> open(std::string_view) override { return std::make_unique<ModelFile>(path_); }
    Result<std::unique_ptr<vm::GuestFile>> mapped_item(ItemId) override { return std::make_unique<ModelFile>(path_); }

private:
    Path path_;
};

/// A process of llama.wasm without a node around it.
class Process {
public:
    Process(std::shared_ptr<const vm::Module> module, Path model)
        : files_(std::move(model))
        , machine_(must(vm::Machine::create(std::move(module), {.memory_bytes = std::uint64_t{4} << 30})))
    {
        send("Process", "");
    }

    /// Runs Lua. @return what it gave, as a number; and the CPU seconds of this thread
    std::pair<std::int64_t, double> eval(std::string_view code)
    {
        std::string output;
        const double seconds = bench::thread_seconds([&] { output = send("Message", code); });
        const auto answer = must(JsonView::parse(output));
        const auto response = answer.find("response");
        const auto data = response && response->find("Output") ? response->find("Output")->find("data") : std::nullopt;
        const auto text = data ? data->find("output") ? data->find("output")->text() : data->text() : std::nullopt;
        if (!text) {
            fmt::print(stderr, "the guest answered: {}\n", output);
            std::exit(1);
        }
        return {std::strtoll(text->c_str(), nullptr, 10), seconds};
    }

private:
    std::string send(std::string_view type, std::string_view data)
    {
        const std::string id(43, 'p');
        JsonWriter message(JsonWriter::Text::guest);
        message.begin_object()
            .member("Id", std::string_view(id))
            .member("Target", std::string_view(id))
            .member("Owner", "o")
            .member("From", "o")
            .member("Data", data);
        message.key("Tags").begin_array();
        message.begin_object().member("name", "Type").member("value", type).end_object();
        message.begin_object().member("name", "Action").member("value", "Eval").end_object();
        message.end_array()
            .member("Timestamp", std::int64_t{1'700'000'000'000})
            .member("Block-Height", std::int64_t{1})
            .member("Nonce", nonce_++)
            .end_object();
        const std::string env = fmt::format(
            R"({{"Process":{{"Id":"{}","Owner":"o","Tags":[]}},"Module":{{"Id":"{}","Owner":"o","Tags":[]}}}})", id, id);
        const compute::Work work{
            .message_json = message.text(), .env_json = env, .timestamp_ms = 1, .seed = {}, .gas_limit = UINT64_MAX};
        const auto done = must(compute::evaluate(*machine_, work, files_, {}));
        return done.output;
    }

    ModelFiles files_;
    std::unique_ptr<vm::Machine> machine_;
    std::int64_t nonce_ = 0;
};

}  // namespace

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
    Process process(module, model);
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
    bench::report(
        {row("prefill, guest alone", prefill, native_prefill), row("decode, guest alone", decode, native_decode)}, given.json);
    return work == native_work ? 0 : 1;
}
