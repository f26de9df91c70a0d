#include "net/address.hpp"

#include "base/text.hpp"
#include "net/errors.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace altiplano::net {

namespace {

bool in_network(const Address& address, const Address& network, unsigned bits)
{
    if (address.v4 != network.v4)
        return false;
    for (unsigned i = 0; i < bits; ++i) {
        const auto mask = static_cast<std::uint8_t>(0x80U >> (i % 8));
        if ((address.bytes[i / 8] ^ network.bytes[i / 8]) & mask)
            return false;
    }
    return true;
}

struct Network {
    std::string_view address;
    unsigned bits;
};

bool in_any(const Address& address, std::span<const Network> networks)
{
    return std::ranges::any_of(networks, [&](const Network& one) {
        const auto network = Address::parse(one.address);
        ENSURE(network, "the tables below are addresses");
        return in_network(address, *network, one.bits);
    });
}

std::optional<std::uint64_t> number(std::string_view text, std::uint64_t max)
{
    const auto value = whole_number(text);
    return value && *value <= max ? value : std::nullopt;
}

}  // namespace

std::optional<Address> Address::parse(std::string_view text)
{
    const std::string terminated(text);
    Address address;
    if (inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1)
        return address;
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    if (inet_pton(AF_INET6, terminated.c_str(), &six.sin6_addr) == 1)
        return of(reinterpret_cast<const sockaddr&>(six));
    return std::nullopt;
}

std::optional<Address> Address::of(const sockaddr& socket_address)
{
    Address address;
    if (socket_address.sa_family == AF_INET) {
        std::memcpy(address.bytes.data(), &reinterpret_cast<const sockaddr_in&>(socket_address).sin_addr, 4);
        return address;
    }
    if (socket_address.sa_family != AF_INET6)
        return std::nullopt;
    const auto& six = reinterpret_cast<const sockaddr_in6&>(socket_address).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&six)) {
        std::memcpy(address.bytes.data(), six.s6_addr + 12, 4);
        return address;
    }
    address.v4 = false;
    std::memcpy(address.bytes.data(), six.s6_addr, 16);
    return address;
}

std::string Address::text() const
{
    char out[INET6_ADDRSTRLEN] = {};
    inet_ntop(v4 ? AF_INET : AF_INET6, bytes.data(), out, sizeof out);
    return out;
}

bool is_public(const Address& address)
{
    // IANA's registries of special-purpose addresses, for IPv4 and IPv6 (RFC 6890 and what was added to it).
    static constexpr Network special_v4[] = {{"0.0.0.0", 8}, {"10.0.0.0", 8}, {"100.64.0.0", 10}, {"127.0.0.0", 8},
        {"169.254.0.0", 16}, {"172.16.0.0", 12}, {"192.0.0.0", 24}, {"192.0.2.0", 24}, {"192.88.99.0", 24}, {"192.168.0.0", 16},
        {"198.18.0.0", 15}, {"198.51.100.0", 24}, {"203.0.113.0", 24}, {"224.0.0.0", 4}, {"240.0.0.0", 4}};
    // All of IPv6 that is routed publicly lies in 2000::/3; of that these are special. 2002::/16 and 2001::/32 carry an
    // IPv4 address, as 64:ff9b::/96 outside of it does.
    static constexpr Network global_v6[] = {{"2000::", 3}};
    static constexpr Network special_v6[] = {{"2001::", 23}, {"2001:db8::", 32}, {"2002::", 16}, {"3fff::", 20}};
    if (address.v4)
        return !in_any(address, special_v4);
    return in_any(address, global_v6) && !in_any(address, special_v6);
}

Result<AddressRules> AddressRules::of(const std::vector<std::string>& allowed, bool public_allowed)
{
    AddressRules rules;
    rules.public_allowed_ = public_allowed;
    for (const auto& text : allowed) {
        const auto bad = [&](std::string_view why) {
            return fail(errors::bad_rule, fmt::format("'{}' allows no address: {}", text, why),
                "write a network as 10.0.0.0/8, a host as name or name:port, an IPv6 address as [::1]");
        };
        Rule rule;
        std::string_view rest = text;
        std::string_view host;
        if (rest.starts_with('[')) {
            const auto end = rest.find(']');
            if (end == rest.npos)
                return bad("a bracket is open");
            host = rest.substr(1, end - 1);
            rest.remove_prefix(end + 1);
        } else {
            const auto end = std::min(rest.find_first_of(":/"), rest.size());
            host = rest.substr(0, end);
            rest.remove_prefix(end);
        }
        const auto address = Address::parse(host);
        if (rest.starts_with('/')) {
            const auto end = std::min(rest.find(':'), rest.size());
            const auto bits = number(rest.substr(1, end - 1), address && address->v4 ? 32 : 128);
            if (!address || !bits)
                return bad("a network is an address and a number of bits");
            rule.bits = static_cast<unsigned>(*bits);
            rest.remove_prefix(end);
        } else if (address) {
            rule.bits = address->v4 ? 32 : 128;
        }
        if (rest.starts_with(':')) {
            const auto port = number(rest.substr(1), 65535);
            if (!port)
                return bad("what follows the colon is no port");
            rule.port = static_cast<std::uint16_t>(*port);
        } else if (!rest.empty()) {
            return bad("an IPv6 address stands in brackets");
        }
        if (host.empty())
            return bad("it names nothing");
        if (address)
            rule.network = *address;
        else
            std::ranges::transform(
                host, std::back_inserter(rule.host), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        rules.rules_.push_back(std::move(rule));
    }
    return rules;
}

AddressRules AddressRules::with(const Url& url) const
{
    auto more = *this;
    Rule rule{.host = url.host, .network = {}, .bits = 0, .port = url.port};
    if (const auto address = Address::parse(url.host))
        rule = {.host = {}, .network = *address, .bits = address->v4 ? 32U : 128U, .port = url.port};
    more.rules_.push_back(std::move(rule));
    return more;
}

bool AddressRules::allows(std::string_view host, std::uint16_t port, const Address& address) const
{
    for (const auto& rule : rules_) {
        if (rule.port && *rule.port != port)
            continue;
        if (rule.host.empty() ? in_network(address, rule.network, rule.bits) : rule.host == host)
            return true;
    }
    return public_allowed_ && is_public(address);
}

}  // namespace altiplano::net
