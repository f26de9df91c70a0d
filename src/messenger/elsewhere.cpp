#include "messenger/elsewhere.hpp"

#include "messenger/errors.hpp"
#include "net/errors.hpp"
#include "weave/errors.hpp"

#include <fmt/format.h>

namespace altiplano::messenger {

namespace {

constexpr std::int64_t connect_ms_max = 5'000;
constexpr std::int64_t total_ms_max = 15'000;
constexpr std::uint64_t answer_bytes_max = 64 << 10;
constexpr std::size_t words_bytes_max = 300;

}  // namespace

Result<std::optional<std::string>> Elsewhere::scheduler_for(const item::DataItem& item)
{
    std::optional<std::string_view> scheduler;
    std::optional<weave::StoredItem> process;
    if (item.tags().has("Type", "Process")) {
        scheduler = item.tags().first("Scheduler");
    } else if (item.target()) {
        auto found = weave_.item(ItemId(*item.target()));
        if (!found && found.error().code != weave::errors::unknown_item)
            return std::unexpected(found.error());
        if (found) {
            process = *std::move(found);
            const auto& tags = process->header.tags();
            if (tags.has("Data-Protocol", "ao") && tags.has("Type", "Process"))
                scheduler = tags.first("Scheduler");
        }
    }
    if (!scheduler || *scheduler == own_.address().text())
        return std::optional<std::string>{};
    TRY(auto url, url_of(std::string(*scheduler)));
    return std::optional(std::move(url));
}

/// The newest that is said counts, and only what the scheduler signed itself.
Result<std::string> Elsewhere::url_of(const std::string& scheduler)
{
    store::Work work{.left = 100'000};
    TRY(const auto said,
        records_.find({.each_of = {{store::Term::owner(scheduler)}, {store::Term::tag("Data-Protocol", "ao")},
                           {store::Term::tag("Type", "Scheduler-Location")}},
                          .newest_first = true,
                          .limit = 1},
            work));
    if (said.ids.empty())
        return fail(errors::unknown_scheduler, fmt::format("the scheduler {} has no Scheduler-Location on this weave", scheduler),
            "it says by an item of its own, Type: Scheduler-Location with a tag Url, where it is");
    TRY(const auto newest, weave_.item(said.ids.front()));
    auto url = std::string(newest.header.tags().first("Url").value_or(""));
    while (url.ends_with('/'))
        url.pop_back();
    if (url.empty())
        return fail(errors::unknown_scheduler, fmt::format("No \"Url\" tag found on Scheduler-Location of {}", scheduler));
    return url;
}

Result<void> Elsewhere::post(const std::string& url, const item::DataItem& item)
{
    if (!places_.try_acquire())
        return fail(errors::busy, fmt::format("{} requests to other schedulers are under way", at_once), "try again");
    struct Leave {
        std::counting_semaphore<at_once>& places;
        ~Leave() { places.release(); }
    } const leave{places_};
    TRY(const auto answer,
        http_.send({.method = "POST",
            .url = url + "/",
            .headers = {{"Content-Type", "application/octet-stream"}},
            .body = item.wire(),
            .answer_bytes_max = answer_bytes_max,
            .connect_ms_max = connect_ms_max,
            .total_ms_max = total_ms_max}));
    if (answer.status >= 200 && answer.status < 300)
        return {};
    const auto words = fmt::format("the scheduler at {} answered {}: {}", answer.url.empty() ? url : answer.url, answer.status,
        std::string_view(answer.body).substr(0, words_bytes_max));
    // Its own trouble may pass; what it refuses stays refused.
    if (answer.status >= 500 || answer.status == 429)
        return fail(net::errors::failed, words);
    return fail(errors::refused_elsewhere, words);
}

}  // namespace altiplano::messenger
