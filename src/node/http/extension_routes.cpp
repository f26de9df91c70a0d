#include "node/http/extension_routes.hpp"

#include "compute/context.hpp"
#include "node/http/reply.hpp"
#include "node/offered.hpp"

namespace altiplano::node::http {

namespace {

Result<Reply> extensions(Node& node)
{
    JsonWriter json;
    json.begin_array();
    for (const auto& one : compute::extensions())
        json.begin_object()
            .member("name", one->name())
            .member("version", one->version())
            .member("specification", std::string_view(one->specification().text()))
            .member("own", true)
            .end_object();
    TRY(const auto ids, Offered(system_files(), DataFolder{node.options().data}.extensions()).all());
    for (const auto& id : ids) {
        json.begin_object().member("id", std::string_view(id.text())).member("own", false);
        const auto item = node.weave().whole(id);
        const auto what = item ? announced::read(item->tags(), item->data()) : std::unexpected(item.error());
        if (what) {
            json.member("name", std::string_view(what->name))
                .member("version", std::string_view(what->version))
                .member("specification", std::string_view(what->specification.text()));
            json.key("functions").begin_array();
            for (const auto& line : what->lines)
                json.string(line);
            json.end_array();
        } else {
            json.member("error", std::string_view(what.error().sentence));
        }
        json.end_object();
    }
    json.end_array();
    return json_reply(std::move(json));
}

}  // namespace

void add_extension_routes(Router& router, Node& node)
{
    router.get("/extensions", "extensions that processes may ask for, with the hashes of their specifications",
        [&node](const Request&) { return extensions(node); });
}

}  // namespace altiplano::node::http
