// `bench wake`: what lies between a sleeping process and its next message. A Lua process comes back from its image, against being
// made anew (2 ms are allowed, besides what it touches); and a module comes from the cache of compiled ones, against compiling it
// (50 ms are allowed for the largest, llama's).
//   bench_wake PROCESS.wasm MODULE.wasm FOLDER [--json] [--smoke]
#include "lib/llama_process.hpp"

#include <filesystem>

using namespace altiplano;
using bench::must;

namespace {

std::unique_ptr<vm::ModuleCache> cache_in(const std::shared_ptr<vm::Engine>& engine, const Path& folder)
{
    return must(
        vm::ModuleCache::open(engine, system_files(), system_random(), {.folder = folder, .extensions = compute::extensions()}));
}

}  // namespace

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values, "PROCESS.wasm MODULE.wasm FOLDER");
    const Path folder = given.rest[2];
    std::filesystem::create_directories(folder);
    const auto engine = must(vm::Engine::create(vm::Engine::small_reservation_bytes));
    const auto cache = cache_in(engine, folder / "modules");
    const auto lua = must(cache->compile(must(read_file(system_files(), given.rest[0]))));
    const std::shared_ptr<vm::GuestFiles> files(std::shared_ptr<void>(), &vm::no_files());  // which are nobody's

    // What it has done before it went to sleep is there when it wakes.
    bench::Process process(lua, files);
    process.eval("Kept = {} for i = 1, 20000 do Kept[i] = i end return 1");
    process.save(folder / "image");
    const auto wake = [&]() -> bench::Sample {
        const double seconds = bench::seconds([&] { process.wake(folder / "image"); });
        return {.figure = seconds * 1e3, .work = static_cast<std::uint64_t>(process.eval("return #Kept").value)};
    };
    const auto anew = [&]() -> bench::Sample {
        std::optional<bench::Process> other;
        const double seconds = bench::seconds([&] { other.emplace(lua, files); });
        other->eval("Kept = {} for i = 1, 20000 do Kept[i] = i end return 1");
        return {.figure = seconds * 1e3, .work = static_cast<std::uint64_t>(other->eval("return #Kept").value)};
    };

    const auto wasm = must(read_file(system_files(), given.rest[1]));
    must(cache_in(engine, folder / "modules")->compile(wasm));
    const auto taken_from = [&](const Path& modules) -> bench::Sample {
        std::uint64_t work = 0;
        const double seconds = bench::seconds([&] { work = must(cache_in(engine, modules)->compile(wasm))->memory_bytes_min(); });
        return {.figure = seconds * 1e3, .work = work};
    };
    bench::report(
        {bench::in_turn("a Lua process wakes", "is made anew", "ms", bench::Better::less, given.smoke ? 3 : 51, wake, anew),
            bench::in_turn(
                fmt::format("module of {} KB from the cache", wasm.size() / 1000), "compiled", "ms", bench::Better::less,
                given.smoke ? 1 : 3, [&] { return taken_from(folder / "modules"); }, [&] { return taken_from({}); })},
        given.json);
    std::error_code ignored;
    std::filesystem::remove(folder / "image", ignored);
}
