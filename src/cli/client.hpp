#pragma once

#include "base/json.hpp"
#include "base/result.hpp"
#include "item/data_item.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace altiplano::cli {

/// A JSON answer and the text it borrows from.
struct Answer {
    std::string text;
    Result<JsonView> view() const { return JsonView::parse(text); }
    /// A member of the top object as text; empty when it is not there.
    std::string field(std::string_view name) const;
};

/// Talks to a node over HTTP. Errors of the node come back as they are, with its codes.
class Client {
public:
    explicit Client(std::string url)
        : url_(std::move(url))
    {
    }

    /// @return cli.no_node, cli.bad_answer, or the node's own error
    Result<Answer> get(const std::string& path) const;
    /// The bytes at a path, as they come. @return as `get`; what `take` returned
    Result<void> download(const std::string& path, const std::function<Result<void>(Bytes)>& take) const;
    /// An item whose data is produced by `read` in order. @return as `get`
    Result<Answer> post(
        const std::string& path, std::uint64_t size, const std::function<Result<std::size_t>(std::span<std::byte>)>& read) const;
    Result<Answer> post(const std::string& path, Bytes body) const;
    /// Whether the node answers a path with success; nothing of it is read. @return cli.no_node
    Result<bool> exists(const std::string& path) const;
    /// DELETE. @return as `get`
    Result<Answer> send_delete(const std::string& path) const;
    /// DELETE, with a body. @return as `get`
    Result<Answer> remove(const std::string& path, Bytes body) const;
    /// The newest item with these tags, as `Type=Process&Name=x&owner=ADDRESS`, values escaped; nothing when there is none.
    /// @return as `get`
    Result<std::optional<std::string>> newest_item(const std::string& query) const;
    /// Published ids and the local ones that stand for them at this node; none when it does not say.
    std::vector<std::pair<std::string, std::string>> aliases() const;
    /// Follows server-sent events until `take` returns false or the other side ends. `ready` is called once when the node
    /// listens. @return as `get`
    Result<void> events(const std::string& path, const std::function<void()>& ready,
        const std::function<bool(std::string_view data)>& take) const;

private:
    Result<Answer> upload(const char* method, const std::string& path, std::uint64_t size,
        const std::function<Result<std::size_t>(std::span<std::byte>)>& read) const;

    std::string url_;
};

/// A text as the value of a query: `encodeURIComponent`.
std::string escaped(std::string_view text);

}  // namespace altiplano::cli
