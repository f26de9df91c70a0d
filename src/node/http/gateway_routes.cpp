#include "node/http/gateway_routes.hpp"

#include "node/http/item_routes.hpp"
#include "node/http/layer1_routes.hpp"
#include "node/http/upload_routes.hpp"

namespace altiplano::node::http {

void add_gateway_routes(Router& router, Node& node)
{
    add_layer1_routes(router, node);
    add_upload_routes(router, node);
    add_item_routes(router, node);
}

}  // namespace altiplano::node::http
