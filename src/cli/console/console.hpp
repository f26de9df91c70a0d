#pragma once

#include "cli/console/session.hpp"
#include "cli/console/terminal.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace altiplano::cli {

/// The conversation with a process: lines are evaluated, lines that begin with a point are commands of the console
/// (ao-protocol.md 9.4). Prints to stdout.
class Console {
public:
    Console(Session& session, Terminal& terminal, Files& files)
        : session_(session)
        , terminal_(terminal)
        , files_(files)
        , colours_(cli::colours())
    {
    }

    /// Until .exit or the end of input. @return cli.no_node when the node goes away for good
    Result<void> run();

private:
    bool command(const std::string& line);  ///< @return false when the console ends
    /// @param may_go_on  what has no end yet waits for more lines instead of being an error
    void evaluate(const std::string& code, bool may_go_on = false);
    void load(const std::string& file);
    void load_blueprint(const std::string& name);
    void pad();
    void update();
    void monitor(bool on);
    void edit(const std::string& line);  ///< a line in editor mode
    std::vector<std::string> words();  ///< that Tab may complete
    void take(const std::string& line);  ///< Lua, perhaps the next line of what has no end yet
    void say(std::string_view text) const;  ///< a guest's text
    void report_error(const Error& error) const;
    std::string prompt() const;

    Session& session_;
    Terminal& terminal_;
    Files& files_;
    bool colours_;
    bool live_ = true;
    bool dry_ = false;
    bool editing_ = false;
    std::vector<std::string> page_;  ///< lines of the editor
    std::string begun_;  ///< lines whose end is missing
    std::string prompt_ = "aos> ";
};

/// Whether Lua misses the end of `code`: the error that a compiler gives for a text cut short, so that more lines are asked for.
bool is_incomplete(std::string_view error);

}  // namespace altiplano::cli
