#include "node/node.hpp"

#include "base/json.hpp"
#include "node/errors.hpp"
#include "node/offered.hpp"
#include "store/sqlite/sqlite.hpp"
#include "weave/errors.hpp"

#include <algorithm>

namespace altiplano::node {

Result<std::unique_ptr<Node>> Node::open(const Options& options, Files& files, Clock& clock, Random& random)
{
    std::unique_ptr<Node> node(new Node(options, clock));
    const DataFolder folder{options.data};
    TRY(node->lock_, folder.claim(files));
    TRY(node->authority_, load_or_make_key(files, random, folder.key("authority"), options.authority_key));
    TRY(node->scheduler_key_, load_or_make_key(files, random, folder.key("scheduler"), options.scheduler_key));

    TRY(node->records_, store::open_records(folder.records()));
    TRY(node->blobs_, store::Blobs::open(files, folder.blobs()));
    TRY(node->cache_, store::open_cache(folder.cache()));
    auto rules = net::AddressRules::of(options.allow);
    for (const auto& url : {options.scheduler_url, options.compute_url, options.messenger_url, options.gateway_url})
        if (rules && !url.empty()) {
            TRY(const auto parsed, net::parse_url(url));
            rules = rules->with(parsed);
        }
    if (!rules)
        return std::unexpected(rules.error());
    node->http_ = net::curl_http(*std::move(rules));

    TRY(auto aliases, Aliases::of(options.aliases, *node->records_, options.any_scheduler));
    node->aliases_ = std::make_unique<Aliases>(std::move(aliases));
    TRY_OK(node->open_weave(random));
    if (options.any_scheduler)
        node->weave_->resolve_by([known = node->aliases_.get()](const ItemId& published) { return known->resolve(published); });
    node->gateway_ = std::make_unique<gateway::Gateway>(*node->weave_, *node->records_, gateway::Gateway::Options{});
    TRY(node->transactions_,
        weave::Transactions::open(*node->weave_, *node->records_, files, clock, folder.uploads(), options.transactions));
    if (!options.outer.gateways.empty()) {
        net::AddressRules outer_rules;
        for (const auto& gateway : options.outer.gateways) {
            TRY(const auto url, net::parse_url(gateway));
            outer_rules = outer_rules.with(url);
        }
        node->outer_http_ = net::curl_http(std::move(outer_rules));
        node->outer_ =
            std::make_unique<weave::Outer>(*node->transactions_, *node->weave_, *node->outer_http_, clock, options.outer);
    }

    if (options.door_here) {
        TRY(node->door_wallet_, load_or_make_key(files, random, folder.key("door")));
    }
    TRY_OK(node->open_scheduler());
    TRY_OK(node->open_compute(files));
    node->waiting_ = std::make_unique<Waiting>(*node->compute_, options.workers + 8, options.waiting_max);
    TRY_OK(node->open_messenger());
    if (options.door_here)
        node->open_door(random);
    return node;
}

Result<void> Node::open_weave(Random& random)
{
    if (options_.scheduler_here || options_.gateway_url.empty()) {
        TRY(weave_, weave::Weave::open(*records_, *blobs_, clock_, random));
        return {};
    }
    follower_ = std::make_unique<weave::Follower>(*http_, options_.gateway_url, *records_, *blobs_);
    // Nodes that start together wait for each other; one that has a copy needs nobody.
    constexpr std::int64_t pause_ms = 200;
    for (auto left_ms = options_.unit_wait_ms;; left_ms -= pause_ms) {
        const auto copied = follower_->catch_up();
        TRY(const auto genesis, records_->block(0));
        if (copied || genesis)
            break;
        if (left_ms <= 0)
            return std::unexpected(copied.error());
        clock_.sleep_ms(pause_ms);
    }
    // Block 0 is there, so this begins no weave of its own.
    TRY(weave_, weave::Weave::open(*records_, *blobs_, clock_, random));
    return {};
}

Result<void> Node::open_scheduler()
{
    if (options_.scheduler_here) {
        // A new process is admitted by the compute unit, since that will have to run it.
        scheduler_ = std::make_unique<scheduler::LocalScheduler>(*weave_, *records_, *scheduler_key_, clock_,
            scheduler::LocalScheduler::Options{.admit = [this](const item::DataItem& process) { return admit(process); },
                .any_scheduler = options_.any_scheduler,
                .coming =
                    [this](const ProcessId& process) {
                        if (local_compute_)
                            local_compute_->expect(process);
                    },
                .quota = {.processes = options_.processes_per_owner,
                    .spawns_per_hour = options_.spawns_per_hour,
                    .exempt = door_wallet_ ? std::set<std::string>{door_wallet_->address().text()} : std::set<std::string>{}}});
        return {};
    }
    if (options_.scheduler_url.empty())
        return fail(
            errors::no_unit, "the scheduler does not run here, and no URL says where it does", "name it with --scheduler-url");
    // What its wire leaves out is in the weave: in the copy of it, or the gateway has it.
    const auto fetch = [this](const ItemId& id) -> Result<item::DataItem> {
        if (auto there = weave_->whole(id))
            return *std::move(there);
        if (follower_)
            TRY_OK(follower_->catch_up());
        return weave_->whole(id);
    };
    scheduler_ = std::make_unique<units::HttpScheduler>(*http_, options_.scheduler_url, options_.unit_wait_ms, fetch);
    if (follower_)
        scheduler_ = std::make_unique<FollowingScheduler>(std::move(scheduler_), *follower_);
    return {};
}

/// Whether a process is to be started that looks for a graphics card.
bool Node::uses_card(Files& files) const
{
    using enum Options::Card;
    if (options_.start_worker)
        return false;  // the simulator's node is one process
    return options_.card == on || (options_.card == automatic && files.exists("/dev/nvidiactl"));
}

Result<void> Node::open_compute(Files& files)
{
    if (options_.compute_here) {
        TRY(auto local,
            compute::LocalCompute::open(*scheduler_, *weave_, *cache_, files, clock_,
                {.folder = options_.data,
                    .modules = options_.modules,
                    .start = options_.start_worker ? options_.start_worker : compute::worker_process(options_.program),
                    .card = uses_card(files) ? compute::card_process(options_.program) : compute::CardStart{},
                    .workers = options_.workers,
                    .shares = options_.shares,
                    .warm_max = options_.warm_max,
                    .warm_bytes_max = options_.warm_bytes_max,
                    // For as many messages on their way at once: what a wake finds no idle worker for starts a process.
                    .idle_workers = std::min<std::size_t>(8 * options_.workers, 64),
                    .image_gas = options_.image_gas,
                    .history_states = options_.history_states,
                    .in_background = !options_.start_worker,  // the simulator's node does one thing after another
                    .memory_offer_bytes = options_.memory_offer_bytes,
                    .offers = [offered = Offered(files, DataFolder{options_.data}.extensions())](
                                  const ItemId& id) { return offered.has(id); },
                    .cron_unasked_max = options_.cron_unasked_max,
                    .tracker = options_.tracker,
                    .threads = options_.threads,
                    .checkpoint_signers = options_.checkpoint_signers,
                    .authority = options_.any_scheduler ? std::optional(authority()) : std::nullopt}));
        local_compute_ = local.get();
        compute_ = std::move(local);
        return {};
    }
    if (options_.compute_url.empty())
        return fail(
            errors::no_unit, "the compute unit does not run here, and no URL says where it does", "name it with --compute-url");
    auto kept = std::make_unique<KeptCompute>(
        std::make_unique<units::HttpCompute>(*http_, options_.compute_url, options_.unit_wait_ms, *scheduler_), *cache_);
    kept_compute_ = kept.get();
    compute_ = std::move(kept);
    return {};
}

Result<void> Node::open_messenger()
{
    if (options_.messenger_here) {
        messenger::LocalMessenger::Options options{
            .threads = options_.messenger_threads ? options_.messenger_threads : options_.workers + 8,
            .hops_max = options_.hops_max,
            .cron_poll_ms = options_.cron_poll_ms,
            .slots_unwritten = options_.start_worker ? 0U : 64U,  // the simulator looks at what is written
            .http = http_.get()};
        if (follower_)
            options.store = [this](const item::DataItem& item) { return follower_->put(item); };
        auto local = std::make_unique<messenger::LocalMessenger>(
            *scheduler_, *compute_, *weave_, *records_, *cache_, *authority_, clock_, std::move(options));
        TRY_OK(local->resume());
        messenger_ = std::move(local);
    } else if (options_.messenger_url.empty()) {
        messenger_ = std::make_unique<NoMessenger>();
    } else {
        messenger_ = std::make_unique<units::HttpMessenger>(*http_, options_.messenger_url, options_.unit_wait_ms, *scheduler_);
    }
    return {};
}

void Node::open_door(Random& random)
{
    door_ = std::make_unique<door::Door>(door::Door::World{.scheduler = *scheduler_,
                                             .compute = *compute_,
                                             .messenger = *messenger_,
                                             .weave = *weave_,
                                             .records = *records_,
                                             .wallet = *door_wallet_,
                                             .authority = [this] { return authority(); },
                                             .clock = clock_,
                                             .random = random},
        options_.door);
}

Result<void> Node::catch_up()
{
    return follower_ ? follower_->catch_up() : Result<void>{};
}

Result<units::Assignment::Semantics> Node::admit(const item::DataItem& process)
{
    TRY_OK(catch_up());  // its module may have been stored just now
    return local_compute_ ? local_compute_->admit(process) : kept_compute_->admit(process);
}

Address Node::authority() const
{
    if (options_.messenger_here || options_.messenger_url.empty())
        return authority_->address();
    const auto answer =
        http_->send({.url = net::join(options_.messenger_url, "/~altiplano/unit"), .total_ms_max = options_.unit_wait_ms});
    const auto json = answer ? JsonView::parse(answer->body) : Result<JsonView>(std::unexpected(answer.error()));
    const auto authority = json ? json->find("authority") : std::nullopt;
    return Address(authority ? authority->string().value_or("") : "");
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
    if (http_)
        http_->stop();
    if (local_compute_)
        local_compute_->stop();
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

Result<net::Response> Node::write_elsewhere(const std::string& method, const std::string& target, Bytes body)
{
    ENSURE(follower_, "asked of nodes that follow");
    TRY(auto answer,
        http_->send({.method = method,
            .url = net::join(options_.gateway_url, target),
            .headers = {{"Content-Type", "application/octet-stream"}},
            .body = body,
            .total_ms_max = options_.unit_wait_ms}));
    TRY_OK(follower_->catch_up());
    return answer;
}

Result<void> Node::publish_scheduler_location(const std::string& url)
{
    constexpr std::string_view time_to_live_ms = "3600000";
    store::Work work;
    TRY(const auto said,
        records_->find({.each_of = {{store::Term::owner(scheduler_key_->address().text())},
                            {store::Term::tag("Type", "Scheduler-Location")}},
                           .newest_first = true,
                           .limit = 1},
            work));
    if (!said.ids.empty()) {
        TRY(const auto newest, weave_->item(said.ids.front()));
        if (newest.header.tags().first("Url") == url)
            return {};
    }
    TRY(const auto tip, weave_->tip());
    // At another height the same words are another item.
    TRY(const auto location,
        item::build({.anchor = to_string(tip.hash.bytes()),
                        .tags = {{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Scheduler-Location"}, {"Url", url},
                            {"Time-To-Live", std::string(time_to_live_ms)}}},
            *scheduler_key_));
    TRY(auto staged, weave::stage_own(location, weave_->blobs()));
    TRY(const auto block, weave_->put({std::move(staged)}));
    return {};
}

Node::~Node()
{
    // Evaluations under way are given up, so that whoever waits for one is told at once; the log has them.
    stop();
}

}  // namespace altiplano::node
