#include "node/http/wire.hpp"

#include "node/errors.hpp"
#include "node/http/reply.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

/// @param plus  whether + is a blank, as in a query
std::string decode(std::string_view text, bool plus)
{
    const auto digit = [](char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    };
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
            plain += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
            i += 2;
        } else {
            plain += plus && text[i] == '+' ? ' ' : text[i];
        }
    }
    return plain;
}

std::string_view view(boost::beast::string_view text)
{
    return {text.data(), text.size()};
}

}  // namespace

Result<Request> to_request(const boost::beast::http::request_header<>& header)
{
    Request request;
    request.method = std::string(view(header.method_string()));
    request.target = std::string(view(header.target()));
    for (const std::string_view scheme : {"http://", "https://"})
        if (request.target.starts_with(scheme)) {
            const auto slash = request.target.find('/', scheme.size());
            request.target = slash == std::string::npos ? "/" : request.target.substr(slash);
        }
    if (!request.target.starts_with('/'))
        return fail(errors::bad_request,
            fmt::format("the target '{}' is no path", one_line(std::string_view(request.target).substr(0, 100))),
            "a request's target begins with /");
    const auto target = std::string_view(request.target);
    const auto mark = target.find('?');
    request.path = decode(target.substr(0, mark), false);
    for (auto rest = mark == target.npos ? std::string_view{} : target.substr(mark + 1); !rest.empty();) {
        const auto one = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        const auto equals = one.find('=');
        request.query.emplace_back(
            decode(one.substr(0, equals), true), equals == one.npos ? "" : decode(one.substr(equals + 1), true));
    }
    for (const auto& field : header) {
        std::string name(view(field.name_string()));
        std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        request.headers.emplace_back(std::move(name), view(field.value()));
    }
    return request;
}

}  // namespace altiplano::node::http
