#include "node/node.hpp"

#include "node/errors.hpp"
#include "store/sqlite/sqlite.hpp"
#include "weave/errors.hpp"

namespace altiplano::node {

Result<std::unique_ptr<Node>> Node::open(const Options& options, Files& files, Clock& clock, Random& random)
{
    std::unique_ptr<Node> node(new Node(options, clock));
    const DataFolder folder{options.data};
    TRY(node->lock_, folder.claim(files));
    TRY(node->authority_, load_or_make_key(files, random, folder.key("authority")));
    TRY(node->scheduler_key_, load_or_make_key(files, random, folder.key("scheduler")));

    TRY(node->records_, store::open_records(folder.records()));
    TRY(node->blobs_, store::Blobs::open(files, folder.blobs()));
    TRY(node->cache_, store::open_cache(folder.cache()));
    TRY(node->weave_, weave::Weave::open(*node->records_, *node->blobs_, clock, random));
    node->weave_->follow_aliases(options.any_scheduler);
    node->gateway_ = std::make_unique<gateway::Gateway>(*node->weave_, *node->records_, gateway::Gateway::Options{});
    TRY(node->transactions_,
        weave::Transactions::open(*node->weave_, *node->records_, files, clock, folder.uploads(), options.transactions));
    if (!options.outer.gateways.empty()) {
        net::AddressRules rules;
        for (const auto& gateway : options.outer.gateways) {
            TRY(const auto url, net::parse_url(gateway));
            rules = rules.with(url);
        }
        node->outer_http_ = net::curl_http(std::move(rules));
        node->outer_ =
            std::make_unique<weave::Outer>(*node->transactions_, *node->weave_, *node->outer_http_, clock, options.outer);
    }

    auto* const it = node.get();
    // A new process is admitted by the compute unit, since that will have to run it.
    node->scheduler_ = std::make_unique<scheduler::LocalScheduler>(*node->weave_, *node->records_, *node->scheduler_key_, clock,
        scheduler::LocalScheduler::Options{.admit = [it](const item::DataItem& process) { return it->compute_->admit(process); },
            .any_scheduler = options.any_scheduler});
    TRY(node->compute_,
        compute::LocalCompute::open(*node->scheduler_, *node->weave_, *node->cache_, files, clock,
            {.folder = options.data,
                .modules = options.modules,
                .start = compute::worker_process(options.program),
                .workers = options.workers,
                .warm_max = options.warm_max,
                .warm_bytes_max = options.warm_bytes_max,
                .image_gas = options.image_gas,
                .history_states = options.history_states,
                .merge_in_background = true,
                .memory_offer_bytes = options.memory_offer_bytes,
                .tracker = options.tracker,
                .authority = options.any_scheduler ? std::optional(node->authority()) : std::nullopt}));
    node->messenger_ =
        std::make_unique<messenger::LocalMessenger>(*node->scheduler_, *node->compute_, *node->weave_, *node->records_,
            *node->cache_, *node->authority_, clock, messenger::LocalMessenger::Options{.threads = options.workers + 8});
    node->waiting_ = std::make_unique<Waiting>(*node->compute_, options.workers + 8, options.waiting_max);
    TRY_OK(node->messenger_->resume());
    return node;
}

Result<void> Node::ready()
{
    if (stopping_)
        return fail(errors::stopping, "the node is going down", "what it acknowledged is kept");
    TRY(const auto tip, weave_->tip());
    return {};
}

void Node::stop()
{
    stopping_ = true;
    compute_->stop();
    if (outer_http_)
        outer_http_->stop();
}

Result<weave::StoredItem> Node::item(const ItemId& id)
{
    auto found = weave_->item(id);
    if (found || !outer_ || found.error().code != weave::errors::unknown_item)
        return found;
    TRY_OK(outer_->fetch(id));
    return weave_->item(id);
}

Result<weave::Transactions::Found> Node::transaction(const ItemId& id)
{
    auto found = transactions_->find(id);
    if (found || !outer_ || found.error().code != weave::errors::unknown_item)
        return found;
    TRY_OK(outer_->fetch(id));
    return transactions_->find(id);
}

Node::~Node()
{
    if (outer_http_)
        outer_http_->stop();
    // Evaluations under way are given up, so that whoever waits for one is told at once; the log has them.
    if (compute_)
        compute_->stop();
}

}  // namespace altiplano::node
