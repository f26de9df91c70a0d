#include "announced/extension.hpp"

#include "announced/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::announced {

namespace {

class Announced final : public vm::Extension {
public:
    explicit Announced(Announcement announcement)
        : what_(std::move(announcement))
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
        const Buffer before(scratch->begin(), scratch->end());
        const auto fuel = gas > UINT64_MAX / fuel_per_gas ? UINT64_MAX : gas * fuel_per_gas;
        const auto answer = context.run_announced(what_.wasm_sha256, what_.wasm, function.name, at + bytes, arguments, fuel);
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
        return *answer;
    }

private:
    Announcement what_;
    std::vector<vm::Import> imports_;
};

}  // namespace

std::shared_ptr<vm::Extension> extension(Announcement announcement)
{
    return std::make_shared<Announced>(std::move(announcement));
}

}  // namespace altiplano::announced
