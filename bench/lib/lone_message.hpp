#pragma once

#include "base/json.hpp"
#include "compute/context.hpp"

#include <fmt/format.h>

/// A message to a process without a node around it, for benchmarks and fuzzers.
namespace altiplano::bench {

/// What the guest is handed.
struct LoneMessage {
    std::string json, env;
    /// Lives no longer than this.
    compute::Work work(std::uint64_t gas_limit) const
    {
        return {.message_json = json, .env_json = env, .timestamp_ms = 1, .seed = {}, .gas_limit = gas_limit};
    }
};

/// @param type  "Process" for the first, then "Message": an Eval of the owner's
/// @param data  what is evaluated
inline LoneMessage lone_message(std::string_view type, std::string_view data, std::int64_t nonce)
{
    const std::string id(43, 'p');
    JsonWriter message(JsonWriter::Text::guest);
    message.begin_object()
        .member("Id", std::string_view(id))
        .member("Target", std::string_view(id))
        .member("Owner", "o")
        .member("From", "o")
        .member("Data", data);
    message.key("Tags").begin_array();
    message.begin_object().member("name", "Type").member("value", type).end_object();
    message.begin_object().member("name", "Action").member("value", "Eval").end_object();
    message.end_array()
        .member("Timestamp", std::int64_t{1'700'000'000'000})
        .member("Block-Height", std::int64_t{1})
        .member("Nonce", nonce)
        .end_object();
    return {message.text(),
        fmt::format(R"({{"Process":{{"Id":"{0}","Owner":"o","Tags":[]}},"Module":{{"Id":"{0}","Owner":"o","Tags":[]}}}})", id)};
}

}  // namespace altiplano::bench
