#include "node/http/reply.hpp"

#include "base/text.hpp"
#include "node/errors.hpp"

#include <fmt/format.h>

namespace altiplano::node::http {

Reply json_reply(JsonWriter&& json, unsigned status)
{
    return {.status = status, .body = std::move(json).text() + "\n"};
}

Reply text_reply(std::string text, unsigned status)
{
    return {.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(text)};
}

Result<std::uint64_t> number_in(std::string_view text, std::string_view what)
{
    if (const auto number = whole_number(text))
        return *number;
    return fail(errors::bad_request, fmt::format("the {} is '{}', which is no number", what, text));
}

std::string one_line(std::string_view text)
{
    std::string clean;
    for (const char c : text)
        if (static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f)
            clean += c;
    return clean;
}

}  // namespace altiplano::node::http
