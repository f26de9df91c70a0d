#include "weave/outer.hpp"

#include "base/base64url.hpp"
#include "base/json.hpp"
#include "base/test_folder.hpp"
#include "item/bundle.hpp"
#include "item/ed25519.hpp"
#include "item/ethereum.hpp"
#include "item/rsa.hpp"
#include "store/sqlite/sqlite.hpp"
#include "weave/errors.hpp"

#include <filesystem>
#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::weave;

namespace {

/// A gateway made of answers: "METHOD URL" to a status and a body.
class SaidHttp final : public net::Http {
public:
    Result<net::Response> send(const net::Request& request) override
    {
        asked.push_back(request.method + " " + request.url);
        const auto known = answers.find(asked.back());
        if (known == answers.end())
            return net::Response{.status = 404};
        return net::Response{.status = 200, .body = known->second};
    }
    Result<net::Response> download(const net::Request& request, const std::function<Result<void>(Bytes)>& take) override
    {
        TRY(auto answer, send(request));
        for (auto rest = as_bytes(answer.body); answer.status == 200 && !rest.empty();
            rest = rest.subspan(std::min<std::size_t>(1000, rest.size())))
            TRY_OK(take(rest.first(std::min<std::size_t>(1000, rest.size()))));
        answer.body.clear();
        return answer;
    }
    void stop() override { }

    std::map<std::string, std::string> answers;
    std::vector<std::string> asked;
};

class HandClock final : public Clock {
public:
    std::int64_t wall_ms() const override { return now_ms; }
    std::int64_t monotonic_ns() const override { return 0; }
    void sleep_ms(std::int64_t) override { }
    std::int64_t now_ms = 1000;
};

const item::RsaSigner& alice()
{
    static const auto key = item::RsaSigner::generate();
    return key;
}

class AnOuterGateway : public testing::Test {
protected:
    std::string tags_json(const item::Tags& tags, bool coded)
    {
        std::string json = "[";
        for (const auto& tag : tags)
            json += fmt::format(R"({}{{"name":"{}","value":"{}"}})", json.size() > 1 ? "," : "",
                coded ? base64url(as_bytes(tag.name)) : tag.name, coded ? base64url(as_bytes(tag.value)) : tag.value);
        return json + "]";
    }
    /// As a gateway of Arweave knows a data item: GraphQL and the data.
    void say(const item::DataItem& item, const std::string& at = "http://outer")
    {
        const auto& header = item.header();
        http.answers["POST " + at + "/graphql"] = fmt::format(
            R"({{"data":{{"transactions":{{"edges":[{{"node":{{"id":"{}","anchor":"{}","signature":"{}","recipient":"{}","owner":{{"key":"{}"}},"tags":{}}}}}]}}}}}})",
            item.id().text(), base64url(header.anchor()), base64url(header.signature()),
            header.target() ? header.target()->text() : "", base64url(header.owner_key()), tags_json(header.tags(), false));
        http.answers["GET " + at + "/raw/" + item.id().text()] = to_string(item.data());
    }
    void say(const item::Header& transaction, Bytes data)
    {
        const auto& layer1 = *transaction.layer1();
        http.answers["GET http://outer/tx/" + transaction.id().text()] = fmt::format(
            R"({{"format":2,"id":"{}","last_tx":"{}","owner":"{}","tags":{},"target":"","quantity":"{}","data":"","data_size":"{}","data_root":"{}","reward":"{}","signature":"{}"}})",
            transaction.id().text(), base64url(transaction.anchor()), base64url(transaction.owner_key()),
            tags_json(transaction.tags(), true), layer1.quantity.text(), layer1.data_size,
            layer1.data_root ? layer1.data_root->text() : "", layer1.reward.text(), base64url(transaction.signature()));
        http.answers["GET http://outer/raw/" + transaction.id().text()] = to_string(data);
    }
    item::Header transaction(Bytes data)
    {
        return item::build_transaction({.tags = {{"Content-Type", "text/plain"}},
                                           .reward = item::Winston(1000),
                                           .anchor = to_buffer(sha256(as_bytes("a block of theirs")).bytes()),
                                           .data_size = data.size(),
                                           .data_root = item::data_tree(data, item::Cut::balanced).root},
            alice())
            .value();
    }

    TestFolder folder;
    HandClock clock;
    SaidHttp http;
    std::unique_ptr<store::Records> records = store::open_records(folder / "records.db", {.durable = false}).value();
    std::unique_ptr<store::Blobs> blobs = store::Blobs::open(system_files(), folder / "blobs").value();
    std::unique_ptr<Weave> weave = Weave::open(*records, *blobs, clock, system_random()).value();
    std::unique_ptr<Transactions> transactions =
        Transactions::open(*weave, *records, system_files(), clock, folder / "uploads", {}).value();
    Outer outer{*transactions, *weave, http, clock, {.gateways = {"http://empty", "http://outer"}}};
};

}  // namespace

TEST_F(AnOuterGateway, gives_data_items_of_every_key_that_is_verified)
{
    const item::Ed25519Signer ed25519{std::array<std::byte, 32>{std::byte{1}}};
    const item::SolanaSigner solana{std::array<std::byte, 32>{std::byte{2}}};
    const auto ethereum = item::EthereumSigner::generate(system_random());
    const item::Signer* const signers[] = {&ed25519, &solana, &ethereum, &alice()};
    for (const auto* const signer : signers) {
        const auto item = item::build({.target = sha256(as_bytes("bob")),
                                          .anchor = std::string(32, 'x'),
                                          .tags = {{"Type", "Module"}, {"Größe", "高原"}},
                                          .data = Buffer(100'000, std::byte{7})},
            *signer)
                              .value();
        say(item);
        ASSERT_TRUE(outer.fetch(item.id())) << signer->type().name;
        EXPECT_TRUE(weave->check(item.id()));
        EXPECT_EQ(weave->item(item.id()).value().header.tags(), item.tags());
    }
}

TEST_F(AnOuterGateway, gives_transactions_that_cost_nobody_here_anything)
{
    for (const std::size_t size : {5U, 300'000U}) {
        const Buffer data(size, std::byte{9});
        const auto one = transaction(data);
        say(one, data);
        ASSERT_TRUE(outer.fetch(one.id())) << size;
        EXPECT_TRUE(weave->check(one.id()));
        EXPECT_TRUE(transactions->place(one.id()));
        EXPECT_EQ(transactions->wallet(alice().address().text()).value().balance, "0");
        EXPECT_FALSE(transactions->wallet(alice().address().text()).value().last_transaction);
    }
}

TEST_F(AnOuterGateway, is_not_believed_when_what_it_gives_is_not_what_was_signed)
{
    const item::Ed25519Signer signer{std::array<std::byte, 32>{std::byte{1}}};
    const auto before = weave->tip().value().height;
    const auto item = item::build({.tags = {{"A", "b"}}, .data = Buffer(100'000, std::byte{7})}, signer).value();
    const auto refused = [&](const ItemId& id) {
        const auto fetched = outer.fetch(id);
        ASSERT_FALSE(fetched);
        EXPECT_EQ(fetched.error().code, errors::bad_answer) << fetched.error().sentence;
        EXPECT_FALSE(weave->has(id));
    };
    say(item);
    http.answers["GET http://outer/raw/" + item.id().text()].back() = 'x';
    refused(item.id());
    const auto other = item::build({.tags = {{"A", "c"}}, .data = to_buffer("other")}, signer).value();
    say(other);
    http.answers["GET http://outer/raw/" + item.id().text()] = to_string(item.data());
    refused(item.id());
    say(item);
    auto& graphql = http.answers["POST http://outer/graphql"];
    graphql.replace(graphql.find("\"value\":\"b\""), 11, "\"value\":\"c\"");
    refused(item.id());
    for (const auto* const answer : {R"({"data":{"transactions":{"edges":[{"node":{}}]}}})",
             R"({"data":{"transactions":{"edges":[{"node":{"signature":"!","owner":{"key":7}}}]}}})"}) {
        graphql = answer;
        refused(item.id());
    }

    const Buffer data(300'000, std::byte{9});
    const auto one = transaction(data);
    for (const auto& wrong : {std::string(300'000, 'x'), std::string(299'999, '\t'), std::string(300'001, '\t'), std::string()}) {
        say(one, as_bytes(wrong));
        refused(one.id());
    }
    http.answers["GET http://outer/tx/" + one.id().text()] = "{";
    refused(one.id());
    EXPECT_EQ(weave->tip().value().height, before);
    EXPECT_TRUE(blobs->scrub().value().empty());
    for (const auto& file : std::filesystem::recursive_directory_iterator(folder / "blobs"))
        EXPECT_FALSE(file.is_regular_file()) << file.path() << " was left";
}

TEST_F(AnOuterGateway, is_asked_again_only_after_a_while_for_what_it_does_not_have)
{
    const ItemId id(sha256(as_bytes("nothing")));
    EXPECT_EQ(outer.fetch(id).error().code, errors::unknown_item);
    const auto once = http.asked.size();
    EXPECT_EQ(once, 4U) << "two gateways, each by id and by GraphQL";
    EXPECT_EQ(outer.fetch(id).error().code, errors::unknown_item);
    EXPECT_EQ(http.asked.size(), once);
    clock.now_ms += 60'000;
    EXPECT_EQ(outer.fetch(id).error().code, errors::unknown_item);
    EXPECT_EQ(http.asked.size(), 2 * once);
}
