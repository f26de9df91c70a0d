#pragma once

#include "base/files.hpp"
#include "cuda/device.hpp"

#include <functional>
#include <list>

namespace altiplano::cuda {

/// An item's bytes. @return nullptr where they lie in no file
using OpenItem = std::function<Result<std::unique_ptr<File>>(const ItemId&)>;

/// The weights on a card, for all processes that use them. Those that nobody uses stay until memory is short. One thread.
class SharedWeights {
public:
    SharedWeights(Device& device, OpenItem open)
        : device_(device)
        , open_(std::move(open))
    {
    }
    ~SharedWeights();
    SharedWeights(const SharedWeights&) = delete;
    SharedWeights& operator=(const SharedWeights&) = delete;

    /// To be left as often as it is used. @return nullptr where the item lies in no file; cuda.card
    Result<const std::byte*> use(const ItemId& item, std::uint64_t offset, std::uint64_t length);
    void leave(const std::byte* memory);
    /// Memory for anything else: frees what nobody uses, the last one used last, until it can be had.
    Result<std::byte*> allocate(std::uint64_t bytes);

private:
    struct Shared {
        ItemId item;
        std::uint64_t offset, length;
        std::byte* memory;
        std::uint64_t users;
    };
    Result<void> load(const File& file, std::uint64_t offset, std::uint64_t length, std::byte* memory);

    Device& device_;
    const OpenItem open_;
    std::list<Shared> all_;  ///< the last one used first
};

}  // namespace altiplano::cuda
