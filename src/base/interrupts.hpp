#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

namespace altiplano {

/// Gives every processor that this program may use an interrupt each millisecond, while somebody needs it.
///
/// A kernel that preempts lazily (Linux 6.13 and later, unless it was told otherwise) sees only at the next interrupt that
/// somebody woke: where all processors compute that is the timer's, 4 ms later at 250 Hz, for each of the threads that a message
/// goes through. Cost: half a percent of each processor.
class Interrupts {
public:
    Interrupts() = default;
    ~Interrupts();
    Interrupts(const Interrupts&) = delete;
    Interrupts& operator=(const Interrupts&) = delete;

    /// While one of these lives.
    class Needed {
    public:
        explicit Needed(Interrupts& interrupts)
            : interrupts_(interrupts)
        {
            interrupts_.change(1);
        }
        ~Needed() { interrupts_.change(-1); }
        Needed(const Needed&) = delete;
        Needed& operator=(const Needed&) = delete;

    private:
        Interrupts& interrupts_;
    };

private:
    void change(int by);
    void start();
    void tick(std::size_t processor);

    std::mutex mutex_;
    std::condition_variable changed_;
    std::atomic<int> needed_ = 0;
    bool ending_ = false;
    std::vector<std::thread> threads_;  ///< one for each processor, from the first need on
};

}  // namespace altiplano
