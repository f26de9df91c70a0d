#include "base/json.hpp"
#include "units/errors.hpp"
#include "units/http_units.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <mutex>
#include <set>

namespace altiplano::units {

namespace {

/// Codes live as long as the program. Another unit could send any: those that look like codes are kept, up to a number.
std::optional<std::string_view> static_code(const std::string& code)
{
    constexpr std::size_t kept_max = 1000;
    constexpr std::size_t length_max = 64;
    static std::mutex mutex;
    static std::set<std::string, std::less<>> codes;
    const bool looks_right = code.size() <= length_max && code.find('.') != code.npos && std::ranges::all_of(code, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
    });
    const std::lock_guard lock(mutex);
    if (const auto found = codes.find(code); found != codes.end())
        return *found;
    if (!looks_right || codes.size() >= kept_max)
        return std::nullopt;
    return *codes.insert(code).first;
}

/// What AO's units say when there is no such thing; the code is the one that our scheduler has for it.
constexpr std::string_view unknown_elsewhere = "scheduler.unknown_message";

Error error_of(const std::string& url, const net::Response& response)
{
    const auto json = JsonView::parse(response.body);
    const auto text = [&](std::string_view name) {
        const auto member = json ? json->find(name) : std::nullopt;
        return member ? member->string().value_or("") : std::string();
    };
    const auto sentence = text("error").substr(0, 1000);
    if (const auto code = static_code(text("code")))
        return {*code, sentence, text("hint").substr(0, 1000)};
    const bool unknown = response.status == 404 || sentence.find("not found") != sentence.npos;
    return {unknown ? unknown_elsewhere : errors::refused,
        fmt::format("{} answered {}{}{}", url, response.status, sentence.empty() ? "" : ": ", sentence), {}};
}

}  // namespace

Result<bool> RemoteUnit::speaks_ours()
{
    if (ours_ < 0) {
        TRY(const auto answer,
            http_.send({.url = net::join(url_, "/~altiplano/unit"), .answer_bytes_max = 64 * 1024, .total_ms_max = wait_ms_}));
        const auto json = answer.status == 200 ? JsonView::parse(answer.body) : Result<JsonView>(fail(errors::bad_answer, ""));
        const auto version = json && json->find("wire") ? json->find("wire")->integer() : std::nullopt;
        // One that is just starting or going down is asked again.
        if (answer.status >= 500)
            return std::unexpected(error_of(url_, answer));
        ours_ = version == 1 ? 1 : 0;
    }
    return ours_ == 1;
}

Result<net::Response> RemoteUnit::ask(std::string method, const std::string& path, Bytes body, bool patient) const
{
    TRY(auto answer,
        http_.send({.method = std::move(method),
            .url = net::join(url_, path),
            .body = body,
            .answer_bytes_max = std::uint64_t{1} << 30,
            .total_ms_max = patient ? 0 : wait_ms_}));
    if (answer.status >= 300)
        return std::unexpected(error_of(url_, answer));
    return answer;
}

std::string query_of(const AssignRequest& request)
{
    auto query = fmt::format("?process-id={}&assign={}", request.process.text(), request.message.text());
    if (request.base_layer)
        query += "&base-layer=true";
    for (std::size_t i = 0; i < request.exclude.size(); ++i)
        query += (i == 0 ? "&exclude=" : ",") + net::encode(request.exclude[i]);
    return query;
}

}  // namespace altiplano::units
