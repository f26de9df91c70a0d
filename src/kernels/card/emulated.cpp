#include "kernels/card/emulated.hpp"

#include "kernels/card/attention.hpp"
#include "kernels/card/rows.hpp"
#include "kernels/card/share.hpp"

#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <cstdlib>
#include <vector>

namespace altiplano::kernels::card {
namespace {

using boost::context::fiber;

enum class State : std::uint8_t { ready, at_warp, at_block, done };

struct Thread {
    fiber body{}, back{};
    State state = State::ready;
    std::uint32_t shown = 0;  ///< to others of its warp
};

struct Block {
    const Launch& launch;
    unsigned index, row;
    std::vector<Thread> threads;
    std::vector<std::uint64_t> shared;
    unsigned running = 0;
};
thread_local Block* current = nullptr;

using Function = void (*)(const Call&);
constexpr Function functions[kernels] = {share, quantise, angles, plain_product, norm, elements, rope, get_rows, set_rows,
    attention, attention_segments, attention_join,
#define ALTIPLANO_X(type) two_rows_##type, one_row_##type,
    ALTIPLANO_BLOCK_TYPES(ALTIPLANO_X)
#undef ALTIPLANO_X
};

void wait(State state)
{
    auto& mine = current->threads[current->running];
    mine.state = state;
    mine.back = std::move(mine.back).resume();
}

/// Threads of [begin, end) go on if all that are not done have come to `where`.
bool release(Block& block, std::size_t begin, std::size_t end, State where)
{
    bool some = false;
    for (auto t = begin; t < end; ++t) {
        if (block.threads[t].state != where && block.threads[t].state != State::done)
            return false;
        some |= block.threads[t].state == where;
    }
    for (auto t = begin; some && t < end; ++t)
        if (block.threads[t].state == where)
            block.threads[t].state = State::ready;
    return some;
}

void run_block(Block& block, const Call& call, boost::context::pooled_fixedsize_stack& stacks)
{
    current = &block;
    const auto body = functions[static_cast<unsigned>(block.launch.kernel)];
    for (auto& thread : block.threads)
        thread.body = fiber(std::allocator_arg, stacks, [&, body](fiber&& back) {
            thread.back = std::move(back);
            body(call);
            thread.state = State::done;
            return std::move(thread.back);
        });
    for (;;) {
        bool moved = false;
        for (unsigned t = 0; t < block.threads.size(); ++t) {
            auto& thread = block.threads[t];
            if (thread.state != State::ready)
                continue;
            block.running = t;
            thread.body = std::move(thread.body).resume();
            moved = true;
        }
        bool done = true;
        for (const auto& thread : block.threads)
            done &= thread.state == State::done;
        if (done)
            return;
        for (std::size_t warp = 0; warp < block.threads.size(); warp += warp_threads)
            moved |= release(block, warp, warp + warp_threads, State::at_warp);
        moved |= release(block, 0, block.threads.size(), State::at_block);
        if (!moved)
            std::abort();
    }
}

Outcome launched(const Node& node, const Scratch& scratch, bool preparing)
{
    Verdict verdict;
    std::vector<std::byte> parts(static_cast<std::size_t>(part_bytes(node)));
    const auto all = launches_of(node, true);
    for (unsigned i = 0; i < all.count; ++i)
        if (all.launch[i].preparing == preparing)
            emulate(all.launch[i], {&node, &verdict, scratch.activations, scratch.angles, parts.data(), preparing ? 1U : 0U});
    return outcome_of(verdict);
}
Outcome prepare(const Node& node, Share mine, const Scratch& scratch)
{
    return mine.index == 0 ? launched(node, scratch, true) : Outcome::done;
}
Outcome run(const Node& node, Share mine, const Scratch& scratch)
{
    return mine.index == 0 ? launched(node, scratch, false) : Outcome::done;
}

}  // namespace

unsigned thread_index()
{
    return current->running;
}
unsigned thread_count()
{
    return current->launch.threads;
}
unsigned block_index()
{
    return current->index;
}
unsigned block_count()
{
    return current->launch.blocks;
}
unsigned block_row()
{
    return current->row;
}
void meet()
{
    wait(State::at_block);
}
void meet_warp()
{
    wait(State::at_warp);
}
std::uint32_t from_thread(std::uint32_t value, unsigned lane)
{
    auto& block = *current;
    const auto mine = block.running;
    block.threads[mine].shown = value;
    wait(State::at_warp);
    const auto theirs = block.threads[mine / warp_threads * warp_threads + lane].shown;
    wait(State::at_warp);
    return theirs;
}
void* shared_memory()
{
    return current->shared.data();
}

void emulate(const Launch& launch, const Call& call)
{
    boost::context::pooled_fixedsize_stack stacks(std::size_t{256} * 1024);
    for (unsigned row = 0; row < launch.rows; ++row)
        for (unsigned index = 0; index < launch.blocks; ++index) {
            Block block{launch, index, row, std::vector<Thread>(launch.threads), std::vector<std::uint64_t>(shared_bytes / 8)};
            run_block(block, call, stacks);
        }
    current = nullptr;
}

const Implementation& emulated_implementation() noexcept
{
    static constexpr Implementation card{"card", prepare, run};
    return card;
}

}  // namespace altiplano::kernels::card
