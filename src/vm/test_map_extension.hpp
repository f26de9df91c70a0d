#pragma once

#include "vm/extension.hpp"

namespace altiplano::vm::test {

/// altiplano.map and altiplano.unmap, as `drive` offers them.
class MapExtension final : public Extension {
public:
    std::string_view name() const override { return "map"; }
    std::string_view version() const override { return "1"; }
    Digest specification() const override { return {}; }
    const std::vector<Import>& imports() const override
    {
        static const std::vector<Import> all{
            {"altiplano", "map", {ValueType::i32, ValueType::i64, ValueType::i64, ValueType::i64}, ValueType::i32},
            {"altiplano", "unmap", {ValueType::i64, ValueType::i64}, ValueType::i32}};
        return all;
    }
    Answer<Value> call(CallContext& context, std::size_t import, std::span<const Value> a) override
    {
        const auto done =
            import == 0 ? context.map(static_cast<std::uint32_t>(a[0]), a[1], a[2], a[3]) : context.unmap(a[0], a[1]);
        if (!done)
            return std::unexpected(done.error());
        return static_cast<Value>(*done);
    }
};

}  // namespace altiplano::vm::test
