#include "cuda/card.hpp"

#include "cuda/errors.hpp"
#include "cuda/extents.hpp"
#include "cuda/order.hpp"
#include "kernels/arithmetic.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace altiplano::cuda {

namespace {

namespace card = kernels::card;
using kernels::Node;
using kernels::Op;
using kernels::Outcome;

constexpr std::uint64_t staging_bytes = std::uint64_t{32} << 20;
constexpr std::size_t mirrors_max = 4;
constexpr std::uint64_t mirror_slack = std::uint64_t{1} << 20;

// Scratch lies in no guest's memory.
constexpr Extent activations_extent{UINT64_MAX - 3, UINT64_MAX - 2}, angles_extent{UINT64_MAX - 2, UINT64_MAX - 1},
    parts_extent{UINT64_MAX - 1, UINT64_MAX};

/// @param node  with its tensors in guest memory
Touched touched_by(const Node& node, const card::Launch& launch, const std::byte* memory)
{
    const bool products = kernels::is_product_of_blocks(node);
    const bool rope = node.op == Op::rope;
    Touched touched;
    for (unsigned s = 0; s < node.sources; ++s)
        touched.reads.push_back(extent_of(node.source[s], memory));
    if (launch.preparing) {
        touched.writes.push_back(products ? activations_extent : angles_extent);
        return touched;
    }
    if (products)
        touched.reads.push_back(activations_extent);
    if (rope)
        touched.reads.push_back(angles_extent);
    if (launch.kernel == card::Kernel::attention_segments) {
        touched.writes.push_back(parts_extent);
        return touched;
    }
    if (launch.kernel == card::Kernel::attention_join)
        touched.reads.push_back(parts_extent);
    touched.writes.push_back(extent_of(node.result, memory));
    return touched;
}

bool lies_in(Extent e, const Weights& weights)
{
    return e.begin >= weights.begin && e.end <= weights.begin + weights.length;
}

}  // namespace

class Card::Plan {
public:
    std::span<std::byte> memory{};
    std::shared_ptr<Mirror> mirror{};
    std::vector<SharedMemory> uses{};  ///< weights and scratch
    SharedMemory verdicts{};
    std::size_t count = 0;
    std::vector<Extent> inputs{};
    std::vector<Extent> outputs{};
    std::vector<Node> row_writers{};  ///< set_rows whose indices the guest has given: of the result only those rows change
    std::unique_ptr<Device::Program> program{};

    /// What a graph reads that it did not write itself, and what it writes.
    void look_at(const Step& step, std::span<const Weights> weights)
    {
        const auto& node = *step.node;
        const auto read = [&](Extent e) {
            if (std::ranges::none_of(weights, [&](const Weights& one) { return lies_in(e, one); }))
                for (const auto& part : written_whole_.missing(e))
                    inputs_.add(part);
        };
        for (unsigned s = 0; s < node.sources; ++s)
            read(extent_of(node.source[s], memory.data()));
        const auto result = extent_of(node.result, memory.data());
        needs_.add(result);
        if (node.op == Op::set_rows) {
            if (const auto indices = extent_of(node.source[1], memory.data()); !written_.overlaps(indices)) {
                row_writers.push_back(node);
                written_.add(result);
                return;
            }
        }
        // The bytes between those that are written come back as they are.
        if (node.op == Op::set_rows || !is_dense(node.result))
            read(result);
        else
            written_whole_.add(result);
        written_.add(result);
        outputs_.add(result);
    }
    void done_looking()
    {
        inputs = inputs_.all();
        outputs = outputs_.all();
        for (const auto& e : inputs)
            needs_.add(e);
    }
    /// From the first byte that is needed to the last.
    Extent needed() const
    {
        const auto all = needs_.all();
        return {all.front().begin, all.back().end};
    }

private:
    Extents inputs_, outputs_, written_, written_whole_, needs_;
};

Card::Card(std::unique_ptr<Device> device)
    : device_(std::move(device))
{
}
Card::~Card()
{
    if (device_)
        (void)give_back();
}

std::unique_ptr<Device> Card::give_back()
{
    for (auto** const staging : {&sent_, &fetched_})
        if (*staging != nullptr)
            device_->release_staging(std::exchange(*staging, nullptr));
    weights_.clear();
    mirrors_.clear();
    for (auto* const scratch : {&activations_, &angles_, &parts_})
        scratch->reset();
    return std::move(device_);
}

template <class Ask> Result<std::byte*> Card::with_room(const Ask& ask)
{
    for (;;) {
        Result<std::byte*> memory = ask();
        if (memory)
            return memory;
        // What no plan uses any more can be sent again.
        const auto unused = std::ranges::find_if(weights_, [](const Kept& one) { return one.memory.use_count() == 1; });
        if (unused == weights_.end())
            return memory;
        weights_.erase(unused);
    }
}

Result<Card::SharedMemory> Card::allocate(std::uint64_t bytes)
{
    TRY(auto* const memory, with_room([&] { return device_->allocate(bytes); }));
    return std::make_shared<CardMemory>(*device_, memory, bytes);
}

Result<void> Card::send(std::byte* to, Bytes from)
{
    if (sent_ == nullptr) {
        TRY(sent_, device_->staging(staging_bytes));
        sent_used_ = 0;
    }
    while (!from.empty()) {
        if (sent_used_ == staging_bytes) {
            TRY_OK(device_->finish());
            sent_used_ = 0;
        }
        const auto part = from.first(std::min<std::uint64_t>(from.size(), staging_bytes - sent_used_));
        std::memcpy(sent_ + sent_used_, part.data(), part.size());
        TRY_OK(device_->upload(to, {sent_ + sent_used_, part.size()}));
        sent_used_ += part.size();
        to += part.size();
        from = from.subspan(part.size());
    }
    return {};
}

Result<Card::SharedMemory> Card::weights_of(std::span<const std::byte> memory, const Weights& of)
{
    const auto known = std::ranges::find_if(weights_,
        [&](const Kept& one) { return one.of.item == of.item && one.of.offset == of.offset && one.of.length == of.length; });
    if (known != weights_.end()) {
        weights_.splice(weights_.begin(), weights_, known);
        return weights_.front().memory;
    }
    TRY(auto* const had, with_room([&] { return device_->weights(of); }));
    SharedMemory there;
    if (had != nullptr) {
        there = std::make_shared<CardMemory>(*device_, had, of.length);
    } else {
        TRY(there, allocate(of.length));
        TRY_OK(send(there->at, memory.subspan(of.begin, of.length)));
    }
    weights_.push_front({of, there});
    return there;
}

Result<std::shared_ptr<Mirror>> Card::mirror_of(std::span<const std::byte> memory, std::uint64_t begin, std::uint64_t end)
{
    for (auto at = mirrors_.begin(); at != mirrors_.end(); ++at) {
        const auto& one = **at;
        if (one.guest() != memory.data())
            continue;
        const auto has = one.range();
        if (has.begin <= begin && has.end >= end) {
            mirrors_.splice(mirrors_.begin(), mirrors_, at);
            return mirrors_.front();
        }
        begin = std::min(begin, has.begin);
        end = std::max(end, has.end);
        mirrors_.erase(at);
        break;
    }
    if (mirrors_.size() == mirrors_max)
        mirrors_.pop_back();
    // Begins on a page, so that numbers lie on the card as they lie here.
    begin = begin / Mirror::compared_bytes * Mirror::compared_bytes;
    end = std::min<std::uint64_t>(memory.size(), end + mirror_slack);
    TRY(auto on_card, allocate(end - begin));
    auto mirror = Mirror::make(memory.data(), begin, end, std::move(on_card));
    if (!mirror)
        return fail(errors::card, fmt::format("this machine has no {} bytes of address space left", end - begin));
    mirrors_.push_front(mirror);
    return mirror;
}

Result<std::shared_ptr<Card::Plan>> Card::plan(std::span<const Step> steps, std::int64_t activation_bytes,
    std::int64_t angle_bytes, std::span<std::byte> memory, std::span<const Weights> weights)
{
    const std::lock_guard lock(mutex_);
    auto made = std::make_shared<Plan>();
    auto& plan = *made;
    plan.memory = memory;
    plan.count = steps.size();
    if (steps.empty())
        return made;

    std::vector<std::pair<Weights, SharedMemory>> there;
    for (const auto& step : steps)
        plan.look_at(step, weights);
    plan.done_looking();
    // Only ranges that a source lies in are brought there.
    const auto weights_at = [&](Extent e) -> Result<std::byte*> {
        for (const auto& one : weights) {
            if (!lies_in(e, one))
                continue;
            auto known = std::ranges::find(there, one, &std::pair<Weights, SharedMemory>::first);
            if (known == there.end()) {
                TRY(auto on_card, weights_of(memory, one));
                there.emplace_back(one, std::move(on_card));
                known = std::prev(there.end());
            }
            return known->second->at + (e.begin - one.begin);
        }
        return nullptr;
    };
    const auto [begin, end] = plan.needed();
    TRY(plan.mirror, mirror_of(memory, begin, end));

    std::int64_t part_bytes = 0;
    for (const auto& step : steps)
        part_bytes = std::max(part_bytes, card::part_bytes(*step.node));
    const auto scratch = [&](SharedMemory& kept, std::int64_t bytes) -> Result<std::byte*> {
        if (bytes == 0)
            return nullptr;
        if (!kept || kept->bytes < static_cast<std::uint64_t>(bytes)) {
            TRY(kept, allocate(static_cast<std::uint64_t>(bytes)));
        }
        plan.uses.push_back(kept);
        return kept->at;
    };
    TRY(auto* const activations, scratch(activations_, activation_bytes));
    TRY(auto* const angles, scratch(angles_, angle_bytes));
    TRY(auto* const parts, scratch(parts_, part_bytes));

    std::vector<Node> nodes;
    nodes.reserve(steps.size());
    for (const auto& step : steps) {
        auto node = *step.node;
        const auto move = [&](kernels::Tensor& tensor, bool result) -> Result<void> {
            const auto e = extent_of(tensor, memory.data());
            std::byte* at = nullptr;
            if (!result) {
                TRY(at, weights_at(e));
            }
            tensor.data = at != nullptr ? at : plan.mirror->on_card(e.begin);
            return {};
        };
        TRY_OK(move(node.result, true));
        for (unsigned s = 0; s < node.sources; ++s)
            TRY_OK(move(node.source[s], false));
        nodes.push_back(node);
    }
    for (auto& [of, on_card] : there)
        plan.uses.push_back(on_card);
    TRY(plan.verdicts, allocate(nodes.size() * sizeof(card::Verdict)));

    std::vector<Work> work;
    std::vector<Touched> touched;
    work.reserve(steps.size() * 2);
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const auto launches = card::launches_of(nodes[i], steps[i].prepare);
        for (unsigned l = 0; l < launches.count; ++l) {
            work.push_back({.launch = launches.launch[l],
                .node = nodes[i],
                .call = {nullptr, reinterpret_cast<card::Verdict*>(plan.verdicts->at) + i, activations, angles, parts,
                    launches.launch[l].preparing ? 1U : 0U}});
            touched.push_back(touched_by(*steps[i].node, launches.launch[l], memory.data()));
        }
    }
    const auto waits = waits_of(touched, Work::waits_max);
    for (std::size_t i = 0; i < work.size(); ++i) {
        work[i].waits = waits[i].all ? Work::waits_max + 1 : static_cast<std::uint32_t>(waits[i].some.size());
        std::ranges::copy(waits[i].some, work[i].waits_for.begin());
    }
    TRY(plan.program, device_->program(work));
    return made;
}

/// What the graph reads, where the guest has it otherwise than the card.
Result<void> Card::send(Plan& plan, const TakeWritten& written)
{
    auto& mirror = *plan.mirror;
    if (!mirror.is_known()) {
        TRY_OK(device_->clear(mirror.memory().at, mirror.memory().bytes));
        TRY_OK(mirror.begin_anew());
    }
    return mirror.bring(plan.inputs, plan.memory, written, [&](std::byte* to, Bytes from) { return send(to, from); });
}

namespace {

/// The rows that a set_rows has written.
std::vector<Extent> rows_written(const Node& node, const std::byte* memory)
{
    std::vector<Extent> rows;
    const auto bytes = static_cast<std::uint64_t>(node.result.extent[0] * kernels::format_of(node.result.type).block_bytes);
    for (std::int64_t r = 0; r < node.source[0].extent[1]; ++r) {
        const auto index = kernels::index_at(node.source[1], r);
        if (index < 0 || index >= node.result.extent[1])
            continue;  // the card says so
        const auto begin = static_cast<std::uint64_t>(kernels::row_of(node.result, index) - memory);
        if (!rows.empty() && rows.back().end == begin)
            rows.back().end += bytes;
        else
            rows.push_back({begin, begin + bytes});
    }
    return rows;
}

}  // namespace

Result<Card::Ran> Card::run(Plan& plan, const TakeWritten& written)
{
    const std::lock_guard lock(mutex_);
    if (plan.count == 0)
        return Ran{};
    // Looked at before anything of the graph is back.
    auto outputs = plan.outputs;
    for (const auto& node : plan.row_writers)
        std::ranges::copy(rows_written(node, plan.memory.data()), std::back_inserter(outputs));
    const auto verdict_bytes = plan.count * sizeof(card::Verdict);
    auto bytes = static_cast<std::uint64_t>(verdict_bytes);
    for (const auto& output : outputs)
        bytes += output.bytes();
    if (bytes > fetched_bytes_) {
        if (fetched_ != nullptr)
            device_->release_staging(std::exchange(fetched_, nullptr));
        fetched_bytes_ = 0;
        TRY(fetched_, device_->staging(bytes + bytes / 2));
        fetched_bytes_ = bytes + bytes / 2;
    }

    TRY_OK(send(plan, written));
    plan.mirror->lose();  // until what it has is known again
    TRY_OK(device_->clear(plan.verdicts->at, verdict_bytes));
    TRY_OK(device_->run(*plan.program));
    TRY_OK(device_->download({fetched_, verdict_bytes}, plan.verdicts->at));
    auto* at = fetched_ + verdict_bytes;
    for (const auto& output : outputs) {
        TRY_OK(device_->download({at, output.bytes()}, plan.mirror->on_card(output.begin)));
        at += output.bytes();
    }
    TRY_OK(device_->finish());
    sent_used_ = 0;

    const auto* verdicts = reinterpret_cast<const card::Verdict*>(fetched_);
    for (std::uint32_t i = 0; i < plan.count; ++i)
        if (const auto outcome = card::outcome_of(verdicts[i]); outcome != Outcome::done)
            return Ran{outcome, i};
    at = fetched_ + verdict_bytes;
    for (const auto& output : outputs) {
        std::memcpy(plan.memory.data() + output.begin, at, output.bytes());
        plan.mirror->note(output.begin, {at, output.bytes()});
        at += output.bytes();
    }
    plan.mirror->keep();
    return Ran{};
}

}  // namespace altiplano::cuda
