#include "compute/context.hpp"

#include "compute/errors.hpp"
#include "compute/guest_json.hpp"
#include "compute/outcome.hpp"
#include "drive/extension.hpp"
#include "tensor/extension.hpp"
#include "vm/declared_memory.hpp"
#include "weave/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::compute {

namespace {

std::vector<std::pair<std::string, Digest>> specifications(const Context& context)
{
    std::vector<std::pair<std::string, Digest>> all;
    for (const auto& one : extensions())
        all.emplace_back(std::string(one->name()), one->specification());
    for (const auto& [id, what] : context.announced)
        all.emplace_back(what.name, what.specification);
    return all;
}

constexpr std::size_t announced_max = 8;

/// What `Extension: <id>` of a process asks for. Other values are words of AO, WeaveDrive above all: a node has what they stand
/// for, or the module imports something that it lacks, which is refused when it is compiled.
Result<std::vector<Context::Announced>> announced_of(weave::Weave& weave, const item::Tags& process)
{
    std::vector<Context::Announced> all;
    for (const auto value : process.all("Extension")) {
        const auto id = ItemId::parse(value);
        if (!id)
            continue;
        const auto item = weave.whole(*id);
        if (!item && item.error().code == weave::errors::unknown_item)
            return fail(errors::unknown_extension, fmt::format("the extension {} is not in this weave", id->text()),
                "`altiplano extension add` stores one");
        if (!item)
            return std::unexpected(item.error());
        TRY(auto what, announced::read(item->tags(), item->data()));
        for (const auto& before : all)
            if (before.what.name == what.name)
                return fail(errors::unknown_extension, fmt::format("the process asks for two extensions {}", what.name));
        if (all.size() == announced_max)
            return fail(errors::unknown_extension, fmt::format("a process has at most {} extensions of others", announced_max));
        all.push_back({*id, std::move(what)});
    }
    return all;
}

/// Binary data reaches our guests as it is; AO's get what JavaScript makes of it (ao-protocol.md 5.5).
JsonWriter::Text text_of(const vm::Format& format)
{
    return format.abi == vm::Format::Abi::wasi ? JsonWriter::Text::guest : JsonWriter::Text::client;
}

}  // namespace

vm::Extensions extensions(tensor::Options::By by)
{
    using enum tensor::Options::By;
    static const auto by_own = tensor::extension();
    static const auto by_reference = tensor::extension({.by = reference});
    static const auto by_both = tensor::extension({.by = both});
    return {drive::extension(), by == own ? by_own : by == reference ? by_reference : by_both};
}

vm::Extensions extensions(const tensor::Options& options, tensor::CardOffer card)
{
    return {drive::extension(), tensor::extension_on(std::move(card), options)};
}

vm::Extensions extensions(const Context& context, tensor::Options::By by)
{
    auto all = extensions(by);
    for (const auto& [id, what] : context.announced)
        all.push_back(announced::extension(what));
    return all;
}

Result<std::shared_ptr<const ModuleCode>> Modules::get(weave::Weave& weave, const ModuleId& id)
{
    {
        const std::lock_guard lock(mutex_);
        for (auto at = used_.begin(); at != used_.end(); ++at)
            if (at->first == id) {
                used_.splice(used_.begin(), used_, at);
                return used_.front().second;
            }
    }
    auto module = weave.whole(ItemId(id));
    if (!module && module.error().code == weave::errors::unknown_item)
        return fail(errors::not_a_module, fmt::format("the module {} is not in this weave", id.text()),
            "`altiplano put FILE.wasm --module` stores one");
    if (!module)
        return std::unexpected(module.error());
    auto code =
        std::make_shared<ModuleCode>(ModuleCode{.header = module->header(), .wasm = to_buffer(module->data()), .sha256 = {}});
    code->sha256 = sha256(code->wasm);
    code->declared_memory_bytes = vm::declared_memory_bytes(code->wasm);
    const std::lock_guard lock(mutex_);
    used_.emplace_front(id, code);
    if (used_.size() > kept_)
        used_.pop_back();
    return code;
}

Result<ModuleId> module_named(const item::Header& process)
{
    const auto named = process.tags().first("Module");
    const auto module_id = ModuleId::parse(named.value_or(""));
    if (!module_id)
        return fail(errors::not_a_module,
            fmt::format("the process {} names the module {}, which is no id", process.id().text(), named.value_or("(none)")));
    return *module_id;
}

Result<Context> context_of(
    weave::Weave& weave, const item::Header& process, const units::Assignment::Semantics& recorded, Modules* modules)
{
    const auto module_id = recorded.module ? Result<ModuleId>(*recorded.module) : module_named(process);
    if (!module_id)
        return std::unexpected(module_id.error());
    Modules none(0);
    TRY(auto code, (modules != nullptr ? *modules : none).get(weave, *module_id));
    const auto& tags = code->header.tags();
    if (!tags.has("Type", "Module"))
        return fail(errors::not_a_module, fmt::format("the item {} is no module: it has no tag Type: Module", module_id->text()));
    const auto named_format = tags.first("Module-Format").value_or("(none)");
    const auto* format = vm::format_named(named_format);
    if (format == nullptr)
        return fail(errors::unknown_format,
            fmt::format("the module {} has the format {}, which this node does not run", module_id->text(), named_format),
            "`altiplano module formats` lists those that it runs");

    Context context{.process = ProcessId(process.id()),
        .item = process,
        .code = std::move(code),
        .format = format,
        .limits = {},
        .memory_bytes = 0,
        .crons = {},
        .announced = {},
        .env_json = {},
        .semantics = {}};
    TRY(context.limits, limits_of(process.tags(), context.code->header.tags()));
    TRY(context.crons, crons_of(process.tags()));
    TRY(context.announced, announced_of(weave, process.tags()));
    context.memory_bytes = std::min(context.limits.memory_bytes, context.code->declared_memory_bytes);
    context.env_json = env_json(process, context.code->header, text_of(*format), recorded.authority);
    context.semantics = {.version = semantics_version,
        .module_sha256 = context.code->sha256,
        .extensions = specifications(context),
        .authority = recorded.authority,
        .module = recorded.module};
    return context;
}

Result<void> check_offer(const Context& context, std::uint64_t offer_bytes)
{
    if (context.memory_bytes <= offer_bytes)
        return {};
    return fail(errors::memory_not_offered,
        fmt::format("the process {} may come to need {} bytes of memory; this node offers {}", context.process.text(),
            context.memory_bytes, offer_bytes),
        "spawn with a smaller Memory-Limit, or a module that declares a smaller maximum; or ask a node that offers more");
}

Result<void> check_semantics(const units::Assignment::Semantics& recorded, const units::Assignment::Semantics& ours)
{
    if (recorded.version != ours.version)
        return fail(errors::other_semantics,
            fmt::format("slot 0 records semantics version {}, this program has {}", recorded.version, ours.version),
            "run it with the program of that version");
    if (recorded.module_sha256 != ours.module_sha256)
        return fail(errors::other_semantics,
            fmt::format("slot 0 records a module with SHA-256 {}, the module here has {}", recorded.module_sha256.text(),
                ours.module_sha256.text()));
    if (recorded.extensions != ours.extensions)
        return fail(
            errors::other_semantics, "slot 0 records other extensions, or other specifications of them, than this program has");
    return {};
}

Work work_of(const units::LogEntry& entry, const Context& context)
{
    const auto& assignment = entry.assignment;
    Buffer seed = to_buffer("altiplano random v1");
    append(seed, assignment.hash_chain.bytes());
    append(seed, assignment.slot.process.bytes());
    append_u64(seed, assignment.slot.nonce);
    return {.message_json = message_json(entry, text_of(*context.format)),
        .env_json = context.env_json,
        .timestamp_ms = assignment.timestamp_ms,
        .seed = sha256(seed),
        .gas_limit = context.limits.gas};
}

Work work_of(const Tick& tick, const units::Slot& slot, const units::Assignment& left, const Context& context)
{
    Buffer seed = to_buffer("altiplano random of cron v1");
    append(seed, left.hash_chain.bytes());
    append(seed, slot.process.bytes());
    append_u64(seed, slot.nonce);
    append_u64(seed, slot.cron);
    return {.message_json = cron_json(tick, context.crons[tick.cron], context.item, text_of(*context.format)),
        .env_json = context.env_json,
        .timestamp_ms = tick.time_ms,
        .seed = sha256(seed),
        .gas_limit = context.limits.gas};
}

Result<Work> work_of(const units::DryRun& run, const units::LogEntry& last, const Context& context, std::uint64_t gas_max)
{
    TRY(auto message, dry_run_json(run, last.assignment, text_of(*context.format)));
    Buffer seed = to_buffer("altiplano random of a dry run v1");
    append(seed, last.assignment.hash_chain.bytes());
    append(seed, as_bytes(message));
    return Work{.message_json = std::move(message),
        .env_json = context.env_json,
        .timestamp_ms = last.assignment.timestamp_ms,
        .seed = sha256(seed),
        .gas_limit = std::min(context.limits.gas, gas_max),
        .dry_run = true};
}

units::SlotResult slot_result(const LogWalk::Step& step, const Context& context, Evaluated done)
{
    return {.slot = step.slot,
        .kind = done.kind,
        .output = std::move(done.output),
        .state_root = done.state_root,
        .gas = done.gas,
        .gas_used = done.gas_used,
        .time_ms = step.time_ms,
        .cron_name = step.tick ? context.crons[step.tick->cron].name : std::string()};
}

Result<Evaluated> evaluate(vm::Machine& machine, const Work& work, vm::GuestFiles& files,
    const std::function<void(int, std::string_view)>& console, LaterRoot* later)
{
    // The run. A trap or an empty tank is an outcome of the guest; a fault of the host comes back as an Error.
    TRY(auto run,
        machine.handle({.message_json = work.message_json,
            .env_json = work.env_json,
            .timestamp_ms = work.timestamp_ms,
            .seed = work.seed,
            .gas_limit = work.gas_limit,
            .files = &files,
            .console = console}));

    // What stays: a failed message keeps the memory that it started from. After a guest fault it is back already.
    Evaluated done{.output = {}, .state_root = {}, .gas = run.gas_used, .gas_used = run.metered.value_or(0)};
    if (run.kind == vm::Run::Kind::guest_fault) {
        done.kind = units::SlotResult::Kind::guest_fault;
        done.output = fmt::format("{}: {}", run.fault_code, run.fault_sentence);
        done.state_root = machine.root();
        return done;
    }
    done.output = to_string(run.bytes);
    if (failed(done.output)) {
        done.kind = units::SlotResult::Kind::error;
        TRY_OK(machine.roll_back());
        done.state_root = machine.root();
        return done;
    }
    if (work.dry_run) {
        TRY_OK(machine.roll_back());
        done.state_root = machine.root();
        return done;
    }
    if (later != nullptr) {
        later->finish_before();
        TRY_OK(machine.begin_commit());
        later->begun = true;
    } else {
        TRY(done.state_root, machine.commit());
    }
    done.unsaved_bytes = machine.unsaved_bytes();
    return done;
}

}  // namespace altiplano::compute
