#include "node/http/router.hpp"

#include "base/json.hpp"
#include "node/errors.hpp"
#include "node/http/openapi.hpp"
#include "node/http/reply.hpp"

#include <gtest/gtest.h>
#include <set>
#include <tuple>

using namespace altiplano;
using namespace altiplano::node;
using namespace altiplano::node::http;

namespace {

Router::Handler says(std::string name)
{
    return [name](const Request& request) -> Result<Reply> {
        auto text = name;
        for (const auto& [parameter, value] : request.parameters)
            text += " " + parameter + "=" + value;
        return text_reply(text + request.body);
    };
}

Reply ask(Router& router, std::string method, std::string path, std::string_view body = {})
{
    auto answer = router.open({.method = std::move(method), .path = std::move(path)});
    if (auto* const reply = std::get_if<Reply>(&answer))
        return std::move(*reply);
    auto& taker = *std::get<std::unique_ptr<Body>>(answer);
    if (const auto taken = taker.append(as_bytes(body)); !taken)
        return error_reply(taken.error());
    return taker.finish();
}

std::string header(const Reply& reply, std::string_view name)
{
    for (const auto& [have, value] : reply.headers)
        if (have == name)
            return value;
    return "";
}

}  // namespace

TEST(Router, prefers_what_is_said_literally)
{
    Router router;
    router.get("/{id}", "", says("item"));
    router.get("/{id}/{path...}", "", says("manifest"));
    router.get("/tx/{id}", "", says("tx"));
    router.get("/tx/{id}/status", "", says("status"));
    router.get("/info", "", says("info"));
    router.get("/", "", says("root"));
    const std::pair<const char*, const char*> expected[] = {
        {"/", "root"},
        {"/info", "info"},
        {"/abc", "item id=abc"},
        {"/abc/", "manifest id=abc path="},
        {"/abc/a/b", "manifest id=abc path=a/b"},
        {"/tx/abc", "tx id=abc"},
        {"/tx/abc/status", "status id=abc"},
        {"/tx/abc/other", "manifest id=tx path=abc/other"},
        {"/info/x", "manifest id=info path=x"},
    };
    for (const auto& [path, answer] : expected)
        EXPECT_EQ(ask(router, "GET", path).body, answer) << path;
}

TEST(Router, says_what_a_path_takes)
{
    Router router;
    router.get("/thing", "", says("thing"));
    router.on("POST", "/thing", "", says("posted "), 10);
    EXPECT_EQ(ask(router, "HEAD", "/thing").status, 200U);
    EXPECT_EQ(ask(router, "POST", "/thing", "body").body, "posted body");
    const auto refused = ask(router, "DELETE", "/thing");
    EXPECT_EQ(refused.status, 405U);
    EXPECT_EQ(header(refused, "Allow"), "GET, HEAD, POST");
    EXPECT_EQ(ask(router, "GET", "/nothing").status, 404U);
    EXPECT_EQ(ask(router, "GET", "").status, 404U);
    const auto options = ask(router, "OPTIONS", "/thing");
    EXPECT_EQ(options.status, 204U);
    EXPECT_EQ(header(options, "Allow"), "GET, HEAD, POST, OPTIONS");
    EXPECT_EQ(ask(router, "POST", "/thing", "longer than ten").status, 413U);
}

TEST(Router, mounts_a_table_with_its_own_errors)
{
    Router unit;
    unit.errors_by([](const Error& error) { return Reply{.status = 400, .body = error.sentence}; });
    unit.get("/", "", says("unit"));
    unit.get("/{id}", "", [](const Request&) -> Result<Reply> { return fail(errors::unknown_path, "no such thing"); });
    Router router;
    router.get("/{id}", "", says("item"));
    router.mount("/su", unit);
    EXPECT_EQ(ask(router, "GET", "/su").body, "unit");
    EXPECT_EQ(ask(router, "GET", "/su/").body, "unit");
    EXPECT_EQ(ask(router, "GET", "/su/x").body, "no such thing");
    EXPECT_EQ(ask(router, "GET", "/su/x").status, 400U);
    EXPECT_EQ(ask(router, "GET", "/sux").body, "item id=sux");
}

TEST(Router, wants_a_key_for_what_writes)
{
    Router router;
    router.get("/thing", "", says("thing"));
    router.on("POST", "/thing", "", says("posted "), 10);
    router.on("POST", "/query", "", says("asked "), 10);
    router.reads("POST", "/query");
    const auto without_key = [&](std::string method, std::string path) {
        auto answer = router.open({.method = std::move(method), .path = std::move(path), .may_write = false});
        auto* const reply = std::get_if<Reply>(&answer);
        return reply ? reply->status : 0U;
    };
    EXPECT_EQ(without_key("GET", "/thing"), 200U);
    EXPECT_EQ(without_key("POST", "/thing"), 401U);
    EXPECT_EQ(without_key("POST", "/query"), 0U) << "takes the body";
}

TEST(Router, says_which_route_it_was)
{
    Router router;
    router.get("/{id}/x", "", says("x"));
    auto trace = std::make_shared<Trace>();
    std::ignore = router.open({.method = "GET", .path = "/abc/x", .trace = trace});
    EXPECT_EQ(trace->route, "/{id}/x");
}

TEST(OpenApi, has_every_route_of_the_table)
{
    Router unit;
    unit.get("/{id}", "an item", says("item"));
    unit.on("POST", "/", "a message", says("posted"), 10);
    Router router;
    router.get("/{id}/{path...}", "a manifest", says("manifest"));
    router.table("/openapi.json", "this", [](const Router& table) { return Reply{.body = openapi(table)}; });
    router.mount("/su", unit);
    const auto text = ask(router, "GET", "/openapi.json").body;
    const auto document = JsonView::parse(text);
    ASSERT_TRUE(document) << text;
    EXPECT_EQ(document->find("openapi")->string(), "3.1.0");
    std::set<std::string> ids;
    std::size_t operations = 0;
    for (const auto& [path, methods] : document->find("paths")->members())
        for (const auto& [method, operation] : methods.members()) {
            ++operations;
            ids.insert(operation.find("operationId")->string().value());
            EXPECT_TRUE(operation.find("responses")->find("default"));
        }
    EXPECT_EQ(operations, router.routes().size());
    EXPECT_EQ(ids.size(), operations) << "each has a name of its own";
    const auto manifest = document->find("paths")->find("/{id}/{path}")->find("get");
    EXPECT_EQ(manifest->find("parameters")->elements().size(), 2U);
    const auto post = document->find("paths")->find("/su/")->find("post");
    EXPECT_TRUE(post->find("requestBody"));
    EXPECT_TRUE(post->find("security"));
}
