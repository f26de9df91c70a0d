#include "cli/client.hpp"

#include "cli/errors.hpp"

#include <curl/curl.h>
#include <fmt/format.h>
#include <set>

namespace altiplano::cli {

namespace {

std::string_view static_code(std::string code)
{
    static std::set<std::string, std::less<>> codes;  // a command ends soon, and only its main thread asks
    return *codes.insert(std::move(code)).first;
}

/// One request. The callbacks are of C and must not throw.
struct Transfer {
    explicit Transfer(const std::string& url)
        : handle(curl_easy_init())
    {
        ENSURE(handle, "libcurl gives handles");
        curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
        curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, message);
        curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(handle, CURLOPT_PROXY, "");
        curl_easy_setopt(handle, CURLOPT_WRITEDATA, this);
        curl_easy_setopt(
            handle, CURLOPT_WRITEFUNCTION, +[](char* data, std::size_t, std::size_t size, void* self) -> std::size_t {
                return static_cast<Transfer*>(self)->receive({data, size}) ? size : 0;
            });
    }
    ~Transfer()
    {
        curl_slist_free_all(headers);
        curl_easy_cleanup(handle);
    }
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    void header(const char* line)
    {
        headers = curl_slist_append(headers, line);
        curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    }

    bool receive(std::string_view piece)
    {
        if (!take || status() >= 400) {
            body += piece;
            return true;
        }
        return take(piece);
    }
    long status() const
    {
        long code = 0;
        curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &code);
        return code;
    }

    Result<void> run(const std::string& url)
    {
        const auto code = curl_easy_perform(handle);
        if (failure)
            return std::unexpected(*failure);
        // A server that refuses in the middle of an upload answers and closes: its answer counts, not the closing.
        const bool answered = status() >= 400 && !body.empty();
        if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
            return fail(errors::no_node, fmt::format("nobody answers at {}", url),
                "start one with `altiplano node --data DIR`, or name its address with --url or ALTIPLANO_NODE");
        if (code != CURLE_OK && !answered && !(ended && code == CURLE_WRITE_ERROR))
            return fail(
                errors::no_node, fmt::format("the request to {} failed: {}", url, *message ? message : curl_easy_strerror(code)));
        if (status() < 400)
            return {};
        const auto answer = JsonView::parse(body);
        const auto text = [&](std::string_view name) {
            return answer && answer->find(name) ? answer->find(name)->string().value_or("") : std::string();
        };
        if (text("code").empty())
            return fail(errors::bad_answer, fmt::format("{} answered {} without saying why", url, status()));
        return fail(static_code(text("code")), text("error"), text("hint"));
    }

    CURL* handle;
    curl_slist* headers = nullptr;
    char message[CURL_ERROR_SIZE] = {};
    std::string body;
    std::function<bool(std::string_view)> take;
    std::optional<Error> failure;
    bool ended = false;  ///< by us
};

}  // namespace

std::string Answer::field(std::string_view name) const
{
    const auto parsed = view();
    const auto member = parsed ? parsed->find(name) : std::nullopt;
    return member ? member->text().value_or("") : "";
}

Result<Answer> Client::get(const std::string& path) const
{
    Transfer transfer(url_ + path);
    TRY_OK(transfer.run(url_));
    if (!JsonView::parse(transfer.body))
        return fail(errors::bad_answer, fmt::format("what answers at {} is no node of ours", url_));
    return Answer{std::move(transfer.body)};
}

Result<void> Client::download(const std::string& path, const std::function<Result<void>(Bytes)>& take) const
{
    Transfer transfer(url_ + path);
    transfer.take = [&](std::string_view piece) {
        const auto taken = take(as_bytes(piece));
        if (!taken)
            transfer.failure = taken.error();
        return taken.has_value();
    };
    return transfer.run(url_);
}

Result<Answer> Client::upload(const char* method, const std::string& path, std::uint64_t size,
    const std::function<Result<std::size_t>(std::span<std::byte>)>& read) const
{
    struct Source {
        const std::function<Result<std::size_t>(std::span<std::byte>)>& read;
        std::optional<Error>& failure;
    };
    Transfer transfer(url_ + path);
    Source source{read, transfer.failure};
    transfer.header("Content-Type: application/octet-stream");
    transfer.header("Expect:");
    curl_easy_setopt(transfer.handle, CURLOPT_POST, 1L);
    curl_easy_setopt(transfer.handle, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(transfer.handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(size));
    curl_easy_setopt(transfer.handle, CURLOPT_UPLOAD_BUFFERSIZE, 512L * 1024);
    curl_easy_setopt(transfer.handle, CURLOPT_READDATA, &source);
    curl_easy_setopt(
        transfer.handle, CURLOPT_READFUNCTION, +[](char* into, std::size_t, std::size_t room, void* self) -> std::size_t {
            auto& from = *static_cast<Source*>(self);
            const auto got = from.read(std::span(reinterpret_cast<std::byte*>(into), room));
            if (!got) {
                from.failure = got.error();
                return CURL_READFUNC_ABORT;
            }
            return *got;
        });
    TRY_OK(transfer.run(url_));
    return Answer{std::move(transfer.body)};
}

namespace {

std::function<Result<std::size_t>(std::span<std::byte>)> reading(Bytes body)
{
    return [body](std::span<std::byte> into) mutable -> Result<std::size_t> {
        const auto size = std::min(into.size(), body.size());
        std::copy_n(body.begin(), size, into.begin());
        body = body.subspan(size);
        return size;
    };
}

}  // namespace

Result<Answer> Client::post(
    const std::string& path, std::uint64_t size, const std::function<Result<std::size_t>(std::span<std::byte>)>& read) const
{
    return upload("POST", path, size, read);
}

Result<Answer> Client::post(const std::string& path, Bytes body) const
{
    return upload("POST", path, body.size(), reading(body));
}

Result<Answer> Client::remove(const std::string& path, Bytes body) const
{
    return upload("DELETE", path, body.size(), reading(body));
}

Result<bool> Client::exists(const std::string& path) const
{
    Transfer transfer(url_ + path);
    curl_easy_setopt(transfer.handle, CURLOPT_NOBODY, 1L);
    const auto done = transfer.run(url_);
    if (!done && done.error().code == errors::no_node)
        return std::unexpected(done.error());
    return transfer.status() >= 200 && transfer.status() < 300;
}

Result<Answer> Client::send_delete(const std::string& path) const
{
    Transfer transfer(url_ + path);
    curl_easy_setopt(transfer.handle, CURLOPT_CUSTOMREQUEST, "DELETE");
    TRY_OK(transfer.run(url_));
    return Answer{std::move(transfer.body)};
}

Result<std::optional<std::string>> Client::newest_item(const std::string& query) const
{
    TRY(const auto answer, get("/~altiplano/items?" + query));
    TRY(const auto view, answer.view());
    const auto ids = view.find("ids") ? view.find("ids")->elements() : std::vector<JsonView>{};
    return ids.empty() ? std::optional<std::string>{} : ids.back().string();
}

std::vector<std::pair<std::string, std::string>> Client::aliases() const
{
    std::vector<std::pair<std::string, std::string>> found;
    const auto answer = get("/~altiplano/aliases");
    const auto view = answer ? answer->view() : Result<JsonView>(std::unexpected(answer.error()));
    const auto list = view ? view->find("aliases") : std::nullopt;
    for (const auto& one : list ? list->elements() : std::vector<JsonView>{}) {
        const auto published = one.find("published"), local = one.find("local");
        if (published && local && local->kind() == JsonView::Kind::string)
            found.emplace_back(published->string().value_or(""), local->string().value_or(""));
    }
    return found;
}

std::string escaped(std::string_view text)
{
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = std::isalnum(byte) != 0 || c == '-' || c == '_' || c == '.' || c == '~';
        out += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
    }
    return out;
}

Result<void> Client::events(
    const std::string& path, const std::function<void()>& ready, const std::function<bool(std::string_view)>& take) const
{
    Transfer transfer(url_ + path);
    std::string line;
    bool listening = false;
    transfer.take = [&](std::string_view piece) {
        for (const char c : piece) {
            if (c != '\n') {
                line += c;
                continue;
            }
            if (!listening && line.starts_with(": listening")) {
                listening = true;
                ready();
            }
            constexpr std::string_view mark = "data: ";
            if (line.starts_with(mark) && !take(std::string_view(line).substr(mark.size()))) {
                transfer.ended = true;
                return false;
            }
            line.clear();
        }
        return true;
    };
    const auto done = transfer.run(url_);
    if (!listening)
        ready();  // whoever waits for it learns that nothing will come
    return done;
}

}  // namespace altiplano::cli
