#include "vm/signature.hpp"

#include <array>
#include <fmt/format.h>
#include <utility>
#include <wasmtime.h>

namespace altiplano::vm {

namespace {

struct Number {
    ValueType type;
    std::string_view name;
    const wasm_valtype_t* engines;
};
const std::array<Number, 4>& numbers()
{
    // The engine's types are made once and live as long as the program.
    static const std::array<Number, 4> all{
        {{ValueType::i32, "i32", wasm_valtype_new(WASM_I32)}, {ValueType::i64, "i64", wasm_valtype_new(WASM_I64)},
            {ValueType::f32, "f32", wasm_valtype_new(WASM_F32)}, {ValueType::f64, "f64", wasm_valtype_new(WASM_F64)}}};
    return all;
}

const Number* number_of(const wasm_valtype_t* type)
{
    for (const auto& number : numbers())
        if (wasmtime_wasm_valtype_equal(type, number.engines))
            return &number;
    return nullptr;
}

std::string list_text(const wasm_valtype_vec_t* types)
{
    static const wasm_valtype_t* const vector = wasmtime_wasm_valtype_v128();
    std::string text;
    for (std::size_t i = 0; i < types->size; ++i) {
        const auto* number = number_of(types->data[i]);
        text += text.empty() ? "" : " ";
        text += number ? number->name : wasmtime_wasm_valtype_equal(types->data[i], vector) ? "v128" : "reference";
    }
    return text;
}

}  // namespace

std::optional<ValueType> number_type(const wasm_valtype_t* type)
{
    const auto* number = number_of(type);
    return number ? std::optional(number->type) : std::nullopt;
}

bool has_signature(
    const wasm_functype_t* type, std::span<const ValueType> parameters, std::optional<ValueType> result, bool wasm64)
{
    const auto is = [&](const wasm_valtype_t* found, ValueType wanted) {
        if (wanted == ValueType::pointer)
            wanted = wasm64 ? ValueType::i64 : ValueType::i32;
        return number_type(found) == wanted;
    };
    const auto* given = wasm_functype_params(type);
    const auto* back = wasm_functype_results(type);
    if (given->size != parameters.size() || back->size != (result ? 1U : 0U))
        return false;
    for (std::size_t i = 0; i < given->size; ++i)
        if (!is(given->data[i], parameters[i]))
            return false;
    return !result || is(back->data[0], *result);
}

std::string signature_text(const wasm_functype_t* type)
{
    return fmt::format("({}) -> ({})", list_text(wasm_functype_params(type)), list_text(wasm_functype_results(type)));
}

}  // namespace altiplano::vm
