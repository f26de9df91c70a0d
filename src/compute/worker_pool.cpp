#include "compute/worker_pool.hpp"

#include "compute/errors.hpp"
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

std::unexpected<Error> going_down()
{
    return fail(errors::stopping, "the node is going down", "ask again when it is back: nothing is lost");
}

}  // namespace

Result<std::unique_ptr<WorkerClient>> WorkerPool::take(const Context& context)
{
    const auto kind = kind_of(context);
    std::list<Idle> gone;  // ended outside the lock, which waits for processes
    {
        const std::lock_guard lock(mutex_);
        if (stopping_)
            return going_down();
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
    if (auto refused = refused_.find(kind))
        return std::unexpected(*std::move(refused));
    TRY(auto worker, WorkerClient::start(start_, card_));
    {
        const std::lock_guard lock(mutex_);
        if (stopping_)
            return going_down();
        loading_.push_back(worker.get());
    }
    const auto loaded = worker->load(context, modules_, tracker_, threads_);
    if (!loaded && loaded.error().code == errors::compilation_over_limit)
        refused_.remember(kind, loaded.error());
    const std::lock_guard lock(mutex_);
    loading_.remove(worker.get());
    if (stopping_)
        return going_down();
    if (!loaded)
        return std::unexpected(loaded.error());
    return worker;
}

void WorkerPool::stop()
{
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto* const worker : loading_)
        worker->give_up();
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
