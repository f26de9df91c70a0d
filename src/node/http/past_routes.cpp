#include "node/http/past_routes.hpp"

#include "base/base64url.hpp"
#include "node/disk.hpp"
#include "node/errors.hpp"
#include "node/http/reply.hpp"

#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

constexpr std::uint64_t body_bytes_max = 16 << 20;
constexpr std::size_t fork_messages_max = 1000;

Result<units::Slot> slot_in(const Request& request)
{
    TRY(const auto process, ProcessId::parse(request.parameter("process")));
    TRY(const auto nonce, number_in(request.parameter("slot"), "slot"));
    return units::Slot{process, nonce};
}

std::string hex(Bytes bytes)
{
    std::string text;
    for (const auto byte : bytes)
        text += fmt::format("{:02x}", static_cast<unsigned>(byte));
    return text;
}

/// Where machines live: states cannot be asked for from another node's compute unit.
Result<compute::LocalCompute*> machines(Node& node)
{
    if (auto* const local = node.local_compute())
        return local;
    return fail(errors::no_unit, "the compute unit does not run on this node", "ask the node that computes");
}

Result<Reply> state(Node& node, const Request& request)
{
    TRY(const auto slot, slot_in(request));
    TRY(auto* const local, machines(node));
    TRY(const auto state, local->state(slot));
    JsonWriter json;
    json.begin_object()
        .member("process", std::string_view(slot.process.text()))
        .member("slot", slot.nonce)
        .member("state_root", std::string_view(state.root.text()));
    json.member("memory_bytes", state.memory_bytes).member("used_pages", state.used_pages).key("globals").begin_array();
    constexpr std::size_t global_bytes = 16;
    for (std::size_t at = 0; at + global_bytes <= state.globals.size(); at += global_bytes)
        json.string(hex(Bytes(state.globals).subspan(at, global_bytes)));
    json.end_array().key("mapped").begin_array();
    for (const auto& range : state.mapped)
        json.begin_object()
            .member("at", range.at)
            .member("length", range.length)
            .member("item", std::string_view(range.item.text()))
            .member("item_offset", range.item_offset)
            .end_object();
    json.end_array().end_object();
    return json_reply(std::move(json));
}

void write_result(JsonWriter& json, const units::SlotResult& result)
{
    json.member("slot", result.slot.nonce).member("outcome", units::name_of(result.kind));
    json.member("state_root", std::string_view(result.state_root.text())).member("gas", result.gas);
    if (result.kind != units::SlotResult::Kind::guest_fault && JsonView::parse(result.output))
        json.key("result").raw(result.output);
    else
        json.member("text", std::string_view(result.output));
}

Result<Reply> read(Node& node, const Request& request)
{
    TRY(const auto slot, slot_in(request));
    TRY(auto* const local, machines(node));
    TRY(const auto answer, local->dry_run_at({.process = slot.process, .body = request.body}, slot.nonce));
    JsonWriter json(JsonWriter::Text::client);
    json.begin_object().member("process", std::string_view(slot.process.text()));
    write_result(json, answer);
    json.end_object();
    return json_reply(std::move(json));
}

Result<Reply> fork(Node& node, const Request& request)
{
    TRY(const auto slot, slot_in(request));
    TRY(const auto list, JsonView::parse(request.body));
    if (list.kind() != JsonView::Kind::array)
        return fail(
            errors::bad_request, "the body is no JSON array of messages", "send [{\"Tags\": [...], \"Data\": \"...\"}, ...]");
    std::vector<std::string> bodies;
    for (const auto& one : list.elements())
        bodies.emplace_back(one.raw());
    if (bodies.size() > fork_messages_max)
        return fail(
            errors::bad_request, fmt::format("{} messages; at most {} are taken at once", bodies.size(), fork_messages_max));
    TRY(auto* const local, machines(node));
    TRY(const auto results, local->fork(slot, bodies));
    JsonWriter json(JsonWriter::Text::client);
    json.begin_object()
        .member("process", std::string_view(slot.process.text()))
        .member("slot", slot.nonce)
        .member("recorded", false)
        .key("results")
        .begin_array();
    for (const auto& result : results) {
        json.begin_object();
        write_result(json, result);
        json.end_object();
    }
    json.end_array().end_object();
    return json_reply(std::move(json));
}

Result<Reply> changes(Node& node, const Request& request)
{
    TRY(const auto process, ProcessId::parse(request.parameter("process")));
    TRY(const auto from, number_in(request.parameter("from"), "from"));
    TRY(const auto to, number_in(request.parameter("to"), "to"));
    TRY(auto* const local, machines(node));
    TRY(const auto ranges, local->changes(process, from, to));
    std::uint64_t pages = 0;
    for (const auto& range : ranges)
        pages += range.count;
    JsonWriter json;
    json.begin_object().member("process", std::string_view(process.text())).member("from", from).member("to", to);
    json.member("pages", pages).member("bytes", pages * memory::page_bytes).key("ranges").begin_array();
    for (const auto& range : ranges)
        json.begin_object()
            .member("at", range.first * memory::page_bytes)
            .member("bytes", range.count * memory::page_bytes)
            .end_object();
    json.end_array().end_object();
    return json_reply(std::move(json));
}

/// The state after a slot as AO's compute units exchange it: the tags of the item that would carry it, and its data.
Result<Reply> checkpoint(Node& node, const Request& request)
{
    TRY(const auto slot, slot_in(request));
    TRY(auto* const local, machines(node));
    TRY(const auto info, node.scheduler().process(slot.process));
    TRY(const auto entry, node.scheduler().entry(slot));
    TRY(const auto checkpoint, local->ao_checkpoint(slot));
    TRY(const auto root, local->images().root_after(slot));
    ENSURE(root, "the state was compared with the root that was recorded");
    JsonWriter json;
    json.begin_object().key("tags").begin_array();
    for (const auto& tag : compute::ao_checkpoint_tags(entry, info.module, checkpoint, *root))
        json.begin_object().member("name", std::string_view(tag.name)).member("value", std::string_view(tag.value)).end_object();
    json.end_array().member("sha256", std::string_view(checkpoint.sha256)).member("memory_bytes", checkpoint.memory_bytes);
    json.member("data", std::string_view(base64url(checkpoint.gzip))).end_object();
    return json_reply(std::move(json));
}

Reply trusted_reply(const store::TrustedRecord& taken)
{
    JsonWriter json;
    json.begin_object()
        .member("process", std::string_view(taken.process.text()))
        .member("slot", taken.nonce)
        .member("state_root", std::string_view(taken.state_root.text()));
    json.member("checkpoint", std::string_view(taken.item.text()))
        .member("signer", std::string_view(taken.signer))
        .member("verified", taken.verified)
        .end_object();
    return json_reply(std::move(json));
}

/// What this node goes on from without having computed it.
Result<Reply> trusted(Node& node, const Request& request)
{
    TRY(const auto process, ProcessId::parse(request.parameter("process")));
    TRY(auto* const local, machines(node));
    TRY(const auto taken, local->trusted(process));
    return taken ? trusted_reply(*taken) : Reply{.status = 204};
}

Result<Reply> take_in(Node& node, const Request& request)
{
    TRY(const auto id, ItemId::parse(request.parameter("item")));
    TRY(auto* const local, machines(node));
    TRY_OK(node.catch_up());
    TRY(const auto item, node.item(id));  // which may come from elsewhere just now
    TRY(const auto taken, local->take_in(item.header.id()));
    return trusted_reply(taken);
}

Result<Reply> verify_trusted(Node& node, const Request& request)
{
    TRY(const auto process, ProcessId::parse(request.parameter("process")));
    TRY(auto* const local, machines(node));
    TRY(const auto taken, local->verify_trusted(process));
    return trusted_reply(taken);
}

/// What this node offers to processes, and what it does with them now.
Result<Reply> offer(Node& node)
{
    TRY(auto* const local, machines(node));
    const auto& options = local->options();
    const auto life = local->life();
    TRY(const auto images, local->images().total());
    JsonWriter json;
    json.begin_object()
        .member("memory_bytes", options.memory_offer_bytes)
        .member("memory_bytes_of_protocol", std::string_view("18446744073709551615"))
        .member("memory_bytes_of_state_root", memory::Region::memory_bytes_max);
    json.member("default_memory_bytes", compute::Limits{}.memory_bytes)
        .member("default_gas", compute::Limits{}.gas)
        .member("dry_run_gas", options.dry_run_gas);
    json.member("evaluations_at_once", static_cast<std::uint64_t>(options.workers))
        .member("turn_ms", options.time.first_ms)
        .member("slice_ms", options.time.slice_ms)
        .member("long_after_ms", options.time.long_ms)
        .member("long_evaluations_of_one_owner", static_cast<std::uint64_t>(options.long_max));
    json.member("warm_max", static_cast<std::uint64_t>(options.warm_max))
        .member("warm_bytes_max", options.warm_bytes_max)
        .key("now")
        .begin_object();
    json.member("processes_used", static_cast<std::uint64_t>(life.known))
        .member("awake", static_cast<std::uint64_t>(life.awake))
        .member("resident_bytes", life.resident_bytes)
        .member("idle_workers", static_cast<std::uint64_t>(life.idle_workers))
        .member("long_evaluations", static_cast<std::uint64_t>(life.long_evaluations))
        .member("image_files", images.files)
        .member("image_bytes", images.bytes)
        .end_object()
        .end_object();
    return json_reply(std::move(json));
}

/// What the parts of the data folder take on disk.
Result<Reply> disk(Node& node)
{
    TRY(const auto parts, disk_use(system_files(), {node.options().data}));
    std::uint64_t kept = 0;
    std::uint64_t caches = 0;
    JsonWriter json;
    json.begin_object();
    for (const auto& part : parts) {
        (part.is_cache ? caches : kept) += part.bytes;
        json.key(part.part).begin_object().member("bytes", part.bytes).member("files", part.files).end_object();
    }
    json.member("kept_bytes", kept).member("cache_bytes", caches).end_object();
    return json_reply(std::move(json));
}

Result<Reply> disk_of(Node& node, const Request& request)
{
    TRY(const auto process, ProcessId::parse(request.parameter("process")));
    TRY(auto* const local, machines(node));
    TRY(const auto bytes, local->images().stored_bytes(process));
    TRY(const auto states, local->images().states(process));
    JsonWriter json;
    json.begin_object().member("process", std::string_view(process.text())).member("image_bytes", bytes);
    json.member("states", static_cast<std::uint64_t>(states.size())).end_object();
    return json_reply(std::move(json));
}

}  // namespace

void add_past_routes(Router& router, Node& node)
{
    router.get("/~altiplano/offer", "what this node offers to processes: memory, gas, turns; and what it uses now",
        [&node](const Request&) { return offer(node); });
    router.get(
        "/~altiplano/disk", "what the parts of the data folder take on disk", [&node](const Request&) { return disk(node); });
    router.get("/~altiplano/disk/{process}", "what the images of a process take on disk",
        [&node](const Request& request) { return disk_of(node, request); });
    router.get("/~altiplano/state/{process}/{slot}", "the state after a slot: root, sizes, globals, mapped items",
        [&node](const Request& request) { return state(node, request); });
    router.get("/~altiplano/checkpoint/{process}/{slot}",
        "the memory after a slot as AO's compute units exchange it: tags and gzip",
        [&node](const Request& request) { return checkpoint(node, request); });
    router.get("/~altiplano/trusted/{process}", "the checkpoint that a process goes on from here without having been computed",
        [&node](const Request& request) { return trusted(node, request); });
    router.on("POST", "/~altiplano/trusted/{process}/verify", "computes the log up to that checkpoint, and compares",
        [&node](const Request& request) { return verify_trusted(node, request); });
    router.on("POST", "/~altiplano/take-in/{item}",
        "goes on from a checkpoint in AO's format that a signer whom the node trusts has signed",
        [&node](const Request& request) { return take_in(node, request); });
    router.on(
        "POST", "/~altiplano/read/{process}/{slot}", "what the state after a slot answers to a message that changes nothing",
        [&node](const Request& request) { return read(node, request); }, body_bytes_max);
    router.on(
        "POST", "/~altiplano/fork/{process}/{slot}",
        "what would come of messages, one after the other, from the state after a slot; nothing is recorded",
        [&node](const Request& request) { return fork(node, request); }, body_bytes_max);
    router.get("/~altiplano/changes/{process}/{from}/{to}", "the ranges of memory that differ between the states after two slots",
        [&node](const Request& request) { return changes(node, request); });
}

}  // namespace altiplano::node::http
