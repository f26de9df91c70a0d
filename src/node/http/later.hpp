#pragma once

#include "node/http/message.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// The reply about a slot's result: at once when it is there, else later, without a thread that waits.
/// @param render  called once, from any thread
Reply when_there(Node& node, const units::Slot& slot, std::function<Reply(const Result<units::SlotResult>&)> render);

/// The reply of something slow, made on a thread that is there for that. @param work  called once, from any thread
Reply slowly(Node& node, std::function<Reply()> work);

/// A reply that comes later, waited for: for tests.
Reply settled(Reply reply);

}  // namespace altiplano::node::http
