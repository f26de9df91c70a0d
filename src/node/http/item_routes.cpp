#include "node/http/item_routes.hpp"

#include "node/errors.hpp"
#include "node/http/ranges.hpp"
#include "node/http/reply.hpp"
#include "weave/errors.hpp"
#include "weave/manifest.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

std::string lower(std::string_view text)
{
    std::string made(text);
    std::ranges::transform(made, made.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return made;
}

/// A stranger's page must not act with this origin's rights: what a browser runs as a document is sandboxed.
bool is_active(std::string_view type)
{
    const auto name = lower(type);
    for (const auto* const active : {"html", "svg", "xml", "xsl", "multipart"})
        if (name.find(active) != name.npos)
            return true;
    return false;
}

// The original messenger reads these from the answer to GET /{id} (ao-protocol.md 14.6). No other tag becomes a header of its own
// name: an item's author must not set cookies or policies here.
constexpr std::string_view plain_tags[] = {"Data-Protocol", "Variant", "Type", "Module", "Scheduler", "Authority", "Name",
    "Action", "From-Process", "From-Module", "Reference", "Module-Format", "Input-Encoding", "Output-Encoding", "Memory-Limit",
    "Compute-Limit", "Extension", "On-Boot", "App-Name", "App-Version", "Process", "Message", "Nonce", "Epoch", "Timestamp"};

void add_tags(Reply& reply, const item::Tags& tags)
{
    constexpr std::size_t bytes_max = 6 * 1024;  // of all tags: clients refuse headers of more than 16 KiB or so
    std::size_t bytes = 0;
    const auto is_token = [](std::string_view name) {
        return !name.empty()
            && std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_'; });
    };
    std::vector<std::string> seen;
    for (const auto& tag : tags) {
        const auto value = one_line(tag.value);
        bytes += 2 * (tag.name.size() + value.size() + 20);
        const auto name = lower(tag.name);
        if (bytes > bytes_max)
            return;
        if (!is_token(tag.name) || std::ranges::find(seen, name) != seen.end())
            continue;  // the first one wins
        seen.push_back(name);
        reply.headers.emplace_back("X-Arweave-Tag-" + tag.name, value);
        if (std::ranges::find(plain_tags, tag.name) != std::end(plain_tags))
            reply.headers.emplace_back(tag.name, value);
    }
}

/// Whether a list of entity tags has this one; the weak form is the same here, where data never changes.
bool has_tag(std::string_view list, std::string_view tag)
{
    while (!list.empty()) {
        auto one = list.substr(0, list.find(','));
        list.remove_prefix(std::min(list.size(), one.size() + 1));
        while (one.starts_with(' '))
            one.remove_prefix(1);
        while (one.ends_with(' '))
            one.remove_suffix(1);
        if (one.starts_with("W/"))
            one.remove_prefix(2);
        if (one == tag || one == "*")
            return true;
    }
    return false;
}

Result<Reply> give(Node& node, const Request& request, const ItemId& id, const weave::StoredItem& stored)
{
    Reply reply;
    reply.content_type = one_line(stored.header.tags().first("Content-Type").value_or("application/octet-stream"));
    const auto tag = fmt::format("\"{}\"", id.text());
    reply.headers = {{"ETag", tag}, {"Accept-Ranges", "bytes"}, {"Cache-Control", "public, max-age=31536000, immutable"},
        {"Access-Control-Expose-Headers", "*"}, {"X-Arweave-Owner-Address", stored.header.owner().text()}};
    if (is_active(reply.content_type))
        reply.headers.emplace_back("Content-Security-Policy", "sandbox");
    add_tags(reply, stored.header.tags());
    if (has_tag(request.header("if-none-match"), tag)) {
        reply.status = 304;
        return reply;
    }
    const auto only_if = request.header("if-range");
    const auto range = only_if.empty() || only_if == tag ? request.header("range") : std::string_view{};
    const auto parts = parts_of(range, stored.data_size);
    if (!parts) {
        reply = error_reply(parts.error());
        reply.headers.emplace_back("Content-Range", fmt::format("bytes */{}", stored.data_size));
        return reply;
    }
    TRY(auto data, node.weave().data(id));
    if (parts->empty()) {
        reply.data = std::move(data);
        reply.data_length = reply.data->size();
    } else {
        give_parts(reply, std::move(data), *parts, "altiplano-" + id.text());
    }
    return reply;
}

/// By the item that answers for the id in the path: in development it may be one that stands for it, and the reply says so.
Result<Reply> by_id(
    Node& node, const Request& request, Result<Reply> (*answer)(Node& node, const Request& request, const ItemId& id))
{
    const auto id = ItemId::parse(request.parameter("id"));
    if (!id)
        return fail(errors::unknown_path, fmt::format("there is nothing at {}, which is no id either", request.path),
            "an id has 43 characters of base64url");
    TRY(const auto real, node.weave().real(*id));
    TRY(auto reply, answer(node, request, real));
    if (real != *id)
        reply.headers.emplace_back("Altiplano-Alias", id->text() + "=" + real.text());
    return reply;
}

bool is_manifest(const weave::StoredItem& stored)
{
    return lower(stored.header.tags().first("Content-Type").value_or("")).starts_with(weave::manifest_type);
}

Result<Reply> raw(Node& node, const Request& request, const ItemId& id)
{
    TRY(const auto stored, node.item(id));
    return give(node, request, id, stored);
}

Result<Reply> item(Node& node, const Request& request, const ItemId& id)
{
    TRY(const auto stored, node.item(id));
    if (!is_manifest(stored))
        return give(node, request, id, stored);
    // The manifest's own links are relative to what it names, so its name ends with a slash.
    return Reply{.status = 302, .content_type = "text/plain; charset=utf-8", .headers = {{"Location", "/" + id.text() + "/"}}};
}

Result<Reply> below(Node& node, const Request& request, const ItemId& id)
{
    const auto path = request.parameter("path");
    TRY(const auto stored, node.item(id));
    if (!is_manifest(stored)) {
        if (path.empty())
            return give(node, request, id, stored);
        return fail(errors::unknown_path, fmt::format("{} is no path manifest, so it has nothing at '{}'", id.text(), path));
    }
    if (stored.data_size > weave::manifest_bytes_max)
        return fail(weave::errors::bad_manifest,
            fmt::format("the path manifest has {} bytes; at most {} are read", stored.data_size, weave::manifest_bytes_max));
    TRY(const auto data, node.weave().data(id));
    TRY(const auto bytes, data->all());
    TRY(const auto named, weave::resolve_path(as_text(bytes), path));
    TRY(const auto target, node.item(named));
    TRY(auto reply, give(node, request, named, target));
    // Another item may be here in another manifest's name only: this one never changes.
    reply.headers.emplace_back("X-Arweave-Resolved-Id", named.text());
    return reply;
}

}  // namespace

void add_item_routes(Router& router, Node& node)
{
    router.get("/raw/{id}", "an item's data", [&node](const Request& request) { return by_id(node, request, raw); });
    router.get("/{id}", "an item's data; of a path manifest its index",
        [&node](const Request& request) { return by_id(node, request, item); });
    router.get("/{id}/{path...}", "what a path manifest has at a path",
        [&node](const Request& request) { return by_id(node, request, below); });
}

}  // namespace altiplano::node::http
