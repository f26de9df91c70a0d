// Reads the keyboard through libedit, in its callback form, so that messages can be shown while somebody types.
#include "cli/console/terminal.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <editline/readline.h>
#include <iostream>
#include <optional>
#include <poll.h>
#include <unistd.h>

namespace altiplano::cli {

namespace {

// libedit has one line at a time and calls back without a pointer of ours.
struct Typing {
    std::optional<std::string> line;
    bool ended = false;
    std::function<std::vector<std::string>()> ask;
    bool asked = false;  ///< for this line
    std::vector<std::string> words;
    std::vector<std::string> found;
} typing;

void take_line(char* text)
{
    if (!text) {
        typing.ended = true;
        return;
    }
    typing.line = text;
    std::free(text);  // NOLINT: libedit's memory
}

char* next_word(const char* text, int state)
{
    if (state == 0) {
        typing.found.clear();
        for (const auto& word : typing.words)
            if (word.starts_with(text))
                typing.found.push_back(word);
    }
    const auto index = static_cast<std::size_t>(state);
    return index < typing.found.size() ? strdup(typing.found[index].c_str()) : nullptr;
}

char** complete(const char* text, int, int)
{
    rl_attempted_completion_over = 1;
    if (!typing.asked && typing.ask) {
        typing.words = typing.ask();
        std::ranges::sort(typing.words);
        typing.asked = true;
    }
    rl_completion_append_character = '\0';
    return rl_completion_matches(text, next_word);
}

/// libedit counts columns: what has no width is put between these marks.
std::string with_marks(const std::string& prompt)
{
    std::string marked;
    for (std::size_t i = 0; i < prompt.size(); ++i) {
        const auto end = prompt[i] == '\x1b' ? prompt.find('m', i) : prompt.npos;
        if (end == prompt.npos) {
            marked += prompt[i];
            continue;
        }
        marked += RL_PROMPT_START_IGNORE + prompt.substr(i, end - i + 1) + RL_PROMPT_END_IGNORE;
        i = end;
    }
    return marked;
}

volatile std::sig_atomic_t interrupted = 0;

}  // namespace

Terminal::Terminal(std::string history)
    : interactive_(isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0)
    , history_(std::move(history))
{
    if (!interactive_)
        return;
    rl_initialize();
    using_history();
    stifle_history(5000);
    if (!history_.empty())
        read_history(history_.c_str());
    rl_attempted_completion_function = complete;
    static char breaks[] = " \t\n\"\\'`@$><=;|&{(,[+-*/#~";
    rl_completer_word_break_characters = breaks;
    struct sigaction on_interrupt{};
    on_interrupt.sa_handler = [](int) { interrupted = 1; };
    sigaction(SIGINT, &on_interrupt, nullptr);
}

Terminal::~Terminal()
{
    typing.ask = {};
    if (interactive_ && !history_.empty())
        write_history(history_.c_str());
}

void Terminal::set_words(std::function<std::vector<std::string>()> words)
{
    typing.ask = std::move(words);
}

bool Terminal::line(
    const std::function<std::string()>& prompt, const std::function<std::vector<std::string>()>& idle, std::string& into)
{
    if (!interactive_) {
        for (const auto& news : idle())
            std::cout << news << "\n";
        std::cout << prompt() << std::flush;
        const bool more = static_cast<bool>(std::getline(std::cin, into));
        std::cout << "\n";
        return more;
    }

    typing.line.reset();
    typing.ended = false;
    typing.asked = false;
    interrupted = 0;
    rl_callback_handler_install(with_marks(prompt()).c_str(), take_line);
    bool touched = false;  // before the first key the buffer still holds the line before
    while (!typing.line && !typing.ended) {
        pollfd in{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
        const int ready = poll(&in, 1, 500);
        if (interrupted != 0) {
            // Ctrl-C throws the line away, as a shell does.
            interrupted = 0;
            rl_callback_handler_remove();
            std::puts("");
            into.clear();
            return true;
        }
        if (ready < 0 && errno != EINTR) {
            typing.ended = true;
        } else if (ready > 0) {
            rl_callback_read_char();
            touched = true;
        } else if (const auto news = idle(); !news.empty()) {
            const std::string typed(touched && rl_line_buffer ? rl_line_buffer : "");
            std::fputs("\r\x1b[K", stdout);
            for (const auto& one : news)
                std::puts(one.c_str());
            std::fflush(stdout);
            rl_callback_handler_remove();
            rl_callback_handler_install(with_marks(prompt()).c_str(), take_line);
            rl_insert_text(typed.c_str());
            rl_forced_update_display();
        }
    }
    rl_callback_handler_remove();
    if (typing.ended) {
        std::puts("");
        return false;
    }
    into = std::move(*typing.line);
    if (!into.empty())
        add_history(into.c_str());
    return true;
}

}  // namespace altiplano::cli
