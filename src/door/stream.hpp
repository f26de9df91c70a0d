#pragma once

#include "door/answer.hpp"

#include <functional>
#include <mutex>

namespace altiplano::door {

/// An answer on its way to a client, as events: what the worker prints while it generates, then what its result says. The
/// result is what counts: whatever of it was not printed comes at the end. Safe from any thread.
class Stream {
public:
    explicit Stream(Wish wish)
        : wish_(std::move(wish))
    {
    }

    /// The data of an event; nothing: that was all.
    using Push = std::function<void(std::optional<std::string>)>;

    /// What the worker prints, of whatever slot: those before ours are somebody else's, and may come before we know which
    /// is ours.
    void piece(const units::ConsolePiece& piece);
    void begin(const Job& job);
    void end(const Result<units::SlotResult>& result);
    /// Where events go from now on; what came before is pushed at once. The client is gone: `push` is empty.
    void listen(Push push);

private:
    void say(std::string_view text);
    void push(std::optional<std::string> event);

    const Wish wish_;
    std::mutex mutex_;
    std::optional<Job> job_;
    std::vector<units::ConsolePiece> early_;  ///< before the slot is known
    std::string cut_;  ///< the beginning of a character whose end did not come yet
    std::string said_;
    std::vector<std::optional<std::string>> waiting_;  ///< before anybody listens
    Push push_;
    bool gone_ = false;
    bool over_ = false;  ///< all is said: what was printed and comes now is in the result
};

}  // namespace altiplano::door
