#pragma once

#include "item/data_item.hpp"
#include "net/http.hpp"
#include "store/records.hpp"
#include "units/units.hpp"
#include "weave/weave.hpp"

#include <semaphore>

namespace altiplano::messenger {

/// Processes of other schedulers, as the weave tells of them (ao-protocol.md 4.6). Safe from any thread.
///
/// Whoever writes to the weave chooses where this leads: `http` has to have the rules of which addresses may be asked.
class Elsewhere {
public:
    /// Requests at once. Who answers slowly holds up at most so many threads.
    static constexpr std::ptrdiff_t at_once = 4;

    /// @param own  whose processes are not elsewhere
    Elsewhere(const units::Scheduler& own, weave::Weave& weave, store::RecordsReader& records, net::Http& http)
        : own_(own)
        , weave_(weave)
        , records_(records)
        , http_(http)
    {
    }

    /// The URL of the scheduler that is to have an item: the one that the item, when it spawns, or the process that is its
    /// target names. Nothing when that is no process of this weave, or one of our own scheduler: then it is for a wallet.
    /// @return messenger.unknown_scheduler: it never said where it is; store.*
    Result<std::optional<std::string>> scheduler_for(const item::DataItem& item);

    /// Sends an item there.
    /// @return net.*, of which net.address_refused says that it is neither public nor allowed; messenger.busy;
    ///         messenger.refused_elsewhere with the words of the other side
    Result<void> post(const std::string& url, const item::DataItem& item);

private:
    Result<std::string> url_of(const std::string& scheduler);

    const units::Scheduler& own_;
    weave::Weave& weave_;
    store::RecordsReader& records_;
    net::Http& http_;
    std::counting_semaphore<at_once> places_{at_once};
};

}  // namespace altiplano::messenger
