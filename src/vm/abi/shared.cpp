#include "vm/abi/ask.hpp"
#include "vm/abi/calls.hpp"

#include <cstring>
#include <fmt/format.h>

namespace altiplano::vm::abi {

namespace {
constexpr std::uint64_t iovs_max = 1024;
}  // namespace

Answer<std::optional<std::vector<Iov>>> read_iovs(Guest& guest, std::uint64_t address, std::uint64_t count)
{
    if (count > iovs_max)
        return std::nullopt;
    const std::uint64_t width = guest.wasm64() ? 8 : 4;
    // Reading the whole list first also proves that no address below wraps.
    ASK_OK(guest.read(address, count * 2 * width));
    std::vector<Iov> iovs;
    for (std::uint64_t i = 0; i < count; ++i) {
        ASK(const auto at, guest.read_pointer(address + 2 * width * i));
        ASK(const auto length, guest.read_pointer(address + 2 * width * i + width));
        iovs.push_back({at, length});
    }
    return iovs;
}

Answer<std::uint64_t> read_file_at(Guest& guest, GuestFile& file, std::uint64_t offset, const std::vector<Iov>& iovs)
{
    std::uint64_t total = 0;
    for (const auto& [address, length] : iovs) {
        ASK_OK(guest.read(address, length));
        const auto size = file.size();
        const auto count = offset >= size ? 0 : std::min(length, size - offset);
        ASK_OK(guest.charge(byte_gas * count));
        ASK(const auto into, guest.write(address, count));
        if (auto done = count == 0 ? Result<void>() : file.read_at(offset, into); !done)
            return stop(std::move(done).error());
        total += count;
        offset += count;
        if (count < length)
            break;
    }
    return total;
}

Answer<std::uint64_t> print(Guest& guest, int fd, const std::vector<Iov>& iovs)
{
    std::uint64_t total = 0;
    for (const auto& [address, length] : iovs) {
        ASK(const auto text, guest.read(address, length));
        ASK_OK(guest.charge(byte_gas * length));
        guest.print(fd, as_text(text));
        total += length;
    }
    return total;
}

Answer<void> begin_construction(Guest& guest)
{
    const auto& native = guest.module().native();
    const std::pair<bool, std::string_view> constructors[] = {{native.has_data, "altiplano:data"},
        {native.has_start, "altiplano:start"}, {!native.names.constructors.empty(), native.names.constructors}};
    for (const auto& [there, name] : constructors)
        if (there)
            ASK_OK(guest.call(name, {}));
    return {};
}

Answer<void> put_text(Guest& guest, Value address, std::string_view text)
{
    ASK(const auto into, guest.write(address, text.size() + 1));
    std::ranges::copy(as_bytes(text), into.begin());
    into.back() = std::byte{0};
    return {};
}

Answer<Value> allocate_text(Guest& guest, std::string_view text)
{
    // A wasm32 guest's malloc would be asked for what is left of the length above 32 bits.
    if (!guest.wasm64() && text.size() >= UINT32_MAX)
        return stop(GuestFault{errors::trap_out_of_memory, "the message is longer than the guest's memory can be"});
    ASK_OK(guest.charge(text.size() * byte_gas));
    ASK(const auto address, guest.call(guest.module().native().names.allocate, {text.size() + 1}));
    if (address == 0)
        return stop(
            GuestFault{errors::trap_out_of_memory, fmt::format("the guest's malloc had no room for {} bytes", text.size() + 1)});
    ASK_OK(put_text(guest, address, text));
    return address;
}

Answer<Buffer> take_text(Guest& guest, Value address)
{
    const auto size = guest.memory_bytes();
    const auto begin = address < size ? guest.read(address, size - address) : Answer<Bytes>(Bytes());
    if (!begin)
        return std::unexpected(begin.error());
    const auto* nul = begin->empty() ? nullptr : static_cast<const std::byte*>(std::memchr(begin->data(), 0, begin->size()));
    if (nul == nullptr)
        return stop(GuestFault{errors::trap_bad_result, "what handle returned is no address of a text in the guest's memory"});
    const auto text = begin->first(static_cast<std::size_t>(nul - begin->data()));
    ASK_OK(guest.charge(text.size() * byte_gas));
    return to_buffer(text);
}

}  // namespace altiplano::vm::abi
