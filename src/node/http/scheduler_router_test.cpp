#include "node/http/scheduler_router.hpp"

#include "base/test_folder.hpp"
#include "item/ed25519.hpp"

#include <map>

using namespace altiplano;
using namespace altiplano::node;
using namespace altiplano::node::http;

namespace {

class ASchedulerRouter : public testing::Test {
protected:
    ASchedulerRouter() { open(); }
    void open()
    {
        node.reset();
        node = Node::open(
            {.data = folder / "data", .program = folder / "no-program"}, system_files(), system_clock(), system_random())
                   .value();
        site = std::make_unique<Router>(scheduler_router(*node, {"http://one:4003/", "http://two:4003"}));
    }
    item::DataItem process(std::string name)
    {
        return item::build({.tags = {{"Type", "Process"}, {"Name", std::move(name)}}}, wallet).value();
    }
    Reply send(Request request, const Buffer& body = {})
    {
        auto answer = site->open(std::move(request));
        if (auto* const reply = std::get_if<Reply>(&answer))
            return std::move(*reply);
        auto& taker = *std::get<std::unique_ptr<Body>>(answer);
        EXPECT_TRUE(taker.append(body));
        return taker.finish();
    }
    Reply post(const item::DataItem& item) { return send({.method = "POST", .target = "/", .path = "/"}, item.wire()); }
    Reply get(std::string path, const std::string& process = "")
    {
        Request request{.method = "GET", .target = path, .path = path};
        if (!process.empty()) {
            request.query = {{"process-id", process}};
            request.target += "?process-id=" + process;
        }
        return send(std::move(request));
    }
    static std::string location(const Reply& reply)
    {
        for (const auto& [name, value] : reply.headers)
            if (name == "Location")
                return reply.status == 307 ? value : "not 307";
        return "status " + std::to_string(reply.status);
    }

    TestFolder folder;
    item::Ed25519Signer wallet{std::array<std::byte, 32>{std::byte{1}}};
    std::unique_ptr<Node> node;
    std::unique_ptr<Router> site;
};

}  // namespace

TEST_F(ASchedulerRouter, gives_each_new_process_to_the_scheduler_with_fewest_and_keeps_to_it)
{
    std::map<std::string, int> count;
    for (int i = 0; i < 6; ++i)
        ++count[location(post(process(std::to_string(i))))];
    EXPECT_EQ(count, (std::map<std::string, int>{{"http://one:4003/", 3}, {"http://two:4003/", 3}}));

    const auto first = location(post(process("0")));
    open();
    EXPECT_EQ(location(post(process("0"))), first) << "also after a restart";
    const auto seventh = process("7");
    EXPECT_EQ(location(post(seventh)), location(post(seventh)));
}

TEST_F(ASchedulerRouter, sends_whatever_is_about_a_process_to_its_scheduler)
{
    const auto item = process("0");
    const auto pid = item.id().text();
    const auto base = location(post(item));
    EXPECT_EQ(location(get("/", pid)), base + "?process-id=" + pid);
    EXPECT_EQ(location(get("/timestamp", pid)), base + "timestamp?process-id=" + pid);
    EXPECT_EQ(location(get("/" + pid, pid)), base + pid + "?process-id=" + pid);
    EXPECT_EQ(location(get("/processes/" + pid)), base + "processes/" + pid);
    EXPECT_EQ(location(get("/" + pid + "/latest")), base + pid + "/latest");
    const auto message = item::build({.target = Digest(item.id()), .tags = {{"Type", "Message"}}}, wallet).value();
    EXPECT_EQ(location(post(message)), base);
    Request assign{.method = "POST",
        .target = "/su?process-id=" + pid + "&assign=x",
        .path = "/",
        .query = {{"process-id", pid}, {"assign", "x"}}};
    EXPECT_EQ(location(send(std::move(assign))), base + "?process-id=" + pid + "&assign=x") << "mounted or not";
}

TEST_F(ASchedulerRouter, knows_nothing_of_others)
{
    const auto stranger = ProcessId(sha256(as_bytes("stranger"))).text();
    const auto said = [](const Reply& reply) { return std::to_string(reply.status) + " " + reply.body.substr(0, 60); };
    EXPECT_TRUE(said(get("/")).starts_with(R"(400 {"error":"No process-id query parameter provided)"));
    EXPECT_TRUE(said(get("/", stranger)).starts_with(R"(400 {"error":"Unable to locate scheduler for process-id)"));
    EXPECT_TRUE(said(get("/", "x")).starts_with(R"(400 {"error":"Unable to locate scheduler for process-id)"));
    const auto message = item::build({.target = sha256(as_bytes("stranger")), .tags = {{"Type", "Message"}}}, wallet).value();
    EXPECT_TRUE(said(post(message)).starts_with(R"(400 {"error":"Unable to locate scheduler for message target)"));
    auto forged = process("forged").wire();
    forged.back() ^= std::byte{1};
    EXPECT_EQ(send({.method = "POST", .target = "/", .path = "/"}, forged).status, 400U);
    EXPECT_TRUE(node->records().metas("route ").value().empty()) << "what is not signed takes no place";
}
