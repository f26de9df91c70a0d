#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"
#include "cli/up/development.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::cli {

namespace {

/// Whole and decimal units as one whole number of the smallest unit: "0.001" with 12 decimals is "1000000000".
/// @return cli.bad_argument
Result<std::string> smallest_units(std::string_view amount, std::size_t decimals)
{
    const auto point = amount.find('.');
    std::string whole(amount.substr(0, point));
    std::string part(point == amount.npos ? "" : amount.substr(point + 1));
    const auto digits = [](const std::string& text) { return text.find_first_not_of("0123456789") == text.npos; };
    if ((whole.empty() && part.empty()) || !digits(whole) || !digits(part) || part.size() > decimals)
        return fail(errors::bad_argument, fmt::format("'{}' is no amount with at most {} decimals", amount, decimals));
    part.resize(decimals, '0');
    auto units = whole + part;
    units.erase(0, std::min(units.find_first_not_of('0'), units.size() - 1));
    if (units == "0")
        return fail(errors::bad_argument, "the amount is nothing");
    return units;
}

struct TokenOptions {
    std::string token = std::string(published::war);
    std::string recipient;
    std::string amount;
    std::size_t decimals = 12;
    std::vector<std::string> tags;
};

struct Message {
    std::string target, data;
    std::vector<std::pair<std::string, std::string>> tags;
    std::string tag(std::string_view name) const
    {
        const auto found = std::ranges::find(tags, name, &std::pair<std::string, std::string>::first);
        return found == tags.end() ? std::string() : found->second;
    }
};

/// The messages of a guest's answer, which has them in `Messages`. What is not as it should be is empty.
std::vector<Message> messages_of(const std::optional<JsonView>& response)
{
    const auto text = [](const std::optional<JsonView>& value) { return value ? value->text().value_or("") : std::string(); };
    std::vector<Message> messages;
    const auto list = response ? response->find("Messages") : std::nullopt;
    for (const auto& one : list ? list->elements() : std::vector<JsonView>{}) {
        Message message{.target = text(one.find("Target")), .data = text(one.find("Data")), .tags = {}};
        const auto tags = one.find("Tags");
        for (const auto& tag : tags ? tags->elements() : std::vector<JsonView>{})
            message.tags.emplace_back(text(tag.find("name")), text(tag.find("value")));
        messages.push_back(std::move(message));
    }
    return messages;
}

/// What a message made a process send. @return as Client::get
Result<std::vector<Message>> answers(const Client& client, const Sent& sent)
{
    TRY(const auto answer, client.get(fmt::format("/~altiplano/result/{}/{}", sent.process, sent.slot)));
    TRY(const auto view, answer.view());
    const auto result = view.find("result");
    return messages_of(result ? result->find("response") : std::nullopt);
}

Result<void> transfer(const TokenOptions& options, const Common& common)
{
    TRY(const auto units, smallest_units(options.amount, options.decimals));
    item::Tags tags{{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Message"}, {"Action", "Transfer"},
        {"Recipient", options.recipient}, {"Quantity", units}};
    for (const auto& text : options.tags) {
        TRY(auto tag, parse_tag(text));
        tags.add(std::move(tag.name), std::move(tag.value));
    }
    const Client client(common.url);
    TRY(const auto sent, send(client, common, options.token, std::move(tags), ""));
    TRY(const auto messages, answers(client, sent));

    // The token answers with messages: a Transfer-Error, or notices to both sides.
    std::string refused;
    bool moved = false;
    for (const auto& message : messages) {
        const auto action = message.tag("Action"), error = message.tag("Error");
        moved = moved || action == "Debit-Notice" || action == "Credit-Notice";
        if (action == "Transfer-Error")
            refused = error.empty() ? "the token refused the transfer" : error;
    }
    if (!refused.empty() || !moved)
        return fail(
            errors::process_failed, refused.empty() ? "the token sent no notice: nothing is known to have moved" : refused);
    JsonWriter json;
    json.begin_object().member("id", std::string_view(sent.id)).member("token", std::string_view(sent.process));
    json.member("quantity", std::string_view(units)).member("recipient", std::string_view(options.recipient)).end_object();
    print(common, json.text(), {{"id", sent.id}, {"token", sent.process}, {"quantity", units}, {"recipient", options.recipient}});
    return {};
}

/// Asks the faucet, which is the token's minter and says so in its Info.
Result<void> drip(const TokenOptions& options, const Common& common)
{
    const Client client(common.url);
    TRY(const auto key, common.key());
    const auto me = key->address().text();
    JsonWriter ask;
    ask.begin_object().member("Target", std::string_view(options.token)).member("Owner", std::string_view(me));
    ask.key("Tags")
        .begin_array()
        .begin_object()
        .member("name", "Action")
        .member("value", "Info")
        .end_object()
        .end_array()
        .end_object();
    TRY(const auto info, client.post("/cu/dry-run?process-id=" + options.token, as_bytes(ask.text())));
    TRY(const auto view, info.view());
    std::string faucet;
    for (const auto& message : messages_of(view))
        faucet = message.tag("Minter");
    if (faucet.empty())
        return fail(errors::bad_argument, "the token has no minter, so there is nobody to ask");

    item::Tags tags{{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Message"}, {"Action", "Drip"}};
    if (!options.recipient.empty())
        tags.add("Recipient", options.recipient);
    TRY(const auto sent, send(client, common, faucet, std::move(tags), ""));
    TRY(const auto messages, answers(client, sent));
    for (const auto& message : messages) {
        if (message.tag("Action") == "Faucet-Error")
            return fail(errors::process_failed, "the faucet gives nothing: " + message.tag("Error"));
        if (message.tag("Action") != "Faucet-Notice")
            continue;
        const auto quantity = message.tag("Quantity"), recipient = message.tag("Recipient"), note = message.tag("Note");
        JsonWriter json;
        json.begin_object().member("id", std::string_view(sent.id)).member("faucet", std::string_view(faucet));
        json.member("quantity", std::string_view(quantity)).member("recipient", std::string_view(recipient)).end_object();
        print(common, json.text(),
            {{"faucet", faucet}, {"quantity", fmt::format("{}  {}", quantity, note)}, {"recipient", recipient}});
        return {};
    }
    return fail(errors::process_failed, "the token's minter is no faucet: it sent no notice");
}

}  // namespace

void add_token_commands(CLI::App& app, Common& common, Exit& exit)
{
    auto options = std::make_shared<TokenOptions>();
    auto* const token = app.add_subcommand("token", "tokens of the ao standard; wAR when none is named");
    token->require_subcommand(1);
    auto* const moving = token->add_subcommand("transfer", "pays from your wallet");
    moving->add_option("recipient", options->recipient, "a process or a wallet")->required();
    moving->add_option("amount", options->amount, "in whole units, as 0.001")->required();
    moving->add_option("--token", options->token, "the token's process")->capture_default_str();
    moving->add_option("--decimals", options->decimals, "of the token")->capture_default_str();
    moving->add_option("--tag", options->tags, "X-Name=value that travels along, any number")->allow_extra_args(false);
    moving->callback([options, &common, &exit] {
        if (const auto done = transfer(*options, common); !done)
            exit = report(common, done.error());
    });
    auto* const asking = token->add_subcommand("faucet", "test AR without value, once a day, on a development node");
    asking->add_option("recipient", options->recipient, "a process or a wallet; yours when none is named");
    asking->add_option("--token", options->token, "the token's process")->capture_default_str();
    asking->callback([options, &common, &exit] {
        if (const auto done = drip(*options, common); !done)
            exit = report(common, done.error());
    });
}

}  // namespace altiplano::cli
