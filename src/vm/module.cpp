// Uses mmap to look at compiled modules without copying them.
#include "vm/module.hpp"

#include "base/hash.hpp"
#include "base/log.hpp"
#include "memory/region.hpp"
#include "vm/abi/calls.hpp"
#include "vm/abi/emscripten/emscripten.hpp"
#include "vm/abi/wasi/wasi.hpp"
#include "vm/declared_memory.hpp"
#include "vm/native.hpp"
#include "vm/signature.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <sys/mman.h>

namespace altiplano::vm {
namespace {

// An entry: artefact, MAC, magic; the artefact comes first, so that the engine can map the file. The MAC is keyed BLAKE3 over the
// entry's name and the artefact's keyed BLAKE3.
constexpr std::string_view magic = "altiplano-code-3";
constexpr std::size_t mac_bytes = 32;
constexpr std::size_t key_bytes = 32;
using Key = std::array<std::byte, key_bytes>;

Digest blake3(const Key& key, Bytes bytes)
{
    std::array<std::byte, 32> out{};
    altiplano_blake3(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(),
        reinterpret_cast<const std::uint8_t*>(key.data()), reinterpret_cast<std::uint8_t*>(out.data()));
    return Digest(out);
}

Digest mac_of(const Key& key, const std::string& name, Bytes artefact)
{
    auto bytes = to_buffer(name);
    append(bytes, blake3(key, artefact).bytes());
    return blake3(key, bytes);
}

/// The bytes of a file that nobody changes: it was renamed into its place whole. Mapped, where it lies on this machine's disk; a
/// copy of thirty megabytes takes longer than all else that loading a module does.
class WholeFile {
public:
    static Result<WholeFile> open(Files& files, const Path& path)
    {
        WholeFile whole;
        TRY(const auto file, files.open(path, Files::Mode::read));
        TRY(whole.size_, file->size());
        if (whole.size_ > 0 && file->descriptor() >= 0)
            if (void* const at = mmap(nullptr, whole.size_, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file->descriptor(), 0);
                at != MAP_FAILED) {
                whole.mapped_ = static_cast<const std::byte*>(at);
                return whole;
            }
        TRY(whole.copy_, read_file(files, path));
        return whole;
    }
    WholeFile(WholeFile&& other) noexcept
        : mapped_(std::exchange(other.mapped_, nullptr))
        , size_(other.size_)
        , copy_(std::move(other.copy_))
    {
    }
    WholeFile& operator=(WholeFile&&) = delete;
    ~WholeFile()
    {
        if (mapped_ != nullptr)
            munmap(const_cast<std::byte*>(mapped_), size_);
    }
    Bytes bytes() const { return mapped_ != nullptr ? Bytes(mapped_, size_) : Bytes(copy_); }

private:
    WholeFile() = default;
    const std::byte* mapped_ = nullptr;
    std::uint64_t size_ = 0;
    Buffer copy_;
};

/// Compares in constant time: a MAC must not be guessed byte by byte.
bool same_mac(Bytes a, Bytes b) noexcept
{
    if (a.size() != b.size())
        return false;
    unsigned difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        difference |= std::to_integer<unsigned>(a[i] ^ b[i]);
    return difference == 0;
}

std::string_view text_of(const wasm_name_t* name) noexcept
{
    return {name->data, name->size};
}

std::unique_ptr<BoundImport> bind(const HostFunction& function)
{
    auto bound = std::make_unique<BoundImport>();
    bound->function = &function;
    bound->import = &function.import;
    return bound;
}

/// `invoke_*` with the type that the module gives it: a table index, then what is passed on.
std::unique_ptr<BoundImport> bind_invoke(std::string_view module, std::string_view name, const wasm_functype_t* type, bool wasm64)
{
    const auto* parameters = wasm_functype_params(type);
    const auto* results = wasm_functype_results(type);
    if (parameters->size == 0 || parameters->size > abi::emscripten::invoke_parameters_max || results->size > 1
        || number_type(parameters->data[0]) != (wasm64 ? ValueType::i64 : ValueType::i32))
        return nullptr;
    auto made = std::make_unique<Import>(Import{.module = module, .name = name, .parameters = {}, .result = {}});
    for (std::size_t i = 0; i < parameters->size; ++i) {
        const auto one = number_type(parameters->data[i]);
        if (!one)
            return nullptr;
        made->parameters.push_back(*one);
    }
    if (results->size == 1) {
        made->result = number_type(results->data[0]);
        if (!made->result)
            return nullptr;
    }
    auto bound = std::make_unique<BoundImport>();
    bound->import = made.get();
    bound->made = std::move(made);
    return bound;
}

/// What answers an import of a module. @return a name that is known with another type: bad_import; nobody's name:
/// unknown_import
Result<std::unique_ptr<BoundImport>> answer(
    std::string_view module, std::string_view name, const wasm_functype_t* type, const Module& of, const Extensions& extensions)
{
    bool known = false;
    for (const auto* function : {&check_write_function(), &refuse_growth_function()})
        if (function->import.module == module && function->import.name == name)
            return bind(*function);
    const bool ours = of.format().abi == Format::Abi::wasi;
    if (ours) {
        for (const auto& function : abi::wasi::functions())
            if (function.import.module == module && function.import.name == name) {
                if (has_signature(type, function.import, of.wasm64()))
                    return bind(function);
                known = true;
            }
    } else if (const auto plain = abi::emscripten::plain_name(of.format(), module, name); !plain.empty()) {
        if (plain.starts_with(abi::emscripten::invoke_prefix)) {
            known = true;
            if (auto bound = bind_invoke(module, name, type, of.wasm64()))
                return bound;
        }
        // One name may stand for several types: 64-bit values are split in two for wasm32.
        for (const auto& function : abi::emscripten::functions())
            if (function.import.name == plain) {
                if (has_signature(type, function.import, of.wasm64()))
                    return bind(function);
                known = true;
            }
    }
    for (const auto& extension : extensions) {
        const auto& imports = extension->imports();
        for (std::size_t i = 0; i < imports.size(); ++i)
            if (imports[i].module == module && imports[i].name == name) {
                if (has_signature(type, imports[i], of.wasm64())) {
                    auto bound = std::make_unique<BoundImport>();
                    bound->extension = extension;
                    bound->extension_import = i;
                    bound->import = &imports[i];
                    return bound;
                }
                known = true;
            }
    }
    if (known)
        return fail(errors::bad_import,
            fmt::format(
                "the module imports {}.{} with the type {}, which is not its type here", module, name, signature_text(type)));
    return fail(errors::unknown_import, fmt::format("the module imports {}.{}, which this node does not have", module, name),
        "an extension that the module needs may be missing here, or its Module-Format is another");
}

struct ExportTypes {
    wasm_exporttype_vec_t vec{};
    explicit ExportTypes(const wasmtime_module_t* module) { wasmtime_module_exports(module, &vec); }
    ~ExportTypes() { wasm_exporttype_vec_delete(&vec); }
    ExportTypes(const ExportTypes&) = delete;
    ExportTypes& operator=(const ExportTypes&) = delete;
    const wasm_externtype_t* find(std::string_view name) const
    {
        for (std::size_t i = 0; i < vec.size; ++i)
            if (text_of(wasm_exporttype_name(vec.data[i])) == name)
                return wasm_exporttype_type(vec.data[i]);
        return nullptr;
    }
};

struct ImportTypes {
    wasm_importtype_vec_t vec{};
    explicit ImportTypes(const wasmtime_module_t* module) { wasmtime_module_imports(module, &vec); }
    ~ImportTypes() { wasm_importtype_vec_delete(&vec); }
    ImportTypes(const ImportTypes&) = delete;
    ImportTypes& operator=(const ImportTypes&) = delete;
};

/// `dynCall_x`, for `invoke_x`: the same with the table index as an i32 in front. @return empty: none of that type
std::string dyn_call_of(const Import& invoke, const ExportTypes& exports)
{
    // In the first generation an import has a letter for a name, and exports of that kind have other letters.
    if (!invoke.name.starts_with(abi::emscripten::invoke_prefix))
        return {};
    auto name = "dynCall_" + std::string(invoke.name.substr(abi::emscripten::invoke_prefix.size()));
    const auto* found = exports.find(name);
    const auto* type = found == nullptr ? nullptr : wasm_externtype_as_functype_const(found);
    Import wanted = invoke;
    wanted.parameters.front() = ValueType::i32;
    return type != nullptr && has_signature(type, wanted, true) ? name : std::string();
}

/// What the exports are called that the ABI needs or uses.
Result<abi::Exports> names_of(const ExportTypes& exports, const Module& module, bool invokes)
{
    const auto& format = module.format();
    abi::Exports names;
    for (const auto& row : format.abi == Format::Abi::wasi ? abi::wasi::exports() : abi::emscripten::exports(format.generation)) {
        const Import wanted{"", row.names.front(), row.parameters, row.result};
        for (const auto name : row.names) {
            const auto* found = exports.find(name);
            const auto* type = found == nullptr ? nullptr : wasm_externtype_as_functype_const(found);
            if (row.role == &abi::Exports::table) {
                if (found != nullptr && wasm_externtype_as_tabletype_const(found) != nullptr)
                    names.*row.role = name;
            } else if (type != nullptr && has_signature(type, wanted, module.wasm64())) {
                names.*row.role = name;
            } else if (found != nullptr && (row.needed || format.abi == Format::Abi::wasi)) {
                return fail(errors::missing_export,
                    type == nullptr ? fmt::format("the module's {:?} is no function", name)
                                    : fmt::format("the module's {:?} has the type {}, which is not the guest ABI's", name,
                                          signature_text(type)));
            }
        }
        // What `invoke_*` is made of: a module that jumps by exceptions has no need of it.
        const bool needed = row.needed || (row.for_invoke && invokes);
        if (needed && (names.*row.role).empty())
            return fail(errors::missing_export, fmt::format("the module exports no {:?}", row.names.front()),
                format.abi == Format::Abi::wasi
                    ? "a guest exports memory, malloc, free, handle and, if it has constructors, _initialize"
                    : fmt::format("a module of the format {} exports it", format.name));
    }
    return names;
}

}  // namespace

Module::Module()
    : native_(std::make_unique<Native>())
{
}
Module::~Module() = default;

struct ModuleCache::Private {
    std::shared_ptr<Engine> engine;
    Files& files;
    Key key{};
    std::mutex mutex{};
    std::map<std::pair<Digest, const Format*>, std::weak_ptr<const Module>> live{};
    std::uint64_t loaded = 0;
    std::uint64_t rejected = 0;

    Result<OwnedModule> compiled(Bytes wasm, const Digest& hash, const Format& format, const Path& folder);
    OwnedModule kept(const Path& path, const std::string& name);
    Result<OwnedModule> build(Bytes wasm, const Format& format);
};

ModuleCache::ModuleCache(std::shared_ptr<Engine> engine, Files& files, Options options)
    : private_(new Private{.engine = std::move(engine), .files = files})
    , options_(std::move(options))
{
}
ModuleCache::~ModuleCache() = default;

std::uint64_t ModuleCache::loaded() const noexcept
{
    const std::lock_guard lock(private_->mutex);
    return private_->loaded;
}
std::uint64_t ModuleCache::rejected() const noexcept
{
    const std::lock_guard lock(private_->mutex);
    return private_->rejected;
}

Result<std::unique_ptr<ModuleCache>> ModuleCache::open(
    std::shared_ptr<Engine> engine, Files& files, Random& random, Options options)
{
    std::unique_ptr<ModuleCache> cache(new ModuleCache(std::move(engine), files, std::move(options)));
    const auto& folder = cache->options_.folder;
    auto& key = cache->private_->key;
    if (folder.empty()) {
        random.fill(key);
        return cache;
    }
    TRY_OK(files.make_directories(folder));
    TRY_OK(files.set_private(folder));
    const auto key_path = folder / "key";
    if (!files.exists(key_path)) {
        random.fill(key);
        // Two processes may start at once: the one that makes the file wins, the other reads it.
        if (const auto file = files.open(key_path, Files::Mode::create_new)) {
            TRY_OK(files.set_private(key_path));
            TRY_OK((*file)->write_at(0, key));
            TRY_OK((*file)->sync());
            return cache;
        }
    }
    TRY(const auto bytes, read_file(files, key_path));
    if (bytes.size() == key.size()) {
        std::ranges::copy(bytes, key.begin());
        return cache;
    }
    // A half-written key: what it authenticated is compiled again.
    random.fill(key);
    TRY_OK(write_file(files, key_path, key));
    TRY_OK(files.set_private(key_path));
    return cache;
}

/// The artefact under `name`, if this node wrote it and this engine takes it.
OwnedModule ModuleCache::Private::kept(const Path& path, const std::string& name)
{
    if (!files.exists(path))
        return nullptr;
    const auto rejecting = [&](std::string_view why) {
        ++rejected;
        log::warning("compiled module {} {}: compiling again", name, why);
        return OwnedModule();
    };
    const auto entry = WholeFile::open(files, path);
    if (!entry)
        return rejecting("cannot be read");
    const auto bytes = entry->bytes();
    if (bytes.size() < magic.size() + mac_bytes || as_text(bytes.last(magic.size())) != magic)
        return rejecting("is damaged");
    const auto artefact = bytes.first(bytes.size() - magic.size() - mac_bytes);
    if (!same_mac(bytes.subspan(artefact.size(), mac_bytes), mac_of(key, name, artefact).bytes()))
        return rejecting("was not written by this node");
    wasmtime_module_t* raw = nullptr;
    // Mapped, one copy of the code is in memory for all workers. A folder that forbids it (mounted noexec) gets copies. Between
    // the look at it and the mapping only who may write this node's folder could change the file: who could change the key too.
    if (const OwnedError e{wasmtime_module_deserialize_file(engine->native().engine.get(), path.c_str(), &raw)}; !e) {
        ++loaded;
        return OwnedModule(raw);
    }
    if (const OwnedError e{wasmtime_module_deserialize(
            engine->native().engine.get(), reinterpret_cast<const std::uint8_t*>(artefact.data()), artefact.size(), &raw)})
        return rejecting(message_of(e.get()));
    ++loaded;
    return OwnedModule(raw);
}

Result<Bytes> Rewritten::bytes() const
{
    const auto text = [](const std::uint8_t* at, std::size_t size) {
        return std::string_view(reinterpret_cast<const char*>(at), size);
    };
    if (raw_.code != nullptr)
        return fail(raw_.code, std::string(text(raw_.sentence, raw_.sentence_length)));
    return as_bytes(text(raw_.bytes, raw_.bytes_length));
}

Result<OwnedModule> ModuleCache::Private::build(Bytes wasm, const Format& format)
{
    const auto& tuning = engine->native().tuning;
    const auto kind = !tuning.call_depth                ? ALTIPLANO_UNCOUNTED
        : format.metering == Format::Metering::injected ? ALTIPLANO_METERED
                                                        : ALTIPLANO_GUEST;
    const Rewritten rewritten(wasm, kind, gas_of(tuning), engine->narrows());
    TRY(const auto bytes, rewritten.bytes());
    wasmtime_module_t* raw = nullptr;
    if (const OwnedError e{wasmtime_module_new(
            engine->native().engine.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), &raw)})
        return fail(errors::over_limit, "the engine cannot compile the module: " + message_of(e.get()));
    return OwnedModule(raw);
}

Result<OwnedModule> ModuleCache::Private::compiled(Bytes wasm, const Digest& hash, const Format& format, const Path& folder)
{
    if (folder.empty())
        return build(wasm, format);
    auto naming = to_buffer(engine->fingerprint());
    append(naming, hash.bytes());
    append(naming, as_bytes(format.metering == Format::Metering::injected ? "metered" : ""));
    const auto name = sha256(naming).text();
    const auto path = folder / name;
    if (auto module = kept(path, name))
        return module;
    TRY(auto module, build(wasm, format));

    // Keeping it is a favour to the next start: failing to costs time, not correctness.
    OwnedBytes artefact;
    if (const OwnedError e{wasmtime_module_serialize(module.get(), &artefact.vec)}) {
        log::warning("compiled module {} cannot be serialised: {}", name, message_of(e.get()));
        return module;
    }
    auto entry = to_buffer(artefact.bytes());
    append(entry, mac_of(key, name, artefact.bytes()).bytes());
    append(entry, as_bytes(magic));
    if (const auto written = write_file(files, path, entry); !written)
        log::warning("compiled module {} is not kept: {}", name, written.error().sentence);
    // What was just written is mapped like everybody's: the copy that the compiler made goes.
    else if (auto mapped = kept(path, name)) {
        --loaded;
        return mapped;
    }
    return module;
}

Result<std::shared_ptr<const Module>> ModuleCache::compile(Bytes wasm, const Format& format)
{
    const std::lock_guard lock(private_->mutex);
    const auto hash = sha256(wasm);
    const std::pair key(hash, &format);
    if (const auto found = private_->live.find(key); found != private_->live.end())
        if (auto module = found->second.lock())
            return module;

    TRY(auto compiled, private_->compiled(wasm, hash, format, options_.folder));
    std::shared_ptr<Module> module(new Module);
    auto& native = *module->native_;
    native.engine = private_->engine;
    native.module = std::move(compiled);
    module->hash_ = hash;
    module->format_ = &format;

    // What it has, from the names that the rewriting pass gave.
    const ExportTypes exports(native.module.get());
    const auto* memory_type = exports.find("altiplano:memory");
    ENSURE(memory_type != nullptr && wasm_externtype_as_memorytype_const(memory_type) != nullptr,
        "the rewriting pass exports the memory");
    const auto* memory = wasm_externtype_as_memorytype_const(memory_type);
    const bool narrowed = exports.find("altiplano:narrow") != nullptr;
    module->wasm64_ = narrowed || wasmtime_memorytype_is64(memory);
    constexpr auto pages_max = altiplano::memory::Region::memory_bytes_max / wasm_page_bytes;
    const auto minimum = wasmtime_memorytype_minimum(memory);
    if (minimum > pages_max)
        return fail(errors::over_limit,
            fmt::format("the module's memory starts with {} wasm pages; a state has at most {} (1 TiB)", minimum, pages_max));
    std::uint64_t maximum = pages_max;
    if (std::uint64_t declared = 0; wasmtime_memorytype_maximum(memory, &declared))
        maximum = std::min(maximum, declared);
    module->memory_bytes_min_ = minimum * wasm_page_bytes;
    // A narrow memory declares less than the module does.
    module->memory_bytes_max_ =
        narrowed ? std::min(declared_memory_bytes(wasm), pages_max * wasm_page_bytes) : maximum * wasm_page_bytes;
    for (std::size_t i = 0; i < exports.vec.size; ++i) {
        const auto name = text_of(wasm_exporttype_name(exports.vec.data[i]));
        if (name.starts_with("altiplano:global:"))
            native.globals.emplace_back(name);
    }
    native.has_data = exports.find("altiplano:data") != nullptr;
    native.has_meter = exports.find("altiplano:meter") != nullptr;
    native.has_start = exports.find("altiplano:start") != nullptr;
    if (format.abi == Format::Abi::emscripten && format.wasm64 != module->wasm64_)
        return fail(errors::bad_format,
            fmt::format(
                "the module's memory is {}-bit, which its Module-Format {} is not", module->wasm64_ ? 64 : 32, format.name));

    // What answers its imports. All are functions: the rewriting pass refuses others.
    const OwnedLinker linker(wasmtime_linker_new(private_->engine->native().engine.get()));
    wasmtime_linker_allow_shadowing(linker.get(), true);  // a module may import one function twice
    const ImportTypes imports(native.module.get());
    for (std::size_t i = 0; i < imports.vec.size; ++i) {
        const auto* import_module = wasm_importtype_module(imports.vec.data[i]);
        const auto* import_name = wasm_importtype_name(imports.vec.data[i]);
        const auto* type = wasm_externtype_as_functype_const(wasm_importtype_type(imports.vec.data[i]));
        ENSURE(type != nullptr, "the rewriting pass refuses imports that are not functions");
        TRY(auto bound, answer(text_of(import_module), text_of(import_name), type, *module, options_.extensions));
        bound->wasm64 = module->wasm64_;
        if (const OwnedError e{wasmtime_linker_define_func_unchecked(linker.get(), import_module->data, import_module->size,
                import_name->data, import_name->size, type, call_import, bound.get(), nullptr)})
            return fail(errors::host_engine, message_of(e.get()));
        if (bound->made) {
            bound->invoke = native.invokes++;
            if (auto name = dyn_call_of(*bound->import, exports); format.generation == 4)
                bound->dyn_call = std::move(name);
        }
        native.imports.push_back(std::move(bound));
    }
    TRY(native.names, names_of(exports, *module, native.invokes > 0));
    wasmtime_instance_pre_t* pre = nullptr;
    if (const OwnedError e{wasmtime_linker_instantiate_pre(linker.get(), native.module.get(), &pre)})
        return fail(errors::host_engine, message_of(e.get()));
    native.pre.reset(pre);

    private_->live[key] = module;
    return std::shared_ptr<const Module>(module);
}

}  // namespace altiplano::vm
