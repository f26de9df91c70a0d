#pragma once

#include "base/clock.hpp"
#include "compute/local_compute.hpp"
#include "gateway/gateway.hpp"
#include "messenger/messenger.hpp"
#include "node/data_folder.hpp"
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
        std::size_t workers = 1;
        std::size_t warm_max = 8;
        std::uint64_t image_gas = 20'000'000'000;
        std::size_t history_states = 0;  ///< checkpoints kept of a process besides the newest
        std::uint64_t warm_bytes_max = UINT64_MAX;  ///< what awake machines may keep in memory, all together
        std::uint64_t memory_offer_bytes = std::uint64_t{16} << 30;  ///< the most memory that a process may come to need here
        std::size_t waiting_max = 4096;  ///< requests that wait for results at once
        bool any_scheduler = true;  ///< takes processes that name another scheduler; for development
        memory::Tracker tracker = memory::Tracker::automatic;
        weave::Transactions::Options transactions{};
        weave::Outer::Options outer{};  ///< gateways that are asked for what is not here; none by default
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
    store::Records& records() noexcept { return *records_; }
    store::Cache& cache() noexcept { return *cache_; }
    units::Scheduler& scheduler() noexcept { return *scheduler_; }
    units::Messenger& messenger() noexcept { return *messenger_; }
    compute::LocalCompute& compute() noexcept { return *compute_; }
    const gateway::Gateway& gateway() const noexcept { return *gateway_; }
    /// Whether it can do its work. @return node.stopping, store.*
    Result<void> ready();
    /// Whoever waits is told that the node goes down; nothing new is evaluated. Serving goes on until the end.
    void stop();
    Waiting& waiting() noexcept { return *waiting_; }
    Address authority() const { return authority_->address(); }

private:
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
    std::unique_ptr<weave::Weave> weave_;
    std::unique_ptr<gateway::Gateway> gateway_;
    std::unique_ptr<weave::Transactions> transactions_;
    std::unique_ptr<net::Http> outer_http_;
    std::unique_ptr<weave::Outer> outer_;  ///< null: nobody else is asked
    std::unique_ptr<scheduler::LocalScheduler> scheduler_;
    std::unique_ptr<compute::LocalCompute> compute_;
    std::unique_ptr<messenger::LocalMessenger> messenger_;
    std::unique_ptr<Waiting> waiting_;
};

}  // namespace altiplano::node
