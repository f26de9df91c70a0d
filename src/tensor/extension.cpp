#include "tensor/extension.hpp"

#include "base/hash.hpp"
#include "base/log.hpp"
#include "cuda/errors.hpp"
#include "tensor/compare.hpp"
#include "tensor/errors.hpp"
#include "tensor/own.hpp"
#include "tensor/reference.hpp"
#include "tensor/sentences.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fmt/format.h>
#include <mutex>

namespace altiplano::tensor {

namespace {

NodeRecord record_at(Bytes graph, std::size_t node)
{
    NodeRecord record;
    std::memcpy(&record, graph.data() + sizeof(GraphRecord) + node * sizeof(NodeRecord), sizeof record);
    return record;
}

/// A graph that may run: what its nodes are, what they need, what they cost.
struct Plan {
    std::vector<Step> steps;
    ScratchSizes sizes{};
    std::uint64_t gas = 0;
    GuestMemory memory{};
};

class Tensor final : public vm::Extension {
public:
    Tensor(const kernels::Implementation& implementation, const Options& options, CardOffer card)
        : own_(implementation, options.threads, std::move(card))
        , by_(options.by)
        , threads_now_(options.threads_now)
    {
    }

    std::string_view name() const override { return "tensor"; }
    std::string_view version() const override { return "1"; }
    Digest specification() const override { return tensor::specification(); }
    const std::vector<vm::Import>& imports() const override
    {
        using enum vm::ValueType;
        static const std::vector<vm::Import> all{{"altiplano", "compute", {i64, i64, i64, i64}, i32}};
        return all;
    }

    vm::Answer<vm::Value> call(vm::CallContext& context, std::size_t, std::span<const vm::Value> arguments) override
    {
        // The graph as it is now: a result may not lie over it, so it stays so.
        const auto graph = context.read(arguments[0], arguments[1]);
        if (!graph)
            return std::unexpected(graph.error());
        // Written by the reference module only, but asked for by all.
        if (const auto scratch = context.write(arguments[2], arguments[3]); !scratch)
            return std::unexpected(scratch.error());

        auto found = planned(context, *graph, arguments);
        if (!found)
            return std::unexpected(found.error());
        const auto& plan = found->plan;
        if (const auto charged = context.charge(plan->gas); !charged)
            return std::unexpected(charged.error());
        if (const auto granted = grant(context, plan->steps); !granted)
            return std::unexpected(granted.error());

        Executed executed;
        if (by_ == Options::By::both) {
            const auto answer = run_compared(context, arguments, own_, plan->steps, plan->sizes, plan->memory, calls_++);
            if (!answer)
                return std::unexpected(answer.error());
            executed = *answer;
        } else if (by_ == Options::By::reference) {
            const auto answer = run_reference(context, arguments, plan->gas);
            if (!answer)
                return std::unexpected(answer.error());
            executed = *answer;
        } else {
            const auto written = [&](std::uint64_t begin, std::uint64_t end) -> std::optional<cuda::Written> {
                const auto taken = context.take_written(begin, end - begin);
                if (!taken)
                    return std::nullopt;
                cuda::Written told{.epoch = taken->epoch};
                for (const auto& range : taken->ranges)
                    told.ranges.push_back({range.begin, range.end});
                return told;
            };
            executed = own_.run(
                plan->steps, plan->sizes, plan->memory, written, found->on_card, threads_now_ ? threads_now_->load() : ~0U);
            keep(*found);
        }
        if (executed.outcome != kernels::Outcome::done)
            return vm::stop(failed(executed.outcome, executed.node, record_at(*graph, executed.node)));
        return 0;
    }

private:
    using SharedPlan = std::shared_ptr<const Plan>;
    struct Planned {
        SharedPlan plan{};
        Own::OnCard on_card{};
    };

    /// The plan of a graph. Token after token hands over the same bytes, so the last one is kept: a plan follows from the graph,
    /// where it and the scratch lie, and the memory's place and size.
    vm::Answer<Planned> planned(vm::CallContext& context, Bytes graph, std::span<const vm::Value> arguments)
    {
        const auto memory = context.read(0, context.memory_bytes());
        if (!memory)
            return std::unexpected(memory.error());
        std::vector<cuda::Weights> weights;
        if (own_.uses_card())
            for (const auto& one : context.mapped())
                weights.push_back({one.address, one.length, one.item, one.offset});
        const auto serves = [&](const Kept& kept) {
            return kept.planned.plan && kept.planned.plan->memory.weights == weights && kept.memory.data() == memory->data()
                && kept.memory.size() == memory->size() && std::ranges::equal(kept.arguments, arguments)
                && kept.graph.size() == graph.size() && std::memcmp(kept.graph.data(), graph.data(), graph.size()) == 0;
        };
        const std::lock_guard lock(mutex_);
        if (serves(kept_))
            return kept_.planned;
        auto plan = checked(*memory, graph, arguments);
        if (!plan)
            return std::unexpected(plan.error());
        // Only what grant() asks for is written.
        plan->memory = {{const_cast<std::byte*>(memory->data()), memory->size()}, std::move(weights)};
        kept_ = {Buffer(graph.begin(), graph.end()), {arguments.begin(), arguments.end()}, *memory,
            {std::make_shared<const Plan>(std::move(*plan)), nullptr}};
        return kept_.planned;
    }
    /// What a card made of it serves the next token too.
    void keep(const Planned& planned)
    {
        const std::lock_guard lock(mutex_);
        if (kept_.planned.plan == planned.plan)
            kept_.planned.on_card = planned.on_card;
    }

    static vm::Answer<Plan> checked(Bytes memory, Bytes graph, std::span<const vm::Value> arguments)
    {
        GraphRecord header;
        if (graph.size() < sizeof header)
            return vm::stop(refused(Problem::bad_graph, 0, {}));
        std::memcpy(&header, graph.data(), sizeof header);
        if (header.magic != graph_magic || header.nodes > nodes_max
            || graph.size() != sizeof header + header.nodes * sizeof(NodeRecord))
            return vm::stop(refused(Problem::bad_graph, 0, {}));

        // Only what grant() has asked for is written through it.
        Checker checker(const_cast<std::byte*>(memory.data()), memory.size(), {arguments[0], arguments[0] + arguments[1]},
            {arguments[2], arguments[2] + arguments[3]});
        Plan plan;
        plan.steps.resize(header.nodes);
        for (std::uint32_t i = 0; i < header.nodes; ++i) {
            const auto record = record_at(graph, i);
            if (const auto problem = checker.next(record, plan.steps[i]); problem != Problem::none)
                return vm::stop(refused(problem, i, record));
        }
        plan.sizes = checker.scratch();
        plan.gas = checker.gas();
        if (static_cast<std::uint64_t>(plan.sizes.bytes()) > arguments[3])
            return vm::stop(refused(Problem::small_scratch, 0, {}));
        return plan;
    }

    /// Every result may be written. Asks once for what lies in a range that was granted before.
    static vm::Answer<void> grant(vm::CallContext& context, const std::vector<Step>& steps)
    {
        Extent granted;
        for (const auto& step : steps) {
            const auto& [begin, end] = step.result;
            if (begin >= granted.begin && end <= granted.end)
                continue;
            if (const auto span = context.write(begin, end - begin); !span)
                return std::unexpected(span.error());
            // Grows over the next result where they touch, since compute buffers are dense.
            const bool touches = begin <= granted.end && granted.begin <= end;
            granted = touches ? Extent{std::min(begin, granted.begin), std::max(end, granted.end)} : step.result;
        }
        return {};
    }

    /// The same by the specification itself. Its stack and scratch are the guest's, who gets them back as they were.
    static vm::Answer<Executed> run_reference(vm::CallContext& context, std::span<const vm::Value> arguments, std::uint64_t gas)
    {
        const auto scratch = context.write(arguments[2], arguments[3]);
        if (!scratch)
            return std::unexpected(scratch.error());
        const Buffer before(scratch->begin(), scratch->end());
        const vm::Value call[] = {arguments[0], arguments[1], arguments[2], arguments[3], context.memory_bytes()};
        const auto stack_top = arguments[2] + static_cast<std::uint64_t>(stack_bytes);
        const auto cost = context.run_reference(tensor::specification(), reference_module(), "gas", stack_top, call);
        if (!cost)
            return std::unexpected(cost.error());
        const auto answer = context.run_reference(tensor::specification(), reference_module(), "compute", stack_top, call);
        if (!answer)
            return std::unexpected(answer.error());
        std::ranges::copy(before, scratch->begin());

        const Executed executed{static_cast<kernels::Outcome>(*answer & 0xffffffffU), static_cast<std::uint32_t>(*answer >> 32)};
        if (*cost != gas || executed.outcome > kernels::Outcome::bad_index)
            return vm::stop(Error{errors::differs,
                fmt::format("the reference module says gas {} and outcome {}, this program gas {} and that the graph may run",
                    *cost, static_cast<std::uint32_t>(executed.outcome), gas),
                "this is a mistake in Altiplano: report it with the process"});
        return executed;
    }

    /// `memory` only says where and how large; it is never looked into.
    struct Kept {
        Buffer graph{};
        std::vector<vm::Value> arguments{};
        Bytes memory{};
        Planned planned{};
    };

    Own own_;
    Options::By by_;
    std::shared_ptr<const std::atomic<std::uint32_t>> threads_now_;
    std::atomic<std::uint64_t> calls_{0};  ///< that were compared
    std::mutex mutex_;
    Kept kept_;
};

}  // namespace

namespace {
std::atomic<const kernels::Implementation*> instead{nullptr};

Result<std::shared_ptr<cuda::Card>> graphics_card()
{
    TRY(auto device, cuda::tested_card());
    return std::make_shared<cuda::Card>(std::move(device));
}

const kernels::Implementation& fastest()
{
    const auto* const other = instead.load();
    return other != nullptr ? *other : kernels::best_implementation();
}

}  // namespace

void use_implementation(const kernels::Implementation& implementation) noexcept
{
    instead = &implementation;
}

std::shared_ptr<vm::Extension> extension(const Options& options)
{
    if (options.implementation == "cuda") {
        static const auto card = graphics_card();
        if (!card && card.error().code != cuda::errors::no_card)
            log::warning("{}", card.error().sentence);
        return card ? extension_on(*card, options) : nullptr;
    }
    const auto* implementation = options.implementation.empty() ? &fastest() : kernels::implementation(options.implementation);
    if (implementation == nullptr)
        return nullptr;
    return std::make_shared<Tensor>(*implementation, options, CardOffer{});
}

std::shared_ptr<vm::Extension> extension_on(std::shared_ptr<cuda::Card> card, const Options& options)
{
    return extension_on([card = std::move(card)]() mutable { return std::exchange(card, nullptr); }, options);
}

std::shared_ptr<vm::Extension> extension_on(CardOffer card, const Options& options)
{
    return std::make_shared<Tensor>(fastest(), options, std::move(card));
}

}  // namespace altiplano::tensor
