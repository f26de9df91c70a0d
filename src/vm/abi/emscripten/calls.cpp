#include "vm/abi/calls.hpp"
#include "vm/abi/ask.hpp"
#include "vm/abi/emscripten/asyncify.hpp"

namespace altiplano::vm::abi::emscripten {

namespace {

/// How long a text may be to lie on the guest's stack, as the loader has them all (ao-protocol.md 6.2): the order of pairs()
/// follows from where Lua's stack was when it started. Longer ones come from malloc: on the stack they would write over
/// what lies below it. Half of what is left, where the module says where its stack ends.
Answer<std::uint64_t> stack_text_bytes_max(Guest& guest)
{
    constexpr std::uint64_t of_any_stack = 16 << 10;
    const auto& names = guest.module().native().names;
    if (guest.module().format().generation == 1)
        return UINT64_MAX;  // no free: what malloc gave would stay for ever
    if (names.allocate.empty())
        return UINT64_MAX;
    if (names.stack_end.empty())
        return of_any_stack;
    ASK(const auto end, guest.call_unmetered(names.stack_end));
    ASK(const auto stack, guest.call_unmetered(names.stack_save));
    return stack > end ? (stack - end) / 2 : 0;
}

/// What a debug build finds at the end of its stack and at address 0. Modules read it: Llama.run of AO's llama module
/// appends the text at address 0 (ao-protocol.md 7.3).
Answer<void> put_cookies(Guest& guest)
{
    const auto& names = guest.module().native().names;
    if (names.stack_end.empty())
        return {};
    ASK(auto end, guest.call(names.stack_end, {}));
    if (end == 0)
        end = 4;
    ASK_OK(put_u32(guest, end, 0x02135467));
    ASK_OK(put_u32(guest, end + 4, 0x89BACDFE));
    return put_u32(guest, 0, 0x63736d65);
}

struct Text {
    Value address = 0;
    bool allocated = false;
};
Answer<Text> place(Guest& guest, std::string_view text)
{
    const auto& names = guest.module().native().names;
    ASK(const auto on_stack_max, stack_text_bytes_max(guest));
    if (text.size() >= on_stack_max) {
        ASK(const auto address, allocate_text(guest, text));
        return Text{address, true};
    }
    if (!guest.wasm64() && text.size() >= UINT32_MAX)
        return stop(GuestFault{errors::trap_out_of_memory, "the message is longer than the guest's memory can be"});
    ASK_OK(guest.charge(text.size() * byte_gas));
    ASK(const auto address, guest.call(names.stack_alloc, {text.size() + 1}));
    ASK_OK(put_text(guest, address, text));
    return Text{address, false};
}

}  // namespace

Answer<void> construct(Guest& guest)
{
    const auto& native = guest.module().native();
    if (native.has_data)
        ASK_OK(guest.call("altiplano:data", {}));
    if (native.has_start)
        ASK_OK(guest.call("altiplano:start", {}));
    if (!native.names.stack_init.empty())
        ASK_OK(guest.call(native.names.stack_init, {}));
    ASK_OK(put_cookies(guest));
    if (!native.names.constructors.empty())
        ASK_OK(guest.call(native.names.constructors, {}));
    // Later modules start Lua at their first message (6.3).
    if (guest.module().format().generation < 4 && !native.names.main.empty())
        ASK_OK(guest.call(native.names.main, {0, 0}));
    return {};
}

Answer<Buffer> handle(Guest& guest, std::string_view message, std::string_view env)
{
    const auto& names = guest.module().native().names;
    ASK(const auto stack, guest.call(names.stack_save, {}));
    ASK(const auto message_at, place(guest, message));
    ASK(const auto env_at, place(guest, env));
    ASK(const auto address, call_awake(guest, names.handle, {message_at.address, env_at.address}));
    ASK(auto bytes, take_text(guest, address));
    ASK_OK(guest.call(names.stack_restore, {stack}));
    for (const auto& text : {message_at, env_at})
        if (text.allocated && !names.release.empty())
            ASK_OK(guest.call(names.release, {text.address}));
    return bytes;
}

}  // namespace altiplano::vm::abi::emscripten
