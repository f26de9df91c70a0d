#include "vm/abi/calls.hpp"
#include "vm/abi/ask.hpp"

namespace altiplano::vm::abi::wasi {

std::span<const ExportRow> exports()
{
    constexpr auto pointer = ValueType::pointer;
    static const std::vector<ExportRow> rows{
        {&Exports::handle, {"handle"}, {pointer, pointer}, pointer},
        {&Exports::allocate, {"malloc"}, {pointer}, pointer},
        {&Exports::release, {"free"}, {pointer}, std::nullopt},
        {&Exports::constructors, {"_initialize"}, {}, std::nullopt, false},
    };
    return rows;
}

Answer<void> construct(Guest& guest)
{
    return begin_construction(guest);
}

Answer<Buffer> handle(Guest& guest, std::string_view message, std::string_view env)
{
    ASK(const auto message_at, allocate_text(guest, message));
    ASK(const auto env_at, allocate_text(guest, env));
    const auto& names = guest.module().native().names;
    ASK(const auto address, guest.call(names.handle, {message_at, env_at}));
    // Copied before the buffers are freed: the result may be one of them.
    ASK(auto bytes, take_text(guest, address));
    for (const auto buffer : {message_at, env_at})
        ASK_OK(guest.call(names.release, {buffer}));
    return bytes;
}

}  // namespace altiplano::vm::abi::wasi
