#pragma once

#include "door/request.hpp"
#include "units/types.hpp"

namespace altiplano::door {

/// A request that is in the log of a worker: where everything that can be said of its answer is found.
struct Job {
    units::Slot slot;
    ItemId message;
    std::string model;  ///< the item with its weights
    std::string module;
    std::int64_t taken_ms = 0;
};

/// What a worker says.
struct Told {
    std::string text;
    std::int64_t prompt_tokens = 0;
    std::int64_t completion_tokens = 0;
    std::string finish;  ///< "stop" or "length"
};
/// @return door.worker_failed with the process's own words; door.prompt_too_long, door.bad_request for a schema
Result<Told> told(const units::SlotResult& result);

/// The whole answer, as OpenAI's API has it; `altiplano` beside it says by which process, slot and state root.
std::string whole_answer(const Wish& wish, const Job& job, const Told& told, const units::SlotResult& result);

/// The pieces of a streamed answer, each the data of one event.
std::string first_chunk(const Wish& wish, const Job& job);  ///< of a chat: says who speaks
std::string text_chunk(const Wish& wish, const Job& job, std::string_view text);
std::string last_chunk(const Wish& wish, const Job& job, const Told& told, const units::SlotResult& result);
std::string usage_chunk(const Wish& wish, const Job& job, const Told& told);

/// An error in OpenAI's shape: {"error": {"message", "type", "param", "code"}}. @param status  of HTTP
std::string error_body(const Error& error, unsigned status);

}  // namespace altiplano::door
