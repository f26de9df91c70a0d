#include "announced/extension.hpp"

#include "announced/errors.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::announced {

namespace {

class Announced final : public vm::Extension {
public:
    Announced(Announcement announcement, std::shared_ptr<Accelerator> accelerator)
        : what_(std::move(announcement))
        , accelerator_(std::move(accelerator))
    {
        for (const auto& function : what_.functions)
            imports_.push_back({what_.name, function.name, std::vector<vm::ValueType>(function.parameters, vm::ValueType::i64),
                vm::ValueType::i64});
    }

    std::string_view name() const override { return what_.name; }
    std::string_view version() const override { return what_.version; }
    Digest specification() const override { return what_.specification; }
    const std::vector<vm::Import>& imports() const override { return imports_; }

    vm::Answer<vm::Value> call(vm::CallContext& context, std::size_t import, std::span<const vm::Value> arguments) override
    {
        const auto& function = what_.functions[import];
        const auto gas = function.cost(arguments);
        if (const auto charged = context.charge(gas); !charged)
            return std::unexpected(charged.error());
        const auto at = arguments[arguments.size() - 2];
        const auto bytes = arguments[arguments.size() - 1];
        if (bytes < scratch_bytes_min || at % 16 != 0 || bytes % 16 != 0)
            return vm::stop(vm::GuestFault{errors::trap_extension,
                fmt::format("{}.{} wants a scratch of at least {} bytes, on a multiple of 16", what_.name, function.name,
                    scratch_bytes_min)});
        const auto scratch = context.write(at, bytes);
        if (!scratch)
            return std::unexpected(scratch.error());

        // By native code, where there is some that has not been wrong yet.
        std::optional<Accelerator::Done> native;
        if (accelerator_ && !accelerator_->is_dropped()) {
            const auto memory = context.read(0, context.memory_bytes());
            if (!memory)
                return std::unexpected(memory.error());
            native = accelerator_->call(import, *memory, arguments);
            if (native && !accelerator_->compares() && may_write(context, *native))
                return take(context, *native);
        }
        const auto earlier = native ? copied(context) : Buffer{};

        const Buffer before(scratch->begin(), scratch->end());
        const auto most = gas > UINT64_MAX / gas_used_per_paid ? UINT64_MAX : gas * gas_used_per_paid;
        const auto answer = context.run_announced(what_.wasm_sha256, what_.wasm, function.name, at + bytes, arguments, most);
        if (native && (answer ? *answer != native->result : std::holds_alternative<vm::GuestFault>(answer.error())))
            alarm(function, "another result");
        if (!answer) {
            // Whatever it traps with, to the guest it is one fault: what is recorded names the extension and not its insides.
            if (std::holds_alternative<vm::GuestFault>(answer.error()))
                return vm::stop(vm::GuestFault{errors::trap_extension, fmt::format("{}.{} failed", what_.name, function.name)});
            return std::unexpected(answer.error());
        }
        // Memory may have grown, so that it lies elsewhere.
        const auto after = context.write(at, bytes);
        if (!after)
            return std::unexpected(after.error());
        std::ranges::copy(before, after->begin());
        if (native && !same_memory(context, earlier, *native))
            alarm(function, "other bytes in memory");
        return *answer;
    }

private:
    /// Larger memories are compared where the accelerator wrote only.
    static constexpr std::uint64_t compared_memory_max = std::uint64_t{64} << 20;

    static bool may_write(vm::CallContext& context, const Accelerator::Done& done)
    {
        return std::ranges::all_of(
            done.writes, [&](const auto& one) { return context.write(one.at, one.bytes.size()).has_value(); });
    }
    static vm::Answer<vm::Value> take(vm::CallContext& context, const Accelerator::Done& done)
    {
        for (const auto& [at, bytes] : done.writes) {
            const auto into = context.write(at, bytes.size());
            if (!into)
                return std::unexpected(into.error());
            std::ranges::copy(bytes, into->begin());
        }
        return done.result;
    }

    static Buffer copied(vm::CallContext& context)
    {
        const auto memory = context.memory_bytes() <= compared_memory_max ? context.read(0, context.memory_bytes()) : Bytes{};
        return memory ? to_buffer(*memory) : Buffer{};
    }
    /// Whether the memory is what `done` says it should be, after the reference module has run.
    static bool same_memory(vm::CallContext& context, Buffer earlier, const Accelerator::Done& done)
    {
        const auto memory = context.read(0, context.memory_bytes());
        if (!memory)
            return false;
        if (!earlier.empty()) {
            for (const auto& [at, bytes] : done.writes)
                std::ranges::copy(bytes, earlier.begin() + static_cast<std::ptrdiff_t>(at));
            return std::ranges::equal(memory->first(std::min(memory->size(), earlier.size())), earlier);
        }
        // What was written twice counts as it was written last.
        return std::ranges::all_of(done.writes, [&](const auto& one) {
            return std::ranges::any_of(done.writes, [&](const auto& later) {
                return &later > &one && later.at < one.at + one.bytes.size() && one.at < later.at + later.bytes.size();
            }) || std::ranges::equal(memory->subspan(one.at, one.bytes.size()), one.bytes);
        });
    }
    void alarm(const Function& function, std::string_view what)
    {
        const auto why = fmt::format("the accelerator of {}.{} gave {} than the reference module, which is right: it is dropped, "
                                     "and what it gave does not "
                                     "count",
            what_.name, function.name, what);
        accelerator_->drop(why);
        log::error("ALARM: {}", why);
    }

    Announcement what_;
    std::shared_ptr<Accelerator> accelerator_;
    std::vector<vm::Import> imports_;
};

}  // namespace

std::shared_ptr<vm::Extension> extension(Announcement announcement, std::shared_ptr<Accelerator> accelerator)
{
    return std::make_shared<Announced>(std::move(announcement), std::move(accelerator));
}

}  // namespace altiplano::announced
