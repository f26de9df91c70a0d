// Two nodes and a socket between them: what one does not have, it reads from the other.
#include "item/rsa.hpp"
#include "node/http/server.hpp"
#include "node/http/test_site.hpp"

#include <fmt/format.h>

using namespace altiplano;
using namespace altiplano::node;
using namespace altiplano::node::http;

namespace {

class ANodeThatAsksAnother : public TestSite {
protected:
    ANodeThatAsksAnother()
    {
        server = Server::listen({{site.get(), 0}}, {}).value();
        inner = Node::open({.data = inner_folder / "data",
                               .program = inner_folder / "no-program",
                               .outer = {.gateways = {fmt::format("http://127.0.0.1:{}/", server->ports()[0])}}},
            system_files(), system_clock(), system_random())
                    .value();
        inner_site = routes(*inner);
    }
    Reply ask(std::string path)
    {
        auto answer = inner_site->open({.method = "GET", .path = std::move(path)});
        return std::move(std::get<Reply>(answer));
    }

    TestFolder inner_folder;
    std::unique_ptr<Server> server;
    std::unique_ptr<Node> inner;
    std::unique_ptr<Site> inner_site;
};

}  // namespace

TEST_F(ANodeThatAsksAnother, reads_an_item_once_and_has_it_then)
{
    const auto id = put(std::string(200'000, 'x'), {{"Content-Type", "text/plain"}, {"Name", "value"}});
    const auto height = inner->weave().tip().value().height;
    const auto reply = ask("/" + id);
    EXPECT_EQ(reply.status, 200U) << reply.body;
    EXPECT_EQ(reply.content_type, "text/plain");
    EXPECT_EQ(text_of(reply), std::string(200'000, 'x'));
    EXPECT_TRUE(inner->weave().check(ItemId::parse(id).value()));
    EXPECT_EQ(inner->weave().tip().value().height, height + 1);
    server.reset();
    EXPECT_EQ(ask("/raw/" + id).status, 200U);
    EXPECT_EQ(ask("/" + std::string(43, 'A')).status, 502U) << "nobody is there to ask";
}

TEST_F(ANodeThatAsksAnother, says_so_when_neither_has_it)
{
    EXPECT_EQ(ask("/" + std::string(43, 'A')).status, 404U);
    EXPECT_EQ(ask("/tx/" + std::string(43, 'A')).status, 404U);
}
