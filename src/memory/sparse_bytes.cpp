// Talks to the kernel about memory: mappings are this room's job.
#include "memory/sparse_bytes.hpp"

#include "memory/kernel.hpp"

#include <cstring>
#include <sys/mman.h>

namespace altiplano::memory {

bool is_zero(Bytes bytes)
{
    return bytes.front() == std::byte{} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

Result<SparseBytes> SparseBytes::reserve(std::uint64_t bytes)
{
    bytes = (bytes + page_bytes - 1) / page_bytes * page_bytes;
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED)
        return kernel_error(fmt::format("reserve {} bytes of address space", bytes));
    SparseBytes made;
    made.data_ = static_cast<std::byte*>(data);
    made.size_ = bytes;
    return made;
}

SparseBytes::~SparseBytes()
{
    if (data_ != nullptr)
        munmap(data_, size_);
}

Result<void> SparseBytes::show(std::uint64_t at, std::uint64_t bytes, int descriptor, std::uint64_t file_offset) const
{
    ENSURE(at % page_bytes == 0 && bytes <= size_ && at <= size_ - bytes, "callers check what they show");
    if (mmap(data_ + at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, descriptor,
            static_cast<off_t>(file_offset))
        == MAP_FAILED)
        return kernel_error(fmt::format("map {} bytes of hashes", bytes));
    return {};
}

}  // namespace altiplano::memory
