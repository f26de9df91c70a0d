#include "node/http/health_routes.hpp"

#include "base/counters.hpp"
#include "node/http/openapi.hpp"
#include "node/http/reply.hpp"

namespace altiplano::node::http {

void add_health_routes(Router& router, Node& node)
{
    router.get("/health", "whether it is alive: it answers", [](const Request&) -> Result<Reply> {
        JsonWriter json;
        json.begin_object().member("status", "ok").end_object();
        return json_reply(std::move(json));
    });
    router.get("/ready", "whether it can do its work: its records can be read and it is not going down",
        [&node](const Request&) -> Result<Reply> {
            TRY_OK(node.ready());
            JsonWriter json;
            json.begin_object().member("status", "ready").end_object();
            return json_reply(std::move(json));
        });
    router.get("/metrics", "what it counts, as Prometheus reads it", [](const Request&) -> Result<Reply> {
        return Reply{.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = counters::prometheus_text()};
    });
    for (const auto* path : {"/openapi.json", "/~altiplano/openapi.json"})
        router.table(
            path, "this table of routes as OpenAPI 3.1", [](const Router& table) { return Reply{.body = openapi(table)}; });
}

}  // namespace altiplano::node::http
