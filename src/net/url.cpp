#include "net/url.hpp"

#include "net/errors.hpp"

#include <algorithm>
#include <curl/curl.h>
#include <fmt/format.h>
#include <memory>

namespace altiplano::net {

namespace {

constexpr std::size_t url_bytes_max = 8192;

using Handle = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0)
{
    char* text = nullptr;
    if (curl_url_get(url, which, &text, flags) != CURLUE_OK)
        return {};
    std::string copy(text);
    curl_free(text);
    return copy;
}

Result<Url> parse(std::string_view text, const Url* base)
{
    const auto bad = [&](std::string_view why) {
        std::string shown(text.substr(0, 200));
        std::ranges::replace_if(shown, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
        return fail(errors::bad_url, fmt::format("'{}' is no URL to be asked: {}", shown, why), "write http://host:port/path");
    };
    if (text.size() > url_bytes_max)
        return bad(fmt::format("it has {} bytes, at most {} are taken", text.size(), url_bytes_max));
    if (std::ranges::any_of(text, [](unsigned char c) { return c <= 0x20 || c == 0x7f; }))
        return bad("it has blanks or control characters");
    const Handle url(curl_url(), curl_url_cleanup);
    ENSURE(url, "libcurl has memory");
    if (base && curl_url_set(url.get(), CURLUPART_URL, base->text.c_str(), 0) != CURLUE_OK)
        return bad("what it is relative to is none");
    if (const auto code = curl_url_set(url.get(), CURLUPART_URL, std::string(text).c_str(), 0); code != CURLUE_OK)
        return bad(curl_url_strerror(code));
    curl_url_set(url.get(), CURLUPART_FRAGMENT, nullptr, 0);

    Url parsed{.text = {}, .scheme = part(url.get(), CURLUPART_SCHEME), .host = part(url.get(), CURLUPART_HOST)};
    if (parsed.scheme != "http" && parsed.scheme != "https")
        return bad("the scheme is neither http nor https");
    if (!part(url.get(), CURLUPART_USER).empty() || !part(url.get(), CURLUPART_PASSWORD).empty())
        return bad("it carries a user name");
    if (parsed.host.starts_with('[') && parsed.host.ends_with(']'))
        parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
    std::ranges::transform(parsed.host, parsed.host.begin(), [](unsigned char c) { return c < 0x80 ? std::tolower(c) : c; });
    if (parsed.host.empty())
        return bad("it names no host");
    parsed.port = static_cast<std::uint16_t>(std::stoul(part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT)));
    parsed.text = part(url.get(), CURLUPART_URL);
    return parsed;
}

}  // namespace

std::string Url::origin() const
{
    const bool v6 = host.find(':') != host.npos;
    return fmt::format("{}://{}{}{}:{}", scheme, v6 ? "[" : "", host, v6 ? "]" : "", port);
}

Result<Url> parse_url(std::string_view text)
{
    return parse(text, nullptr);
}

Result<Url> parse_url(std::string_view text, const Url& base)
{
    return parse(text, &base);
}

std::string join(std::string_view base, std::string_view path)
{
    while (base.ends_with('/'))
        base.remove_suffix(1);
    return std::string(base) + std::string(path);
}

std::string encode(std::string_view text)
{
    std::string encoded;
    for (const char c : text) {
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("-._~").contains(c))
            encoded += c;
        else
            encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return encoded;
}

}  // namespace altiplano::net
