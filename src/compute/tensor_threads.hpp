#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace altiplano::compute {

/// How many threads an evaluation may use for the graphs of a model, told to all workers of a node through a page that they can
/// read: one alone gets every processor, several share them, and together they take no more than there are. Looked at by every
/// call, which is a token or a batch of them, so it follows within milliseconds. Shows in no result (docs/arithmetic.md §1).
///
/// The node alone counts, so that a worker that dies takes no processor with it. Safe from any thread.
class TensorThreads {
public:
    struct Options {
        unsigned processors = 1;
        unsigned each_max = 1;  ///< for one evaluation, if it is alone
    };
    explicit TensorThreads(const Options& options);
    ~TensorThreads();
    TensorThreads(const TensorThreads&) = delete;
    TensorThreads& operator=(const TensorThreads&) = delete;

    /// One that is under way, of whatever kind: any keeps a processor busy.
    class Evaluation {
    public:
        explicit Evaluation(TensorThreads& threads)
            : threads_(threads)
        {
            threads_.count(1);
        }
        ~Evaluation() { threads_.count(-1); }
        Evaluation(const Evaluation&) = delete;
        Evaluation& operator=(const Evaluation&) = delete;

    private:
        TensorThreads& threads_;
    };

    unsigned now() const noexcept;
    unsigned each_max() const noexcept { return options_.each_max; }
    /// For `threads_told_through`, borrowed; -1 where the kernel gave none, and then everybody has one thread.
    int descriptor() const noexcept { return descriptor_; }

private:
    void count(int more);

    Options options_;
    std::mutex mutex_;
    int under_way_ = 0;
    int descriptor_ = -1;
    std::atomic<std::uint32_t>* told_ = nullptr;
};

/// What the node says now, and will say; stays mapped as long as somebody has it. @return one thread where there is no such page
std::shared_ptr<const std::atomic<std::uint32_t>> threads_told_through(int descriptor);

}  // namespace altiplano::compute
