#pragma once

#include "base/bytes.hpp"
#include "base/files.hpp"
#include "base/random.hpp"
#include "vm/engine.hpp"
#include "vm/extension.hpp"
#include "vm/format.hpp"

namespace altiplano::vm {

/// Compiled code of one module, ready to be instantiated any number of times, on any thread. Immutable.
class Module {
public:
    ~Module();
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    Digest hash() const noexcept { return hash_; }  ///< SHA-256 of the module's bytes as given
    const Format& format() const noexcept { return *format_; }
    bool wasm64() const noexcept { return wasm64_; }
    std::uint64_t memory_bytes_min() const noexcept { return memory_bytes_min_; }
    std::uint64_t memory_bytes_max() const noexcept { return memory_bytes_max_; }  ///< declared, or our ceiling

    struct Native;
    const Native& native() const noexcept { return *native_; }

private:
    friend class ModuleCache;
    Module();
    std::unique_ptr<Native> native_;
    Digest hash_;
    const Format* format_ = &own_format();
    bool wasm64_ = false;
    std::uint64_t memory_bytes_min_ = 0;
    std::uint64_t memory_bytes_max_ = 0;
};

/// Compiles modules and keeps the artefacts in a folder of mode 0700. An artefact is native code that will run in this
/// process, so each is authenticated with a key that lies beside them (0600): an entry that was not written by this
/// node is compiled again, never loaded. Safe from several threads.
class ModuleCache {
public:
    struct Options {
        Path folder;  ///< made when missing; empty: nothing is kept on disk
        Extensions extensions{};  ///< whose imports modules may use
    };
    /// @return base.file_failed, base.disk_full
    static Result<std::unique_ptr<ModuleCache>> open(
        std::shared_ptr<Engine> engine, Files& files, Random& random, Options options);
    ~ModuleCache();

    /// Rewrites (shim/src/rewrite.rs) and compiles, or takes the kept artefact. A refusal is `module.*` and follows from
    /// the bytes and the extensions alone. Costs seconds the first time, then a millisecond.
    /// @return module.*, vm.host_engine
    /// @param format  how it is spoken to: decides what it must export and may import
    Result<std::shared_ptr<const Module>> compile(Bytes wasm, const Format& format = own_format());

    const Extensions& extensions() const noexcept { return options_.extensions; }
    /// How many artefacts were loaded from disk, and how many entries were there but not accepted.
    std::uint64_t loaded() const noexcept;
    std::uint64_t rejected() const noexcept;

private:
    ModuleCache(std::shared_ptr<Engine> engine, Files& files, Options options);
    struct Private;
    std::unique_ptr<Private> private_;
    Options options_;
};

}  // namespace altiplano::vm
