#include "node/http/layer1_routes.hpp"

#include "base/base64url.hpp"
#include "base/errors.hpp"
#include "item/errors.hpp"
#include "item/transaction_json.hpp"
#include "node/errors.hpp"
#include "node/http/reply.hpp"
#include "node/http/write_elsewhere.hpp"
#include "store/errors.hpp"
#include "weave/errors.hpp"

#include <atomic>
#include <fmt/format.h>
#include <memory>

namespace altiplano::node::http {

namespace {

constexpr std::uint64_t milliseconds = 1000;  // blocks have seconds on Arweave's wire

Result<ItemId> id_of(const Request& request)
{
    return ItemId::parse(request.parameter("id"));
}

// ---------------------------------------------------------------------------------------------------------- transactions

/// What /tx/{id} gives, and /tx/{id}/{field} one of.
void write_transaction(JsonWriter& json, const weave::Transactions::Found& found)
{
    json.begin_object();
    item::write_transaction(json, found.header, found.data_size);
    json.end_object();
}

Result<Reply> transaction(Node& node, const Request& request)
{
    TRY(const auto id, id_of(request));
    TRY(const auto found, node.transaction(id));
    JsonWriter json;
    write_transaction(json, found);
    return json_reply(std::move(json));
}

Result<Reply> transaction_data(Node& node, const ItemId& id, const weave::Transactions::Found& found)
{
    constexpr std::uint64_t bytes_max = std::uint64_t{12} << 20;
    if (found.data_size > bytes_max)
        return fail(errors::bad_request,
            fmt::format("{} has {} bytes of data; as text at most {} are given", id.text(), found.data_size, bytes_max),
            fmt::format("GET /raw/{} gives them as they are", id.text()));
    TRY(const auto data, node.weave().data(id));
    TRY(const auto bytes, data->all());
    return text_reply(base64url(bytes));
}

Result<Reply> transaction_field(Node& node, const Request& request)
{
    TRY(const auto id, id_of(request));
    TRY(const auto found, node.transaction(id));
    const auto name = request.parameter("field");
    if (name == "data")
        return transaction_data(node, id, found);
    JsonWriter json;
    write_transaction(json, found);
    const auto whole = std::move(json).text();
    TRY(const auto view, JsonView::parse(whole));
    const auto field = view.find(name);
    if (!field)
        return fail(errors::unknown_path, fmt::format("a transaction has no field '{}'", name.substr(0, 100)),
            "GET /tx/{id} shows all of them");
    if (field->kind() == JsonView::Kind::array)
        return Reply{.body = std::string(field->raw())};
    return text_reply(field->text().value_or(std::string(field->raw())));
}

Result<Reply> transaction_status(Node& node, const Request& request)
{
    TRY(const auto id, id_of(request));
    TRY(const auto found, node.transaction(id));
    if (!found.height)
        return text_reply("Pending", 202);
    TRY(const auto block, node.weave().block(*found.height));
    TRY(const auto tip, node.weave().tip());
    JsonWriter json;
    json.begin_object()
        .member("block_height", block.height)
        .member("block_indep_hash", std::string_view(block.hash.text()))
        .member("number_of_confirmations", tip.height - block.height + 1)
        .end_object();
    return json_reply(std::move(json));
}

Result<Reply> transaction_offset(Node& node, const Request& request)
{
    TRY(const auto id, id_of(request));
    TRY(const auto place, node.transactions().place(id));
    JsonWriter json;
    // The offset of the last byte, the weave's first being 1.
    json.begin_object()
        .member("size", std::string_view(std::to_string(place.size)))
        .member("offset", std::string_view(std::to_string(place.end)))
        .end_object();
    return json_reply(std::move(json));
}

Result<Reply> pending(Node& node)
{
    TRY(const auto ids, node.transactions().pending());
    JsonWriter json;
    json.begin_array();
    for (const auto& id : ids)
        json.string(id.text());
    json.end_array();
    return json_reply(std::move(json));
}

// ---------------------------------------------------------------------------------------------------------------- chunks

/// arweave-js goes on after an error it does not know, for an hour, and stops at once at those of a list: so `error` is the word
/// that it knows, and the sentence stands beside it (lib/transaction-uploader.js).
Reply chunk_error(const Error& error)
{
    constexpr std::pair<std::string_view, std::string_view> words[] = {
        {weave::errors::unknown_upload, "data_root_not_found"},
        {weave::errors::bad_chunk, "invalid_proof"},
        {item::errors::bad_proof, "invalid_proof"},
        {errors::bad_request, "invalid_json"},
        {altiplano::errors::disk_full, "exceeds_disk_pool_size_limit"},
        {store::errors::disk_full, "exceeds_disk_pool_size_limit"},
    };
    // What is too big says which member it is.
    std::string_view word = error.code == errors::body_over_limit ? std::string_view(error.hint) : error.code;
    for (const auto& [code, known] : words)
        if (error.code == code)
            word = known;
    JsonWriter json;
    json.begin_object()
        .member("error", word)
        .member("sentence", std::string_view(error.sentence))
        .member("code", error.code)
        .member("hint", std::string_view(error.hint))
        .end_object();
    return json_reply(std::move(json), status_of(error.code));
}

Result<Reply> post_chunk(Node& node, const Request& request)
{
    const auto bad = [](std::string what) {
        return fail(errors::bad_request, std::move(what),
            R"(a chunk is {"data_root","data_size","data_path","offset","chunk"}, as arweave-js makes it)");
    };
    const auto json = JsonView::parse(request.body);
    if (!json)
        return bad(fmt::format("the chunk cannot be read: {}", json.error().sentence));
    const auto text = [&](std::string_view name) {
        const auto member = json->find(name);
        return member ? member->text().value_or("") : std::string();
    };
    const auto bytes = [&](std::string_view name) { return from_base64url(text(name)); };
    weave::Transactions::NewChunk chunk;
    const auto root = Digest::parse(text("data_root"));
    auto path = bytes("data_path");
    auto content = bytes("chunk");
    const auto size = number_in(text("data_size"), "data_size");
    const auto offset = number_in(text("offset"), "offset");
    if (!root || !path || !content || !size || !offset)
        return bad("a member of the chunk is missing or is not what it should be");
    const auto over = [](std::string_view member, std::uint64_t found, std::uint64_t most, const char* word) {
        return fail(errors::body_over_limit, fmt::format("{} is {}; at most {} is taken", member, found, most), word);
    };
    if (content->size() > item::chunk_bytes_max)
        return over("the size of the chunk", content->size(), item::chunk_bytes_max, "chunk_too_big");
    if (path->size() > item::data_path_bytes_max)
        return over("the size of data_path", path->size(), item::data_path_bytes_max, "data_path_too_big");
    if (*size > INT64_MAX)
        return over("data_size", *size, INT64_MAX, "data_size_too_big");
    if (*offset >= *size)
        return over("the offset", *offset, *size, "offset_too_big");
    TRY(const auto posted,
        node.transactions().put_chunk(
            {.data_root = *root, .data_size = *size, .offset = *offset, .path = *std::move(path), .bytes = *std::move(content)}));
    JsonWriter answer;
    answer.begin_object().member("whole", posted.block.has_value());
    if (posted.block)
        answer.member("height", posted.block->height);
    answer.end_object();
    return json_reply(std::move(answer));
}

Result<Reply> get_chunk(Node& node, const Request& request)
{
    TRY(const auto offset, number_in(request.parameter("offset"), "offset"));
    if (offset == 0)
        return fail(weave::errors::unknown_chunk, "the weave's first byte is at offset 1");
    TRY(const auto chunk, node.transactions().chunk(offset - 1));
    JsonWriter json;
    json.begin_object()
        .member("chunk", std::string_view(base64url(chunk.bytes)))
        .member("data_path", std::string_view(base64url(chunk.path)))
        .member("tx_path", "")  // blocks here have no tx_root that a path could lead to
        .member("packing", "unpacked")
        .end_object();
    return json_reply(std::move(json));
}

// ---------------------------------------------------------------------------------------------------------------- blocks

Result<Reply> block_reply(Node& node, const weave::Block& block)
{
    TRY(const auto size, node.transactions().weave_size(block.height));
    const auto before = block.height == 0 ? Result<std::uint64_t>(0) : node.transactions().weave_size(block.height - 1);
    if (!before)
        return std::unexpected(before.error());
    JsonWriter json;
    json.begin_object()
        .member("height", block.height)
        .member("indep_hash", std::string_view(block.hash.text()))
        .member("hash", std::string_view(block.hash.text()))
        .member("previous_block", std::string_view(block.height == 0 ? "" : block.previous.text()))
        .member("timestamp", static_cast<std::uint64_t>(block.timestamp_ms) / milliseconds)
        .member("timestamp_ms", static_cast<std::uint64_t>(block.timestamp_ms));
    json.key("txs").begin_array();
    for (const auto& id : block.items)
        json.string(id.text());
    json.end_array();
    // Nobody mines here: what speaks of work, of rewards and of lists that only miners keep is empty.
    json.member("weave_size", std::string_view(std::to_string(size)))
        .member("block_size", std::string_view(std::to_string(size - *before)))
        .member("nonce", "")
        .member("diff", "0")
        .member("cumulative_diff", "0")
        .member("last_retarget", static_cast<std::uint64_t>(block.timestamp_ms) / milliseconds)
        .member("reward_addr", "unclaimed")
        .member("reward_pool", "0")
        .member("wallet_list", "")
        .member("tx_root", "")
        .member("hash_list_merkle", "");
    json.key("tags").begin_array().end_array();
    json.key("poa").begin_object().end_object();
    json.end_object();
    return json_reply(std::move(json));
}

// --------------------------------------------------------------------------------------------------------------- wallets

Result<std::string> address_in(const Request& request)
{
    const auto text = request.parameter("address");
    if (const auto id = Digest::parse(text); !id)
        return fail(weave::errors::unknown_wallet, fmt::format("'{}' is no wallet's address", text.substr(0, 100)),
            "an address has 43 characters of base64url");
    return std::string(text);
}

Result<Reply> balance(Node& node, const Request& request)
{
    TRY(const auto address, address_in(request));
    TRY(const auto wallet, node.transactions().wallet(address));
    return text_reply(wallet.balance);
}

Result<Reply> last_transaction(Node& node, const Request& request)
{
    TRY(const auto address, address_in(request));
    TRY(const auto wallet, node.transactions().wallet(address));
    return text_reply(wallet.last_transaction ? wallet.last_transaction->text() : "");
}

Result<Reply> price(Node& node, const Request& request)
{
    TRY(const auto bytes, number_in(request.parameter("bytes"), "number of bytes"));
    TRY(const auto price, node.transactions().price(bytes));
    return text_reply(price.text());
}

Result<void> check_development(Node& node)
{
    if (!node.transactions().options().mint)
        return fail(errors::development_only, "this node is not for development: nobody mints and mines by asking for it");
    return {};
}

void label(Reply& reply)
{
    reply.headers.emplace_back("X-Altiplano-Development", "test AR of a local weave, worth nothing");
}

Result<Reply> mint(Node& node, const Request& request)
{
    TRY_OK(check_development(node));
    TRY(const auto address, address_in(request));
    TRY(const auto amount, item::Winston::parse(request.parameter("winston")));
    TRY(const auto balance, node.transactions().mint(address, amount));
    auto reply = text_reply(balance.text());
    label(reply);
    return reply;
}

/// Tools post, then mine, and expect one block more. Here the post sealed it: the first call after that finds its work done, and
/// every other one seals an empty block.
Result<Reply> mine(Node& node, std::atomic<std::uint64_t>& mined)
{
    TRY_OK(check_development(node));
    TRY(auto tip, node.weave().tip());
    if (tip.items.empty() || mined.exchange(tip.height) == tip.height) {
        TRY(tip, node.weave().seal_empty());
        mined = tip.height;
    }
    TRY(auto reply, network_info(node));
    label(reply);
    return reply;
}

Result<Reply> mine_blocks(Node& node, const Request& request)
{
    constexpr std::uint64_t blocks_max = 1000;
    TRY_OK(check_development(node));
    TRY(auto blocks, number_in(request.parameter("blocks"), "number of blocks"));
    if (blocks > blocks_max)
        return fail(errors::bad_request, fmt::format("at most {} blocks are sealed at once", blocks_max));
    for (; blocks > 0; --blocks)
        TRY_OK(node.weave().seal_empty());
    TRY(auto reply, network_info(node));
    label(reply);
    return reply;
}

}  // namespace

Result<Reply> network_info(Node& node)
{
    TRY(const auto tip, node.weave().tip());
    JsonWriter json;
    json.begin_object()
        .member("network", "altiplano")
        .member("version", std::int64_t{1})
        .member("release", std::int64_t{1})
        .member("height", tip.height);
    json.member("current", std::string_view(tip.hash.text()))
        .member("blocks", tip.height + 1)
        .member("peers", std::int64_t{0})
        .member("queue_length", std::int64_t{0})
        .member("node_state_latency", std::int64_t{0});
    json.member("weave", std::string_view(node.weave().id().text()))
        .member("scheduler", std::string_view(node.scheduler().address().text()));
    json.member("authority", std::string_view(node.authority().text())).end_object();
    return json_reply(std::move(json));
}

void add_layer1_routes(Router& router, Node& node)
{
    // A row per path: what it is for, who answers.
    const auto get = [&](std::string pattern, std::string summary, Result<Reply> (*answer)(Node&, const Request&)) {
        router.get(
            std::move(pattern), std::move(summary), [&node, answer](const Request& request) { return answer(node, request); });
    };
    get("/info", "the network, its height and its newest block", [](Node& n, const Request&) { return network_info(n); });
    get("/height", "the height of the newest block", [](Node& n, const Request&) -> Result<Reply> {
        TRY(const auto tip, n.weave().tip());
        return text_reply(std::to_string(tip.height));
    });
    get("/time", "the node's time in seconds", [](Node& n, const Request&) -> Result<Reply> {
        return text_reply(std::to_string(n.clock().wall_ms() / static_cast<std::int64_t>(milliseconds)));
    });
    get("/peers", "other nodes of this weave: none",
        [](Node&, const Request&) -> Result<Reply> { return Reply{.body = "[]\n"}; });
    get("/tx_anchor", "what a new transaction names as its last_tx", [](Node& n, const Request&) -> Result<Reply> {
        TRY(const auto tip, n.weave().tip());
        return text_reply(tip.hash.text());
    });
    get("/price/{bytes}", "the least reward for so many bytes, in Winston", price);
    get("/price/{bytes}/{target}", "the same, with a transfer to a wallet", price);

    get("/tx/pending", "transactions whose data is not whole yet", [](Node& n, const Request&) { return pending(n); });
    get("/tx/{id}", "a transaction without its data", transaction);
    get("/tx/{id}/status", "the block that a transaction lies in", transaction_status);
    get("/tx/{id}/offset", "where a transaction's data lies", transaction_offset);
    get("/tx/{id}/{field}", "one field of a transaction; `data` in base64url", transaction_field);
    get("/chunk/{offset}", "the chunk with the byte at an offset of the weave", get_chunk);

    get("/block/height/{height}", "a block", [](Node& n, const Request& request) -> Result<Reply> {
        TRY(const auto height, number_in(request.parameter("height"), "height"));
        TRY(const auto block, n.weave().block(height));
        return block_reply(n, block);
    });
    get("/block/hash/{hash}", "a block", [](Node& n, const Request& request) -> Result<Reply> {
        TRY(const auto hash, BlockHash::parse(request.parameter("hash")));
        TRY(const auto block, n.weave().block_of(hash));
        return block_reply(n, block);
    });
    for (const auto* const pattern : {"/block/current", "/current_block"})
        get(pattern, "the newest block", [](Node& n, const Request&) -> Result<Reply> {
            TRY(const auto tip, n.weave().tip());
            return block_reply(n, tip);
        });

    get("/wallet/{address}/balance", "what a wallet has, in Winston", balance);
    get("/wallet/{address}/last_tx", "the last transaction of a wallet", last_transaction);
    const auto writing = [&](std::string pattern, std::string summary, Router::Handler act) {
        router.get(std::move(pattern), std::move(summary), [&node, act = std::move(act)](const Request& request) {
            return node.follows() ? Result<Reply>(write_elsewhere(node, request, {})) : act(request);
        });
    };
    writing("/mint/{address}/{winston}", "for development: gives a wallet test AR",
        [&node](const Request& request) { return mint(node, request); });
    writing("/mine", "for development: seals an empty block, unless a write has just sealed one",
        [&node, mined = std::make_shared<std::atomic<std::uint64_t>>(0)](const Request&) { return mine(node, *mined); });
    writing("/mine/{blocks}", "for development: seals empty blocks",
        [&node](const Request& request) { return mine_blocks(node, request); });
    for (const auto* const pattern : {"/mint/{address}/{winston}", "/mine", "/mine/{blocks}"})
        router.writes("GET", pattern);

    // A chunk, its path and the rest, in base64url.
    constexpr std::uint64_t chunk_body_max = std::uint64_t{512} * 1024;
    router.errors_by(chunk_error);
    router.on(
        "POST", "/chunk", "a chunk of a transaction's data",
        [&node](const Request& request) {
            return node.follows() ? Result<Reply>(write_elsewhere(node, request, to_buffer(as_bytes(request.body))))
                                  : post_chunk(node, request);
        },
        chunk_body_max);
    router.errors_by(error_reply);
}

}  // namespace altiplano::node::http
