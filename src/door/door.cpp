#include "door/door.hpp"

#include "base/hash.hpp"
#include "door/errors.hpp"
#include "door/lua_texts.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace altiplano::door {

namespace {

constexpr std::size_t attestations_max = 1000;  // the newest; models that are older are asked for by nobody
constexpr std::size_t names_shown = 20;

/// Whether an item's data begins as GGUF files do.
bool is_gguf(weave::Weave& weave, const ItemId& id)
{
    const auto data = weave.data(id);
    std::array<std::byte, 4> front{};
    return data && (*data)->size() >= front.size() && (*data)->read_at(0, front) && as_text(front) == "GGUF";
}

/// An anchor that follows from what an item is for: the same item, and so the same process, at every start.
std::string anchor_of(std::string_view what)
{
    return to_string(sha256(as_bytes(what)).bytes());
}

}  // namespace

Result<std::vector<Door::Model>> Door::models()
{
    store::Find find{.each_of = {{store::Term::tag("Type", "Attestation")}, {store::Term::tag("Data-Protocol", "ao")}},
        .newest_first = true,
        .limit = attestations_max};
    store::Work work{.left = 1'000'000};
    TRY(const auto found, world_.records.find(find, work));
    std::vector<Model> models;
    std::set<ItemId> seen;
    std::set<std::string, std::less<>> names;
    const auto offered = [&](const Model& model) {
        return options_.models.empty() || std::ranges::find(options_.models, model.name) != options_.models.end()
            || std::ranges::find(options_.models, model.item.text()) != options_.models.end();
    };
    for (const auto& id : found.ids) {
        const auto attestation = world_.weave.item(id);
        const auto named = attestation ? attestation->header.tags().first("Message") : std::nullopt;
        const auto item = named ? ItemId::parse(*named) : Result<ItemId>(fail("", ""));
        if (!item || !seen.insert(*item).second)
            continue;
        const auto stored = world_.weave.item(*item);
        if (!stored || !is_gguf(world_.weave, *item))
            continue;
        TRY(const auto block, world_.weave.block(stored->height));
        const auto name = stored->header.tags().first("Name");
        Model model{.item = *item,
            .name = name && !name->empty() ? std::string(*name) : item->text(),
            .attestor = attestation->header.owner().text(),
            .stored_ms = block.timestamp_ms};
        if (!offered(model))
            continue;
        if (!names.insert(model.name).second)
            model.name = item->text();
        models.push_back(std::move(model));
    }
    return models;
}

Result<Door::Model> Door::model(const std::string& name)
{
    TRY(const auto known, models());
    for (const auto& model : known)
        if (model.name == name || model.item.text() == name)
            return model;
    std::string names;
    for (std::size_t i = 0; i < std::min(known.size(), names_shown); ++i)
        names += (i == 0 ? "" : ", ") + known[i].name;
    return fail(errors::unknown_model, fmt::format("there is no model '{}' here", name),
        known.empty() ? "`altiplano put model.gguf --name NAME --attest` gives the node one" : "there are " + names);
}

Result<ModuleId> Door::module()
{
    if (!options_.module.empty()) {
        TRY(const auto id, ItemId::parse(options_.module));
        TRY(const auto real, world_.weave.real(id));
        return ModuleId(real);
    }
    store::Find find{
        .each_of = {{store::Term::tag("Type", "Module")}, {store::Term::tag("Name", "llama")}}, .newest_first = true, .limit = 1};
    store::Work work{.left = 100'000};
    TRY(const auto found, world_.records.find(find, work));
    if (found.ids.empty())
        return fail(errors::no_module, "the node has no module named llama",
            "`altiplano put llama.wasm --module --name llama` stores one");
    return ModuleId(found.ids.front());
}

Result<ProcessId> Door::make_worker(const Model& model, const ModuleId& module, std::size_t number)
{
    const auto code = lua_texts().front().text;
    item::Tags tags{{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Process"}, {"Module", module.text()},
        {"Scheduler", world_.scheduler.address().text()}, {"Authority", world_.authority().text()},
        {"Name", fmt::format("door {} {}", model.name.substr(0, 100), number)}, {"On-Boot", "Data"},
        {"Door-Model", model.item.text()}, {"Context", std::to_string(options_.context_tokens)}, {"Extension", "WeaveDrive"},
        {"Attestor", model.attestor}};
    TRY(const auto item,
        item::build({.anchor = anchor_of(fmt::format("altiplano door worker {}", number)),
                        .tags = std::move(tags),
                        .data = to_buffer(code)},
            world_.wallet));
    TRY(const auto accepted, world_.messenger.accept(item));
    return ProcessId(accepted.id);
}

Result<Door::Pool*> Door::pool_of(const Model& model)
{
    TRY(const auto module, this->module());
    auto& pool = pools_[{model.item, module}];
    pool.module = module;
    while (pool.workers.size() < std::max<std::size_t>(1, options_.workers)) {
        TRY(const auto process, make_worker(model, module, pool.workers.size() + 1));
        pool.workers.push_back({.process = process});
    }
    return &pool;
}

Result<Door::Sent> Door::send(const Wish& wish, const std::function<void(const units::ConsolePiece&)>& listener)
{
    TRY(const auto model, this->model(wish.model));
    Sent sent;
    {
        const std::lock_guard lock(mutex_);
        TRY(auto* const pool, pool_of(model));
        const auto& worker = *std::ranges::min_element(pool->workers, {}, [](const Worker& one) { return one.busy.use_count(); });
        sent.open = worker.busy;
        sent.job = {
            .slot = {.process = worker.process}, .message = {}, .model = model.item.text(), .module = pool->module.text()};
    }
    // Listening before it is sent: nothing printed is missed.
    if (listener)
        sent.watch = world_.compute.watch(sent.job.slot.process, listener);
    std::array<std::byte, 32> anchor{};
    world_.random.fill(anchor);
    TRY(const auto message,
        item::build({.target = Digest(sent.job.slot.process),
                        .anchor = to_string(anchor),
                        .tags = {{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Message"}, {"Action", "Complete"},
                            {"Content-Type", "application/json"}},
                        .data = to_buffer(wish.job)},
            world_.wallet));
    TRY(const auto accepted, world_.messenger.accept(message));
    ENSURE(accepted.slot, "a worker is a process");
    sent.job.slot = *accepted.slot;
    sent.job.message = accepted.id;
    sent.job.taken_ms = world_.clock.wall_ms();
    return sent;
}

}  // namespace altiplano::door
