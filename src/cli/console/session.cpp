#include "cli/console/session.hpp"

#include "base/base64url.hpp"
#include "base/json.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <ranges>

namespace altiplano::cli {

namespace {

const item::Tags eval_tags{
    {"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Message"}, {"Action", "Eval"}, {"SDK", "altiplano"}};

std::optional<JsonView> output_of(const JsonView& response)
{
    return response.kind() == JsonView::Kind::object ? response.find("Output") : std::nullopt;
}

std::string text_at(const std::optional<JsonView>& object, std::string_view name)
{
    const auto member = object && object->kind() == JsonView::Kind::object ? object->find(name) : std::nullopt;
    return member ? member->text().value_or(std::string(member->raw())) : "";
}

/// `Output.prompt`, in older modules `Output.data.prompt`.
std::string prompt_of(const std::optional<JsonView>& output)
{
    if (auto prompt = text_at(output, "prompt"); !prompt.empty())
        return prompt;
    const auto data = output && output->kind() == JsonView::Kind::object ? output->find("data") : std::nullopt;
    return data ? text_at(data, "prompt") : "";
}

}  // namespace

std::string shown(std::string_view text, bool colours)
{
    std::string out;
    while (!text.empty()) {
        const auto escape = text.find('\x1b');
        out += printable(text.substr(0, escape));
        if (escape == text.npos)
            break;
        text.remove_prefix(escape);
        // Colours are ESC [ numbers m; everything else that begins with ESC steers the terminal.
        std::size_t end = 2;
        if (text.size() > 1 && text[1] == '[') {
            while (
                end < text.size() && end < 24 && (std::isdigit(static_cast<unsigned char>(text[end])) != 0 || text[end] == ';'))
                ++end;
            if (end < text.size() && text[end] == 'm') {
                if (colours)
                    out += text.substr(0, end + 1);
                text.remove_prefix(end + 1);
                continue;
            }
        }
        text.remove_prefix(1);
    }
    return out;
}

Result<Session::Reply> Session::reply_of(const Answer& answer) const
{
    const auto words = said(answer);
    Reply reply{.failed = words.failed, .text = words.text, .prompt = {}};
    TRY(const auto view, answer.view());
    const auto result = view.find("result");
    const auto response = result ? result->find("response") : std::nullopt;
    if (const auto body = response ? response : result)
        reply.prompt = prompt_of(output_of(*body));
    return reply;
}

Result<Session::Reply> Session::eval(const std::string& code)
{
    TRY(const auto sent, send(client_, common_, process_, eval_tags, code));
    own_.push_back(std::strtoull(sent.slot.c_str(), nullptr, 10));
    TRY(const auto answer, client_.get(fmt::format("/~altiplano/result/{}/{}", sent.process, sent.slot)));
    return reply_of(answer);
}

Result<Session::Reply> Session::dry_run(const std::string& code)
{
    TRY(const auto key, common_.key());
    const auto me = key->address().text();
    JsonWriter json;
    json.begin_object().member("Id", "1234").member("Target", std::string_view(process_)).member("Owner", std::string_view(me));
    json.member("From", std::string_view(me))
        .member("Anchor", "0")
        .member("Data", std::string_view(code))
        .key("Tags")
        .begin_array();
    for (const auto& tag : eval_tags)
        json.begin_object().member("name", std::string_view(tag.name)).member("value", std::string_view(tag.value)).end_object();
    json.end_array().end_object();
    TRY(const auto answer, client_.post("/cu/dry-run?process-id=" + process_, as_bytes(json.text())));
    TRY(const auto view, answer.view());
    if (const auto error = view.find("Error"); error && !error->is_null() && !error->text().value_or("-").empty())
        return Reply{.failed = true, .text = error->text().value_or(std::string(error->raw())), .prompt = {}};
    const auto output = view.find("Output");
    auto data = output && output->kind() == JsonView::Kind::object ? output->find("data") : output;
    if (const auto inner = data && data->kind() == JsonView::Kind::object ? data->find("output") : std::nullopt)
        data = inner;
    return Reply{
        .failed = false, .text = data ? data->text().value_or(std::string(data->raw())) : "", .prompt = prompt_of(output)};
}

Result<std::vector<std::string>> Session::news()
{
    TRY(const auto state, client_.get("/~altiplano/process/" + process_));
    const auto computed = std::strtoull(state.field("computed").c_str(), nullptr, 10);
    if (!seen_)
        seen_ = computed;
    // After a long absence the last ones are enough.
    if (computed > *seen_ + 200)
        seen_ = computed - 200;

    std::vector<std::string> lines;
    for (; *seen_ < computed; ++*seen_) {
        if (const auto mine = std::ranges::find(own_, *seen_); mine != own_.end()) {
            own_.erase(mine);
            continue;
        }
        TRY(const auto answer, client_.get(fmt::format("/~altiplano/result/{}/{}", process_, *seen_)));
        const auto view = answer.view().value();
        const auto result = view.find("result");
        const auto response = result && result->find("response") ? result->find("response") : result;
        if (!response)
            continue;
        if (const auto error = response->kind() == JsonView::Kind::object ? response->find("Error") : std::nullopt;
            error && !error->is_null())
            lines.push_back(
                fmt::format("\x1b[31merror in slot {}:\x1b[0m {}", *seen_, error->text().value_or(std::string(error->raw()))));
        else
            read(*response, lines);
    }
    TRY_OK(cron_news(lines));
    return lines;
}

/// Only what is meant for people: an answer to somebody else's Eval is theirs (ao-protocol.md 8.5).
void Session::read(const JsonView& response, std::vector<std::string>& lines)
{
    const auto output = output_of(response);
    const auto print = output && output->kind() == JsonView::Kind::object ? output->find("print") : std::nullopt;
    if (!print || print->raw() != "true")
        return;
    if (auto prompt = prompt_of(output); !prompt.empty())
        newest_prompt_ = std::move(prompt);
    if (auto text = text_at(output, "data"); !text.empty())
        lines.push_back(std::move(text));
}

/// What cron made the process print has no slot of its own: it stands among the results.
Result<void> Session::cron_news(std::vector<std::string>& lines)
{
    const bool first = !seen_results_;
    const auto from = first || seen_results_->empty() ? std::string() : "&from=" + escaped(*seen_results_);
    TRY(const auto answer, client_.get(fmt::format("/cu/results/{}?sort=DESC&limit={}{}", process_, first ? 1 : 200, from)));
    TRY(const auto view, answer.view());
    const auto edges = view.find("edges") ? view.find("edges")->elements() : std::vector<JsonView>{};
    if (first)
        seen_results_.emplace();
    for (const auto& edge : edges | std::views::reverse) {
        seen_results_ = text_at(edge, "cursor");
        const auto bytes = from_base64(*seen_results_);
        const auto cursor = bytes ? JsonView::parse(as_text(*bytes)) : Result<JsonView>(std::unexpected(bytes.error()));
        if (const auto node = edge.find("node"); !first && node && cursor && cursor->find("evaluation"))
            read(*node, lines);
    }
    return {};
}

Result<void> Session::monitor(bool on)
{
    TRY(const auto item, sign(common_, process_, {{"Data-Protocol", "ao"}, {"Type", "Message"}}, ""));
    const auto path = "/mu/monitor/" + process_;
    TRY_OK(on ? client_.post(path, item.wire()) : client_.remove(path, item.wire()));
    return {};
}

}  // namespace altiplano::cli
