#pragma once

#include "base/bytes.hpp"
#include "net/address.hpp"

#include <functional>
#include <memory>

/// Outgoing HTTP. Whoever asks a URL that a stranger may have chosen asks through this room.
namespace altiplano::net {

struct Request {
    std::string method = "GET";
    std::string url;
    std::vector<std::pair<std::string, std::string>> headers{};
    Bytes body{};  ///< borrowed until the call returns
    std::uint64_t answer_bytes_max = 64 << 20;
    std::int64_t connect_ms_max = 10'000;
    std::int64_t total_ms_max = 60'000;  ///< of one hop, redirects not counted together; 0: as long as it takes
    unsigned redirects_max = 5;
};

struct Response {
    unsigned status = 0;
    std::vector<std::pair<std::string, std::string>> headers{};  ///< names in lower case; at most 64 KiB of them
    std::string body{};
    std::string url{};  ///< that answered, after redirects

    /// Empty when there is none. @param name  in lower case
    std::string_view header(std::string_view name) const;
};

/// Asks servers. Safe from any thread. Abstract, so that a simulator can stand in for the network.
class Http {
public:
    virtual ~Http() = default;

    /// Any status is an answer. A redirect (301, 302, 303, 307, 308) is followed, its address checked like the first one;
    /// 307 and 308 send method and body again, the others ask with GET; to another origin no Authorization goes along.
    /// @return net.bad_url, net.address_refused, net.unreachable, net.timed_out, net.answer_over_limit,
    ///         net.too_many_redirects, net.failed, net.stopping
    virtual Result<Response> send(const Request& request) = 0;

    /// As `send`, with the body of an answer of 200 or 206 handed on as it comes; `take` may refuse.
    /// @return also what `take` returned
    virtual Result<Response> download(const Request& request, const std::function<Result<void>(Bytes piece)>& take) = 0;

    /// Ends what is under way and refuses more (net.stopping).
    virtual void stop() = 0;
};

/// Over libcurl. The rules are asked about the very address that is then connected to, so a name that resolves to something
/// else the second time gains nothing. No proxy of the environment is used, connections are kept for the next request.
std::unique_ptr<Http> curl_http(AddressRules rules);

}  // namespace altiplano::net
