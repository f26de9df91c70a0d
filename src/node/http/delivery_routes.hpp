#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// Dead deliveries, listed and pushed once more.
void add_delivery_routes(Router& router, Node& node);

/// What the messenger of AO has beside its intake: traces, pushing again, processes under watch (ao-protocol.md 4.1).
void add_messenger_extras(Router& router, Node& node);

/// `GET /?debug=1&process=`: what a process sent, by message, spawn or assignment. @return node.bad_request
Result<Reply> traces(Node& node, const Request& request);

/// "7" is a message's slot, "7.2" the second cron evaluation after it. @return node.bad_request
Result<units::Slot> slot_named(const ProcessId& process, std::string_view text);

}  // namespace altiplano::node::http
