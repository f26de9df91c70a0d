#include "announced/accelerator.hpp"

#include "announced/errors.hpp"
#include "base/log.hpp"
#include "base/random.hpp"

#include <array>
#include <dlfcn.h>
#include <fmt/format.h>

namespace altiplano::announced {

namespace {

/// What the C side sees, with what it must not see behind.
struct Call {
    altiplano_guest guest{};
    std::vector<Accelerator::Write> writes{};
    std::size_t bytes = 0;
};

int note_write(altiplano_guest* guest, std::uint64_t address, const void* bytes, std::uint64_t length)
{
    auto& call = *reinterpret_cast<Call*>(guest);
    if (address > guest->memory_bytes || length > guest->memory_bytes - address
        || length > Accelerator::writes_bytes_max - call.bytes)
        return 1;
    const auto* const from = static_cast<const std::byte*>(bytes);
    call.bytes += length;
    call.writes.push_back({address, Buffer(from, from + length)});
    return 0;
}

}  // namespace

Result<std::shared_ptr<Accelerator>> Accelerator::load(const std::string& path, const Announcement& of)
{
    const auto bad = [&](std::string_view why) {
        return fail(errors::bad_accelerator, fmt::format("{} is no accelerator of {}: {}", path, of.name, why),
            "it is built from include/altiplano/extension.h");
    };
    auto* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr)
        return bad(dlerror());
    auto* const entry = reinterpret_cast<const altiplano_accelerator* (*)()>(dlsym(library, "altiplano_extension"));
    if (entry == nullptr)
        return bad("it does not export altiplano_extension");
    std::array<std::byte, 8> seed{};
    system_random().fill(seed);
    return Accelerator::of(entry(), of, read_u64(seed));
}

Result<std::shared_ptr<Accelerator>> Accelerator::of(
    const altiplano_accelerator* given, const Announcement& of, std::uint64_t seed)
{
    if (given == nullptr || given->abi != ALTIPLANO_EXTENSION_ABI)
        return fail(errors::bad_accelerator,
            fmt::format("the accelerator of {} has another ABI than {}", of.name, ALTIPLANO_EXTENSION_ABI));
    auto made = std::make_shared<Accelerator>();
    made->seed_ = seed;
    for (const auto& function : of.functions) {
        made->calls_.push_back(nullptr);
        for (std::uint32_t i = 0; i < given->functions; ++i)
            if (given->function[i].name == function.name)
                made->calls_.back() = given->function[i].call;
    }
    return made;
}

std::optional<Accelerator::Done> Accelerator::call(
    std::size_t function, Bytes memory, std::span<const std::uint64_t> arguments) const
{
    if (dropped_ || calls_[function] == nullptr)
        return std::nullopt;
    Call call;
    call.guest = {reinterpret_cast<const std::uint8_t*>(memory.data()), memory.size(), note_write};
    Done done;
    if (calls_[function](&call.guest, arguments.data(), &done.result) != 0)
        return std::nullopt;
    done.writes = std::move(call.writes);
    return done;
}

void Accelerator::drop(std::string_view why)
{
    dropped_ = true;
    if (alarm_ && (!alarm_->write_at(0, as_bytes(why)) || !alarm_->sync()))
        log::error(
            "that an accelerator was dropped could not be noted: other workers go on with it until they see it themselves");
}

bool Accelerator::is_dropped() const
{
    if (dropped_)
        return true;
    const auto noted = alarm_ ? alarm_->size() : Result<std::uint64_t>(0);
    return !noted || *noted > 0;
}

bool Accelerator::compares() noexcept
{
    const auto number = count_++;
    if (number < compared_first)
        return true;
    // splitmix64: whoever wrote the accelerator cannot know which calls these are.
    auto z = seed_ + number * 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return (z ^ (z >> 31)) % compared_later == 0;
}

}  // namespace altiplano::announced
