#include "cli/commands.hpp"
#include "cli/errors.hpp"
#include "cli/up/development.hpp"

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
    TRY(const auto answer, client.get(fmt::format("/~altiplano/result/{}/{}", sent.process, sent.slot)));

    // The token answers with messages: a Transfer-Error, or notices to both sides.
    TRY(const auto view, answer.view());
    const auto result = view.find("result");
    const auto response = result ? result->find("response") : std::nullopt;
    const auto messages = response ? response->find("Messages") : std::nullopt;
    std::string refused;
    bool moved = false;
    for (const auto& message : messages ? messages->elements() : std::vector<JsonView>{}) {
        std::string action, error;
        for (const auto& tag : message.find("Tags") ? message.find("Tags")->elements() : std::vector<JsonView>{}) {
            const auto name = tag.find("name")->string().value_or("");
            const auto value = tag.find("value")->text().value_or("");
            if (name == "Action")
                action = value;
            else if (name == "Error")
                error = value;
        }
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
}

}  // namespace altiplano::cli
