#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"

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

/// All dead deliveries, of one process or of all, page by page.
Result<Answer> dead_deliveries(const Client& client, const std::string& process)
{
    JsonWriter json;
    json.begin_object().key("dead").begin_array();
    for (std::uint64_t skip = 0;;) {
        std::string query = fmt::format("/~altiplano/dead?skip={}", skip);
        if (!process.empty()) {
            TRY(const auto id, ProcessId::parse(process));
            query += "&process=" + id.text();
        }
        TRY(const auto answer, client.get(query));
        TRY(const auto view, answer.view());
        const auto page = view.find("dead") ? view.find("dead")->elements() : std::vector<JsonView>{};
        for (const auto& one : page)
            json.raw(one.raw());
        skip += page.size();
        if (page.empty() || answer.field("more") != "true")
            break;
    }
    json.end_array().end_object();
    return Answer{json.text()};
}

std::string text_of(const JsonView& object, std::string_view name)
{
    return object.find(name) ? object.find(name)->text().value_or("") : "";
}

/// "7", or "7.2" for what the second cron evaluation after slot 7 sent.
std::string place_of(const JsonView& dead)
{
    const auto cron = text_of(dead, "cron");
    return text_of(dead, "slot") + (cron == "0" ? "" : "." + cron);
}

Result<Answer> push_dead(const Client& client, const std::string& process, const std::string& slot, std::uint64_t index)
{
    TRY(const auto id, ProcessId::parse(process));
    return client.post(fmt::format("/~altiplano/dead/{}/{}/{}/push", id.text(), slot, index), {});
}

/// Those that are dead now, each once.
Result<std::uint64_t> push_all(const Client& client, const std::string& process)
{
    TRY(const auto found, dead_deliveries(client, process));
    TRY(const auto view, found.view());
    std::uint64_t pushed = 0;
    const auto list = view.find("dead")->elements();
    for (const auto& dead : list) {
        TRY(const auto answer,
            push_dead(
                client, text_of(dead, "process"), place_of(dead), std::strtoull(text_of(dead, "index").c_str(), nullptr, 10)));
        ++pushed;
    }
    return pushed;
}

}  // namespace

void add_network_commands(CLI::App& app, Common& common, Exit& exit)
{
    struct Options {
        std::string process;
        std::optional<std::uint64_t> until_ms;
        std::string slot;
        std::uint64_t index = 0;
        bool all = false;
        bool stop = false;
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

    auto* const monitor = app.add_subcommand("monitor", "delivers from now on what the cron of a process of yours sends");
    monitor->add_option("process", options->process)->required();
    monitor->add_flag("--stop", options->stop, "no longer");
    monitor->callback([=, &common, &exit] {
        const auto done = [&]() -> Result<void> {
            TRY(const auto item, sign(common, options->process, {{"Data-Protocol", "ao"}, {"Type", "Message"}}, ""));
            const auto path = "/mu/monitor/" + options->process;
            const Client client(common.url);
            TRY(const auto answer, options->stop ? client.remove(path, item.wire()) : client.post(path, item.wire()));
            return {};
        }();
        if (!done) {
            exit = report(common, done.error());
            return;
        }
        print(common,
            JsonWriter()
                .begin_object()
                .member("process", std::string_view(options->process))
                .member("monitored", !options->stop)
                .end_object()
                .text(),
            {{"monitored", options->stop ? "no longer" : options->process}});
    });

    auto* const dead = app.add_subcommand("dead", "messages that were refused where they were sent to");
    dead->require_subcommand(1);
    auto* const list = dead->add_subcommand("ls", "each with its place and the reason");
    list->add_option("process", options->process, "that sent them; all by default");
    list->callback([=, &common, &exit] {
        const auto answer = dead_deliveries(Client(common.url), options->process);
        if (!answer) {
            exit = report(common, answer.error());
            return;
        }
        std::vector<std::pair<std::string, std::string>> lines;
        const auto found = answer->view()->find("dead")->elements();
        lines.reserve(found.size());
        for (const auto& one : found)
            lines.emplace_back(
                fmt::format("{} {} {}", text_of(one, "process"), place_of(one), text_of(one, "index")), text_of(one, "error"));
        print(common, answer->text, lines);
    });
    auto* const push = dead->add_subcommand("push", "sends them once more, as they were signed");
    push->add_option("process", options->process, "that sent it");
    push->add_option("slot", options->slot, "7, or 7.2 for what its cron sent");
    push->add_option("index", options->index, "in the outbox of that slot");
    push->add_flag("--all", options->all, "every one, of the process or of all");
    push->callback([=, &common, &exit] {
        const Client client(common.url);
        const auto pushed = [&]() -> Result<std::uint64_t> {
            if (options->all)
                return push_all(client, options->process);
            if (options->process.empty() || options->slot.empty())
                return fail(errors::bad_argument, "name process, slot and index, or --all");
            TRY(const auto answer, push_dead(client, options->process, options->slot, options->index));
            return 1;
        }();
        if (!pushed) {
            exit = report(common, pushed.error());
            return;
        }
        print(common, JsonWriter().begin_object().member("pushed", *pushed).end_object().text(),
            {{"pushed", std::to_string(*pushed)}});
    });
}

}  // namespace altiplano::cli
