#include "messenger/elsewhere.hpp"

#include "base/test_folder.hpp"
#include "item/ed25519.hpp"
#include "messenger/errors.hpp"
#include "net/errors.hpp"
#include "store/sqlite/sqlite.hpp"
#include "weave/weave.hpp"

#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::messenger;

namespace {

class OwnScheduler final : public units::Scheduler {
public:
    explicit OwnScheduler(Address address)
        : address_(std::move(address))
    {
    }
    Result<units::Assignment> assign(const item::DataItem&) override { return fail("unused", ""); }
    Result<units::Assignment> assign(const units::AssignRequest&) override { return fail("unused", ""); }
    Result<units::LogEntry> entry(const units::Slot&) override { return fail("unused", ""); }
    Result<std::uint64_t> slot_after(const ProcessId&, std::int64_t) override { return fail("unused", ""); }
    Result<units::Slot> slot_of(const ProcessId&, const ItemId&) override { return fail("unused", ""); }
    Result<units::ProcessInfo> process(const ProcessId&) override { return fail("unused", ""); }
    Result<std::vector<ProcessId>> processes() override { return fail("unused", ""); }
    Address address() const override { return address_; }

private:
    Address address_;
};

/// Answers what it was told to, and remembers what was asked.
class OneAnswer final : public net::Http {
public:
    Result<net::Response> send(const net::Request& request) override
    {
        urls.push_back(request.url);
        bodies.push_back(to_buffer(request.body));
        if (while_asked)
            while_asked();
        return answer;
    }
    Result<net::Response> download(const net::Request&, const std::function<Result<void>(Bytes)>&) override
    {
        return fail("unused", "");
    }
    void stop() override { }

    Result<net::Response> answer = net::Response{.status = 200};
    std::function<void()> while_asked;
    std::vector<std::string> urls;
    std::vector<Buffer> bodies;
};

class AnElsewhere : public testing::Test {
protected:
    AnElsewhere()
    {
        records = store::open_records(folder / "records.db", {.durable = false}).value();
        blobs = store::Blobs::open(system_files(), folder / "blobs").value();
        weave = weave::Weave::open(*records, *blobs, system_clock(), system_random()).value();
        elsewhere.emplace(own, *weave, *records, http);
    }

    ItemId put(const item::DataItem& item)
    {
        EXPECT_TRUE(weave->put({weave::stage_own(item, *blobs).value()}));
        return item.id();
    }
    item::DataItem process(std::string_view of)
    {
        return item::build({.tags = {{"Data-Protocol", "ao"}, {"Type", "Process"}, {"Scheduler", std::string(of)}}}, user)
            .value();
    }
    item::DataItem message(const ItemId& target)
    {
        return item::build({.target = Digest(target), .tags = {{"Data-Protocol", "ao"}, {"Type", "Message"}}}, user).value();
    }
    void says(const item::Signer& signer, std::string url)
    {
        put(item::build({.tags = {{"Data-Protocol", "ao"}, {"Type", "Scheduler-Location"}, {"Url", std::move(url)}}}, signer)
                .value());
    }

    TestFolder folder;
    item::Ed25519Signer user{std::array<std::byte, 32>{std::byte{1}}};
    item::Ed25519Signer scheduler{std::array<std::byte, 32>{std::byte{2}}};
    item::Ed25519Signer ours{std::array<std::byte, 32>{std::byte{3}}};
    OwnScheduler own{ours.address()};
    OneAnswer http;
    std::unique_ptr<store::Records> records;
    std::unique_ptr<store::Blobs> blobs;
    std::unique_ptr<weave::Weave> weave;
    std::optional<Elsewhere> elsewhere;
};

}  // namespace

TEST_F(AnElsewhere, is_where_the_scheduler_of_the_target_said_last_that_it_is)
{
    const auto target = put(process(scheduler.address().text()));
    says(scheduler, "https://old.example");
    says(scheduler, "https://su.example/");
    says(user, "https://stranger.example");
    EXPECT_EQ(elsewhere->scheduler_for(message(target)).value(), "https://su.example");
    EXPECT_EQ(elsewhere->scheduler_for(process(scheduler.address().text())).value(), "https://su.example")
        << "an item that spawns names it itself";
}

TEST_F(AnElsewhere, is_nowhere_for_a_wallet_for_what_is_no_process_and_for_our_own)
{
    EXPECT_EQ(elsewhere->scheduler_for(message(ItemId{})).value(), std::nullopt);
    EXPECT_EQ(elsewhere->scheduler_for(message(put(message(ItemId{})))).value(), std::nullopt);
    EXPECT_EQ(elsewhere->scheduler_for(message(put(process(ours.address().text())))).value(), std::nullopt);
}

TEST_F(AnElsewhere, says_that_a_scheduler_never_said_where_it_is)
{
    const auto target = put(process(scheduler.address().text()));
    EXPECT_EQ(elsewhere->scheduler_for(message(target)).error().code, errors::unknown_scheduler);
    says(scheduler, "");
    EXPECT_EQ(elsewhere->scheduler_for(message(target)).error().code, errors::unknown_scheduler);
}

TEST_F(AnElsewhere, gets_the_signed_bytes_and_its_answer_decides)
{
    const auto item = message(ItemId{});
    EXPECT_TRUE(elsewhere->post("https://su.example", item));
    EXPECT_EQ(http.urls, std::vector<std::string>{"https://su.example/"});
    EXPECT_EQ(http.bodies.front(), to_buffer(item.wire()));

    http.answer = net::Response{.status = 400, .body = R"({"error":"no such process"})"};
    const auto refused = elsewhere->post("https://su.example", item);
    EXPECT_EQ(refused.error().code, errors::refused_elsewhere);
    EXPECT_NE(refused.error().sentence.find("no such process"), std::string::npos);
    for (const unsigned status : {500U, 503U, 429U}) {
        http.answer = net::Response{.status = status};
        EXPECT_EQ(elsewhere->post("https://su.example", item).error().code, net::errors::failed) << status;
    }
    http.answer = fail(net::errors::address_refused, "private");
    EXPECT_EQ(elsewhere->post("https://su.example", item).error().code, net::errors::address_refused);
}

TEST_F(AnElsewhere, is_asked_by_a_few_at_once_and_the_next_is_told)
{
    int deep = 0;
    std::string_view said;
    const auto item = message(ItemId{});
    http.while_asked = [&] {
        if (++deep <= Elsewhere::at_once)
            if (const auto next = elsewhere->post("https://su.example", item); !next)
                said = next.error().code;
    };
    EXPECT_TRUE(elsewhere->post("https://su.example", item));
    EXPECT_EQ(deep, Elsewhere::at_once);
    EXPECT_EQ(said, errors::busy);
    http.while_asked = {};
    EXPECT_TRUE(elsewhere->post("https://su.example", item)) << "places are free again";
}
