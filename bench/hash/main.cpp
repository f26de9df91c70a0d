// `bench hash`: hashing memory pages of 4 KiB, as state roots do, by keyed BLAKE3 (the crate, in the shim) against SHA-256
// (OpenSSL, which uses the CPU's instructions for it). One thread.
#include "base/hash.hpp"
#include "lib/bench.hpp"

#include <altiplano_shim.h>

using namespace altiplano;

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values);
    constexpr std::size_t page = 4096;
    const std::size_t pages = given.smoke ? 64 : 16384;
    Buffer memory(pages * page);
    for (std::size_t i = 0; i < memory.size(); ++i)
        memory[i] = static_cast<std::byte>(i * 2654435761U >> 13);
    const auto key = sha256(as_bytes("key"));

    const auto hashed = [&](const auto& hash) {
        return [&]() -> bench::Sample {
            const double seconds = bench::seconds([&] {
                for (std::size_t i = 0; i < pages; ++i) {
                    const auto digest = hash(Bytes(memory).subspan(i * page, page));
                    bench::used(digest);
                }
            });
            return {.figure = static_cast<double>(memory.size()) / seconds / 1e9, .work = memory.size()};
        };
    };
    const auto blake3 = [&](Bytes bytes) {
        std::array<std::byte, 32> out;
        altiplano_blake3(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(),
            reinterpret_cast<const std::uint8_t*>(key.array().data()), reinterpret_cast<std::uint8_t*>(out.data()));
        return out;
    };
    bench::report({bench::in_turn("page of 4 KiB, keyed BLAKE3", "SHA-256, OpenSSL", "GB/s", bench::Better::more,
                      given.smoke ? 1 : 21, hashed(blake3), hashed([](Bytes bytes) { return sha256(bytes); }))},
        given.json);
}
