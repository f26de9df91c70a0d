#include "compute/worker_pool.hpp"

#include "vm/engine.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::compute {

namespace {

/// What a worker's module, ABI and engine depend on.
std::string kind_of(const Context& context)
{
    auto kind = fmt::format("{} {} {}", context.semantics.module_sha256.text(), context.format->name,
        vm::Engine::reservation_for(context.memory_bytes));
    for (const auto& [id, what] : context.announced)
        kind += ' ' + id.text();
    return kind;
}

}  // namespace

Result<std::unique_ptr<WorkerClient>> WorkerPool::take(const Context& context)
{
    const auto kind = kind_of(context);
    std::list<Idle> gone;  // ended outside the lock, which waits for processes
    {
        const std::lock_guard lock(mutex_);
        for (auto at = idle_.begin(); at != idle_.end();) {
            const auto here = at++;
            if (!here->worker->is_there()) {
                gone.splice(gone.end(), idle_, here);
            } else if (here->kind == kind) {
                auto worker = std::move(here->worker);
                idle_.erase(here);
                return worker;
            }
        }
    }
    TRY(auto worker, WorkerClient::start(start_));
    TRY_OK(worker->load(context, modules_, tracker_));
    return worker;
}

void WorkerPool::give_back(std::unique_ptr<WorkerClient> worker, const Context& context)
{
    if (idle_max_ == 0 || !worker->forget())
        return;
    std::list<Idle> ended;  // outside the lock: ending a process waits for it
    const std::lock_guard lock(mutex_);
    idle_.push_front({kind_of(context), std::move(worker)});
    while (idle_.size() > idle_max_)
        ended.splice(ended.begin(), idle_, std::prev(idle_.end()));
}

void WorkerPool::clear()
{
    std::list<Idle> ended;
    const std::lock_guard lock(mutex_);
    ended.swap(idle_);
}

std::vector<std::int64_t> WorkerPool::processes()
{
    const std::lock_guard lock(mutex_);
    std::vector<std::int64_t> all;
    for (const auto& one : idle_)
        if (one.worker->process() != 0)
            all.push_back(one.worker->process());
    return all;
}

}  // namespace altiplano::compute
