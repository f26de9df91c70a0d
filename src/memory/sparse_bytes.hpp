#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>

namespace altiplano::memory {

/// Whether all of them are. @param bytes  one at least
bool is_zero(Bytes bytes);

/// A long array of zero bytes that costs memory only where it was written. The address is fixed for life.
class SparseBytes {
public:
    SparseBytes() = default;
    /// @return memory.kernel
    static Result<SparseBytes> reserve(std::uint64_t bytes);
    SparseBytes(SparseBytes&& other) noexcept
        : data_(std::exchange(other.data_, nullptr))
        , size_(std::exchange(other.size_, 0))
    {
    }
    SparseBytes& operator=(SparseBytes&& other) noexcept
    {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~SparseBytes();

    std::byte* data() const noexcept { return data_; }
    std::uint64_t size() const noexcept { return size_; }
    std::uint8_t& operator[](std::uint64_t at) const noexcept { return reinterpret_cast<std::uint8_t*>(data_)[at]; }

    /// Shows `bytes` of a file at `at`, private to this array. Whole pages. @return memory.kernel
    Result<void> show(std::uint64_t at, std::uint64_t bytes, int descriptor, std::uint64_t file_offset) const;

private:
    std::byte* data_ = nullptr;
    std::uint64_t size_ = 0;
};

}  // namespace altiplano::memory
