// `bench hash`: hashing memory pages of 4 KiB, as state roots do, by keyed BLAKE3 (the crate, in the shim), pages side by side,
// against SHA-256 (OpenSSL, which uses the CPU's instructions for it). One thread.
#include "base/hash.hpp"
#include "lib/bench.hpp"
#include "memory/page_tree.hpp"

using namespace altiplano;

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values);
    constexpr std::size_t page = 4096;
    const std::size_t pages = given.smoke ? 64 : 16384;
    Buffer bytes(pages * page);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::byte>(i * 2654435761U >> 13);

    const auto hashed = [&](const auto& hash_all) {
        return [&]() -> bench::Sample {
            std::vector<Digest> digests(pages);
            const double seconds = bench::seconds([&] { hash_all(digests); });
            bench::used(digests);
            return {.figure = static_cast<double>(bytes.size()) / seconds / 1e9, .work = bytes.size()};
        };
    };
    std::vector<const std::byte*> starts;
    for (std::size_t i = 0; i < pages; ++i)
        starts.push_back(bytes.data() + i * page);
    const auto blake3 = [&](std::vector<Digest>& digests) { memory::tree_hashes(memory::HashKind::page, starts, page, digests); };
    const auto sha = [&](std::vector<Digest>& digests) {
        for (std::size_t i = 0; i < pages; ++i)
            digests[i] = sha256({starts[i], page});
    };
    bench::report({bench::in_turn("page of 4 KiB, keyed BLAKE3", "SHA-256, OpenSSL", "GB/s", bench::Better::more,
                      given.smoke ? 1 : 21, hashed(blake3), hashed(sha))},
        given.json);
}
