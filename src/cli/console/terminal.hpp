#pragma once

#include <functional>
#include <string>
#include <vector>

namespace altiplano::cli {

/// Where a person types: lines with history and completion on a terminal, plain lines from a pipe.
class Terminal {
public:
    /// @param history  a file that keeps what was typed; empty: none
    explicit Terminal(std::string history);
    ~Terminal();
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    /// Waits for a line. `idle` is called about twice a second meanwhile; what it returns is printed above the line being typed,
    /// and `prompt` asked for again. @return false at the end of input; an empty line after Ctrl-C
    bool line(
        const std::function<std::string()>& prompt, const std::function<std::vector<std::string>()>& idle, std::string& into);
    /// What gives the words that Tab may complete: asked at the first Tab of a line. Called as long as this lives.
    void set_words(std::function<std::vector<std::string>()> words);
    bool interactive() const noexcept { return interactive_; }

private:
    bool interactive_;
    std::string history_;
};

}  // namespace altiplano::cli
