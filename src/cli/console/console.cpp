// Starts the user's editor as a process of its own.
#include "cli/console/console.hpp"

#include "cli/console/bundle.hpp"
#include "cli/errors.hpp"
#include "cli/lua_texts.hpp"
#include "cli/up/development.hpp"

#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <map>
#include <utility>

namespace altiplano::cli {

namespace {

constexpr std::string_view help_text = R"(Lines are Lua, evaluated in the process; what they give is shown.

  .load FILE.lua         evaluates a file and the local files that it requires
  .load-blueprint NAME   evaluates a blueprint: {}
  .editor                takes several lines; .done evaluates, .delete takes the last back, .print shows, .cancel leaves
  .pad                   the same in $EDITOR
  .dryrun                evaluates on a copy from now on: nothing is recorded; again to go back
  .live, .pause          shows messages as they arrive, or not
  .monitor, .unmonitor   asks the node to run the process's cron, or not
  .update                brings the runtime of the process to the newest that this program has
  .help, .exit

Tab finishes names. Ctrl-R searches what was typed before: Enter takes what it found, and again evaluates it.)";

std::string trimmed(std::string_view text)
{
    const auto from = text.find_first_not_of(" \t\r");
    return from == text.npos ? "" : std::string(text.substr(from, text.find_last_not_of(" \t\r") - from + 1));
}

std::vector<std::string> blueprints()
{
    std::vector<std::string> names;
    for (const auto& [name, text] : lua_texts())
        if (constexpr std::string_view folder = "blueprints/"; name.starts_with(folder))
            names.emplace_back(name.substr(folder.size(), name.size() - folder.size() - 4));
    return names;
}

}  // namespace

bool is_incomplete(std::string_view error)
{
    return error.find("near <eof>") != error.npos || error.find("unfinished long string") != error.npos
        || error.find("unfinished long comment") != error.npos;
}

void Console::say(std::string_view text) const
{
    if (!text.empty())
        std::puts(shown(text, colours_).c_str());
    std::fflush(stdout);
}

void Console::report_error(const Error& error) const
{
    std::printf("%serror%s  %s: %s\n", colours_ ? "\x1b[31m" : "", colours_ ? "\x1b[0m" : "", std::string(error.code).c_str(),
        printable(error.sentence).c_str());
    if (!error.hint.empty())
        std::printf("hint   %s\n", printable(error.hint).c_str());
    std::fflush(stdout);
}

std::string Console::prompt() const
{
    if (!begun_.empty())
        return ">> ";
    return editing_ ? "" : (dry_ ? "*" : "") + shown(prompt_, colours_ && terminal_.interactive());
}

/// A function that is typed or pasted line by line is one program: where Lua misses the end, more lines are taken. An empty one,
/// and Ctrl-C, throw it away.
void Console::take(const std::string& line)
{
    if (begun_.empty())
        return evaluate(line, true);
    if (trimmed(line).empty()) {
        begun_.clear();
        return;
    }
    begun_ += "\n" + line;
    // Only what is whole becomes a message.
    const auto reply = session_.dry_run("local _, missing = load(" + lua_quoted(begun_) + ") return tostring(missing)");
    if (reply && !reply->failed && is_incomplete(reply->text))
        return;
    evaluate(std::exchange(begun_, {}));
}

void Console::evaluate(const std::string& code, bool may_go_on)
{
    const auto reply = dry_ ? session_.dry_run(code) : session_.eval(code);
    if (!reply)
        return report_error(reply.error());
    if (!reply->prompt.empty())
        prompt_ = reply->prompt;
    if (reply->failed && may_go_on && is_incomplete(reply->text)) {
        begun_ = code;
        return;
    }
    if (!reply->failed)
        return say(reply->text);
    std::printf("%serror:%s ", colours_ ? "\x1b[31m" : "", colours_ ? "\x1b[0m" : "");
    say(reply->text);
}

void Console::load(const std::string& file)
{
    const auto text = bundle(files_, file);
    if (!text)
        return report_error(text.error());
    evaluate(*text);
}

void Console::load_blueprint(const std::string& name)
{
    for (const auto& [path, text] : lua_texts())
        if (path == "blueprints/" + name + ".lua") {
            std::printf("Loading... %s\n", name.c_str());
            return evaluate(with_local_ids(std::string(text), session_.client().aliases()));
        }
    std::string known;
    for (const auto& one : blueprints())
        known += (known.empty() ? "" : ", ") + one;
    report_error({errors::bad_argument, fmt::format("there is no blueprint '{}'", name), "there are " + known});
}

void Console::pad()
{
    const char* const editor = std::getenv("EDITOR");
    char path[] = "/tmp/altiplano-pad-XXXXXX.lua";
    const int file = mkstemps(path, 4);
    if (file < 0)
        return report_error({errors::bad_argument, "no temporary file could be made", ""});
    close(file);
    const std::string run = fmt::format("{} {}", editor && *editor ? editor : "vi", path);
    if (std::system(run.c_str()) == 0)  // NOLINT: the user's own editor, from the user's own environment
        load(path);
    (void)files_.remove(path);
}

void Console::monitor(bool on)
{
    const auto done = session_.monitor(on);
    if (!done)
        return report_error(done.error());
    std::puts(on ? "the node runs the cron of this process" : "the node leaves the cron of this process alone");
}

void Console::update()
{
    constexpr std::string_view folder = "process/", ending = ".lua";
    std::string texts;
    for (const auto& [name, text] : lua_texts())
        if (name.starts_with(folder))
            texts += fmt::format("[\"{}\"] = {},\n", name.substr(folder.size(), name.size() - folder.size() - ending.size()),
                lua_quoted(std::string(text)));
    evaluate("return require('.process').update({\n" + texts + "})");
}

void Console::edit(const std::string& line)
{
    if (line == ".done") {
        editing_ = false;
        std::string text;
        for (const auto& one : page_)
            text += one + "\n";
        if (!text.empty())
            evaluate(text);
    } else if (line == ".cancel") {
        editing_ = false;
    } else if (line == ".delete") {
        if (!page_.empty())
            page_.pop_back();
    } else if (line == ".print") {
        for (const auto& one : page_)
            std::puts(one.c_str());
    } else {
        page_.push_back(line);
    }
    std::fflush(stdout);
}

bool Console::command(const std::string& line)
{
    const auto space = line.find(' ');
    const auto name = line.substr(0, space);
    const auto rest = space == line.npos ? "" : trimmed(std::string_view(line).substr(space));
    const std::map<std::string, std::function<void()>> commands{
        {".help",
            [] {
                std::string names;
                for (const auto& one : blueprints())
                    names += (names.empty() ? "" : ", ") + one;
                fmt::print("{}\n", fmt::format(fmt::runtime(help_text), names));
            }},
        {".load", [&] { load(rest); }},
        {".load-blueprint", [&] { load_blueprint(rest); }},
        {".editor",
            [&] {
                std::puts("<editor mode> use '.done' to submit or '.cancel' to cancel");
                page_.clear();
                editing_ = true;
            }},
        {".pad", [&] { pad(); }},
        {".dryrun",
            [&] {
                dry_ = !dry_;
                std::puts(dry_ ? "dryrun mode: nothing is recorded" : "dryrun mode is off");
            }},
        {".live", [&] { live_ = true; }},
        {".pause", [&] { live_ = false; }},
        {".monitor", [&] { monitor(true); }},
        {".unmonitor", [&] { monitor(false); }},
        {".update", [&] { update(); }},
    };
    if (name == ".exit")
        return false;
    const auto found = commands.find(name);
    if (found == commands.end())
        report_error({errors::bad_argument, fmt::format("there is no command '{}'", name), ".help lists what there is"});
    else
        found->second();
    std::fflush(stdout);
    return true;
}

std::vector<std::string> Console::words()
{
    // Names of globals, of what one level below them, and of handlers: one dry run, nothing recorded.
    const auto reply = session_.dry_run(R"(local names = {}
for name, value in pairs(_G) do
  if type(name) == "string" then
    names[#names + 1] = name
    if type(value) == "table" and name ~= "_G" and name ~= "package" then
      local count = 0
      for inner in pairs(value) do
        count = count + 1
        if count > 200 then break end
        if type(inner) == "string" and inner:match("^[%a_][%w_]*$") then names[#names + 1] = name .. "." .. inner end
      end
    end
  end
end
for _, handler in ipairs(Handlers.list) do names[#names + 1] = tostring(handler.name) end
return table.concat(names, "\n"))");
    std::vector<std::string> words;
    for (const std::string_view name : {".help", ".load", ".load-blueprint", ".editor", ".pad", ".dryrun", ".live", ".pause",
             ".monitor", ".unmonitor", ".update", ".exit"})
        words.emplace_back(name);
    for (const auto& name : blueprints())
        words.push_back(name);
    if (!reply || reply->failed)
        return words;
    const auto text = shown(reply->text, false);
    for (std::size_t from = 0; from < text.size();) {
        const auto to = std::min(text.find('\n', from), text.size());
        words.push_back(text.substr(from, to - from));
        from = to + 1;
    }
    return words;
}

Result<void> Console::run()
{
    // The process says who it is, and so whether it is there.
    TRY(const auto hello, session_.eval("require('.process')._version"));
    if (!hello.prompt.empty())
        prompt_ = hello.prompt;
    TRY_OK(session_.news());
    if (terminal_.interactive())
        terminal_.set_words([this] { return words(); });

    const auto idle = [&]() -> std::vector<std::string> {
        if (!live_)
            return {};
        auto news = session_.news();
        if (!news)
            return {};
        if (!news->empty() && !session_.newest_prompt().empty())
            prompt_ = session_.newest_prompt();
        for (auto& one : *news)
            one = shown(one, colours_);
        return *news;
    };
    std::string line;
    while (terminal_.line([&] { return prompt(); }, idle, line)) {
        const auto text = trimmed(line);
        if (editing_)
            edit(text == ".done" || text == ".cancel" || text == ".delete" || text == ".print" ? text : line);
        else if (begun_.empty() && text.starts_with('.')) {
            if (!command(text))
                break;
        } else if (!text.empty() || !begun_.empty()) {
            take(line);
        }
    }
    return {};
}

}  // namespace altiplano::cli
