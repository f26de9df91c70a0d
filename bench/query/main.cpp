// `bench query`: GraphQL by two tags, pages 1 and 20 of 10,000 hits, as the node answers it but for HTTP. A page's time must not
// grow with the weave: ours is the page in the larger weave, outside the same page in the smaller, which has as many hits.
// Both tags' lists are long: one is on every item, so that only a search that follows the rarer one keeps its time.
#include "gateway/gateway.hpp"
#include "item/ed25519.hpp"
#include "lib/bench.hpp"
#include "store/sqlite/sqlite.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

using namespace altiplano;

namespace {

/// A weave of `items` signed messages, of which `hits` have the tag that is sought, evenly among the others.
class Place {
public:
    Place(std::size_t items, std::size_t hits)
    {
        std::string name = std::filesystem::temp_directory_path() / "altiplano-bench-XXXXXX";
        ENSURE(mkdtemp(name.data()), "a temporary folder can be made");
        folder_ = name;
        records_ = bench::must(store::open_records(folder_ / "records.db", {.durable = false}));
        blobs_ = bench::must(store::Blobs::open(system_files(), folder_ / "blobs"));
        weave_ = bench::must(weave::Weave::open(*records_, *blobs_, system_clock(), system_random()));
        const item::Ed25519Signer signer(sha256(as_bytes("bench")).array());
        std::vector<weave::NewItem> block;
        for (std::size_t i = 0; i < items; ++i) {
            const bool hit = i * hits / items != (i + 1) * hits / items;
            const auto made = bench::must(
                item::build({.tags = {{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Message"},
                                 {"Action", hit ? "Sought" : fmt::format("Action-{}", i % 97)}, {"Reference", std::to_string(i)},
                                 {"From-Process", fmt::format("process-{}", i % 1009)}},
                                .data = to_buffer("data")},
                    signer));
            block.push_back(bench::must(weave::stage_own(made, *blobs_)));
            if (block.size() == 100 || i + 1 == items)
                bench::must(weave_->put(std::exchange(block, {})));
        }
    }
    ~Place()
    {
        weave_.reset();
        records_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    /// A page as a client asks for it.
    std::string page(const std::string& after)
    {
        const auto answer =
            gateway::Gateway(*weave_, *records_, gateway::Gateway::Options{})
                .query({.query = R"(query ($after: String) { transactions(first: 100, after: $after, sort: HEIGHT_DESC,
                tags: [{name: "Type", values: ["Message"]}, {name: "Action", values: ["Sought"]}]) {
                pageInfo { hasNextPage } edges { cursor node { id recipient owner { address } tags { name value } block { height timestamp } } } } })",
                    .variables = fmt::format("{{\"after\": \"{}\"}}", after)});
        ENSURE(!answer.refused && answer.json.find("\"errors\"") == std::string::npos, "the query is answered");
        return answer.json;
    }
    /// Where a page begins.
    std::string cursor(int number)
    {
        std::string after;
        for (int i = 1; i < number; ++i) {
            const auto json = page(after);
            const auto at = json.rfind("\"cursor\":\"") + 10;
            after = json.substr(at, json.find('"', at) - at);
        }
        return after;
    }

private:
    Path folder_;
    std::unique_ptr<store::Records> records_;
    std::unique_ptr<store::Blobs> blobs_;
    std::unique_ptr<weave::Weave> weave_;
};

/// How many of the page's items are what was sought.
std::uint64_t hits_of(std::string_view json)
{
    constexpr std::string_view sought = R"({"name":"Action","value":"Sought"})";
    std::uint64_t hits = 0;
    for (auto at = json.find(sought); at != json.npos; at = json.find(sought, at + 1))
        ++hits;
    return hits;
}

bench::Row compare(Place& larger, const std::string& name, Place& smaller, const std::string& outside, int number, int runs)
{
    const auto side = [&](Place& place) {
        return [&place, after = place.cursor(number)]() -> bench::Sample {
            std::string json;
            const double seconds = bench::thread_seconds([&] { json = place.page(after); });
            return {.figure = seconds * 1e3, .work = hits_of(json)};
        };
    };
    return bench::in_turn(
        fmt::format("page {} of 100, {}", number, name), outside, "ms", bench::Better::less, runs, side(larger), side(smaller));
}

}  // namespace

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values);
    const bool million = std::ranges::find(given.rest, "--million") != given.rest.end();
    const std::size_t hits = given.smoke ? 2'000 : 10'000;
    const std::size_t larger = given.smoke ? 8'000 : million ? 1'000'000 : 100'000;
    const std::size_t smaller = given.smoke ? 4'000 : million ? 100'000 : 20'000;
    Place in_larger(larger, hits);
    Place in_smaller(smaller, hits);
    std::vector<bench::Row> rows;
    for (const int number : {1, 20})
        rows.push_back(compare(in_larger, fmt::format("{} hits in {} items", hits, larger), in_smaller,
            fmt::format("in {}", smaller), number, given.smoke ? 3 : 51));
    bench::report(rows, given.json);
}
