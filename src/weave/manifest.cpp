#include "weave/manifest.hpp"

#include "base/json.hpp"
#include "weave/errors.hpp"

#include <fmt/format.h>

namespace altiplano::weave {

namespace {

std::unexpected<Error> bad(std::string_view what)
{
    return fail(
        errors::bad_manifest, fmt::format("the path manifest cannot be read: {}", what), "GET /raw/{id} gives it as it is");
}

/// The id in `{"id": ...}`. Nothing where there is none.
Result<std::optional<ItemId>> id_in(const std::optional<JsonView>& entry)
{
    const auto member = entry ? entry->find("id") : std::nullopt;
    if (!member)
        return std::optional<ItemId>{};
    const auto id = ItemId::parse(member->string().value_or(""));
    if (!id)
        return bad(fmt::format("'{}' is no id", member->raw().substr(0, 64)));
    return std::optional(*id);
}

}  // namespace

Result<ItemId> resolve_path(std::string_view manifest, std::string_view path)
{
    const auto json = JsonView::parse(manifest);
    if (!json)
        return bad(json.error().sentence);
    const auto text = [](const std::optional<JsonView>& value) { return value ? value->string().value_or("") : ""; };
    const auto kind = text(json->find("manifest"));
    const auto version = text(json->find("version"));
    if (kind != "arweave/paths" || (version != "0.1.0" && version != "0.2.0"))
        return bad(fmt::format(
            "it is '{}' of version '{}'; arweave/paths 0.1.0 and 0.2.0 are known", kind.substr(0, 64), version.substr(0, 64)));
    const auto paths = json->find("paths");

    const auto index = json->find("index");
    std::string wanted(path);
    if (wanted.empty()) {
        TRY(const auto named, id_in(index));
        if (named)
            return *named;
        wanted = text(index ? index->find("path") : std::nullopt);
    }
    if (paths && !wanted.empty()) {
        auto entry = paths->find(wanted);
        if (!entry && wanted.ends_with('/'))
            entry = paths->find(std::string_view(wanted).substr(0, wanted.size() - 1));
        if (!entry && !wanted.ends_with('/'))
            entry = paths->find(wanted + '/');
        TRY(const auto found, id_in(entry));
        if (found)
            return *found;
    }
    TRY(const auto fallback, id_in(json->find("fallback")));
    if (fallback)
        return *fallback;
    return fail(errors::unknown_path,
        path.empty() ? std::string("the path manifest names no index")
                     : fmt::format("the path manifest has nothing at '{}'", path.substr(0, 200)));
}

}  // namespace altiplano::weave
