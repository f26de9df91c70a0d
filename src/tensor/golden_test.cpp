#include "base/hash.hpp"
#include "kernels/arithmetic.hpp"
#include "kernels/card/emulated.hpp"
#include "kernels/implementations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <string>

/// A tiny model with generated weights, computed by every implementation, against tests/arithmetic/golden.txt, which
/// tests/arithmetic/golden.py made from docs/arithmetic.md alone.
namespace altiplano::kernels {
namespace {

struct Values {
    Tensor tensor;
    std::vector<std::uint64_t> memory;
};

Values make(Type type, std::int64_t e0, std::int64_t e1 = 1, std::int64_t e2 = 1)
{
    const auto format = format_of(type);
    const auto row = e0 / format.block_elements * format.block_bytes;
    Values v;
    v.memory.resize(static_cast<std::size_t>(row * e1 * e2) / 8 + 1);
    v.tensor = {
        reinterpret_cast<std::byte*>(v.memory.data()), {e0, e1, e2, 1}, {format.block_bytes, row, row * e1, row * e1 * e2}, type};
    return v;
}
std::size_t bytes_of(const Tensor& t)
{
    return static_cast<std::size_t>(t.stride[3]);
}
/// Another look at the same memory.
Tensor shaped(Tensor t, std::int64_t e0, std::int64_t e1, std::int64_t e2)
{
    const auto bytes = format_of(t.type).block_bytes;
    return {t.data, {e0, e1, e2, 1}, {bytes, bytes * e0, bytes * e0 * e1, bytes * e0 * e1 * e2}, t.type};
}
Tensor permuted(Tensor t)
{
    std::swap(t.extent[1], t.extent[2]);
    std::swap(t.stride[1], t.stride[2]);
    return t;
}

class Bytes64 {
public:
    explicit Bytes64(std::uint64_t seed)
        : state_(seed)
    {
    }
    std::uint8_t next()
    {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        return static_cast<std::uint8_t>(state_ >> 56);
    }
    float next_float() { return (static_cast<float>(next()) - 128.0F) / 64.0F; }

private:
    std::uint64_t state_;
};

Values weights(std::uint64_t seed, Type type, std::int64_t k, std::int64_t rows)
{
    auto v = make(type, k, rows);
    Bytes64 generated(seed);
    for (std::size_t i = 0; i < bytes_of(v.tensor); ++i)
        v.tensor.data[i] = static_cast<std::byte>(generated.next());
    std::vector<std::size_t> scales{0};
    if (type == Type::q6_k)
        scales = {208};
    else if (type == Type::q2_k)
        scales = {80, 82};
    else if (type == Type::q3_k)
        scales = {108};
    else if (type == Type::mxfp4)
        scales = {};
    else if (type == Type::q4_1 || type == Type::q5_1 || type == Type::q4_k || type == Type::q5_k)
        scales = {0, 2};
    if (type == Type::mxfp4)
        for (std::size_t block = 0; block < bytes_of(v.tensor); block += 17)
            v.tensor.data[block] = static_cast<std::byte>(115 + (std::to_integer<unsigned>(v.tensor.data[block]) & 15U));
    for (std::size_t block = 0; block < bytes_of(v.tensor); block += static_cast<std::size_t>(format_of(type).block_bytes))
        for (const auto at : scales)
            v.tensor.data[block + at + 1] = std::byte{0x1c} | (v.tensor.data[block + at + 1] & std::byte{3});
    return v;
}
void set(const Values& v, std::int64_t i, float x)
{
    store_as(v.tensor.data + 4 * i, x);
}
float get(const Values& v, std::int64_t i)
{
    return load_as<float>(v.tensor.data + 4 * i);
}
Values floats(std::uint64_t seed, std::int64_t e0, std::int64_t e1 = 1)
{
    auto v = make(Type::f32, e0, e1);
    Bytes64 generated(seed);
    for (std::int64_t i = 0; i < e0 * e1; ++i)
        set(v, i, generated.next_float());
    return v;
}
Values halves(const Values& from)
{
    auto v = make(Type::f16, from.tensor.extent[0], from.tensor.extent[1]);
    for (std::int64_t i = 0; i < from.tensor.extent[0] * from.tensor.extent[1]; ++i)
        store_as(v.tensor.data + 2 * i, f32_to_f16(get(from, i)));
    return v;
}
template <class T> Values integers(Type type, const std::vector<T>& numbers)
{
    auto v = make(type, static_cast<std::int64_t>(numbers.size()));
    std::memcpy(v.tensor.data, numbers.data(), numbers.size() * sizeof(T));
    return v;
}

class Model {
public:
    explicit Model(const Implementation& implementation)
        : implementation_(implementation)
    {
    }

    /// Runs one operation and notes the hash of its result under `name`.
    Values run(const std::string& name, Op op, std::vector<Tensor> sources, Values result,
        std::vector<std::uint32_t> parameters = {}, bool noted = true)
    {
        Node node;
        node.op = op;
        node.sources = static_cast<unsigned>(sources.size());
        std::ranges::copy(sources, node.source);
        std::ranges::copy(parameters, node.parameters);
        node.result = result.tensor;
        alignas(64) static std::byte activations[1 << 18];
        alignas(64) static std::byte angles[1 << 12];
        alignas(64) static std::byte panel[1 << 16];
        const Scratch scratch{activations, angles, panel};
        auto outcome = has_preparation(node) ? implementation_.prepare(node, {}, scratch) : Outcome::done;
        if (outcome == Outcome::done)
            outcome = implementation_.run(node, {}, scratch);
        if (noted)
            note(name, outcome == Outcome::done ? &result.tensor : nullptr);
        return result;
    }
    void note(const std::string& name, const Tensor* t)
    {
        // Hex, as the script has it.
        std::string text = "not finite";
        if (t != nullptr) {
            text.clear();
            const auto digest = sha256(altiplano::Bytes(t->data, bytes_of(*t)));
            for (const auto byte : digest.bytes())
                for (const int shift : {4, 0})
                    text += "0123456789abcdef"[(std::to_integer<unsigned>(byte) >> shift) & 15U];
        }
        said.emplace_back(name, text);
    }
    void compute();
    void rest_of_formats();
    void experts();
    void infinite();

    std::vector<std::pair<std::string, std::string>> said;

private:
    Values product(const std::string& name, const Values& w, const Tensor& x)
    {
        return run(name, Op::mul_mat, {w.tensor, x}, make(Type::f32, w.tensor.extent[1], x.extent[1]));
    }
    const Implementation& implementation_;
};

std::uint32_t bits(float x)
{
    return bits_of(x);
}

void Model::rest_of_formats()
{
    const std::pair<const char*, Type> formats[] = {
        {"q2_k", Type::q2_k}, {"q3_k", Type::q3_k}, {"iq4_nl", Type::iq4_nl}, {"iq4_xs", Type::iq4_xs}, {"mxfp4", Type::mxfp4}};
    const auto rows = integers<std::int32_t>(Type::i32, {5, 31, 0});
    std::uint64_t seed = 20;
    for (const auto& [name, type] : formats) {
        const auto w = weights(seed++, type, 512, 32);
        product(std::string("product ") + name, w, floats(25, 512, 3).tensor);
        run(std::string("rows ") + name, Op::get_rows, {w.tensor, rows.tensor}, make(Type::f32, 512, 3));
    }
}

void Model::experts()
{
    auto all = make(Type::q4_k, 256, 24, 4);
    for (std::uint64_t e = 0; e < 4; ++e) {
        const auto one = weights(30 + e, Type::q4_k, 256, 24);
        std::memcpy(all.tensor.data + static_cast<std::int64_t>(e) * all.tensor.stride[2], one.tensor.data, bytes_of(one.tensor));
    }
    const auto score = run("soft_max", Op::soft_max, {floats(26, 4, 3).tensor}, make(Type::f32, 4, 3), {bits(1.0F), 0});
    run("argsort", Op::argsort, {score.tensor}, make(Type::i32, 4, 3), {1});
    const auto chosen = integers<std::int32_t>(Type::i32, {2, 0, 3, 2, 1, 3});
    const auto y = floats(27, 256, 6);
    run("experts", Op::mul_mat_id, {all.tensor, shaped(y.tensor, 256, 2, 3), shaped(chosen.tensor, 2, 3, 1)},
        make(Type::f32, 24, 2, 3));
}

void Model::infinite()
{
    const float most = __builtin_inff();
    const auto x = floats(40, 64, 3);
    for (const std::int64_t at : {5, 64 + 40})
        set(x, at, most);
    for (const std::int64_t at : {6, 64 + 7, 128 + 63})
        set(x, at, -most);
    const auto y = floats(41, 64, 3);
    for (std::int64_t i = 0; i < 3 * 64; ++i)
        set(y, i, get(y, i) + 8.0F);
    const auto like = [] { return make(Type::f32, 64, 3); };
    const auto rows = integers<std::int32_t>(Type::i32, {2, 0});
    const auto places = integers<std::int64_t>(Type::i64, {2, 0, 1});
    run("infinite get_rows", Op::get_rows, {x.tensor, rows.tensor}, make(Type::f32, 64, 2));
    run("infinite set_rows", Op::set_rows, {x.tensor, places.tensor}, make(Type::f16, 64, 3));
    auto across = x.tensor;
    std::swap(across.extent[0], across.extent[1]);
    std::swap(across.stride[0], across.stride[1]);
    run("infinite copy", Op::copy, {across}, make(Type::f32, 3, 64));
    run("infinite concat", Op::concat, {x.tensor, y.tensor}, make(Type::f32, 128, 3), {0});
    run("infinite add", Op::add, {x.tensor, y.tensor}, like());
    run("infinite sub", Op::sub, {y.tensor, x.tensor}, like());
    run("infinite mul", Op::mul, {x.tensor, y.tensor}, like());
    run("infinite scale", Op::scale, {x.tensor}, like(), {bits(-0.5F), bits(3.0F)});
    run("infinite neg", Op::neg, {x.tensor}, like());
    run("infinite clamp", Op::clamp, {x.tensor}, like(), {bits(-1.0F), bits(most)});
    run("exp of infinite", Op::exp, {x.tensor}, like());
    const auto falling = floats(40, 64, 3);
    for (std::int64_t i = 0; i < 3 * 64; ++i)
        set(falling, i, get(x, i) == most ? 1.0F : get(x, i));
    run("soft_max of infinite", Op::soft_max, {falling.tensor}, like(), {bits(0.5F), 0});
    run("infinite minus itself", Op::sub, {x.tensor, x.tensor}, like());
    run("infinite times zero", Op::scale, {x.tensor}, like(), {0, bits(1.0F)});
    const auto large = floats(40, 64, 3);
    set(large, 70, 65520.0F);
    set(large, 128, -1e30F);
    set(large, 129, 65519.0F);
    run("too large for F16", Op::set_rows, {large.tensor, places.tensor}, make(Type::f16, 64, 3));
    run("silu of infinite", Op::silu, {x.tensor}, like());
    run("rms_norm of infinite", Op::rms_norm, {x.tensor}, like(), {bits(1e-5F)});
    run("sum of infinite", Op::sum_rows, {x.tensor}, make(Type::f32, 1, 3));
}

void Model::compute()
{
    constexpr std::int64_t cells = 272;
    const auto tokens = integers<std::int32_t>(Type::i32, {3, 39, 0, 7, 21});
    const auto positions = integers<std::int32_t>(Type::i32, {254, 255, 256, 257, 258});
    const auto places = integers<std::int64_t>(Type::i64, {254, 255, 256, 257, 258});
    const auto embedding = weights(1, Type::q8_0, 256, 40);
    const auto row = [] { return make(Type::f32, 256, 5); };

    const auto x = run("embedding", Op::get_rows, {embedding.tensor, tokens.tensor}, row());
    const auto n0 = run("rms_norm", Op::rms_norm, {x.tensor}, row(), {bits(1e-5F)});
    const auto gain = floats(2, 256);
    const auto m0 = run("mul", Op::mul, {n0.tensor, gain.tensor}, row());
    const auto q = product("q", weights(3, Type::q4_k, 256, 256), m0.tensor);
    const auto k = product("k", weights(4, Type::q5_0, 256, 128), m0.tensor);
    const auto v = product("v", weights(5, Type::q6_k, 256, 128), m0.tensor);
    const auto qr = run("q rotated", Op::rope, {shaped(q.tensor, 64, 4, 5), positions.tensor}, make(Type::f32, 64, 4, 5),
        {64, 1, bits(10000.0F), bits(1.0F), bits(1.0F)});
    const auto kr = run("k rotated", Op::rope, {shaped(k.tensor, 64, 2, 5), positions.tensor}, make(Type::f32, 64, 2, 5),
        {48, 0, bits(500000.0F), bits(0.5F), bits(1.25F)});
    auto keys = halves(floats(6, 128, cells));
    auto values = halves(floats(7, 128, cells));
    keys = run("keys", Op::set_rows, {shaped(kr.tensor, 128, 5, 1), places.tensor}, std::move(keys));
    values = run("values", Op::set_rows, {v.tensor, places.tensor}, std::move(values));
    auto mask = make(Type::f16, cells, 5);
    for (std::int64_t t = 0; t < 5; ++t)
        for (std::int64_t c = 0; c < cells; ++c)
            store_as(mask.tensor.data + 2 * (t * cells + c), static_cast<std::uint16_t>(c <= 254 + t ? 0 : 0xfc00));
    const auto attended = run("attention", Op::flash_attention,
        {permuted(qr.tensor), permuted(shaped(keys.tensor, 64, 2, cells)), permuted(shaped(values.tensor, 64, 2, cells)),
            mask.tensor},
        make(Type::f32, 64, 4, 5), {bits(0.125F), 0});
    const auto o = product("o", weights(8, Type::q4_1, 256, 256), shaped(attended.tensor, 256, 5, 1));
    const auto r1 = run("add", Op::add, {o.tensor, x.tensor}, row());
    const auto n1 = run("norm", Op::norm, {r1.tensor}, row(), {bits(1e-5F)});
    const auto gate = product("gate", weights(9, Type::q5_k, 256, 1024), n1.tensor);
    const auto up = product("up", weights(10, Type::q4_0, 256, 1024), n1.tensor);
    const auto s = run("swiglu", Op::swiglu, {gate.tensor, up.tensor}, make(Type::f32, 1024, 5));
    const auto d = product("down", weights(11, Type::q5_1, 1024, 256), s.tensor);
    const auto r2 = run("layer 0", Op::add, {d.tensor, r1.tensor}, row());
    const auto n2 = run("final", Op::rms_norm, {r2.tensor}, row(), {bits(1e-6F)}, false);
    product("logits", embedding, n2.tensor);
    run("gelu", Op::gelu, {n2.tensor}, row());

    auto plain = floats(12, 256, 24);
    for (std::int64_t i = 0; i < 256 * 24; ++i)
        set(plain, i, get(plain, i) * 64.0F / 63.0F);
    product("logits f16", halves(plain), n2.tensor);
    auto cut = make(Type::bf16, 256, 24);
    for (std::int64_t i = 0; i < 256 * 24; ++i)
        store_as(cut.tensor.data + 2 * i, static_cast<std::uint16_t>(bits_of(get(plain, i)) >> 16));
    product("logits bf16", cut, n2.tensor);
    product("logits f32", plain, n2.tensor);

    rest_of_formats();
    experts();
    auto away = make(Type::f16, cells, 5);
    for (std::int64_t t = 0; t < 5; ++t)
        for (std::int64_t c = 0; c < cells; ++c)
            store_as(away.tensor.data + 2 * (t * cells + c),
                static_cast<std::uint16_t>(c <= 254 + t ? f32_to_f16(static_cast<float>(c - 254 - t)) : 0xfc00));
    const auto sinks = floats(28, 4);
    run("biased", Op::flash_attention,
        {permuted(qr.tensor), permuted(shaped(keys.tensor, 64, 2, cells)), permuted(shaped(values.tensor, 64, 2, cells)),
            away.tensor, sinks.tensor},
        make(Type::f32, 64, 4, 5), {bits(0.125F), 0, bits(8.0F)});
    const auto scores = floats(29, cells, 30);
    run("soft_max biased", Op::soft_max, {shaped(scores.tensor, cells, 5, 6), away.tensor}, make(Type::f32, cells, 5, 6),
        {bits(0.5F), bits(8.0F)});
    run("yarn", Op::rope, {qr.tensor, positions.tensor}, make(Type::f32, 64, 4, 5),
        {64, 1, bits(10000.0F), bits(0.25F), bits(1.1386294F), bits(1.0F), bits(4.0F), bits(17.0F)});
    run("swiglu_oai", Op::swiglu_oai, {n2.tensor, r2.tensor}, row(), {bits(1.702F), bits(1.5F)});
    run("gelu_quick", Op::gelu_quick, {n2.tensor}, row());

    const auto odd = floats(13, 256, 5);
    const auto put = [](const Values& to, std::int64_t at, std::uint32_t what) { set(to, at, float_of(what)); };
    for (std::int64_t i = 0; i < 256; i += 3)
        put(odd, i, 0x80000000);
    for (std::int64_t i = 0; i < 64; ++i)
        put(odd, 256 + i, 1);
    for (std::int64_t i = 32; i < 64; ++i)
        put(odd, 512 + i, 0x0d000000);
    put(odd, 768 + 5, 0x7b000000);
    for (std::int64_t i = 0; i < 256; ++i)
        put(odd, 1024 + i, 0x80000000);
    const auto gates = weights(9, Type::q5_k, 256, 1024);
    product("odd values", gates, odd.tensor);
    for (const std::uint32_t poison : {0x7f800000U, 0xff800000U, 0x7fc00000U, 0xffc12345U, 0x7f800001U}) {
        auto poisoned = make(Type::f32, 256, 5);
        std::memcpy(poisoned.tensor.data, odd.tensor.data, bytes_of(odd.tensor));
        put(poisoned, 512 + 77, poison);
        char name[32];
        std::snprintf(name, sizeof name, "poison %08x", poison);
        product(name, gates, poisoned.tensor);
    }
    infinite();
}

TEST(Golden, files_made_from_the_document_are_what_every_implementation_computes)
{
    std::ifstream file(ALTIPLANO_SOURCE_DIR "/tests/arithmetic/golden.txt");
    std::vector<std::pair<std::string, std::string>> golden;
    for (std::string line; std::getline(file, line);)
        golden.emplace_back(line.substr(0, line.find(": ")), line.substr(line.find(": ") + 2));
    ASSERT_EQ(golden.size(), 66U);
    auto all = implementations();
    all.push_back(&card::emulated_implementation());
    for (const auto* implementation : all) {
        Model model(*implementation);
        model.compute();
        ASSERT_EQ(model.said.size(), golden.size());
        for (std::size_t i = 0; i < golden.size(); ++i)
            EXPECT_EQ(model.said[i], golden[i]) << implementation->name;
    }
}

}  // namespace
}  // namespace altiplano::kernels
