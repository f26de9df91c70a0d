#include "net/errors.hpp"
#include "net/http.hpp"

#include <algorithm>
#include <atomic>
#include <curl/curl.h>
#include <fmt/format.h>
#include <mutex>
#include <sys/socket.h>
#include <unistd.h>

namespace altiplano::net {

namespace {

constexpr std::size_t header_bytes_max = std::size_t{64} * 1024;
constexpr std::size_t idle_handles_max = 16;

std::string lower(std::string_view text)
{
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

std::string_view trimmed(std::string_view text)
{
    while (!text.empty() && static_cast<unsigned char>(text.front()) <= 0x20)
        text.remove_prefix(1);
    while (!text.empty() && static_cast<unsigned char>(text.back()) <= 0x20)
        text.remove_suffix(1);
    return text;
}

using Take = std::function<Result<void>(Bytes piece)>;

/// What the callbacks of one hop share. They are of C and do not throw.
struct Hop {
    const AddressRules& rules;
    const Request& request;
    const Url& url;
    const std::atomic<bool>& stopping;
    const Take* take;
    CURL* handle = nullptr;
    Response response{};
    std::uint64_t header_bytes = 0;
    std::uint64_t body_bytes = 0;
    std::optional<Error> failure{};

    std::size_t on_header(std::string_view line)
    {
        header_bytes += line.size();
        if (header_bytes > header_bytes_max) {
            failure = Error{errors::answer_over_limit,
                fmt::format("the answer of {} has more than {} bytes of headers", url.origin(), header_bytes_max), {}};
            return 0;
        }
        // Each answer begins anew: 100 Continue comes before the real one.
        if (line.starts_with("HTTP/"))
            response.headers.clear();
        else if (const auto colon = line.find(':'); colon != line.npos)
            response.headers.emplace_back(lower(trimmed(line.substr(0, colon))), trimmed(line.substr(colon + 1)));
        return line.size();
    }

    std::size_t on_body(std::string_view piece)
    {
        long status = 0;
        curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
        body_bytes += piece.size();
        if (body_bytes > request.answer_bytes_max) {
            failure = Error{errors::answer_over_limit,
                fmt::format("the answer of {} has more than {} bytes", url.origin(), request.answer_bytes_max), {}};
            return 0;
        }
        if (!take || (status != 200 && status != 206)) {
            response.body += piece;
        } else if (auto taken = (*take)(as_bytes(piece)); !taken) {
            failure = taken.error();
            return 0;
        }
        return piece.size();
    }

    curl_socket_t on_socket(const curl_sockaddr& address)
    {
        const auto to = Address::of(address.addr);
        if (!to || !rules.allows(url.host, url.port, *to)) {
            failure = Error{errors::address_refused,
                fmt::format("{} is {}, which is neither public nor configured", url.origin(), to ? to->text() : "no IP address"),
                "the operator allows addresses with net.allow"};
            return CURL_SOCKET_BAD;
        }
        failure.reset();  // of another address of the same name
        return socket(address.family, address.socktype | SOCK_CLOEXEC, address.protocol);
    }
};

class CurlHttp final : public Http {
public:
    explicit CurlHttp(AddressRules rules)
        : rules_(std::move(rules))
    {
        static std::once_flag once;
        std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    }
    ~CurlHttp() override
    {
        for (auto* const handle : idle_)
            curl_easy_cleanup(handle);
    }

    Result<Response> send(const Request& request) override { return ask(request, nullptr); }
    Result<Response> download(const Request& request, const Take& take) override { return ask(request, &take); }
    void stop() override { stopping_ = true; }

private:
    Result<Response> ask(const Request& first, const Take* take)
    {
        auto request = first;
        TRY(auto url, parse_url(request.url));
        for (unsigned redirects = 0;; ++redirects) {
            TRY(auto response, one_hop(request, url, take));
            const auto location = response.header("location");
            const bool redirected =
                (response.status >= 301 && response.status <= 303) || response.status == 307 || response.status == 308;
            if (!redirected || location.empty() || request.redirects_max == 0)
                return response;
            if (redirects == request.redirects_max)
                return fail(errors::too_many_redirects,
                    fmt::format("{} leads on and on: {} redirects were followed", first.url, redirects));
            TRY(auto next, parse_url(location, url));
            if (response.status < 307 && request.method != "HEAD") {
                request.method = "GET";
                request.body = {};
            }
            if (next.origin() != url.origin())
                std::erase_if(request.headers, [](const auto& header) {
                    const auto name = lower(header.first);
                    return name == "authorization" || name == "cookie" || name == "x-api-key";
                });
            url = std::move(next);
        }
    }

    Result<Response> one_hop(const Request& request, const Url& url, const Take* take)
    {
        if (stopping_)
            return fail(errors::stopping, "this program is going down");
        const std::unique_ptr<CURL, std::function<void(CURL*)>> owned(borrow(), [this](CURL* handle) { give_back(handle); });
        auto* const handle = owned.get();
        Hop hop{.rules = rules_, .request = request, .url = url, .stopping = stopping_, .take = take};
        hop.response.url = url.text;
        char message[CURL_ERROR_SIZE] = {};

        curl_easy_reset(handle);
        curl_easy_setopt(handle, CURLOPT_URL, url.text.c_str());
        curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, message);
        curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(handle, CURLOPT_PROXY, "");
        curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_ms_max));
        curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(request.total_ms_max));
        set_method(handle, request);

        const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(header_list(request), curl_slist_free_all);
        curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
        curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, &hop);
        curl_easy_setopt(
            handle, CURLOPT_OPENSOCKETFUNCTION,
            +[](void* self, curlsocktype, curl_sockaddr* address) { return static_cast<Hop*>(self)->on_socket(*address); });
        curl_easy_setopt(handle, CURLOPT_HEADERDATA, &hop);
        curl_easy_setopt(
            handle, CURLOPT_HEADERFUNCTION, +[](char* data, std::size_t, std::size_t size, void* self) {
                return static_cast<Hop*>(self)->on_header({data, size});
            });
        hop.handle = handle;
        curl_easy_setopt(handle, CURLOPT_WRITEDATA, &hop);
        curl_easy_setopt(
            handle, CURLOPT_WRITEFUNCTION, +[](char* data, std::size_t, std::size_t size, void* self) -> std::size_t {
                return static_cast<Hop*>(self)->on_body({data, size});
            });
        curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &hop);
        curl_easy_setopt(
            handle, CURLOPT_XFERINFOFUNCTION, +[](void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
                return static_cast<Hop*>(self)->stopping ? 1 : 0;
            });
        curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);

        const auto code = curl_easy_perform(handle);
        long status = 0;
        curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
        hop.response.status = static_cast<unsigned>(status);
        if (code == CURLE_OK)
            return std::move(hop.response);
        if (hop.failure)
            return std::unexpected(*std::move(hop.failure));
        return failure_of(code, url, request, *message ? message : curl_easy_strerror(code));
    }

    static void set_method(CURL* handle, const Request& request)
    {
        if (request.method == "HEAD") {
            curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
        } else if (request.method == "POST" || !request.body.empty()) {
            curl_easy_setopt(handle, CURLOPT_POST, 1L);
            curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
            curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.empty() ? "" : as_text(request.body).data());
        }
        curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }

    static curl_slist* header_list(const Request& request)
    {
        auto* list = curl_slist_append(nullptr, "Expect:");
        bool typed = false;
        for (const auto& [name, value] : request.headers) {
            typed = typed || lower(name) == "content-type";
            list = curl_slist_append(list, fmt::format("{}: {}", name, value).c_str());
        }
        if (!typed && !request.body.empty())
            list = curl_slist_append(list, "Content-Type: application/octet-stream");
        return list;
    }

    std::unexpected<Error> failure_of(CURLcode code, const Url& url, const Request& request, std::string_view message) const
    {
        switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_CONNECT:
            return fail(errors::unreachable, fmt::format("nobody answers at {}: {}", url.origin(), message));
        case CURLE_OPERATION_TIMEDOUT:
            return fail(errors::timed_out, fmt::format("{} did not answer within {} ms", url.origin(), request.total_ms_max));
        case CURLE_ABORTED_BY_CALLBACK: return fail(errors::stopping, "this program is going down");
        default: return fail(errors::failed, fmt::format("asking {} failed: {}", url.origin(), message));
        }
    }

    CURL* borrow()
    {
        {
            const std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                auto* const handle = idle_.back();
                idle_.pop_back();
                return handle;
            }
        }
        auto* const handle = curl_easy_init();
        ENSURE(handle, "libcurl gives handles");
        return handle;
    }
    void give_back(CURL* handle)
    {
        {
            const std::lock_guard lock(mutex_);
            if (idle_.size() < idle_handles_max) {
                idle_.push_back(handle);
                return;
            }
        }
        curl_easy_cleanup(handle);
    }

    const AddressRules rules_;
    std::atomic<bool> stopping_ = false;
    std::mutex mutex_;
    std::vector<CURL*> idle_;  ///< each keeps its connections
};

}  // namespace

std::string_view Response::header(std::string_view name) const
{
    for (const auto& [have, value] : headers)
        if (have == name)
            return value;
    return {};
}

std::unique_ptr<Http> curl_http(AddressRules rules)
{
    return std::make_unique<CurlHttp>(std::move(rules));
}

}  // namespace altiplano::net
