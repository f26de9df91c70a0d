// A model file through the guest: whatever a GGUF says, it only ever fails the message. The engine that reads it runs inside the
// virtual machine, so a wrong step of it is a fault of the guest; what must hold is that the host never is at fault, that the
// next message finds the process in order, and that the same file comes to the same state a second time.
#include "base/hash.hpp"
#include "compute/context.hpp"
#include "lib/lone_message.hpp"
#include "vm/module.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>

using namespace altiplano;

namespace {

class Dice {
public:
    explicit Dice(std::uint64_t seed)
        : state_(seed)
    {
    }
    std::uint64_t operator()()  // splitmix64
    {
        auto z = state_ += 0x9e3779b97f4a7c15U;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31);
    }
    std::uint64_t below(std::uint64_t n) { return (*this)() % n; }

private:
    std::uint64_t state_;
};

/// Writes a model of one layer and 32 dimensions that llama.cpp loads and runs; with `spoils`, numbers become others as they are
/// written.
class Writer {
public:
    Writer(Dice& random, bool spoils)
        : random_(random)
        , spoils_(spoils)
    {
    }

    std::string model()
    {
        constexpr std::uint64_t words = 300;
        constexpr std::uint64_t width = 32;
        out_ = "GGUF";
        u32(3);
        const std::vector<std::pair<std::string, std::vector<std::uint64_t>>> tensors{{"token_embd.weight", {width, words}},
            {"output_norm.weight", {width}}, {"output.weight", {width, words}}, {"blk.0.attn_norm.weight", {width}},
            {"blk.0.attn_q.weight", {width, width}}, {"blk.0.attn_k.weight", {width, width}},
            {"blk.0.attn_v.weight", {width, width}}, {"blk.0.attn_output.weight", {width, width}},
            {"blk.0.ffn_norm.weight", {width}}, {"blk.0.ffn_gate.weight", {width, width}},
            {"blk.0.ffn_up.weight", {width, width}}, {"blk.0.ffn_down.weight", {width, width}}};
        u64(tensors.size());
        u64(15);
        text_value("general.architecture", "llama");
        for (const auto& [name, value] :
            {std::pair{"block_count", 1U}, {"context_length", 64U}, {"embedding_length", 32U}, {"feed_forward_length", 32U},
                {"attention.head_count", 2U}, {"attention.head_count_kv", 2U}, {"rope.dimension_count", 16U}}) {
            key(fmt::format("llama.{}", name), 4);
            u32(value);
        }
        key("llama.attention.layer_norm_rms_epsilon", 6);
        u32(std::bit_cast<std::uint32_t>(1e-5F));
        text_value("tokenizer.ggml.model", "llama");
        key("tokenizer.ggml.tokens", 9);
        u32(8);
        u64(words);
        for (std::uint64_t i = 0; i < words; ++i)
            text(i == 0       ? "<unk>"
                    : i == 1  ? "<s>"
                    : i == 2  ? "</s>"
                    : i < 259 ? fmt::format("<0x{:02X}>", i - 3)
                              : fmt::format("w{}", i));
        key("tokenizer.ggml.scores", 9);
        u32(6);
        u64(words);
        for (std::uint64_t i = 0; i < words; ++i)
            u32(std::bit_cast<std::uint32_t>(-static_cast<float>(i)));
        key("tokenizer.ggml.token_type", 9);
        u32(5);
        u64(words);
        for (std::uint64_t i = 0; i < words; ++i)
            u32(i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1);
        for (const auto& [name, value] : {std::pair{"bos", 1U}, {"eos", 2U}}) {
            key(fmt::format("tokenizer.ggml.{}_token_id", name), 4);
            u32(value);
        }
        std::uint64_t offset = 0;
        for (const auto& [name, extents] : tensors) {
            text(name);
            u32(static_cast<std::uint32_t>(extents.size()));
            std::uint64_t elements = 1;
            for (const auto extent : extents) {
                u64(extent);
                elements *= extent;
            }
            u32(0);
            u64(offset);
            offset += elements * sizeof(float);
        }
        out_.resize((out_.size() + 31) / 32 * 32);
        spoils_ = false;
        for (std::uint64_t i = 0; i < offset / sizeof(float); ++i)
            u32(std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<int>(i * 37 % 101) - 50) / 100.0F));
        return std::move(out_);
    }

private:
    /// Every two-hundredth number is another, many of them wild.
    std::uint64_t spoiled(std::uint64_t value)
    {
        if (!spoils_ || random_.below(200) != 0)
            return value;
        constexpr std::uint64_t wild[] = {0, 1, 2, 3, 7, 16, 255, 4096, 0xfffff, 0x7fffffff, 0x80000000, 0xffffffff,
            std::uint64_t{1} << 40, std::uint64_t{1} << 63, ~std::uint64_t{0}};
        return random_.below(2) == 0 ? wild[random_.below(std::size(wild))] : value + random_.below(9) - 4;
    }
    void u32(std::uint32_t value)
    {
        const auto written = static_cast<std::uint32_t>(spoiled(value));
        out_.append(reinterpret_cast<const char*>(&written), sizeof written);
    }
    void u64(std::uint64_t value)
    {
        const auto written = spoiled(value);
        out_.append(reinterpret_cast<const char*>(&written), sizeof written);
    }
    void text(std::string_view value)
    {
        u64(value.size());
        out_ += value;
    }
    void key(std::string_view name, std::uint32_t type)
    {
        text(name);
        u32(type);
    }
    void text_value(std::string_view name, std::string_view value)
    {
        key(name, 8);
        text(value);
    }

    Dice& random_;
    bool spoils_;
    std::string out_;
};

class ModelFile final : public vm::GuestFile {
public:
    explicit ModelFile(Bytes bytes)
        : bytes_(bytes)
        , item_(sha256(bytes))
    {
    }
    std::uint64_t size() const override { return bytes_.size(); }
    Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) override
    {
        std::ranges::copy(bytes_.subspan(offset, into.size()), into.begin());
        return {};
    }
    ItemId item() const override { return ItemId(item_); }

private:
    Bytes bytes_;
    Digest item_;
};

class ModelFiles final : public vm::GuestFiles {
public:
    explicit ModelFiles(Bytes bytes)
        : bytes_(bytes)
    {
    }
    Result<std::unique_ptr<vm::GuestFile>> open(std::string_view) override { return std::make_unique<ModelFile>(bytes_); }
    Result<std::unique_ptr<vm::GuestFile>> mapped_item(ItemId) override { return std::make_unique<ModelFile>(bytes_); }

private:
    Bytes bytes_;
};

/// llama.wasm after its first message, as an image that every input starts from.
class Guest {
public:
    Guest()
    {
        std::string name = std::filesystem::temp_directory_path() / "altiplano-fuzz-XXXXXX";
        ENSURE(mkdtemp(name.data()), "a temporary folder can be made");
        folder_ = name;
        cache_ = must(vm::ModuleCache::open(must(vm::Engine::create()), system_files(), system_random(),
            {.folder = ALTIPLANO_COMPILED, .extensions = compute::extensions()}));
        module_ = must(cache_->compile(must(read_file(system_files(), ALTIPLANO_LLAMA_MODULE))));
        const auto machine = must(vm::Machine::create(module_, limits()));
        send(*machine, vm::no_files(), "Process", "");
        must(machine->save(system_files(), folder_ / "image"));
    }
    ~Guest()
    {
        cache_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    Guest(const Guest&) = delete;
    Guest& operator=(const Guest&) = delete;

    std::unique_ptr<vm::Machine> machine(vm::GuestFiles& files) const
    {
        return must(
            vm::Machine::restore(module_, limits(), must(system_files().open(folder_ / "image", Files::Mode::read)), files));
    }
    /// A HostFault ends the program: that is the finding.
    static compute::Evaluated send(vm::Machine& machine, vm::GuestFiles& files, std::string_view type, std::string_view data)
    {
        const auto message = bench::lone_message(type, data, 1);
        return must(compute::evaluate(machine, message.work(3'000'000'000), files, {}));
    }

private:
    static vm::Machine::Limits limits() { return {.memory_bytes = std::uint64_t{512} << 20}; }
    template <class T> static T must(Result<T> result)
    {
        if (!result)
            fmt::print(stderr, "{}: {}\n", result.error().code, result.error().sentence);
        ENSURE(result.has_value(), "whatever a model says, the host is not at fault");
        if constexpr (!std::is_void_v<T>)
            return *std::move(result);
    }

    Path folder_;
    std::unique_ptr<vm::ModuleCache> cache_;
    std::shared_ptr<const vm::Module> module_;
};

/// What became of the inputs, said at the end.
struct Counts {
    std::uint64_t answered = 0, refused = 0, faults = 0;
    ~Counts()
    {
        fmt::print(stderr, "models: {} answered, {} were refused with a sentence, {} ended in a fault of the guest\n", answered,
            refused, faults);
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static Counts counts;
    static const Guest guest;
    constexpr std::string_view code =
        "local llama = require('llama') local fine, why = llama.load('/data/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', "
        "{context = 64, batch = 16}) if not fine then return 'refused: ' .. why end "
        "llama.set{stream = false} llama.setPrompt('ab') return 'answered: ' .. tostring(llama.next()) .. tostring(llama.next())";
    ModelFiles files(as_bytes(std::string_view(reinterpret_cast<const char*>(data), size)));
    const auto machine = guest.machine(files);
    const auto first = Guest::send(*machine, files, "Message", code);
    if (first.kind == units::SlotResult::Kind::guest_fault)
        ++counts.faults;
    else if (first.output.find("answered: ") != std::string::npos)
        ++counts.answered;
    else
        ++counts.refused;
    const auto next = Guest::send(*machine, files, "Message", "return 20 + 22");
    ENSURE(next.output.find("42") != std::string::npos, "the next message finds the process in order");

    const auto again = guest.machine(files);
    const auto second = Guest::send(*again, files, "Message", code);
    ENSURE(second.state_root == first.state_root && second.gas == first.gas && second.output == first.output,
        "the same file comes to the same state");
    return 0;
}

/// Dice bytes are refused at the first word: half of the mutations are a new model with numbers that are not so.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t size_max, unsigned seed)
{
    Dice random(seed);
    std::string bytes(reinterpret_cast<const char*>(data), size);
    if (random.below(2) == 0 || bytes.size() < 64)
        bytes = Writer(random, random.below(50) != 0).model();
    if (random.below(2) == 0)
        for (auto changes = 1 + random.below(4); changes > 0; --changes) {
            // The head is what is read.
            const auto at = random.below(std::min<std::size_t>(bytes.size(), 16'000));
            switch (random.below(4)) {
            case 0: bytes[at] = static_cast<char>(random()); break;
            case 1: bytes.erase(at, 1 + random.below(16)); break;
            case 2: bytes.insert(at, bytes.substr(random.below(bytes.size()), 1 + random.below(32))); break;
            default: bytes.resize(std::max<std::size_t>(64, random.below(8) == 0 ? at : bytes.size()));
            }
        }
    bytes.resize(std::min(bytes.size(), size_max));
    std::memcpy(data, bytes.data(), bytes.size());
    return bytes.size();
}
