#pragma once

#include "base/test_folder.hpp"
#include "gateway/gateway.hpp"
#include "item/ed25519.hpp"
#include "store/sqlite/sqlite.hpp"

#include <gtest/gtest.h>

/// What the tests of this room share: a weave of real items in a folder of its own, and a gateway over it.
namespace altiplano::gateway {

/// A clock that goes on by a second whenever it is asked.
class TickingClock final : public Clock {
public:
    std::int64_t wall_ms() const override { return now_ms_ += 1000; }
    std::int64_t monotonic_ns() const override { return 0; }
    void sleep_ms(std::int64_t) override { }

private:
    mutable std::int64_t now_ms_ = 1'700'000'000'000;
};

class AGateway : public testing::Test {
protected:
    AGateway()
    {
        records = store::open_records(folder / "records.db", {.durable = false}).value();
        blobs = store::Blobs::open(system_files(), folder / "blobs").value();
        weave = weave::Weave::open(*records, *blobs, clock, system_random()).value();
    }
    static item::Ed25519Signer signer(int seed)
    {
        return item::Ed25519Signer(sha256(as_bytes("signer " + std::to_string(seed))).array());
    }
    item::DataItem item(
        item::Tags tags, const item::Ed25519Signer& by, std::optional<Digest> target = {}, std::string data = "data")
    {
        return item::build({.target = target, .tags = std::move(tags), .data = to_buffer(data)}, by).value();
    }
    /// Each item in a block of its own.
    ItemId put(const item::DataItem& one)
    {
        EXPECT_TRUE(weave->put({weave::stage_own(one, *blobs).value()}));
        return one.id();
    }
    std::string ask(std::string query, std::string variables = "")
    {
        return Gateway(*weave, *records, options).query({.query = std::move(query), .variables = std::move(variables)}).json;
    }
    /// The ids on a page of `transactions(...)`, and whether it goes on.
    struct Got {
        std::vector<std::string> ids;
        bool more = false;
        std::string error;
    };
    Got transactions(const std::string& arguments)
    {
        const auto text = ask("{ transactions" + (arguments.empty() ? "" : "(" + arguments + ")")
            + " { pageInfo { hasNextPage } edges { cursor node { id } } } }");
        const auto json = JsonView::parse(text).value();
        Got got;
        if (const auto errors = json.find("errors")) {
            got.error = *errors->elements()[0].find("message")->string();
            return got;
        }
        const auto page = *json.find("data")->find("transactions");
        got.more = *page.find("pageInfo")->find("hasNextPage")->boolean();
        for (const auto& edge : page.find("edges")->elements())
            got.ids.push_back(*edge.find("node")->find("id")->string());
        return got;
    }

    TestFolder folder;
    TickingClock clock;
    Gateway::Options options{};
    std::unique_ptr<store::Records> records;
    std::unique_ptr<store::Blobs> blobs;
    std::unique_ptr<weave::Weave> weave;
};

}  // namespace altiplano::gateway
