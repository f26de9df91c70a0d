#include "node/http/routes.hpp"

#include "node/http/compute_routes.hpp"
#include "node/http/delivery_routes.hpp"
#include "node/http/door_routes.hpp"
#include "node/http/extension_routes.hpp"
#include "node/http/gateway_routes.hpp"
#include "node/http/graphql_routes.hpp"
#include "node/http/health_routes.hpp"
#include "node/http/layer1_routes.hpp"
#include "node/http/messenger_routes.hpp"
#include "node/http/own_routes.hpp"
#include "node/http/past_routes.hpp"
#include "node/http/reply.hpp"
#include "node/http/scheduler_router.hpp"
#include "node/http/scheduler_routes.hpp"
#include "node/http/unit_wire.hpp"

namespace altiplano::node::http {

namespace {

Router scheduler_site(Node& node)
{
    const auto& schedulers = node.options().route_to;
    return schedulers.empty() ? scheduler_routes(node) : scheduler_router(node, schedulers);
}

}  // namespace

std::unique_ptr<Router> routes(Node& node)
{
    auto router = std::make_unique<Router>();
    // The original compute unit asks the gateway's root for the height (ao-protocol.md 11.1).
    router->get("/", "the same as /info", [&node](const Request&) { return network_info(node); });
    router->stream("POST", "/", "takes a message or a process in, as the messenger does",
        [&node](const Request& request) { return take_message(node, request, Targets::processes); });
    router->mount("/mu", messenger_routes(node));
    router->mount("/su", scheduler_site(node));
    router->mount("/cu", compute_routes(node));
    add_own_routes(*router, node);
    add_extension_routes(*router, node);
    add_delivery_routes(*router, node);
    add_past_routes(*router, node);
    add_gateway_routes(*router, node);
    add_graphql_routes(*router, node);
    router->reads("POST", "/graphql");
    add_health_routes(*router, node);
    if (node.door())
        router->mount("", door_routes(node));
    add_weave_wire(*router, node);
    return router;
}

std::vector<std::unique_ptr<Router>> alias_sites(Node& node)
{
    std::vector<std::unique_ptr<Router>> sites;
    sites.push_back(routes(node));
    sites.push_back(std::make_unique<Router>(messenger_routes(node)));
    sites.push_back(std::make_unique<Router>(scheduler_site(node)));
    sites.push_back(std::make_unique<Router>(compute_routes(node)));
    return sites;
}

}  // namespace altiplano::node::http
