#pragma once

#include "cli/client.hpp"
#include "cli/commands.hpp"

#include <optional>
#include <string>
#include <vector>

namespace altiplano::cli {

/// One process as a person talks to it: lines go in as Evals, what it says comes back, messages that arrive meanwhile are
/// found. Not safe from two threads.
class Session {
public:
    Session(const Common& common, std::string process)
        : common_(common)
        , client_(common.url)
        , process_(std::move(process))
    {
    }

    /// What a process answered. `text` may have the guest's colours; pass it through `shown`.
    struct Reply {
        bool failed = false;
        std::string text;
        std::string prompt;  ///< empty when the process has none
    };
    /// Evaluates Lua and waits for what it gives. @return cli.no_node, or the node's error; a failed Eval is a Reply
    Result<Reply> eval(const std::string& code);
    /// The same on a copy of the state: nothing is recorded, nothing is sent.
    Result<Reply> dry_run(const std::string& code);

    /// What other messages made the process print since the last call, oldest first; none at the first call.
    Result<std::vector<std::string>> news();
    /// The prompt that goes with the newest message that `news` saw; empty if none had one.
    const std::string& newest_prompt() const noexcept { return newest_prompt_; }

    /// Asks the node to run the process's cron, or not. @return as Client::post
    Result<void> monitor(bool on);

    const Client& client() const noexcept { return client_; }
    const std::string& process() const noexcept { return process_; }

private:
    Result<Reply> reply_of(const Answer& answer) const;
    Result<void> cron_news(std::vector<std::string>& lines);
    void read(const JsonView& response, std::vector<std::string>& lines);

    const Common& common_;
    Client client_;
    std::string process_;
    std::optional<std::uint64_t> seen_;  ///< slots before this one were shown or are old
    std::optional<std::string> seen_results_;  ///< the cursor of the newest result that was looked at for cron; empty: none
    std::vector<std::uint64_t> own_;  ///< slots of our Evals that `news` has not passed yet
    std::string newest_prompt_;
};

/// Text of a guest for this terminal: colours stay when `colours`, every other control sequence goes.
std::string shown(std::string_view text, bool colours);

}  // namespace altiplano::cli
