#include "node/http/routes.hpp"

#include "base/json.hpp"
#include "messenger/errors.hpp"
#include "node/errors.hpp"
#include "scheduler/errors.hpp"
#include "weave/errors.hpp"
#include "weave/upload.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

constexpr std::uint64_t message_bytes_max = 64 << 20;

/// Which status a code has: the first row whose beginning fits.
unsigned status_of(std::string_view code)
{
    constexpr std::pair<std::string_view, unsigned> table[] = {
        {weave::errors::unknown_item, 404},
        {weave::errors::unknown_block, 404},
        {scheduler::errors::unknown_process, 404},
        {scheduler::errors::unknown_slot, 404},
        {scheduler::errors::unknown_message, 404},
        {errors::unknown_path, 404},
        {errors::bad_method, 405},
        {errors::body_over_limit, 413},
        {errors::bad_range, 416},
        {errors::bad_host, 403},
        {"base.disk_full", 507},
        {"store.disk_full", 507},
        {"item.", 400},
        {"scheduler.broken_log", 500},
        {"scheduler.", 400},
        {"messenger.", 400},
        {"module.", 422},
        {"compute.not_a_module", 422},
        {"compute.unknown_format", 422},
        {"compute.bad_limit", 422},
        {"vm.memory_over_limit", 413},
        {"compute.", 503},
        {"vm.", 503},
        {"memory.", 503},
        {"base.bad", 400},
        {"node.", 400},
    };
    for (const auto& [beginning, status] : table)
        if (code.starts_with(beginning))
            return status;
    return 500;
}

Reply json_reply(JsonWriter&& json, unsigned status = 200)
{
    return {.status = status, .body = std::move(json).text() + "\n"};
}

std::vector<std::string_view> split(std::string_view path)
{
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        path.remove_prefix(1);  // the slash
        const auto part = path.substr(0, path.find('/'));
        parts.push_back(part);
        path.remove_prefix(part.size());
    }
    return parts;
}

Result<std::uint64_t> number_in(std::string_view text, std::string_view what)
{
    std::uint64_t number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || code != std::errc{} || end != text.data() + text.size())
        return fail(errors::bad_request, fmt::format("the {} is '{}', which is no number", what, text));
    return number;
}

void write_slot_result(JsonWriter& json, const units::SlotResult& result)
{
    json.member("process", std::string_view(result.slot.process.text()))
        .member("slot", result.slot.nonce)
        .member("outcome", units::name_of(result.kind));
    json.member("state_root", std::string_view(result.state_root.text())).member("gas", result.gas);
    // A guest's answer is JSON as it stands, unless it is none, or has bytes that no JSON reader takes.
    if (result.kind != units::SlotResult::Kind::guest_fault && JsonView::parse(result.output)) {
        json.key("result").raw(result.output);
    } else {
        json.member("text", std::string_view(result.output));
    }
}

/// What a range header asks for of `size` bytes. Nothing: all of it, also for a header that makes no sense, since
/// WeaveDrive's clients send such and expect the whole (ao-protocol.md 7.2).
struct Part {
    std::uint64_t offset;
    std::uint64_t length;
};
Result<std::optional<Part>> part_of(std::string_view range, std::uint64_t size)
{
    constexpr std::string_view unit = "bytes=";
    if (!range.starts_with(unit) || range.find(',') != range.npos)
        return std::optional<Part>{};
    const auto spec = range.substr(unit.size());
    const auto dash = spec.find('-');
    if (dash == spec.npos)
        return std::optional<Part>{};
    const auto first = number_in(spec.substr(0, dash), "range");
    const auto last = number_in(spec.substr(dash + 1), "range");
    if (dash == 0 && last) {
        const auto length = std::min(*last, size);
        if (length == 0)
            return fail(errors::bad_range, fmt::format("the range {} holds no byte of {}", range, size));
        return std::optional(Part{size - length, length});
    }
    if (!first || (!last && dash + 1 != spec.size()) || (last && *last < *first))
        return std::optional<Part>{};
    if (*first >= size)
        return fail(errors::bad_range, fmt::format("the range {} begins past the end of {} bytes", range, size));
    return std::optional(Part{*first, (last ? std::min(*last, size - 1) : size - 1) - *first + 1});
}

/// A header's value must not begin another header.
std::string one_line(std::string_view text)
{
    std::string clean;
    for (const char c : text)
        if (static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f)
            clean += c;
    return clean;
}

class MessageBody final : public Body {
public:
    explicit MessageBody(Node& node)
        : node_(node)
    {
    }
    Result<void> append(Bytes piece) override
    {
        if (wire_.size() + piece.size() > message_bytes_max)
            return fail(errors::body_over_limit, fmt::format("a message has at most {} bytes", message_bytes_max),
                "put large data with POST /tx and name its id");
        altiplano::append(wire_, piece);
        return {};
    }
    Reply finish() override
    {
        const auto accepted = [&]() -> Result<units::Messenger::Accepted> {
            TRY(const auto item, item::DataItem::parse(std::move(wire_)));
            return node_.messenger().accept(item);
        }();
        if (!accepted)
            return error_reply(accepted.error());
        JsonWriter json;
        json.begin_object().member("id", std::string_view(accepted->id.text()));
        if (accepted->slot)
            json.member("process", std::string_view(accepted->slot->process.text())).member("slot", accepted->slot->nonce);
        json.end_object();
        return json_reply(std::move(json));
    }

private:
    Node& node_;
    Buffer wire_;
};

class ItemBody final : public Body {
public:
    explicit ItemBody(Node& node)
        : node_(node)
        , upload_(node.weave().blobs())
    {
    }
    Result<void> append(Bytes piece) override { return upload_.append(piece); }
    Reply finish() override
    {
        const auto stored = [&]() -> Result<std::pair<ItemId, weave::StoredItem>> {
            TRY(auto item, upload_.finish());
            const auto id = item.header.id();
            std::vector<weave::NewItem> items;
            items.push_back(std::move(item));
            TRY(const auto block, node_.weave().put(std::move(items)));
            TRY(auto found, node_.weave().item(id));
            return std::pair{id, std::move(found)};
        }();
        if (!stored)
            return error_reply(stored.error());
        JsonWriter json;
        json.begin_object()
            .member("id", std::string_view(stored->first.text()))
            .member("size", stored->second.data_size)
            .member("height", stored->second.height)
            .end_object();
        return json_reply(std::move(json));
    }

private:
    Node& node_;
    weave::Upload upload_;
};

class Routes final : public Site {
public:
    explicit Routes(Node& node)
        : node_(node)
    {
    }

    Reply get(const Request& request) override
    {
        if (request.method == "OPTIONS")
            return {.status = 204,
                .headers = {{"Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS"}, {"Access-Control-Allow-Headers", "*"}}};
        auto reply = [&]() -> Result<Reply> {
            const auto parts = split(request.path);
            if (parts.size() == 1 && parts[0] == "info")
                return info();
            if (parts.size() >= 2 && parts[0] == "~altiplano")
                return own(request, std::vector(parts.begin() + 1, parts.end()));
            if (parts.size() == 1 && parts[0].empty())
                return Reply{.content_type = "text/plain; charset=utf-8",
                    .body = "Altiplano, the AO computer. /info says which one; /~altiplano/status how it is.\n"};
            if (parts.size() == 1 || (parts.size() == 2 && parts[0] == "raw"))
                return item(request, parts.back());
            return unknown(request.path);
        }();
        return reply ? *std::move(reply) : error_reply(reply.error());
    }

    Result<std::unique_ptr<Body>> post(const Request& request) override
    {
        if (request.path == "/")
            return std::make_unique<MessageBody>(node_);
        if (request.path == "/tx")
            return std::make_unique<ItemBody>(node_);
        return unknown(request.path);
    }

private:
    static std::unexpected<Error> unknown(std::string_view path)
    {
        return fail(errors::unknown_path, fmt::format("there is nothing at {}", path),
            "/info, /{id}, /raw/{id}, POST /tx, POST /, /~altiplano/status");
    }

    Result<Reply> info()
    {
        TRY(const auto tip, node_.weave().tip());
        JsonWriter json;
        json.begin_object()
            .member("network", "altiplano")
            .member("version", std::int64_t{1})
            .member("release", std::int64_t{1})
            .member("height", tip.height);
        json.member("current", std::string_view(tip.hash.text()))
            .member("blocks", tip.height + 1)
            .member("peers", std::int64_t{0})
            .member("queue_length", std::int64_t{0});
        json.member("weave", std::string_view(node_.weave().id().text()))
            .member("scheduler", std::string_view(node_.scheduler().address().text()));
        json.member("authority", std::string_view(node_.authority().text())).end_object();
        return json_reply(std::move(json));
    }

    Result<Reply> item(const Request& request, std::string_view name)
    {
        const auto id = ItemId::parse(name);
        if (!id)
            return unknown(request.path);
        TRY(const auto stored, node_.weave().item(*id));
        Reply reply;
        const auto type = one_line(stored.header.tags().first("Content-Type").value_or("application/octet-stream"));
        reply.content_type = type;
        const auto tag = fmt::format("\"{}\"", id->text());
        reply.headers = {{"ETag", tag}, {"Accept-Ranges", "bytes"}, {"Cache-Control", "public, max-age=31536000, immutable"},
            {"Access-Control-Expose-Headers", "*"}};
        // A stranger's page must not act with this origin's rights.
        for (const auto* active : {"html", "svg", "xml"})
            if (type.find(active) != type.npos)
                reply.headers.emplace_back("Content-Security-Policy", "sandbox");
        if (request.if_none_match == tag) {
            reply.status = 304;
            return reply;
        }
        TRY(const auto part, part_of(request.range, stored.data_size));
        TRY(reply.data, node_.weave().data(*id));
        reply.data_length = reply.data->size();
        if (part) {
            reply.status = 206;
            reply.data_offset = part->offset;
            reply.data_length = part->length;
            reply.headers.emplace_back("Content-Range",
                fmt::format("bytes {}-{}/{}", part->offset, part->offset + part->length - 1, reply.data->size()));
        }
        return reply;
    }

    Result<Reply> own(const Request& request, const std::vector<std::string_view>& parts)
    {
        const auto what = parts[0];
        if (parts.size() == 1 && what == "status")
            return status();
        if (parts.size() == 1 && what == "items")
            return items(request);
        if (parts.size() < 2)
            return unknown(request.path);
        const auto process = ProcessId::parse(parts[1]);
        if (!process)
            return fail(errors::bad_request, fmt::format("'{}' is no process id", parts[1]));
        if (parts.size() == 2 && what == "process")
            return this->process(*process);
        if (parts.size() == 2 && what == "console")
            return console(*process);
        if (parts.size() == 3 && what == "slot") {
            TRY(const auto message, ItemId::parse(parts[2]));
            TRY(const auto slot, node_.scheduler().slot_of(*process, message));
            JsonWriter json;
            json.begin_object().member("process", std::string_view(process->text())).member("slot", slot.nonce).end_object();
            return json_reply(std::move(json));
        }
        if (parts.size() != 3)
            return unknown(request.path);
        TRY(const auto nonce, number_in(parts[2], "slot"));
        const units::Slot slot{*process, nonce};
        if (what == "result")
            return result(slot);
        if (what == "log")
            return log_entry(slot);
        if (what == "outbox")
            return outbox(slot);
        return unknown(request.path);
    }

    Result<Reply> status()
    {
        TRY(const auto tip, node_.weave().tip());
        TRY(const auto processes, node_.scheduler().processes());
        TRY(const auto open, node_.records().open_deliveries());
        JsonWriter json;
        json.begin_object()
            .member("version", "0.1.0")
            .member("weave", std::string_view(node_.weave().id().text()))
            .member("height", tip.height);
        json.member("scheduler", std::string_view(node_.scheduler().address().text()))
            .member("authority", std::string_view(node_.authority().text()));
        json.member("data", std::string_view(std::filesystem::absolute(node_.options().data).string()));
        json.member("processes", static_cast<std::uint64_t>(processes.size()))
            .member("open_deliveries", static_cast<std::uint64_t>(open.size()));
        json.member("evaluations_at_once", static_cast<std::uint64_t>(node_.options().workers)).key("workers").begin_array();
        for (const auto worker : node_.compute().worker_processes())
            json.number(worker);
        json.end_array().end_object();
        return json_reply(std::move(json));
    }

    /// Items by tags, oldest first: ?Type=Module&Name=llama&owner=ADDRESS. The query's last tag should be the rarest.
    Result<Reply> items(const Request& request)
    {
        std::vector<std::pair<std::string, std::string>> tags;
        std::vector<std::string> owners;
        for (const auto& [name, value] : request.query) {
            if (name == "owner")
                owners.push_back(value);
            else
                tags.emplace_back(name, value);
        }
        if (tags.empty())
            return fail(errors::bad_request, "name at least one tag: /~altiplano/items?Type=Module");
        TRY(const auto found, node_.records().items_with(tags, owners, UINT64_MAX));
        JsonWriter json;
        json.begin_object().key("ids").begin_array();
        for (const auto& id : found)
            json.string(id.text());
        json.end_array().end_object();
        return json_reply(std::move(json));
    }

    Result<Reply> process(const ProcessId& id)
    {
        TRY(const auto info, node_.scheduler().process(id));
        TRY(const auto computed, node_.cache().results_end(id));
        JsonWriter json;
        json.begin_object()
            .member("process", std::string_view(id.text()))
            .member("module", std::string_view(info.module.text()))
            .member("owner", std::string_view(info.owner.text()));
        json.member("scheduler", std::string_view(info.scheduler.text()))
            .member("slots", info.slots)
            .member("computed", computed)
            .end_object();
        return json_reply(std::move(json));
    }

    Result<Reply> result(const units::Slot& slot)
    {
        TRY(const auto found, node_.compute().result(slot));
        JsonWriter json(JsonWriter::Text::client);
        json.begin_object();
        write_slot_result(json, found);
        json.end_object();
        return json_reply(std::move(json));
    }

    Result<Reply> log_entry(const units::Slot& slot)
    {
        TRY(const auto entry, node_.scheduler().entry(slot));
        const auto& assignment = entry.assignment;
        JsonWriter json;
        json.begin_object()
            .member("process", std::string_view(slot.process.text()))
            .member("slot", slot.nonce)
            .member("message", std::string_view(assignment.message.text()));
        json.member("assignment", std::string_view(assignment.id.text()))
            .member("hash_chain", std::string_view(assignment.hash_chain.text()));
        json.member("height", assignment.height)
            .member("block_hash", std::string_view(assignment.block_hash.text()))
            .member("timestamp", assignment.timestamp_ms);
        json.member("owner", std::string_view(entry.message.owner().text())).key("tags").begin_array();
        for (const auto& tag : entry.message.tags())
            json.begin_object()
                .member("name", std::string_view(tag.name))
                .member("value", std::string_view(tag.value))
                .end_object();
        json.end_array().end_object();
        return json_reply(std::move(json));
    }

    Result<Reply> outbox(const units::Slot& slot)
    {
        TRY(const auto computed, node_.compute().result(slot));
        TRY(const auto entries, node_.cache().outbox(slot.process, slot.nonce));
        JsonWriter json;
        json.begin_object().key("outbox").begin_array();
        for (const auto& entry : entries) {
            TRY(const auto delivery, node_.records().delivery(slot.process, slot.nonce, entry.index));
            json.begin_object()
                .member("index", entry.index)
                .member("kind",
                    entry.kind == store::OutboxRecord::Kind::message     ? "message"
                        : entry.kind == store::OutboxRecord::Kind::spawn ? "spawn"
                                                                         : "assignment");
            using State = store::DeliveryRecord::State;
            json.member("state",
                !delivery                                ? "waiting"
                    : delivery->state == State::signed_  ? "signed"
                    : delivery->state == State::accepted ? "accepted"
                                                         : "dead");
            if (delivery && !delivery->item.empty()) {
                TRY(const auto item, item::Header::parse(delivery->item, UINT64_MAX));
                json.member("id", std::string_view(item.id().text()));
                if (item.target())
                    json.member("target", std::string_view(item.target()->text()));
            }
            if (delivery && !delivery->last_error.empty())
                json.member("error", std::string_view(delivery->last_error));
            json.end_object();
        }
        json.end_array().end_object();
        return json_reply(std::move(json));
    }

    Result<Reply> console(const ProcessId& id)
    {
        TRY(const auto info, node_.scheduler().process(id));
        Reply reply;
        reply.events = [this, id](std::function<void(std::string)> push) {
            return node_.compute().watch(id, [push = std::move(push)](const units::ConsolePiece& piece) {
                // Pieces may be cut inside a character: the bytes travel as guests write them.
                JsonWriter json(JsonWriter::Text::guest);
                json.begin_object()
                    .member("slot", piece.slot.nonce)
                    .member("stream", std::int64_t{piece.stream})
                    .member("text", std::string_view(piece.text))
                    .end_object();
                push(std::move(json).text());
            });
        };
        return reply;
    }

    Node& node_;
};

}  // namespace

Reply error_reply(const Error& error)
{
    return {.status = status_of(error.code), .body = error_json(error) + "\n"};
}

std::unique_ptr<Site> routes(Node& node)
{
    return std::make_unique<Routes>(node);
}

}  // namespace altiplano::node::http
