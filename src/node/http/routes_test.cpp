#include "node/http/routes.hpp"

#include "node/http/test_site.hpp"

#include <fmt/format.h>

using namespace altiplano;
using namespace altiplano::node;
using namespace altiplano::node::http;

namespace {

class ANodesRoutes : public TestSite {
protected:
    item::DataItem data_item(std::string data, item::Tags tags = {})
    {
        return item::build({.tags = std::move(tags), .data = to_buffer(data)}, wallet).value();
    }
    Reply get(std::string path, std::string range = "", std::string if_none_match = "")
    {
        Request request{.method = "GET", .path = std::move(path)};
        if (!range.empty())
            request.headers.emplace_back("range", std::move(range));
        if (!if_none_match.empty())
            request.headers.emplace_back("if-none-match", std::move(if_none_match));
        return send(std::move(request));
    }
    /// @return the path of the stored item
    std::string put(std::string_view data, item::Tags tags = {}) { return "/" + TestSite::put(data, std::move(tags)); }
    std::uint64_t height() { return node->weave().tip().value().height; }
};

}  // namespace

TEST_F(ANodesRoutes, give_an_item_s_data_whole_under_both_names)
{
    const auto path = put("0123456789", {{"Content-Type", "text/plain"}});
    for (const auto& at : {path, "/raw" + path}) {
        const auto reply = get(at);
        EXPECT_EQ(reply.status, 200U);
        EXPECT_EQ(reply.content_type, "text/plain");
        EXPECT_EQ(text_of(reply), "0123456789");
        EXPECT_EQ(header(reply, "Accept-Ranges"), "bytes");
    }
}

TEST_F(ANodesRoutes, give_the_part_that_a_range_names)
{
    const auto path = put("0123456789");
    const auto part = [&](const std::string& range, const std::string& data, const std::string& says) {
        const auto reply = get(path, range);
        EXPECT_EQ(reply.status, 206U) << range;
        EXPECT_EQ(text_of(reply), data) << range;
        EXPECT_EQ(header(reply, "Content-Range"), says) << range;
    };
    part("bytes=2-4", "234", "bytes 2-4/10");
    part("bytes=0-0", "0", "bytes 0-0/10");
    part("bytes=7-", "789", "bytes 7-9/10");
    part("bytes=8-99", "89", "bytes 8-9/10");
    part("bytes=-3", "789", "bytes 7-9/10");
    part("bytes=-99", "0123456789", "bytes 0-9/10");
}

TEST_F(ANodesRoutes, give_the_whole_for_a_range_that_makes_no_sense)
{
    const auto path = put("0123456789");
    for (const auto& range : std::vector<std::string>{"bytes=4-2", "bytes=", "bytes=-", "bytes=x-y", "items=0-1", "bytes=1-2,x",
             "bytes=0x1-2", "bytes=99999999999999999999-", "bytes=-x", "2-4"}) {
        const auto reply = get(path, range);
        EXPECT_EQ(reply.status, 200U) << range;
        EXPECT_EQ(text_of(reply), "0123456789") << range;
        EXPECT_EQ(header(reply, "Content-Range"), "") << range;
    }
}

TEST_F(ANodesRoutes, refuse_a_range_that_holds_no_byte)
{
    const auto path = put("0123456789");
    for (const auto& range : std::vector<std::string>{"bytes=10-", "bytes=10-12", "bytes=-0"}) {
        const auto reply = get(path, range);
        EXPECT_EQ(reply.status, 416U) << range;
        EXPECT_EQ(code_of(reply), "node.bad_range") << range;
    }
    EXPECT_EQ(get(put(""), "bytes=0-").status, 416U);
}

TEST_F(ANodesRoutes, give_parts_of_data_that_lies_in_a_blob)
{
    std::string large(3 * store::Blobs::size_min, 'a');
    large[large.size() - 2] = 'b';
    const auto path = put(large);
    EXPECT_EQ(text_of(get(path)), large);
    EXPECT_EQ(text_of(get(path, "bytes=-3")), "aba");
}

TEST_F(ANodesRoutes, say_that_a_client_has_the_item_already)
{
    const auto path = put("0123456789");
    const auto tag = header(get(path), "ETag");
    EXPECT_EQ(tag, "\"" + path.substr(1) + "\"");
    const auto reply = get(path, "", tag);
    EXPECT_EQ(reply.status, 304U);
    EXPECT_EQ(text_of(reply), "");
    EXPECT_EQ(get(path, "", "\"another\"").status, 200U);
}

TEST_F(ANodesRoutes, keep_a_stranger_s_page_from_acting_here)
{
    for (const auto& type : std::vector<std::string>{"text/html", "image/svg+xml", "application/xhtml+xml"})
        EXPECT_EQ(header(get(put("<script>", {{"Content-Type", type}})), "Content-Security-Policy"), "sandbox") << type;
    EXPECT_EQ(header(get(put("x", {{"Content-Type", "text/plain"}})), "Content-Security-Policy"), "");
}

TEST_F(ANodesRoutes, let_no_tag_begin_another_header)
{
    EXPECT_EQ(get(put("x", {{"Content-Type", "text/plain\r\nSet-Cookie: a=b"}})).content_type, "text/plainSet-Cookie: a=b");
}

TEST_F(ANodesRoutes, say_by_code_what_is_not_there)
{
    const std::string id(43, 'A');
    const auto check = [&](const std::string& path, unsigned status, std::string_view code) {
        const auto reply = get(path);
        EXPECT_EQ(reply.status, status) << path;
        EXPECT_EQ(code_of(reply), code) << path;
    };
    check("/" + id, 404, "weave.unknown_item");
    check("/raw/" + id, 404, "weave.unknown_item");
    check("/nothing", 404, "node.unknown_path");
    check("/a/b/c", 404, "node.unknown_path");
    check("/~altiplano/nothing", 404, "node.unknown_path");
    check("/~altiplano/process/" + id, 404, "scheduler.unknown_process");
    check("/~altiplano/console/" + id, 404, "scheduler.unknown_process");
    check("/~altiplano/result/" + id + "/0", 404, "scheduler.unknown_process");
    check("/~altiplano/slot/" + id + "/" + id, 404, "scheduler.unknown_process");
    check("/~altiplano/process/short", 400, "base.bad_id");
    check("/~altiplano/result/" + id + "/one", 400, "node.bad_request");
    check("/~altiplano/result/" + id + "/18446744073709551616", 400, "node.bad_request");
    check("/~altiplano/items", 400, "node.bad_request");
    EXPECT_EQ(post("/nothing", {}).status, 405U);
    EXPECT_EQ(post("/nothing/at/all", {}).status, 405U);
}

TEST_F(ANodesRoutes, store_nothing_of_an_item_that_is_cut_or_forged)
{
    const auto before = height();
    for (const auto& data : std::vector<std::string>{std::string("0123456789"), std::string(2 * store::Blobs::size_min, 'x')}) {
        const auto item = data_item(data);
        auto wire = item.wire();
        for (const std::size_t kept : {std::size_t{0}, std::size_t{1}, std::size_t{90}, wire.size() - 1}) {
            const auto reply = post("/tx", Bytes(wire).first(kept));
            EXPECT_EQ(reply.status, 400U) << kept;
            EXPECT_TRUE(code_of(reply).starts_with("item.")) << code_of(reply);
        }
        wire.back() ^= std::byte{1};
        EXPECT_EQ(code_of(post("/tx", wire)), "item.bad_signature");
        EXPECT_EQ(get("/" + item.id().text()).status, 404U);
    }
    EXPECT_EQ(height(), before);
    for (const auto& file : std::filesystem::recursive_directory_iterator(DataFolder{folder / "data"}.blobs()))
        EXPECT_FALSE(file.is_regular_file()) << file.path() << " was left";
}

TEST_F(ANodesRoutes, answer_the_same_item_twice_with_one_copy)
{
    const auto wire = data_item("0123456789").wire();
    const auto first = post("/tx", wire);
    const auto after = height();
    EXPECT_EQ(post("/tx", wire, 7).body, first.body);
    EXPECT_EQ(height(), after);
}

TEST_F(ANodesRoutes, refuse_a_message_over_the_limit_before_it_is_whole)
{
    const Buffer piece(1 << 20);
    auto answer = site->open({.method = "POST", .path = "/"});
    auto& body = std::get<std::unique_ptr<Body>>(answer);
    Result<void> taken;
    std::size_t pieces = 0;
    for (; taken && pieces < 100; ++pieces)
        taken = body->append(piece);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, "node.body_over_limit");
    EXPECT_EQ(pieces, 65U) << "64 MiB fit";
    EXPECT_EQ(error_reply(taken.error()).status, 413U);
}

TEST_F(ANodesRoutes, refuse_messages_that_have_no_process_and_store_nothing)
{
    const auto before = height();
    const auto lost = item::build({.target = Digest{}, .tags = {{"Data-Protocol", "ao"}, {"Type", "Message"}}}, wallet).value();
    const auto reply = post("/", lost.wire());
    EXPECT_EQ(reply.status, 404U);
    EXPECT_EQ(code_of(reply), "scheduler.unknown_process");
    EXPECT_EQ(post("/", data_item("no message").wire()).status, 400U);
    EXPECT_EQ(post("/", to_buffer("garbage")).status, 400U);
    EXPECT_EQ(height(), before);
}

TEST_F(ANodesRoutes, find_items_by_their_tags)
{
    const auto path = put("x", {{"Type", "Module"}, {"Name", "n"}});
    put("y", {{"Type", "Module"}, {"Name", "other"}});
    const auto query = [&](std::vector<std::pair<std::string, std::string>> tags) {
        return send({.method = "GET", .path = "/~altiplano/items", .query = std::move(tags)}).body;
    };
    EXPECT_EQ(query({{"Type", "Module"}, {"Name", "n"}}), fmt::format("{{\"ids\":[\"{}\"],\"more\":false}}\n", path.substr(1)));
    EXPECT_EQ(query({{"Type", "Module"}, {"Name", "n"}, {"owner", wallet.address().text()}}),
        fmt::format("{{\"ids\":[\"{}\"],\"more\":false}}\n", path.substr(1)));
    EXPECT_EQ(query({{"Name", "n"}, {"owner", "somebody"}}), "{\"ids\":[],\"more\":false}\n");
}

TEST_F(ANodesRoutes, answer_graphql_in_every_way_that_clients_ask)
{
    const auto id = put("x", {{"Name", "n"}}).substr(1);
    const std::string query = R"({ transactions(tags: [{name: \"Name\", values: [\"n\"]}]) { edges { node { id } } } })";
    const auto found = fmt::format("{{\"data\":{{\"transactions\":{{\"edges\":[{{\"node\":{{\"id\":\"{}\"}}}}]}}}}}}\n", id);
    EXPECT_EQ(text_of(post("/graphql", as_bytes("{\"query\": \"" + query + "\"}"))), found);
    EXPECT_EQ(text_of(post("/graphql", as_bytes("{\"query\": \"" + query + "\", \"variables\": null, \"operationName\": null}"))),
        found);
    const auto by_id = fmt::format("{{\"data\":{{\"transaction\":{{\"id\":\"{}\"}}}}}}\n", id);
    const std::string named = "query A($i: ID!) { transaction(id: $i) { id } } query B { __typename }";
    EXPECT_EQ(text_of(post("/graphql",
                  as_bytes(fmt::format(
                      "{{\"query\": \"{}\", \"variables\": {{\"i\": \"{}\"}}, \"operationName\": \"A\"}}", named, id)))),
        by_id);
    EXPECT_EQ(text_of(send({.method = "GET",
                  .path = "/graphql",
                  .query = {{"query", named}, {"variables", fmt::format("{{\"i\": \"{}\"}}", id)}, {"operationName", "A"}}})),
        by_id);
    EXPECT_EQ(text_of(send({.method = "POST", .path = "/graphql", .headers = {{"content-type", "application/graphql"}}},
                  as_bytes("{ __typename }"))),
        "{\"data\":{\"__typename\":\"Query\"}}\n");
}

TEST_F(ANodesRoutes, refuse_what_is_no_graphql_in_graphqls_own_shape)
{
    const auto refused = [&](const std::string& body) {
        const auto reply = post("/graphql", as_bytes(body));
        EXPECT_EQ(reply.status, 400U) << body;
        return JsonView::parse(reply.body).value().find("errors")->elements().at(0).find("extensions")->find("code")->string();
    };
    EXPECT_EQ(refused(""), "gateway.bad_request");
    EXPECT_EQ(refused("[1"), "gateway.bad_request");
    EXPECT_EQ(refused("{\"query\": 5}"), "gateway.bad_request");
    EXPECT_EQ(refused("[{\"query\": \"{ __typename }\"}]"), "gateway.bad_request");
    EXPECT_EQ(refused("{\"query\": \"{ \\n a( }\"}"), "gateway.syntax");
    EXPECT_EQ(refused("{\"query\": \"{ a }\"}"), "gateway.bad_query");
    EXPECT_EQ(refused("{\"query\": \"query ($i: ID!) { transaction(id: $i) { id } }\"}"), "gateway.bad_variable");
    EXPECT_EQ(send({.method = "GET", .path = "/graphql"}).status, 400U);
    EXPECT_EQ(code_of(post("/graphql", as_bytes(std::string((2 << 20) + 1, ' ')))), "node.body_over_limit");
}

TEST_F(ANodesRoutes, say_which_weave_and_which_keys)
{
    const auto reply = get("/info");
    const auto view = JsonView::parse(reply.body).value();
    EXPECT_EQ(view.find("weave")->string(), node->weave().id().text());
    EXPECT_EQ(view.find("authority")->string(), node->authority().text());
    EXPECT_EQ(view.find("scheduler")->string(), node->scheduler().address().text());
    EXPECT_NE(view.find("authority")->string(), view.find("scheduler")->string());
}

TEST_F(ANodesRoutes, are_the_same_after_the_node_was_opened_again)
{
    const auto path = put("kept");
    const auto info = get("/info").body;
    site.reset();
    node.reset();
    node =
        Node::open({.data = folder / "data", .program = folder / "no-program"}, system_files(), system_clock(), system_random())
            .value();
    site = routes(*node);
    EXPECT_EQ(text_of(get(path)), "kept");
    EXPECT_EQ(get("/info").body, info);
}
