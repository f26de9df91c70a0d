// A module as anybody may publish one: the rewriting pass, then whether the engine takes what it wrote, then the check of imports
// and exports under one of the formats. The first byte chooses the format.
#include "base/files.hpp"
#include "base/random.hpp"
#include "vm/format.hpp"
#include "vm/module.hpp"

#include <altiplano_shim.h>

using namespace altiplano;

namespace {

struct Rewritten {
    Rewritten(Bytes wasm, bool metered)
    {
        altiplano_rewrite(reinterpret_cast<const std::uint8_t*>(wasm.data()), wasm.size(),
            metered ? ALTIPLANO_METERED : ALTIPLANO_GUEST, ALTIPLANO_GAS_BY_MODULE, true, &raw);
        ENSURE((raw.code == nullptr) != (raw.bytes == nullptr), "a module is rewritten or refused");
        ENSURE(!raw.code || std::string_view(raw.code).starts_with("module."), "a refusal has a code of a module");
    }
    ~Rewritten() { altiplano_rewritten_free(&raw); }
    Rewritten(const Rewritten&) = delete;
    Rewritten& operator=(const Rewritten&) = delete;
    bool operator==(const Rewritten& other) const
    {
        const auto text = [](const std::uint8_t* bytes, std::size_t length) {
            return std::string_view(reinterpret_cast<const char*>(bytes), length);
        };
        return text(raw.bytes, raw.bytes_length) == text(other.raw.bytes, other.raw.bytes_length)
            && text(raw.sentence, raw.sentence_length) == text(other.raw.sentence, other.raw.sentence_length);
    }
    altiplano_rewritten raw{};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0)
        return 0;
    static const auto engine = vm::Engine::create().value();
    static const auto modules = vm::ModuleCache::open(engine, system_files(), system_random(), {}).value();
    const auto& format = vm::formats()[data[0] % vm::formats().size()];
    const Bytes wasm(reinterpret_cast<const std::byte*>(data) + 1, size - 1);

    const bool metered = format.metering == vm::Format::Metering::injected;
    const Rewritten once(wasm, metered);
    ENSURE(once == Rewritten(wasm, metered), "the pass writes the same each time");
    const auto compiled = modules->compile(wasm, format);
    if (once.raw.code)
        ENSURE(!compiled && compiled.error().code == once.raw.code, "what the pass refuses is refused with its code");
    if (!compiled)
        // An engine's refusal of what our pass let through is our mistake, and would come as vm.host_engine.
        ENSURE(compiled.error().code.starts_with("module."), "a refusal follows from the module");
    return 0;
}
