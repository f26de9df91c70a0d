#include "cli/up/prepared.hpp"

#include "base/hash.hpp"
#include "base/random.hpp"
#include "cli/commands.hpp"
#include "cli/up/development.hpp"
#include "compute/context.hpp"
#include "vm/module.hpp"

#include <filesystem>
#include <fmt/format.h>

namespace altiplano::cli {

Path shared_cache()
{
    return environment_or("ALTIPLANO_CACHE", environment_or("HOME", ".") + "/.cache/altiplano");
}

Path shared_modules()
{
    return environment_or("ALTIPLANO_MODULES", (shared_cache() / "modules").string());
}

Path bundled_model()
{
    const Path folder = shared_cache() / "model";
    const auto names = system_files().list(folder);
    for (const auto& name : names ? *names : std::vector<std::string>{})
        if (name.ends_with(".gguf"))
            return folder / name;
    return {};
}

Result<item::Header> model_header(const Path& file)
{
    std::error_code missing;
    const auto size = std::filesystem::file_size(file, missing);
    const auto changed = std::filesystem::last_write_time(file, missing);
    const auto about =
        fmt::format("{} {} {}", std::filesystem::absolute(file).string(), size, changed.time_since_epoch().count());
    const Path folder = shared_cache() / "headers", note = folder / sha256(as_bytes(about)).text();
    const auto name = file.stem().string();
    if (const auto kept = read_file(system_files(), note)) {
        // A note that was cut short or was written by another is worth nothing.
        auto header = item::Header::parse_stored(*kept);
        if (header && header->owner() == development_wallet("owner").address() && header->tags().first("Name") == name)
            return header;
    }
    TRY(auto header,
        file_header(development_wallet("owner"), file, {{"Content-Type", "application/octet-stream"}, {"Name", name}},
            to_string(sha256(as_bytes("altiplano up v1 model")).bytes())));
    // Keeping it is a favour to the next start.
    if (system_files().make_directories(folder))
        (void)write_file(system_files(), note, header.wire()).has_value();
    return header;
}

Result<void> compile_module(const Path& wasm)
{
    TRY(const auto bytes, read_file(system_files(), wasm));
    const auto folder = shared_modules();
    TRY_OK(system_files().make_directories(folder));
    TRY_OK(system_files().set_private(folder));
    TRY(const auto engine, vm::Engine::create(vm::Engine::reservation_for(compute::Limits{}.memory_bytes)));
    TRY(const auto cache,
        vm::ModuleCache::open(engine, system_files(), system_random(), {.folder = folder, .extensions = compute::extensions()}));
    TRY(const auto module, cache->compile(bytes));
    return {};
}

}  // namespace altiplano::cli
