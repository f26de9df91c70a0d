#pragma once

#include "base/clock.hpp"
#include "compute/local_compute.hpp"
#include "door/door.hpp"
#include "gateway/gateway.hpp"
#include "messenger/messenger.hpp"
#include "node/aliases.hpp"
#include "node/data_folder.hpp"
#include "node/elsewhere.hpp"
#include "node/waiting.hpp"
#include "scheduler/scheduler.hpp"
#include "weave/outer.hpp"
#include "weave/transactions.hpp"

namespace altiplano::node {

/// A whole AO computer on one data folder: the four units, composed. The HTTP server in front of it is http/server.hpp.
class Node {
public:
    struct Options {
        Path data;
        Path modules{};  ///< of compiled modules; empty: modules/ in the data folder
        Path program;  ///< what runs as `program worker`
        compute::WorkerStart start_worker{};  ///< in place of it: the simulator's workers are threads
        enum class Card { automatic, on, off } card = Card::automatic;  ///< automatic: where the machine shows one
        std::size_t messenger_threads = 0;  ///< 0: enough for all workers to be waited for
        std::size_t workers = 1;
        std::size_t warm_max = 8;
        std::map<std::string, std::uint64_t> shares{};  ///< of processor time when several wait, by account; 1 for the others
        std::uint64_t processes_per_owner = 0;  ///< 0: no limit, as below
        std::uint64_t spawns_per_hour = 0;
        std::uint64_t image_gas = 20'000'000'000;
        std::size_t history_states = 0;  ///< checkpoints kept of a process besides the newest
        std::vector<std::string> checkpoint_signers{};  ///< whose checkpoints are taken in
        std::uint64_t warm_bytes_max = UINT64_MAX;  ///< what awake machines may keep in memory, all together
        std::uint64_t memory_offer_bytes = std::uint64_t{16} << 30;  ///< the most memory that a process may come to need here
        std::size_t waiting_max = 4096;  ///< requests that wait for results at once
        bool any_scheduler = true;  ///< takes processes that name another scheduler; for development
        std::string scheduler_key = "ed25519";  ///< kind of a key that is made: "ed25519", "arweave" or "ethereum"
        std::string authority_key = "ed25519";
        std::vector<std::string> route_to{};  ///< URLs of schedulers: /su then is a router that says which of them has a process
        std::uint64_t hops_max = 100'000;  ///< messages after one another that one message may set off
        std::int64_t cron_poll_ms = 10'000;  ///< how often processes under watch are looked after
        std::uint64_t cron_unasked_max = 20'000;  ///< cron evaluations due at once that are done unasked
        memory::Tracker tracker = memory::Tracker::automatic;
        compute::TensorThreads::Options threads{};
        weave::Transactions::Options transactions{};
        weave::Outer::Options outer{};  ///< gateways that are asked for what is not here; none by default

        /// Published ids and what stands for them here: an id, or Tag=Value. For development.
        std::map<std::string, std::string> aliases{};

        // Which units run here. Each that does not is found by its URL; whoever has the scheduler writes the weave, a node
        // without it follows the weave of `gateway_url`, if there is one, and else has its own.
        bool scheduler_here = true;
        bool compute_here = true;
        bool messenger_here = true;
        std::string scheduler_url{};
        std::string compute_url{};
        std::string messenger_url{};
        std::string gateway_url{};
        std::int64_t unit_wait_ms = 60'000;  ///< for an answer of another unit, results excepted
        std::vector<std::string> allow{};  ///< addresses that may be asked although they are not public

        bool door_here = false;  ///< whether /v1 is served
        door::Door::Options door{};
    };
    /// Opens everything and takes up where the last run ended. @return node.folder_in_use, node.newer_folder, store.*, base.*
    static Result<std::unique_ptr<Node>> open(const Options& options, Files& files, Clock& clock, Random& random);
    ~Node();

    const Options& options() const noexcept { return options_; }
    Clock& clock() noexcept { return clock_; }
    weave::Weave& weave() noexcept { return *weave_; }
    weave::Transactions& transactions() noexcept { return *transactions_; }
    /// An item of the weave, which may come from an outer gateway just now: for readers outside of processes.
    /// @return as `Weave::item`, and when gateways are configured as `Outer::fetch`
    Result<weave::StoredItem> item(const ItemId& id);
    /// The same for a transaction, in a block or not. @return as `Transactions::find`, and as above
    Result<weave::Transactions::Found> transaction(const ItemId& id);
    /// Whether the weave is a copy of another node's: then what is to be written into it is sent there.
    bool follows() const noexcept { return follower_ != nullptr; }
    /// Copies what is new at the node that is followed; nothing to do for a weave of its own. @return net.*, weave.cannot_follow
    Result<void> catch_up();
    /// Sends a request that writes to the weave to the node that is followed, and copies what became of it.
    /// @param target  path and query @return the other node's answer; net.*, weave.cannot_follow
    Result<net::Response> write_elsewhere(const std::string& method, const std::string& target, Bytes body);
    store::Records& records() noexcept { return *records_; }
    store::Cache& cache() noexcept { return *cache_; }
    units::Scheduler& scheduler() noexcept { return *scheduler_; }
    units::Messenger& messenger() noexcept { return *messenger_; }
    units::Compute& compute() noexcept { return *compute_; }
    /// Null when it does not run here.
    compute::LocalCompute* local_compute() noexcept { return local_compute_; }
    /// Asks others: only public addresses, those that `allow` lists, and the units' own.
    net::Http& http() noexcept { return *http_; }
    /// Under which semantics a process would run. @return as LocalCompute::admit
    Result<units::Assignment::Semantics> admit(const item::DataItem& process);
    const gateway::Gateway& gateway() const noexcept { return *gateway_; }
    /// Whether it can do its work. @return node.stopping, store.*
    Result<void> ready();
    /// Whoever waits is told that the node goes down; nothing new is evaluated. Serving goes on until the end.
    void stop();
    Aliases& aliases() noexcept { return *aliases_; }
    Waiting& waiting() noexcept { return *waiting_; }
    /// Null when this node has none.
    door::Door* door() noexcept { return door_.get(); }
    /// Who signs what processes send: this node's key, or that of the messenger elsewhere; empty while that does not answer.
    Address authority() const;
    /// Says in the weave where the scheduler is, if the newest that is said there is something else: an item with
    /// Type: Scheduler-Location, owned by the scheduler (ao-protocol.md 2.5, 4.6). @return item.*, store.*
    Result<void> publish_scheduler_location(const std::string& url);

private:
    Result<void> open_weave(Random& random);
    Result<void> open_scheduler();
    bool uses_card(Files& files) const;
    Result<void> open_compute(Files& files);
    Result<void> open_messenger();
    void open_door(Random& random);

    Node(Options options, Clock& clock)
        : options_(std::move(options))
        , clock_(clock)
    {
    }

    // In the order in which they need each other; destroyed from the end.
    Options options_;
    Clock& clock_;
    std::atomic<bool> stopping_ = false;
    std::shared_ptr<void> lock_;
    std::unique_ptr<item::Signer> authority_;  ///< signs what processes send, nothing else
    std::unique_ptr<item::Signer> scheduler_key_;  ///< signs assignments
    std::unique_ptr<store::Records> records_;
    std::unique_ptr<store::Blobs> blobs_;
    std::unique_ptr<store::Cache> cache_;
    std::unique_ptr<Aliases> aliases_;
    std::unique_ptr<weave::Weave> weave_;
    std::unique_ptr<gateway::Gateway> gateway_;
    std::unique_ptr<weave::Transactions> transactions_;
    std::unique_ptr<net::Http> outer_http_;
    std::unique_ptr<weave::Outer> outer_;  ///< null: nobody else is asked
    std::unique_ptr<net::Http> http_;
    std::unique_ptr<weave::Follower> follower_;  ///< when another node's weave is followed
    std::unique_ptr<units::Scheduler> scheduler_;
    std::unique_ptr<units::Compute> compute_;
    compute::LocalCompute* local_compute_ = nullptr;  ///< `compute_`, when it runs here
    KeptCompute* kept_compute_ = nullptr;  ///< `compute_`, when it does not
    std::unique_ptr<units::Messenger> messenger_;
    std::unique_ptr<item::Signer> door_wallet_;  ///< signs what the door sends, nothing else
    std::unique_ptr<door::Door> door_;
    std::unique_ptr<Waiting> waiting_;
};

}  // namespace altiplano::node
