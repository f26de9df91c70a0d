#include "node/http/layer1_routes.hpp"

#include "base/base64url.hpp"
#include "base/files.hpp"
#include "item/bundle.hpp"
#include "item/data_root.hpp"
#include "item/rsa.hpp"
#include "item/transaction.hpp"
#include "node/http/test_site.hpp"

#include <fmt/format.h>

using namespace altiplano;
using namespace altiplano::node;
using namespace altiplano::node::http;

namespace {

const item::RsaSigner& alice()
{
    static const auto key = item::RsaSigner::generate();
    return key;
}

Buffer pattern(std::size_t size)
{
    Buffer bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>(i * 7 + (i >> 8) * 13);
    return bytes;
}

class Layer1Routes : public TestSite {
protected:
    const std::string address = alice().address().text();
    const std::string bob = sha256(as_bytes("bob")).text();

    item::TransactionFields fields(Bytes data = {})
    {
        item::TransactionFields made{.anchor = from_base64url(text_of(get("/tx_anchor"))).value()};
        if (!data.empty()) {
            made.data_size = data.size();
            made.data_root = item::data_tree(data, item::Cut::balanced).root;
        }
        return made;
    }
    /// As arweave-js writes it.
    static std::string json(const item::Header& header, Bytes data = {})
    {
        const auto& layer1 = *header.layer1();
        JsonWriter json;
        json.begin_object()
            .member("format", std::uint64_t{2})
            .member("id", std::string_view(header.id().text()))
            .member("last_tx", std::string_view(base64url(header.anchor())))
            .member("owner", std::string_view(base64url(header.owner_key())));
        json.key("tags").begin_array();
        for (const auto& tag : header.tags())
            json.begin_object()
                .member("name", std::string_view(base64url(as_bytes(tag.name))))
                .member("value", std::string_view(base64url(as_bytes(tag.value))))
                .end_object();
        json.end_array();
        json.member("target", std::string_view(header.target() ? header.target()->text() : ""))
            .member("quantity", std::string_view(layer1.quantity.text()))
            .member("data", std::string_view(base64url(data)))
            .member("data_size", std::string_view(std::to_string(layer1.data_size)))
            .member("data_root", std::string_view(layer1.data_root ? layer1.data_root->text() : ""))
            .member("reward", std::string_view(layer1.reward.text()))
            .member("signature", std::string_view(base64url(header.signature())))
            .end_object();
        return std::move(json).text();
    }
    static std::string chunk_json(Bytes data, std::size_t index)
    {
        const auto tree = item::data_tree(data, item::Cut::balanced);
        const auto& one = tree.chunks.at(index);
        return fmt::format(R"({{"data_root":"{}","data_size":"{}","data_path":"{}","offset":"{}","chunk":"{}"}})",
            tree.root.text(), data.size(), base64url(one.path), one.end - 1,
            base64url(data.subspan(static_cast<std::size_t>(one.begin), static_cast<std::size_t>(one.end - one.begin))));
    }
    Reply post_json(const std::string& path, const std::string& body) { return post(path, as_bytes(body), 3000); }
};

}  // namespace

TEST_F(Layer1Routes, take_a_transaction_and_show_it_with_every_field)
{
    const auto data = pattern(1000);
    auto made = fields(data);
    made.tags = {{"Content-Type", "text/plain"}, {"Größe", "高原"}};
    const auto one = item::build_transaction(made, alice()).value();
    const auto posted = post_json("/tx", json(one, data));
    ASSERT_EQ(posted.status, 200U) << posted.body;
    EXPECT_EQ(member(posted, "id"), one.id().text());

    const auto at = "/tx/" + one.id().text();
    const auto shown = get(at);
    EXPECT_EQ(shown.status, 200U);
    EXPECT_EQ(shown.content_type, "application/json");
    // What is shown is what was posted, but for the data.
    EXPECT_EQ(item::read_transaction(shown.body).value().header.wire().size(), one.wire().size());
    EXPECT_TRUE(item::verify_data(item::read_transaction(shown.body).value().header, data));
    for (const auto* const name :
        {"id", "owner", "target", "quantity", "reward", "last_tx", "data_root", "data_size", "signature", "format"})
        EXPECT_EQ(text_of(get(at + "/" + name)), member(shown, name)) << name;
    EXPECT_EQ(text_of(get(at + "/tags")), member(shown, "tags"));
    EXPECT_EQ(text_of(get(at + "/data")), base64url(data));
    EXPECT_EQ(get(at + "/nothing").status, 404U);
    EXPECT_EQ(text_of(get("/" + one.id().text())), as_text(data));
    EXPECT_EQ(get("/" + one.id().text()).content_type, "text/plain");

    const auto status = get(at + "/status");
    EXPECT_EQ(member(status, "block_height"), member(posted, "height"));
    EXPECT_EQ(member(status, "number_of_confirmations"), "1");
    EXPECT_EQ(member(status, "block_indep_hash"), member(get("/block/height/" + member(posted, "height")), "indep_hash"));
    EXPECT_EQ(post_json("/tx", json(one, data)).status, 208U);
}

TEST_F(Layer1Routes, take_chunks_and_give_them_back)
{
    const auto data = pattern(2 * item::chunk_bytes_max + 50'000);
    const auto one = item::build_transaction(fields(data), alice()).value();
    const auto at = "/tx/" + one.id().text();
    EXPECT_EQ(member(post_json("/tx", json(one)), "pending"), "true");
    EXPECT_EQ(get(at + "/status").status, 202U);
    EXPECT_EQ(get(at).status, 200U) << "who goes on with an upload asks for it";
    EXPECT_EQ(get(at + "/offset").status, 404U);
    EXPECT_EQ(get("/" + one.id().text()).status, 404U);
    EXPECT_EQ(get("/tx/pending").body, "[\"" + one.id().text() + "\"]\n");
    for (const std::size_t index : {0U, 1U, 2U})
        EXPECT_EQ(member(post_json("/chunk", chunk_json(data, index)), "whole"), index == 2 ? "true" : "false");
    EXPECT_EQ(get("/tx/pending").body, "[]\n");
    EXPECT_EQ(text_of(get("/" + one.id().text())), as_text(data));

    // As arweave-js downloads: chunk by chunk from the first byte on.
    const auto place = get(at + "/offset");
    const auto size = std::stoull(member(place, "size"));
    const auto first = std::stoull(member(place, "offset")) - size + 1;
    Buffer got;
    while (got.size() < size) {
        const auto chunk = get("/chunk/" + std::to_string(first + got.size()));
        ASSERT_EQ(chunk.status, 200U);
        const auto bytes = from_base64url(member(chunk, "chunk")).value();
        const auto path = from_base64url(member(chunk, "data_path")).value();
        EXPECT_EQ(item::follow(path, *one.layer1()->data_root, size, got.size()).value().data_hash, sha256(bytes));
        append(got, bytes);
    }
    EXPECT_EQ(got, data);
    EXPECT_EQ(get("/chunk/" + std::to_string(first + size)).status, 404U);
}

TEST_F(Layer1Routes, say_of_a_refused_chunk_the_word_that_ends_an_upload)
{
    const auto data = pattern(300'000);
    ASSERT_EQ(post_json("/tx", json(item::build_transaction(fields(data), alice()).value())).status, 200U);
    const auto refused = [&](const std::string& body, std::string_view word) {
        const auto reply = post_json("/chunk", body);
        EXPECT_EQ(reply.status, word.ends_with("_too_big") ? 413U : 400U) << body.substr(0, 100);
        EXPECT_EQ(member(reply, "error"), word) << body.substr(0, 100);
        EXPECT_NE(member(reply, "sentence"), "");
    };
    auto changed = chunk_json(data, 0);
    changed[changed.size() - 5] = changed[changed.size() - 5] == 'A' ? 'B' : 'A';
    refused(changed, "invalid_proof");
    refused(chunk_json(pattern(5), 0), "data_root_not_found");
    for (const auto* const body : {"", "{", "[]", "{}", R"({"data_root":7})", R"({"data_root":"x","chunk":[]})"})
        refused(body, "invalid_json");
    refused(fmt::format(R"({{"data_root":"{}","data_size":"1","data_path":"","offset":"0","chunk":"{}"}})", bob,
                base64url(Buffer(item::chunk_bytes_max + 1))),
        "chunk_too_big");
    refused(fmt::format(R"({{"data_root":"{}","data_size":"9","data_path":"{}","offset":"0","chunk":""}})", bob,
                base64url(Buffer(item::data_path_bytes_max + 1))),
        "data_path_too_big");
    refused(fmt::format(R"({{"data_root":"{}","data_size":"5","data_path":"","offset":"5","chunk":""}})", bob), "offset_too_big");
    refused(fmt::format(R"({{"data_root":"{}","data_size":"{}","data_path":"","offset":"5","chunk":""}})", bob, UINT64_MAX),
        "data_size_too_big");
    refused(fmt::format(R"({{"data_root":"{}","data_size":"-1","data_path":"","offset":"0","chunk":""}})", bob), "invalid_json");
    EXPECT_EQ(post("/chunk", Buffer(600 * 1024, std::byte{' '})).status, 413U);
    EXPECT_EQ(get("/chunk/0").status, 404U);
    EXPECT_EQ(get("/chunk/x").status, 400U);
    EXPECT_EQ(get("/chunk/18446744073709551616").status, 400U);
    EXPECT_EQ(get("/chunk/18446744073709551615").status, 404U);
}

TEST_F(Layer1Routes, move_test_ar_that_was_minted_and_is_labelled_so)
{
    EXPECT_EQ(text_of(get("/wallet/" + address + "/balance")), "0");
    const auto minted = get("/mint/" + address + "/66000000000000000000");
    EXPECT_EQ(minted.body, "66000000000000000000");
    EXPECT_NE(header(minted, "X-Altiplano-Development"), "");
    auto made = fields();
    made.target = Digest::parse(bob).value();
    made.quantity = item::Winston::parse("65000000000000000000").value();
    const auto one = item::build_transaction(made, alice()).value();
    ASSERT_EQ(post_json("/tx", json(one)).status, 200U);
    EXPECT_EQ(get("/wallet/" + address + "/balance").body, "1000000000000000000");
    EXPECT_EQ(get("/wallet/" + bob + "/balance").body, "65000000000000000000");
    EXPECT_EQ(get("/wallet/" + address + "/last_tx").body, one.id().text());
    EXPECT_EQ(get("/wallet/" + bob + "/last_tx").body, "");
    const auto again = post_json("/tx", json(item::build_transaction(made, alice()).value()));
    EXPECT_EQ(again.status, 208U) << "the same fields are the same transaction";
    made.tags = {{"Another", "one"}};
    const auto poor = post_json("/tx", json(item::build_transaction(made, alice()).value()));
    EXPECT_EQ(poor.status, 400U);
    EXPECT_EQ(code_of(poor), "weave.no_funds");
    for (const auto* const path : {"/wallet/short/balance", "/wallet/0x00/last_tx", "/mint/short/1"})
        EXPECT_EQ(get(path).status, 400U) << path;
    for (const auto* const amount : {"-1", "1.5", "x", "999999999999999999999999999999999999999"})
        EXPECT_EQ(code_of(get("/mint/" + address + "/" + amount)), "item.bad_amount") << amount;

    open({.mint = false});
    EXPECT_EQ(get("/mint/" + address + "/1").status, 403U);
    EXPECT_EQ(get("/mine").status, 403U);
}

TEST_F(Layer1Routes, show_in_graphql_what_a_transaction_pays_and_which_bundle_an_item_came_in)
{
    get("/mint/" + address + "/5000000000000");
    auto made = fields();
    made.target = Digest::parse(bob).value();
    made.quantity = item::Winston(1'500'000'000'000);
    made.reward = item::Winston(7);
    made.tags = {{"App-Name", "Shop"}};
    const auto one = item::build_transaction(made, alice()).value();
    ASSERT_EQ(post_json("/tx", json(one)).status, 200U);
    const auto query = [&](const std::string& arguments) {
        return post_json("/graphql",
            fmt::format(
                R"({{"query":"{{ transactions({}) {{ edges {{ node {{ id recipient fee {{ winston }} quantity {{ ar }} bundledIn {{ id }} }} }} }} }}"}})",
                arguments))
            .body;
    };
    const auto shown = fmt::format(
        R"({{"data":{{"transactions":{{"edges":[{{"node":{{"id":"{}","recipient":"{}","fee":{{"winston":"7"}},"quantity":{{"ar":"1.500000000000"}},"bundledIn":null}}}}]}}}}}})",
        one.id().text(), bob);
    EXPECT_EQ(query(R"(tags: [{name: \"App-Name\", values: [\"Shop\"]}])"), shown + "\n");
    EXPECT_EQ(query(fmt::format(R"(recipients: [\"{}\"], bundledIn: null)", bob)), shown + "\n");

    const auto member = item::build({.tags = {{"Type", "Member"}}, .data = to_buffer("x")}, wallet).value();
    const auto wire = member.wire();
    const auto bundle =
        put(as_text(item::encode_bundle({{member.id(), wire}})), {{"Bundle-Format", "binary"}, {"Bundle-Version", "2.0.0"}});
    EXPECT_NE(query(fmt::format(R"(bundledIn: [\"{}\"])", bundle)).find(member.id().text()), std::string::npos);
}

TEST_F(Layer1Routes, price_bytes_as_the_node_is_told_to)
{
    EXPECT_EQ(get("/price/1000").body, "0");
    open({.price = {.base = item::Winston(7), .per_byte = item::Winston(2)}});
    EXPECT_EQ(get("/price/1000").body, "2007");
    EXPECT_EQ(get("/price/1000/" + bob).body, "2007");
    EXPECT_EQ(get("/price/-1").status, 400U);
    EXPECT_EQ(get("/price/99999999999999999999").status, 400U);
}

TEST_F(Layer1Routes, show_blocks_by_height_by_hash_and_the_newest)
{
    const auto id = put("data");
    const auto height = get("/height").body;
    const auto block = get("/block/height/" + height);
    EXPECT_EQ(member(block, "txs"), "[\"" + id + "\"]");
    EXPECT_EQ(get("/block/hash/" + member(block, "indep_hash")).body, block.body);
    EXPECT_EQ(get("/block/current").body, block.body);
    EXPECT_EQ(member(get("/info"), "current"), member(block, "indep_hash"));
    EXPECT_EQ(member(get("/"), "height"), height);
    EXPECT_EQ(get("/tx_anchor").body, member(block, "indep_hash"));
    EXPECT_NEAR(std::stod(member(block, "timestamp")), std::stod(get("/time").body), 60) << "in seconds";
    EXPECT_EQ(member(get("/block/height/0"), "previous_block"), "");
    EXPECT_EQ(member(get("/mine"), "height"), height) << "the post has sealed it";
    EXPECT_EQ(member(get("/mine"), "height"), std::to_string(std::stoull(height) + 1));
    EXPECT_EQ(member(get("/mine/3"), "height"), std::to_string(std::stoull(height) + 4));
    EXPECT_EQ(member(get("/block/current"), "txs"), "[]");
    EXPECT_EQ(get("/block/height/999999").status, 404U);
    EXPECT_EQ(get("/block/height/-1").status, 400U);
    EXPECT_EQ(get("/block/height/18446744073709551615").status, 404U);
    EXPECT_EQ(get("/block/hash/" + bob).status, 404U);
    EXPECT_EQ(get("/block/hash/short").status, 400U);
    EXPECT_EQ(get("/mine/1001").status, 400U);
    EXPECT_EQ(get("/peers").body, "[]\n");
}

TEST_F(Layer1Routes, show_of_a_data_item_what_it_has)
{
    const auto id = put("data", {{"Name", "value"}});
    const auto shown = get("/tx/" + id);
    EXPECT_EQ(member(shown, "data_item"), "true");
    EXPECT_EQ(member(shown, "data_size"), "4");
    EXPECT_EQ(text_of(get("/tx/" + id + "/data")), base64url(as_bytes("data")));
    EXPECT_EQ(get("/tx/" + id + "/status").status, 200U);
    EXPECT_EQ(get("/tx/" + id + "/offset").status, 404U);
    for (const auto* const rest : {"", "/status", "/offset", "/data", "/owner"}) {
        EXPECT_EQ(get("/tx/" + bob + rest).status, 404U) << rest;
        EXPECT_EQ(get(std::string("/tx/short") + rest).status, 400U) << rest;
    }
}

TEST_F(Layer1Routes, take_what_arbundles_makes_and_name_its_members)
{
    const auto vectors =
        to_string(read_file(system_files(), Path(ALTIPLANO_SOURCE_DIR) / "tests/vectors/transactions.json").value());
    const auto bundles = *JsonView::parse(vectors)->find("bundles");
    const auto wire = from_base64url(bundles.find("item")->string().value()).value();
    for (const auto* const path : {"/tx", "/tx/arweave", "/v1/tx/solana"}) {
        const auto posted = post(path, wire);
        ASSERT_EQ(posted.status, 200U) << posted.body;
        const auto bundle = JsonView::parse(posted.body)->find("bundle");
        ASSERT_TRUE(bundle) << posted.body;
        EXPECT_EQ(bundle->find("members")->integer(), 5);
        EXPECT_EQ(bundle->find("refused")->integer(), 0);
        EXPECT_EQ(JsonView::parse(posted.body)->find("timestamp")->kind(), JsonView::Kind::number);
    }
    for (const auto* const list : {"members", "inner"}) {
        const auto members = list == std::string("inner") ? bundles.find("inner")->find("members") : bundles.find("members");
        for (const auto& one : members->elements()) {
            const auto reply = get("/" + one.find("id")->string().value());
            EXPECT_EQ(base64url(as_bytes(text_of(reply))), one.find("data")->string().value());
        }
    }
    // Its anchor is of no weave: a wallet's first transaction needs none.
    const auto posted = post_json("/tx", std::string(bundles.find("transaction")->raw()));
    EXPECT_EQ(posted.status, 200U) << posted.body;
}

TEST_F(Layer1Routes, refuse_by_name_what_is_neither_an_item_nor_a_transaction)
{
    const auto before = get("/height").body;
    EXPECT_EQ(code_of(post_json("/tx", "{")), "item.bad_transaction");
    EXPECT_EQ(code_of(post_json("/tx", " \n {\"format\":2}")), "item.bad_transaction");
    EXPECT_EQ(code_of(post_json("/tx", "")), "item.truncated");
    EXPECT_EQ(code_of(post_json("/tx", "[]")), "item.bad_signature_type");
    EXPECT_EQ(code_of(post_json("/tx", std::string(2000, '['))), "item.bad_signature_type");
    const auto piece = Buffer(1 << 20, std::byte{' '});
    auto answer = site->open({.method = "POST", .path = "/tx"});
    auto& body = std::get<std::unique_ptr<Body>>(answer);
    Result<void> taken = body->append(as_bytes("{"));
    for (int pieces = 0; taken && pieces < 100; ++pieces)
        taken = body->append(piece);
    EXPECT_EQ(taken.error().code, "node.body_over_limit");
    for (const auto* const method : {"PUT", "DELETE", "PATCH"})
        for (const auto* const path : {"/tx", "/chunk", "/tx_anchor", "/price/1", "/mine", "/info"})
            EXPECT_EQ(send({.method = method, .path = path}).status, 405U) << method << path;
    EXPECT_EQ(get("/height").body, before);
}
