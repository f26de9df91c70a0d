#include "node/http/gate.hpp"

#include "base/text.hpp"
#include "node/errors.hpp"
#include "node/http/reply.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

bool names(std::string_view host, std::string_view name)
{
    return host == name || (host.starts_with(name) && host.substr(name.size()).starts_with(':'));
}

/// Takes as long whatever the difference is.
bool same_key(std::string_view given, std::string_view key)
{
    unsigned difference = given.size() == key.size() ? 0U : 1U;
    for (std::size_t i = 0; i < given.size(); ++i)
        difference |= static_cast<unsigned>(given[i] ^ key[i % std::max<std::size_t>(key.size(), 1)]);
    return difference == 0;
}

}  // namespace

Result<Gate> Gate::of(Options options)
{
    for (const auto& key : options.api_keys)
        if (key.size() < 16)
            return fail(errors::bad_option, "an API key has at least 16 characters", "take one from `openssl rand -hex 16`");
    Gate gate(std::move(options));
    TRY(gate.proxies_, net::AddressRules::of(gate.options_.proxies, false));
    return gate;
}

bool Gate::is_proxy(std::string_view peer) const
{
    const auto address = net::Address::parse(peer);
    return address && proxies_.allows({}, 0, *address);
}

bool Gate::is_ours(std::string_view host) const
{
    for (const std::string_view name : {"localhost", "127.0.0.1", "[::1]"})
        if (names(host, name))
            return true;
    return std::ranges::any_of(options_.hosts, [&](const std::string& name) { return names(host, name); });
}

bool Gate::has_key(const Request& request) const
{
    auto given = request.header("x-api-key");
    if (const auto authorization = request.header("authorization"); authorization.starts_with("Bearer "))
        given = trimmed(authorization.substr(7));
    bool found = false;
    for (const auto& key : options_.api_keys)
        found = same_key(given, key) || found;
    return found;
}

Result<void> Gate::pass(Request& request) const
{
    request.host = std::string(request.header("host"));
    request.has_key = has_key(request);
    request.may_write = request.has_key || options_.api_keys.empty();
    if (is_proxy(request.peer)) {
        // From the end: each proxy that is believed names who came to it.
        for (auto rest = request.header("x-forwarded-for"); !rest.empty() && is_proxy(request.peer);) {
            const auto comma = rest.rfind(',');
            request.peer = one_line(trimmed(comma == rest.npos ? rest : rest.substr(comma + 1))).substr(0, 64);
            rest = comma == rest.npos ? std::string_view{} : rest.substr(0, comma);
        }
        if (const auto proto = request.header("x-forwarded-proto"); proto == "https")
            request.scheme = "https";
        if (const auto host = request.header("x-forwarded-host"); !host.empty())
            request.host = std::string(host);
    }
    if (!is_ours(request.host))
        return fail(errors::bad_host, fmt::format("the Host '{}' is not this machine", one_line(request.host).substr(0, 100)),
            "use http://127.0.0.1 or http://localhost, or allow the name with --hosts");
    return {};
}

}  // namespace altiplano::node::http
