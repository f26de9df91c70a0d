#include "vm/abi/emscripten/asyncify.hpp"

namespace altiplano::vm::abi::emscripten {

namespace {

using State = Guest::Sleep::State;

/// Room for the stack, as the builds of AO's loader ask for (Asyncify.StackSize); it is taken from the guest's own malloc.
constexpr Value stack_bytes = 41'943'040;

bool unwinds(Guest& guest)
{
    const auto& names = guest.module().native().names;
    return guest.module().format().metering == Format::Metering::injected && !names.allocate.empty() && !names.release.empty()
        && guest.has_export("asyncify_start_unwind") && guest.has_export("asyncify_stop_unwind")
        && guest.has_export("asyncify_start_rewind") && guest.has_export("asyncify_stop_rewind");
}

/// Where the stack is put: its bounds, and which export is called again.
Answer<Value> room_for_stack(Guest& guest)
{
    const Value pointer_bytes = guest.wasm64() ? 8 : 4;
    const auto header_bytes = 3 * pointer_bytes;
    ASK(const auto at, guest.call(guest.module().native().names.allocate, {header_bytes + stack_bytes}));
    ASK_OK(guest.write_pointer(at, at + header_bytes));
    ASK_OK(guest.write_pointer(at + pointer_bytes, at + header_bytes + stack_bytes));
    ASK_OK(put_u32(guest, at + 2 * pointer_bytes, 0));
    return at;
}

}  // namespace

Answer<Value> answer_asleep(Guest& guest, const std::function<Answer<Value>()>& work)
{
    auto& sleep = guest.sleep;
    if (sleep.state == State::rewinding) {
        sleep.state = State::awake;
        ASK_OK(guest.call("asyncify_stop_rewind", {}));
        ASK_OK(guest.call(guest.module().native().names.release, {sleep.data}));
        return sleep.answer;
    }
    ASK(const auto answer, work());
    if (sleep.state != State::awake || !unwinds(guest))
        return answer;
    sleep.answer = answer;
    sleep.state = State::unwinding;
    ASK(sleep.data, room_for_stack(guest));
    ASK_OK(guest.call("asyncify_start_unwind", {sleep.data}));
    return answer;
}

Answer<Value> call_awake(Guest& guest, std::string_view name, std::initializer_list<Value> arguments)
{
    auto& sleep = guest.sleep;
    ASK(auto returned, guest.call(name, arguments));
    // Each time around answers one import; gas ends what does not end.
    while (sleep.state == State::unwinding) {
        ASK_OK(guest.call("asyncify_stop_unwind", {}));
        sleep.state = State::rewinding;
        ASK_OK(guest.call("asyncify_start_rewind", {sleep.data}));
        // Its arguments lie in the stack that is put back.
        ASK(returned, guest.call(name, {0, 0}));
    }
    return returned;
}

}  // namespace altiplano::vm::abi::emscripten
