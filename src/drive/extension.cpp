#include "drive/extension.hpp"

#include "base/hash.hpp"

namespace altiplano::drive {

namespace {

// What slot 0 of a process records the hash of. A change of behaviour or gas changes this text.
constexpr std::string_view specification_text = "altiplano drive 1. "
                                                "map(fd i32, offset i64, length i64, at i64) -> errno: [offset, offset + length) "
                                                "of the open item appears at [at, at + length), read-only, zero past its end; "
                                                "offset and at are multiples of 4096. unmap(at i64, length i64) -> errno: whole "
                                                "pages of mapped ranges become zero and writable. "
                                                "Gas of either: 2000 + 512 per begun page of 4096 bytes.";

class Drive final : public vm::Extension {
public:
    std::string_view name() const override { return "drive"; }
    std::string_view version() const override { return "1"; }
    Digest specification() const override { return sha256(as_bytes(specification_text)); }
    const std::vector<vm::Import>& imports() const override
    {
        using enum vm::ValueType;
        static const std::vector<vm::Import> all{
            {"altiplano", "map", {i32, i64, i64, i64}, i32},
            {"altiplano", "unmap", {i64, i64}, i32},
        };
        return all;
    }

    vm::Answer<vm::Value> call(vm::CallContext& context, std::size_t import, std::span<const vm::Value> arguments) override
    {
        const auto length = import == 0 ? arguments[2] : arguments[1];
        // 2^52 pages at 512 fit in 64 bits.
        if (const auto charged = context.charge(map_gas + (length / 4096 + (length % 4096 != 0 ? 1 : 0)) * map_gas_per_page);
            !charged)
            return std::unexpected(charged.error());
        const auto done = import == 0 ? context.map(static_cast<std::uint32_t>(arguments[0]), arguments[1], length, arguments[3])
                                      : context.unmap(arguments[0], length);
        if (!done)
            return std::unexpected(done.error());
        return static_cast<vm::Value>(*done);
    }
};

}  // namespace

std::shared_ptr<vm::Extension> extension()
{
    static const auto one = std::make_shared<Drive>();
    return one;
}

}  // namespace altiplano::drive
