#pragma once

#include "net/address.hpp"
#include "node/http/message.hpp"

namespace altiplano::node::http {

/// Who may ask: the Host header against DNS rebinding, keys for writes, and whose word about the client's address counts.
class Gate {
public:
    struct Options {
        std::vector<std::string> hosts{};  ///< names that count as this node, besides this machine's own; with port or without
        std::vector<std::string> api_keys{};  ///< when there are some, a write needs one
        std::vector<std::string> proxies{};  ///< addresses and networks whose X-Forwarded-* are believed
    };
    /// @return net.bad_rule
    static Result<Gate> of(Options options);

    /// Sets what the request says of its peer, scheme and key. @return node.bad_host
    Result<void> pass(Request& request) const;
    bool is_proxy(std::string_view peer) const;
    /// Whether a request that only reads passes by its Host alone: nothing else that it says of itself would count.
    bool passes_plainly(std::string_view host) const { return options_.proxies.empty() && is_ours(host); }

private:
    explicit Gate(Options options)
        : options_(std::move(options))
    {
    }
    bool is_ours(std::string_view host) const;
    bool has_key(const Request& request) const;

    Options options_;
    net::AddressRules proxies_;
};

}  // namespace altiplano::node::http
