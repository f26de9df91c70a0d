#pragma once

#include "base/json.hpp"
#include "base/random.hpp"

namespace altiplano::door {

/// Most bytes of a request's body.
inline constexpr std::uint64_t body_bytes_max = 4 << 20;

/// What a client asks for, checked: OpenAI's two shapes, brought to the one that workers read.
struct Wish {
    bool chat = true;  ///< else a completion of a raw text
    std::string model;  ///< a name or an id
    std::string job;  ///< for the worker, JSON (lua/packages/door/worker.lua)
    bool stream = false;
    bool usage = false;  ///< a stream ends with the count of tokens
};

/// The body of POST /v1/chat/completions. Where a temperature asks for chance and no seed is named, one is drawn: it is part
/// of the message then, so that the answer can be recomputed.
/// @return door.bad_request, door.not_offered, each naming the parameter; base.bad_json
Result<Wish> read_chat(std::string_view body, Random& random);
/// The body of POST /v1/completions. @return as `read_chat`
Result<Wish> read_completion(std::string_view body, Random& random);

}  // namespace altiplano::door
