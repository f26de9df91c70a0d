// Starts threads and binds them to processors.
#include "base/interrupts.hpp"

#include <chrono>
#include <pthread.h>
#include <sched.h>

namespace altiplano {

Interrupts::~Interrupts()
{
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
        needed_ = 0;
    }
    changed_.notify_all();
    for (auto& thread : threads_)
        thread.join();
}

void Interrupts::change(int by)
{
    {
        const std::lock_guard lock(mutex_);
        needed_ += by;
        if (threads_.empty())
            start();
    }
    changed_.notify_all();
}

void Interrupts::start()
{
    cpu_set_t mine;
    if (sched_getaffinity(0, sizeof mine, &mine) != 0)
        return;
    for (std::size_t processor = 0; processor < CPU_SETSIZE; ++processor)
        if (CPU_ISSET(processor, &mine))
            threads_.emplace_back([this, processor] { tick(processor); });
}

void Interrupts::tick(std::size_t processor)
{
    (void)pthread_setname_np(pthread_self(), "tick");
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        return;
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return ending_ || needed_ > 0; });
            if (ending_)
                return;
        }
        while (needed_ > 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

}  // namespace altiplano
