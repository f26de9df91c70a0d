#include "announced/announcement.hpp"

#include "announced/errors.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "vm/extension.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace altiplano::announced {

namespace {

std::unexpected<Error> bad(std::string sentence)
{
    return fail(errors::bad_announcement, std::move(sentence), "docs/extensions.md shows what an extension's tags say");
}

bool is_name(std::string_view text)
{
    const auto small = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
    return !text.empty() && text.size() <= 32 && text.front() >= 'a' && text.front() <= 'z' && std::ranges::all_of(text, small);
}

/// `match/6 = 2000 + 16*2 + 64*4`
Result<Function> function_of(std::string_view line)
{
    const auto wrong = [&] { return bad(fmt::format("'{}' is no function as in 'match/6 = 2000 + 16*2'", line.substr(0, 200))); };
    const auto slash = line.find('/');
    const auto equals = line.find('=');
    if (slash == line.npos || equals == line.npos || slash > equals)
        return wrong();
    Function made;
    made.name = trimmed(line.substr(0, slash));
    const auto parameters = whole_number(trimmed(line.substr(slash + 1, equals - slash - 1)));
    if (!is_name(made.name) || !parameters || *parameters < 2 || *parameters > parameters_max)
        return bad(
            fmt::format("'{}': a function has a name of small letters and 2 to {} parameters, of which the last two are the "
                        "scratch",
                line.substr(0, 200), parameters_max));
    made.parameters = static_cast<unsigned>(*parameters);
    auto rest = line.substr(equals + 1);
    for (bool first = true; !rest.empty(); first = false) {
        const auto plus = rest.find('+');
        const auto term = trimmed(rest.substr(0, plus));
        rest = plus == rest.npos ? std::string_view{} : rest.substr(plus + 1);
        const auto times = term.find('*');
        const auto gas = whole_number(trimmed(term.substr(0, times)));
        if (!gas || (first && times != term.npos) || (!first && times == term.npos))
            return wrong();
        if (first) {
            made.gas = *gas;
            continue;
        }
        const auto parameter = whole_number(trimmed(term.substr(times + 1)));
        if (!parameter || *parameter < 1 || *parameter > made.parameters || made.prices.size() == parameters_max)
            return wrong();
        made.prices.push_back({static_cast<unsigned>(*parameter), *gas});
    }
    return made.gas == 0 ? wrong() : Result<Function>(std::move(made));
}

/// What the rewriting pass accepts for a reference module, and no more bytes than an announcement may have.
Result<void> check_module(Bytes wasm)
{
    const auto wrong = [](std::string what) {
        return fail(errors::bad_module, std::move(what),
            "compile it without data: no strings, tables of constants or initialised globals in memory; docs/extensions.md says "
            "what a reference module may have");
    };
    if (wasm.size() > module_bytes_max)
        return wrong(fmt::format("the item's data is no wasm module of at most {} bytes", module_bytes_max));
    if (const auto rewritten = vm::rewrite_reference(wasm); !rewritten)
        return wrong(fmt::format("the reference module is refused ({}): {}", rewritten.error().code, rewritten.error().sentence));
    return {};
}

}  // namespace

std::uint64_t Function::cost(std::span<const std::uint64_t> arguments) const noexcept
{
    auto all = gas;
    for (const auto& [parameter, per] : prices) {
        std::uint64_t one = 0;
        if (__builtin_mul_overflow(per, arguments[parameter - 1], &one) || __builtin_add_overflow(all, one, &all))
            return UINT64_MAX;
    }
    return all;
}

Result<Announcement> read(const item::Tags& tags, Bytes wasm)
{
    if (!tags.has("Type", "Extension"))
        return bad("the item has no tag Type: Extension");
    Announcement made;
    made.name = tags.first("Name").value_or("");
    made.version = tags.first("Version").value_or("");
    constexpr std::array<std::string_view, 5> taken{"altiplano", "env", "drive", "tensor", "wasi_snapshot_preview1"};
    if (!is_name(made.name) || std::ranges::find(taken, made.name) != taken.end())
        return bad(fmt::format("'{}' is no name of an extension: up to 32 small letters, digits and hyphens, none of ours",
            made.name.substr(0, 100)));
    if (made.version.empty() || made.version.size() > 32)
        return bad("an extension has a tag Version of up to 32 characters");
    for (const auto line : tags.all("Function")) {
        TRY(auto one, function_of(line));
        for (const auto& before : made.functions)
            if (before.name == one.name)
                return bad(fmt::format("the function {} is announced twice", one.name));
        made.functions.push_back(std::move(one));
        made.lines.emplace_back(line);
    }
    if (made.functions.empty() || made.functions.size() > functions_max)
        return bad(fmt::format("an extension announces 1 to {} functions, each in a tag Function", functions_max));
    TRY_OK(check_module(wasm));
    made.wasm = to_buffer(wasm);
    made.wasm_sha256 = sha256(wasm);
    auto text = fmt::format("altiplano announced extension 1\n{}\n{}\n", made.name, made.version);
    for (const auto& line : made.lines)
        text += line + "\n";
    auto all = to_buffer(text);
    append(all, made.wasm_sha256.bytes());
    made.specification = sha256(all);
    return made;
}

}  // namespace altiplano::announced
