#pragma once

#include "base/json.hpp"
#include "base/test_folder.hpp"
#include "item/ed25519.hpp"
#include "node/http/later.hpp"
#include "node/http/routes.hpp"

#include <gtest/gtest.h>

namespace altiplano::node::http {

/// For tests: a node's site, asked without a server. The node computes nothing: what runs as its worker is not there.
class TestSite : public testing::Test {
protected:
    TestSite() { open(); }

    void open(weave::Transactions::Options transactions = {})
    {
        site.reset();
        node.reset();
        node = Node::open({.data = folder / "data", .program = folder / "no-program", .transactions = transactions},
            system_files(), system_clock(), system_random())
                   .value();
        site = routes(*node);
    }

    Reply send(Request request, Bytes body = {}, std::size_t piece = 1000)
    {
        auto answer = site->open(std::move(request));
        if (auto* const reply = std::get_if<Reply>(&answer))
            return settled(std::move(*reply));
        auto& taker = *std::get<std::unique_ptr<Body>>(answer);
        for (; !body.empty(); body = body.subspan(std::min(piece, body.size())))
            if (const auto taken = taker.append(body.first(std::min(piece, body.size()))); !taken)
                return error_reply(taken.error());
        return settled(taker.finish());
    }
    Reply get(std::string path, std::vector<std::pair<std::string, std::string>> headers = {})
    {
        return send({.method = "GET", .path = std::move(path), .headers = std::move(headers)});
    }
    Reply post(std::string path, Bytes body, std::size_t piece = 100'000)
    {
        return send({.method = "POST", .path = std::move(path)}, body, piece);
    }
    /// Stores a data item. @return its id
    std::string put(std::string_view data, item::Tags tags = {})
    {
        const auto item = item::build({.tags = std::move(tags), .data = to_buffer(data)}, wallet).value();
        EXPECT_EQ(post("/tx", item.wire()).status, 200U);
        return item.id().text();
    }

    static std::string text_of(const Reply& reply)
    {
        if (!reply.data)
            return reply.body;
        Buffer part(reply.data_length);
        EXPECT_TRUE(reply.data->read_at(reply.data_offset, part));
        return to_string(part);
    }
    static std::string header(const Reply& reply, std::string_view name)
    {
        for (const auto& [key, value] : reply.headers)
            if (key == name)
                return value;
        return "";
    }
    /// A member of a reply's JSON as text; empty when there is none.
    static std::string member(const Reply& reply, std::string_view name)
    {
        const auto view = JsonView::parse(reply.body);
        const auto value = view ? view->find(name) : std::nullopt;
        return value ? value->text().value_or(std::string(value->raw())) : "";
    }
    static std::string code_of(const Reply& reply) { return member(reply, "code"); }

    TestFolder folder;
    item::Ed25519Signer wallet{std::array<std::byte, 32>{std::byte{1}}};
    std::unique_ptr<Node> node;
    std::unique_ptr<Site> site;
};

}  // namespace altiplano::node::http
