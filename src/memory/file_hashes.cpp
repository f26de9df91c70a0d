// Which file it is, the kernel says: fstat.
#include "memory/file_hashes.hpp"

#include "memory/region.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <list>
#include <mutex>
#include <sys/stat.h>

namespace altiplano::memory {

namespace {
constexpr std::size_t files_max = 8;  // a model in parts is several

constexpr std::uint8_t nothing = 0;
constexpr std::uint8_t being_noted = 1;
constexpr std::uint8_t noted = 2;

/// A file as it is now.
using Identity = std::array<std::uint64_t, 7>;
Identity identity_of(const struct stat& status)
{
    const auto number = [](auto value) { return static_cast<std::uint64_t>(value); };
    return {number(status.st_dev), number(status.st_ino), number(status.st_size), number(status.st_mtim.tv_sec),
        number(status.st_mtim.tv_nsec), number(status.st_ctim.tv_sec), number(status.st_ctim.tv_nsec)};
}

std::atomic_ref<std::uint8_t> state_of(const SparseBytes& there, std::uint64_t page)
{
    return std::atomic_ref(there[page]);
}
}  // namespace

std::shared_ptr<FileHashes> FileHashes::of(int descriptor)
{
    struct stat status{};
    if (fstat(descriptor, &status) != 0)
        return nullptr;
    const auto identity = identity_of(status);

    static std::mutex mutex;
    static std::list<std::pair<Identity, std::shared_ptr<FileHashes>>> newest_first;
    const std::lock_guard lock(mutex);
    const auto found = std::ranges::find(newest_first, identity, [](const auto& one) { return one.first; });
    if (found != newest_first.end()) {
        newest_first.splice(newest_first.begin(), newest_first, found);
        return newest_first.front().second;
    }
    std::shared_ptr<FileHashes> made(new FileHashes);
    made->pages_ = (static_cast<std::uint64_t>(status.st_size) + page_bytes - 1) / page_bytes;
    auto hashes = SparseBytes::reserve((made->pages_ + 1) * sizeof(Digest));
    auto there = SparseBytes::reserve(made->pages_ + 1);
    if (!hashes || !there)
        return nullptr;
    made->hashes_ = *std::move(hashes);
    made->there_ = *std::move(there);
    newest_first.emplace_front(identity, made);
    if (newest_first.size() > files_max)
        newest_first.pop_back();
    return made;
}

const Digest* FileHashes::find(std::uint64_t page) const noexcept
{
    if (page >= pages_ || state_of(there_, page).load(std::memory_order_acquire) != noted)
        return nullptr;
    return reinterpret_cast<const Digest*>(hashes_.data()) + page;
}

void FileHashes::note(std::uint64_t page, const Digest& hash) noexcept
{
    if (page >= pages_)
        return;
    // Whoever comes second has the same hash.
    const auto state = state_of(there_, page);
    auto expected = nothing;
    if (!state.compare_exchange_strong(expected, being_noted, std::memory_order_relaxed))
        return;
    reinterpret_cast<Digest*>(hashes_.data())[page] = hash;
    state.store(noted, std::memory_order_release);
}

}  // namespace altiplano::memory
