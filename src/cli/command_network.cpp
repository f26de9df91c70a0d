#include "base/json.hpp"
#include "cli/commands.hpp"

#include <fmt/format.h>

namespace altiplano::cli {

namespace {

/// Asks again until nothing is due: each call of the node does a bounded piece.
Result<Answer> evaluate_cron(const Client& client, const std::string& process, std::optional<std::uint64_t> until_ms)
{
    TRY(const auto id, ProcessId::parse(process));
    std::uint64_t evaluated = 0;
    for (;;) {
        const auto query = until_ms ? fmt::format("?until={}", *until_ms) : std::string();
        TRY(const auto answer, client.post("/~altiplano/cron/" + id.text() + query, {}));
        evaluated += std::strtoull(answer.field("evaluated").c_str(), nullptr, 10);
        if (answer.field("due") != "0")
            continue;
        JsonWriter json;
        json.begin_object()
            .member("process", std::string_view(id.text()))
            .member("evaluated", evaluated)
            .key("until")
            .raw(answer.field("until"))
            .end_object();
        return Answer{json.text()};
    }
}

}  // namespace

void add_network_commands(CLI::App& app, Common& common, Exit& exit)
{
    struct Options {
        std::string process;
        std::optional<std::uint64_t> until_ms;
    };
    auto options = std::make_shared<Options>();

    auto* const cron = app.add_subcommand("cron", "evaluates what a process does by itself, also one that is parked");
    cron->add_option("process", options->process)->required();
    cron->add_option("--until", options->until_ms, "up to this time, in milliseconds since 1970; now by default");
    cron->callback([=, &common, &exit] {
        const auto answer = evaluate_cron(Client(common.url), options->process, options->until_ms);
        if (!answer) {
            exit = report(common, answer.error());
            return;
        }
        print(common, answer->text, {{"evaluated", answer->field("evaluated")}, {"until", answer->field("until")}});
    });
}

}  // namespace altiplano::cli
