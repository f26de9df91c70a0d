#pragma once

#include "net/url.hpp"

#include <array>
#include <optional>
#include <span>
#include <vector>

struct sockaddr;

namespace altiplano::net {

/// An IP address; an IPv4 address that is written as IPv6 is one of IPv4.
struct Address {
    bool v4 = true;
    std::array<std::uint8_t, 16> bytes{};  ///< the first four of IPv4

    static std::optional<Address> parse(std::string_view text);
    static std::optional<Address> of(const sockaddr& socket_address);
    std::string text() const;
    friend bool operator==(const Address&, const Address&) = default;
};

/// Whether an address is of the public internet: none of IANA's special registries (loopback, private, link-local, carrier
/// NAT, documentation, multicast, reserved, and IPv6 forms that carry an IPv4 address which some gateway would unpack).
bool is_public(const Address& address);

/// Whom this program may ask when a stranger chose the URL: the public internet, and what the operator listed.
class AddressRules {
public:
    /// Only the public internet.
    AddressRules() = default;
    /// @param allowed  each `10.0.0.0/8`, `192.168.1.5`, `[fd00::]/8`, `name`, or one of them with `:port`
    /// @param public_allowed  false: only what is listed
    /// @return net.bad_rule
    static Result<AddressRules> of(const std::vector<std::string>& allowed, bool public_allowed = true);
    /// As these, and the host and port of this URL as well: for a URL that the operator wrote.
    AddressRules with(const Url& url) const;

    /// @param host  as the URL has it, in lower case @param address  that it was resolved to and that is connected to
    bool allows(std::string_view host, std::uint16_t port, const Address& address) const;

private:
    struct Rule {
        std::string host;  ///< a name, or empty: `network` counts
        Address network;
        unsigned bits = 0;
        std::optional<std::uint16_t> port;
    };
    std::vector<Rule> rules_;
    bool public_allowed_ = true;
};

}  // namespace altiplano::net
