#include "base/json.hpp"
#include "base/random.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"

#include <fmt/format.h>

namespace altiplano::cli {

Result<item::DataItem> sign(
    const Common& common, const std::optional<std::string>& target, item::Tags tags, const std::string& data)
{
    item::Fields fields{.tags = std::move(tags), .data = to_buffer(std::string_view(data.empty() ? " " : data))};
    if (target) {
        TRY(fields.target, Digest::parse(*target));
    }
    // Without it the same words sent twice would be one item, and the second one no message at all.
    std::array<std::byte, 32> anchor;
    system_random().fill(anchor);
    fields.anchor = to_string(anchor);
    TRY(const auto key, common.key());
    return item::build(std::move(fields), *key);
}

Result<Sent> send(const Client& client, const Common& common, const std::optional<std::string>& target, item::Tags tags,
    const std::string& data)
{
    TRY(const auto item, sign(common, target, std::move(tags), data));
    TRY(const auto answer, client.post("/", item.wire()));
    return Sent{.id = answer.field("id"), .process = answer.field("process"), .slot = answer.field("slot")};
}

Result<Sent> spawn(const Client& client, const Common& common, const std::string& module, const std::vector<item::Tag>& more,
    const std::string& data)
{
    TRY(const auto info, client.get("/info"));
    item::Tags tags{{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Process"}, {"Module", module},
        {"Scheduler", info.field("scheduler")}, {"Authority", info.field("authority")}};
    for (const auto& tag : more)
        tags.add(tag.name, tag.value);
    return send(client, common, std::nullopt, std::move(tags), data);
}

Said said(const Answer& result)
{
    const auto view = result.view();
    if (result.field("outcome") == "guest_fault" || !view->find("result"))
        return {.failed = true, .text = result.field("text")};
    const auto answer = *view->find("result");
    const auto response = answer.find("response");
    if (!response || response->kind() != JsonView::Kind::object)
        return {.failed = result.field("outcome") != "result",
            .text = response ? response->text().value_or(std::string(response->raw())) : std::string(answer.raw())};
    const auto text_of = [](const JsonView& value) {
        const auto* inner = &value;
        std::optional<JsonView> data = value.find("data");
        if (data)
            inner = &*data;
        std::optional<JsonView> output = inner->find("output");
        if (output)
            inner = &*output;
        return inner->text().value_or(std::string(inner->raw()));
    };
    if (const auto error = response->find("Error"); error && !error->is_null())
        return {.failed = true, .text = text_of(*error)};
    const auto output = response->find("Output");
    return {.failed = result.field("outcome") != "result", .text = output ? text_of(*output) : ""};
}

void add_process_commands(CLI::App& app, Common& common, Exit& exit)
{
    struct Options {
        std::string process;
        std::string module;
        std::string action;
        std::string data;
        std::string code;
        std::string output;
        std::vector<std::string> tags;
        std::uint64_t slot = 0;
    };
    auto options = std::make_shared<Options>();
    constexpr std::string_view nothing_kept = "nothing: it was not scheduled";

    const auto tags_of = [](const std::vector<std::string>& texts) -> Result<std::vector<item::Tag>> {
        std::vector<item::Tag> tags;
        for (const auto& text : texts) {
            TRY(auto tag, parse_tag(text));
            tags.push_back(std::move(tag));
        }
        return tags;
    };
    const auto show_sent = [&common](const Sent& sent) {
        JsonWriter json;
        json.begin_object()
            .member("id", std::string_view(sent.id))
            .member("process", std::string_view(sent.process))
            .key("slot")
            .raw(sent.slot)
            .end_object();
        print(common, json.text(), {{"id", sent.id}, {"process", sent.process}, {"slot", sent.slot}});
    };

    auto* const spawning = app.add_subcommand("spawn", "makes a process of a module");
    spawning->add_option("--module", options->module, "id of the module")->required();
    spawning->add_option("--data", options->data);
    spawning->add_option("--tag", options->tags, "Name=value, any number")->allow_extra_args(false);
    spawning->callback([=, &common, &exit] {
        const auto sent = [&]() -> Result<Sent> {
            TRY(const auto tags, tags_of(options->tags));
            return spawn(Client(common.url), common, options->module, tags, options->data);
        }();
        if (!sent)
            exit = report(common, sent.error(), nothing_kept);
        else
            show_sent(*sent);
    });

    auto* const sending = app.add_subcommand("send", "sends a message to a process; its slot is durable when this returns");
    sending->add_option("process", options->process)->required();
    sending->add_option("--action", options->action);
    sending->add_option("--data", options->data);
    sending->add_option("--tag", options->tags, "Name=value, any number")->allow_extra_args(false);
    sending->add_option("--output,-o", options->output, "write the signed item to this file instead of sending it");
    sending->callback([=, &common, &exit] {
        const auto sent = [&]() -> Result<Sent> {
            TRY(const auto more, tags_of(options->tags));
            item::Tags tags{{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Message"}};
            if (!options->action.empty())
                tags.add("Action", options->action);
            for (const auto& tag : more)
                tags.add(tag.name, tag.value);
            if (options->output.empty())
                return send(Client(common.url), common, options->process, std::move(tags), options->data);
            TRY(const auto item, sign(common, options->process, std::move(tags), options->data));
            TRY_OK(write_file(system_files(), options->output, item.wire()));
            return Sent{.id = item.id().text(), .process = options->process, .slot = "null"};
        }();
        if (!sent)
            exit = report(common, sent.error(), nothing_kept);
        else
            show_sent(*sent);
    });

    const auto show_result = [&common, &exit](const Answer& answer) {
        const auto words = said(answer);
        if (words.failed)
            exit = Exit::failure;
        if (common.json) {
            print(common, std::string(answer.view()->raw()), {});
            return;
        }
        if (words.failed)
            std::fprintf(stderr, "error  %s: %s\n", std::string(errors::process_failed).c_str(), printable(words.text).c_str());
        else
            std::puts(printable(words.text).c_str());
    };

    auto* const evaluating = app.add_subcommand("eval", "runs Lua in a process of yours and prints what it gives");
    evaluating->add_option("process", options->process)->required();
    evaluating->add_option("code", options->code)->required();
    evaluating->callback([=, &common, &exit] {
        const Client client(common.url);
        const auto answer = [&]() -> Result<Answer> {
            TRY(const auto sent,
                send(client, common, options->process,
                    {{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Message"}, {"Action", "Eval"}}, options->code));
            return client.get(fmt::format("/~altiplano/result/{}/{}", sent.process, sent.slot));
        }();
        if (!answer)
            exit = report(common, answer.error());
        else
            show_result(*answer);
    });

    auto* const result = app.add_subcommand("result", "what a slot yielded; waits until it is computed");
    result->add_option("process", options->process)->required();
    result->add_option("--slot", options->slot)->required();
    result->callback([=, &common, &exit] {
        const auto answer = [&]() -> Result<Answer> {
            TRY(const auto id, ProcessId::parse(options->process));
            return Client(common.url).get(fmt::format("/~altiplano/result/{}/{}", id.text(), options->slot));
        }();
        if (!answer)
            exit = report(common, answer.error());
        else
            show_result(*answer);
    });
}

}  // namespace altiplano::cli
