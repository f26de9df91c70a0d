#pragma once

#include "tensor/test_memory.hpp"

#include <cstring>

/// Hostile graphs for the tests and the fuzzer of this room: random ones, most of them almost right.
namespace altiplano::tensor {

class Hostile {
    using Op = kernels::Op;
    using Type = kernels::Type;

public:
    explicit Hostile(std::uint64_t seed)
        : random_{seed}
    {
    }

    /// Memory in which any word is a moderate number as F32 and as two F16; in the first page small integers, then masks.
    void fill(Memory& memory)
    {
        for (auto& word : memory.words) {
            const auto r = random_();
            word = 0x3c00'2c00'3c00'2c00U | (r & 0x83ff'8fff'83ff'8fffU);
        }
        for (std::size_t i = 0; i < 512; ++i)
            memory.words[i] = (random_() % 9) << 32 | random_() % 9;
        for (std::size_t i = masks_at / 8; i < 512; ++i) {
            memory.words[i] = 0;  // four cells that are seen, or not all of them, or none
            for (auto cell = below(6); cell < 4; ++cell)
                memory.words[i] |= std::uint64_t{0xfc00} << 16 * cell;
        }
        for (auto poison = random_() % 4; poison == 0; poison = random_() % 2)
            memory.words[512 + random_() % (memory.words.size() - 512)] = random_();
    }

    std::vector<NodeRecord> graph()
    {
        std::vector<NodeRecord> nodes;
        for (auto n = 1 + random_() % 4; n > 0; --n)
            nodes.push_back(likely());
        if (random_() % 2 == 0)
            spoil(nodes[random_() % nodes.size()]);
        return nodes;
    }

    /// One to three numbers of a record become others, most of them wild.
    void spoil(NodeRecord& record)
    {
        constexpr std::uint64_t wild[] = {0, 1, 2, 3, 255, 256, 4096, 0xfffff, 0x100000, std::uint64_t{1} << 31,
            std::uint64_t{1} << 40, std::uint64_t{1} << 63, ~std::uint64_t{0}, ~std::uint64_t{0} - 3};
        for (auto changes = 1 + below(3); changes > 0; --changes) {
            const auto value = below(2) == 0 ? wild[below(std::size(wild))] : below(1000);
            auto& t = below(3) == 0 ? record.result : record.source[below(5)];
            switch (below(8)) {
            case 0: record.op = static_cast<std::uint32_t>(value); break;
            case 1: record.sources = static_cast<std::uint32_t>(value); break;
            case 2: record.parameters[below(6)] = static_cast<std::uint32_t>(random_()); break;
            case 3: t.type = static_cast<std::uint32_t>(value % 40); break;
            case 4: t.extent[below(4)] = value; break;
            case 5: t.stride[below(4)] = value; break;
            default: t.address = below(2) == 0 ? value : place();
            }
        }
    }

private:
    static constexpr std::uint64_t masks_at = 2048;

    std::uint64_t below(std::uint64_t n) { return random_() % n; }
    std::uint64_t place() { return 4096 + 4 * below(0x24000); }
    std::uint32_t number() { return kernels::bits_of(static_cast<float>(below(200)) / 100.0F); }
    Type weight()
    {
        constexpr Type all[] = {Type::f32, Type::f16, Type::bf16, Type::q4_0, Type::q4_1, Type::q5_0, Type::q5_1, Type::q8_0,
            Type::q4_k, Type::q5_k, Type::q6_k, Type::q2_k, Type::q3_k, Type::iq4_nl, Type::iq4_xs, Type::mxfp4};
        return all[below(std::size(all))];
    }
    TensorRecord at(Type type, std::uint64_t e0, std::uint64_t e1 = 1, std::uint64_t e2 = 1)
    {
        auto t = plain(place(), type, e0, e1, e2);
        if (below(6) == 0)  // room between rows
            t.stride[1] += 4 * below(8);
        t.stride[2] = t.stride[1] * e1;
        t.stride[3] = t.stride[2] * e2;
        return t;
    }
    TensorRecord indices(Type type, std::uint64_t n) { return plain(8 * below(100), type, n); }

    NodeRecord likely()
    {
        const auto n = 1 + below(100);
        const auto rows = 1 + below(20);
        switch (const auto op = static_cast<Op>(1 + below(36)); op) {
        case Op::mul_mat: {
            const auto type = weight();
            const auto k = kernels::is_quantised(type) ? 256 * (1 + below(2)) : n;
            return node(op, at(Type::f32, rows, 7), {at(type, k, rows), at(Type::f32, k, 7)});
        }
        case Op::get_rows: {
            const auto type = weight();
            const auto k = kernels::is_quantised(type) ? 256 : n;
            return node(op, at(Type::f32, k, rows), {at(type, k, 9), indices(Type::i32, rows)});
        }
        case Op::set_rows:
            return node(op, at(below(2) == 0 ? Type::f16 : Type::f32, n, 9), {at(Type::f32, n, rows), indices(Type::i64, rows)});
        case Op::rope: {
            const auto width = 2 * (1 + below(40));
            return node(op, at(Type::f32, width, 3, rows), {at(Type::f32, width, 3, rows), indices(Type::i32, rows)},
                {static_cast<std::uint32_t>(2 * (1 + below(width / 2))), static_cast<std::uint32_t>(below(2)), 0x461c4000,
                    0x3f800000, 0x3f800000, below(3) == 0 ? number() : 0, number(), number()});
        }
        case Op::flash_attention: {
            const auto width = 16 * (1 + below(below(4) == 0 ? 16 : 5));
            const auto cells = below(3) != 0 ? 16 * (1 + below(20)) : 1 + below(300);
            const auto groups = 1 + below(3);
            const auto heads = groups * (1 + below(4));
            std::vector<TensorRecord> sources{at(Type::f32, width, rows, heads), at(Type::f16, width, cells, groups),
                at(Type::f16, width, cells, groups), at(Type::f16, cells, rows)};
            if (below(2) == 0)  // as a cache lies: the groups of one cell beside one another
                for (auto* t : {&sources[1], &sources[2]}) {
                    t->stride[2] = t->stride[0] * width;
                    t->stride[3] = t->stride[1] = t->stride[2] * groups + 4 * below(3);
                }
            if (below(2) == 0) {
                sources[3].address = masks_at;
                sources[3].stride[1] = 32 * below(3);
            }
            if (below(3) == 0)
                sources.push_back(at(Type::f32, heads));
            return node(op, at(Type::f32, width, heads, rows), sources,
                {number(), below(3) == 0 ? number() : 0, below(3) == 0 ? number() : 0});
        }
        case Op::add:
        case Op::sub:
        case Op::mul:
        case Op::div:
        case Op::swiglu:
        case Op::geglu:
        case Op::reglu:
        case Op::geglu_quick:
        case Op::swiglu_oai: {
            const auto result = at(Type::f32, n, rows, 2);
            return node(op, result, {below(3) == 0 ? result : at(Type::f32, n, rows, 2), at(Type::f32, n, rows, 2)},
                {number(), number()});
        }
        case Op::mul_mat_id: {
            const auto type = weight();
            const auto k = kernels::is_quantised(type) ? 256 * (1 + below(2)) : n;
            const auto tokens = 1 + below(4);
            return node(op, at(Type::f32, rows, 2, tokens),
                {at(type, k, rows, 9), at(Type::f32, k, 1 + below(2), tokens), plain(8 * below(100), Type::i32, 2, tokens)});
        }
        case Op::add_id: {
            const auto result = at(Type::f32, n, 2, 3);
            return node(op, result,
                {below(3) == 0 ? result : at(Type::f32, n, 2, 3), at(Type::f32, n, 9), plain(8 * below(100), Type::i32, 2, 3)});
        }
        case Op::soft_max: {
            const auto result = at(Type::f32, n, rows, 2);
            std::vector<TensorRecord> sources{below(3) == 0 ? result : at(Type::f32, n, rows, 2)};
            if (below(2) == 0)
                sources.push_back(at(below(2) == 0 ? Type::f32 : Type::f16, n, rows + below(3), 1 + below(2)));
            return node(op, result, sources, {number(), below(2) == 0 ? number() : 0});
        }
        case Op::argsort:
            return node(op, at(Type::i32, n, rows), {at(Type::f32, n, rows)}, {static_cast<std::uint32_t>(below(2))});
        case Op::sum_rows: return node(op, at(Type::f32, 1, rows, 2), {at(Type::f32, n, rows, 2)});
        case Op::concat: {
            const auto along = static_cast<std::uint32_t>(below(3));
            std::uint64_t a[] = {n, rows, 2};
            std::uint64_t b[] = {n, rows, 2};
            std::uint64_t r[] = {n, rows, 2};
            b[along] = 1 + below(5);
            r[along] += b[along];
            return node(
                op, at(Type::f32, r[0], r[1], r[2]), {at(Type::f32, a[0], a[1], a[2]), at(Type::f32, b[0], b[1], b[2])}, {along});
        }
        case Op::copy: return node(op, at(below(2) == 0 ? Type::f16 : Type::f32, n, rows, 2), {at(Type::f32, rows, n, 2)});
        default: {
            const auto result = at(Type::f32, n, rows, 2);
            return node(op, result, {below(3) == 0 ? result : at(Type::f32, n, rows, 2)}, {number(), number()});
        }
        }
    }

    /// Numbers that follow from a seed alone (splitmix64).
    struct Numbers {
        std::uint64_t state;
        std::uint64_t operator()()
        {
            auto z = state += 0x9e3779b97f4a7c15U;
            z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
            z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
            return z ^ (z >> 31);
        }
    };
    Numbers random_;
};

/// Gives every byte that a node may write one value.
inline void forget_results(Memory& memory, const std::vector<NodeRecord>& nodes)
{
    for (const auto& record : nodes) {
        const auto& t = record.result;
        const auto bytes = t.extent[0] * static_cast<std::uint64_t>(kernels::format_of(t.type).block_bytes);
        for (std::uint64_t i3 = 0; i3 < t.extent[3]; ++i3)
            for (std::uint64_t i2 = 0; i2 < t.extent[2]; ++i2)
                for (std::uint64_t i1 = 0; i1 < t.extent[1]; ++i1)
                    std::memset(memory.bytes() + t.address + i1 * t.stride[1] + i2 * t.stride[2] + i3 * t.stride[3], 0, bytes);
    }
}

}  // namespace altiplano::tensor
