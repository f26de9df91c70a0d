#include "compute/tensor_threads.hpp"

#include "memory/region.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace altiplano::compute {

namespace {

using Number = std::atomic<std::uint32_t>;
static_assert(Number::is_always_lock_free && sizeof(Number) == sizeof(std::uint32_t), "lies in memory that processes share");

void* mapped(int descriptor, int protection)
{
    auto* const page = mmap(nullptr, memory::page_bytes, protection, MAP_SHARED, descriptor, 0);
    return page == MAP_FAILED ? nullptr : page;
}

}  // namespace

TensorThreads::TensorThreads(const Options& options)
    : options_(options)
{
    if (options_.each_max <= 1)
        return;
    descriptor_ = memfd_create("altiplano-threads", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor_ < 0 || ftruncate(descriptor_, memory::page_bytes) != 0)
        return;
    if (auto* const page = mapped(descriptor_, PROT_READ | PROT_WRITE)) {
        told_ = new (page) Number(1);
        // Workers only read; a kernel that cannot see to it (before 5.1) trusts them.
        (void)fcntl(descriptor_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE);
        count(0);
    }
}

TensorThreads::~TensorThreads()
{
    if (told_ != nullptr)
        munmap(told_, memory::page_bytes);
    if (descriptor_ >= 0)
        close(descriptor_);
}

unsigned TensorThreads::now() const noexcept
{
    return told_ != nullptr ? told_->load() : 1;
}

void TensorThreads::count(int more)
{
    const std::lock_guard lock(mutex_);
    under_way_ += more;
    if (told_ != nullptr)
        told_->store(std::clamp(options_.processors / static_cast<unsigned>(std::max(under_way_, 1)), 1U, options_.each_max));
}

std::shared_ptr<const Number> threads_told_through(int descriptor)
{
    auto* const page = descriptor < 0 ? nullptr : mapped(descriptor, PROT_READ);
    if (page == nullptr)
        return std::make_shared<const Number>(1);
    return {static_cast<const Number*>(page), [](const Number* told) { munmap(const_cast<Number*>(told), memory::page_bytes); }};
}

}  // namespace altiplano::compute
