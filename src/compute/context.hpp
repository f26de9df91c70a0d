#pragma once

#include "announced/extension.hpp"
#include "compute/limits.hpp"
#include "compute/log_walk.hpp"
#include "tensor/extension.hpp"
#include "units/units.hpp"
#include "vm/extension.hpp"
#include "vm/machine.hpp"
#include "weave/weave.hpp"

#include <list>
#include <mutex>

namespace altiplano::compute {

/// The version of everything that decides an outcome: docs/semantics.md says what it covers. A node runs a process under
/// the version that its slot 0 records, or refuses it.
inline constexpr std::uint32_t semantics_version = 2;

/// The extensions of this program, which every node of this semantics version has.
/// @param by  whose code computes, where they have a reference module: the results are equal, or something is wrong
vm::Extensions extensions(tensor::Options::By by = tensor::Options::By::own);
/// The same by the fastest code for this machine, and on a graphics card once it is there.
vm::Extensions extensions(const tensor::Options& options, tensor::CardOffer card);

/// The bytes of a module, as they lie in the weave.
struct ModuleCode {
    item::Header header;
    Buffer wasm;
    Digest sha256;
    std::uint64_t declared_memory_bytes = 0;  ///< the most that its memory can have by its own declaration
};

/// The modules that were used last: waking one of many processes reads and hashes no module again. Safe from any thread.
class Modules {
public:
    explicit Modules(std::size_t kept = 16)
        : kept_(kept)
    {
    }
    /// @return compute.not_a_module, weave.*
    Result<std::shared_ptr<const ModuleCode>> get(weave::Weave& weave, const ModuleId& id);

private:
    std::size_t kept_;
    std::mutex mutex_;
    std::list<std::pair<ModuleId, std::shared_ptr<const ModuleCode>>> used_;  ///< last used first
};

/// All of a process that its messages do not say: what spawned it and what it runs.
struct Context {
    ProcessId process;
    item::Header item;
    std::shared_ptr<const ModuleCode> code;
    const vm::Format* format = &vm::own_format();  ///< what the module's Module-Format says
    Limits limits;
    std::uint64_t memory_bytes = 0;  ///< the most that the process can come to have: its limit, or what its module can use
    std::vector<Cron> crons{};
    /// Extensions of others that the process asks for by `Extension: <id>`, in its order.
    struct Announced {
        ItemId id;
        announced::Announcement what;
    };
    std::vector<Announced> announced{};
    std::string env_json;
    units::Assignment::Semantics semantics;
};

/// Those of this program and those of others that a process asks for.
vm::Extensions extensions(const Context& context, tensor::Options::By by = tensor::Options::By::own);

/// The module that a process names, which may be one that another stands for. @return compute.not_a_module
Result<ModuleId> module_named(const item::Header& process);

/// Reads a process and its module from the weave. Compiles nothing.
/// @return compute.not_a_module, compute.unknown_format, compute.unknown_extension, compute.bad_limit, announced.*, weave.*
/// @param recorded  what slot 0 adds to what the process says: an authority, the real id of its module
/// @param modules  where modules are kept between processes; null: read anew
Result<Context> context_of(weave::Weave& weave, const item::Header& process, const units::Assignment::Semantics& recorded = {},
    Modules* modules = nullptr);

/// @return compute.memory_not_offered unless `offer_bytes` is enough. That is this node's policy: nothing is recorded.
Result<void> check_offer(const Context& context, std::uint64_t offer_bytes);

/// @return compute.other_semantics unless `recorded` is what this program would record
Result<void> check_semantics(const units::Assignment::Semantics& recorded, const units::Assignment::Semantics& ours);

/// One evaluation, as it is handed to a machine: follows from the log and the context alone (law 1).
struct Work {
    std::string message_json;
    std::string env_json;
    std::int64_t timestamp_ms = 0;
    Digest seed;
    std::uint64_t gas_limit = 0;
    bool dry_run = false;  ///< whatever comes of it, the memory stays as it was
};
/// A dry run after `last`, the newest entry of the log. @return compute.bad_dry_run
Result<Work> work_of(const units::DryRun& run, const units::LogEntry& last, const Context& context, std::uint64_t gas_max);
Work work_of(const units::LogEntry& entry, const Context& context);
/// What a process does by itself. @param slot  with its cron @param left  the message before
Work work_of(const Tick& tick, const units::Slot& slot, const units::Assignment& left, const Context& context);

/// What became of it.
struct Evaluated {
    units::SlotResult::Kind kind = units::SlotResult::Kind::result;
    std::string output;
    Digest state_root;
    std::uint64_t gas = 0;
    std::uint64_t gas_used = 0;  ///< as AO counts it
    std::uint64_t unsaved_bytes = 0;  ///< that were committed since the machine was last saved; no part of the result
    std::uint64_t resident_bytes = 0;  ///< of its worker process, 0 when nobody says; no part of the result
};
/// As the units tell of it. @param step  what was evaluated
units::SlotResult slot_result(const LogWalk::Step& step, const Context& context, Evaluated done);

/// A state root that may come later, while the next message is evaluated.
struct LaterRoot {
    std::function<void()> finish_before{};  ///< waits for the root before it, or works it out
    bool begun = false;  ///< the machine's `finish_commit` is to give it
};
/// Runs one message to its end and commits, or rolls back what failed. @return a HostFault: destroy the machine
/// @param later  null where the result must be whole
Result<Evaluated> evaluate(vm::Machine& machine, const Work& work, vm::GuestFiles& files,
    const std::function<void(int, std::string_view)>& console, LaterRoot* later = nullptr);

}  // namespace altiplano::compute
