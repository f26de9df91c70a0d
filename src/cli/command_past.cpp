#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"

#include <charconv>
#include <fmt/format.h>

namespace altiplano::cli {

namespace {

struct PastOptions {
    std::string process;
    std::uint64_t slot = 0;
    std::string slots;
    std::string action = "Eval";
    std::string data;
    std::vector<std::string> evals;
    std::vector<std::string> tags;
};

/// A message that nobody signs, as a dry run takes it.
Result<std::string> message_json(const std::string& action, const std::string& data, const std::vector<std::string>& tags,
    const std::string& owner, const std::string& target)
{
    JsonWriter json;
    json.begin_object()
        .member("Target", std::string_view(target))
        .member("Owner", std::string_view(owner))
        .member("Data", std::string_view(data))
        .key("Tags")
        .begin_array();
    json.begin_object().member("name", "Action").member("value", std::string_view(action)).end_object();
    for (const auto& text : tags) {
        TRY(const auto tag, parse_tag(text));
        json.begin_object().member("name", std::string_view(tag.name)).member("value", std::string_view(tag.value)).end_object();
    }
    json.end_array().end_object();
    return json.text();
}

Result<std::string> owner_of(const Common& common)
{
    TRY(const auto key, common.key());
    return key->address().text();
}

std::string path_of(std::string_view what, const PastOptions& options)
{
    return fmt::format("/~altiplano/{}/{}/{}", what, options.process, options.slot);
}

Result<void> show_state(const Common& common, const PastOptions& options)
{
    TRY(const auto answer, Client(common.url).get(path_of("state", options)));
    TRY(const auto view, answer.view());
    std::vector<std::pair<std::string, std::string>> lines;
    for (const auto& [name, value] : view.members())
        lines.emplace_back(name, value.text().value_or(std::string(value.raw())));
    print(common, answer.text, lines);
    return {};
}

Result<void> show_read(const Common& common, const PastOptions& options)
{
    TRY(const auto owner, owner_of(common));
    TRY(const auto body, message_json(options.action, options.data, options.tags, owner, options.process));
    TRY(const auto answer, Client(common.url).post(path_of("read", options), as_bytes(body)));
    const auto words = said(answer);
    print(common, answer.text, {{words.failed ? "error" : "answer", printable(words.text)}});
    return {};
}

Result<void> show_fork(const Common& common, const PastOptions& options)
{
    TRY(const auto owner, owner_of(common));
    std::string body = "[";
    for (const auto& code : options.evals) {
        TRY(const auto message, message_json("Eval", code, options.tags, owner, options.process));
        body += (body.size() > 1 ? "," : "") + message;
    }
    body += "]";
    TRY(const auto answer, Client(common.url).post(path_of("fork", options), as_bytes(body)));
    TRY(const auto view, answer.view());
    std::vector<std::pair<std::string, std::string>> lines;
    const auto results = view.find("results");
    for (const auto& one : results ? results->elements() : std::vector<JsonView>{}) {
        const Answer result{std::string(one.raw())};
        const auto words = said(result);
        lines.emplace_back(result.field("slot") + (words.failed ? " error" : ""), printable(words.text));
    }
    lines.emplace_back("recorded", "nothing: this life of the process is over");
    print(common, answer.text, lines);
    return {};
}

Result<void> show_diff(const Common& common, const PastOptions& options)
{
    const auto dots = options.slots.find("..");
    const auto bad = fail(errors::bad_argument, fmt::format("--slots is {}; A..B was expected, as 3..7", options.slots));
    if (dots == std::string::npos)
        return bad;
    const auto from = options.slots.substr(0, dots);
    const auto to = options.slots.substr(dots + 2);
    const auto digits = [](const std::string& text) {
        return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    };
    if (!digits(from) || !digits(to))
        return bad;
    TRY(const auto answer, Client(common.url).get(fmt::format("/~altiplano/changes/{}/{}/{}", options.process, from, to)));
    TRY(const auto view, answer.view());
    std::vector<std::pair<std::string, std::string>> lines{{"pages", answer.field("pages")}, {"bytes", answer.field("bytes")}};
    const auto ranges = view.find("ranges");
    for (const auto& range : ranges ? ranges->elements() : std::vector<JsonView>{}) {
        const Answer one{std::string(range.raw())};
        lines.emplace_back("at " + one.field("at"), one.field("bytes") + " bytes");
    }
    print(common, answer.text, lines);
    return {};
}

}  // namespace

void add_past_commands(CLI::App& app, Common& common, Exit& exit)
{
    const auto add = [&](const std::string& name, const std::string& words,
                         Result<void> (*run)(const Common&, const PastOptions&)) {
        auto options = std::make_shared<PastOptions>();
        auto* const command = app.add_subcommand(name, words);
        command->add_option("process", options->process, "the process's id")->required();
        command->callback([options, run, &common, &exit] {
            if (const auto done = run(common, *options); !done)
                exit = report(common, done.error());
        });
        return std::pair(command, options);
    };
    const auto [state, state_options] =
        add("state", "what a process was after a slot: root, sizes, globals, mapped items", show_state);
    state->add_option("--slot", state_options->slot, "after which slot")->required();

    const auto [read, read_options] =
        add("read", "what a process would have answered after a slot; nothing is recorded", show_read);
    read->add_option("--slot", read_options->slot, "after which slot")->required();
    read->add_option("--action", read_options->action, "the message's Action")->capture_default_str();
    read->add_option("--data", read_options->data, "the message's data");
    read->add_option("--tag", read_options->tags, "NAME=VALUE; may be repeated")->allow_extra_args(false);

    const auto [fork, fork_options] =
        add("fork", "lets a process go another way from a slot on: evaluates, shows, and forgets", show_fork);
    fork->add_option("--slot", fork_options->slot, "after which slot")->required();
    fork->add_option("--eval", fork_options->evals, "code to evaluate; repeated, one after the other")
        ->required()
        ->allow_extra_args(false);

    const auto [diff, diff_options] =
        add("diff", "the ranges of memory that changed from the state after A to that after B", show_diff);
    diff->add_option("--slots", diff_options->slots, "A..B")->required();
}

}  // namespace altiplano::cli
