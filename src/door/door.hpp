#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "door/answer.hpp"
#include "item/signer.hpp"
#include "units/units.hpp"
#include "weave/weave.hpp"

#include <map>
#include <mutex>

namespace altiplano::door {

/// Turns requests into messages, signed by a wallet of its own, for worker processes of its own: a few for each model, made
/// when first asked, the same ones ever after. Safe from any thread.
class Door {
public:
    struct Options {
        std::size_t workers = 1;  ///< processes for each model; a request goes to the one with the fewest open
        std::vector<std::string> models{};  ///< ids or names of the models that are offered; empty: all that are attested
        std::string module{};  ///< id of the module of workers; empty: the newest that is named llama
        std::uint64_t context_tokens = 4096;
    };
    /// What it works with; outlives it.
    struct World {
        units::Scheduler& scheduler;
        units::Compute& compute;
        units::Messenger& messenger;
        weave::Weave& weave;
        store::Records& records;
        const item::Signer& wallet;
        std::function<Address()> authority;  ///< whom workers believe what others send; unused by them, wanted by spawns
        Clock& clock;
        Random& random;
    };
    Door(World world, Options options)
        : world_(std::move(world))
        , options_(std::move(options))
    {
    }

    /// A GGUF file of the weave that somebody attested: processes that trust them may open it.
    struct Model {
        ItemId item;
        std::string name;  ///< its tag Name, else its id
        std::string attestor;
        std::int64_t stored_ms = 0;
    };
    /// The newest first; of several with one name only the newest. @return store.*
    Result<std::vector<Model>> models();
    /// By its name or id. @return door.unknown_model, store.*
    Result<Model> model(const std::string& name);

    Random& random() noexcept { return world_.random; }

    /// Sends a request to a worker; it is durable in its log when this returns. The first for a model makes its workers, which
    /// takes as long as the module takes to compile.
    /// @param listener  hears what the worker prints, of any slot, while `watch` of the answer is held; may be null
    /// @return door.unknown_model, door.no_module; messenger.*, scheduler.*, compute.*
    struct Sent {
        Job job;
        std::shared_ptr<void> watch;
        std::shared_ptr<void> open;  ///< held until the answer is there: says that the worker is busy
    };
    Result<Sent> send(const Wish& wish, const std::function<void(const units::ConsolePiece&)>& listener);

private:
    struct Worker {
        ProcessId process;
        std::shared_ptr<void> busy = std::make_shared<int>();  ///< its count of references says how many are open
    };
    struct Pool {
        ModuleId module;
        std::vector<Worker> workers;
    };
    Result<ModuleId> module();
    Result<ProcessId> make_worker(const Model& model, const ModuleId& module, std::size_t number);
    Result<Pool*> pool_of(const Model& model);

    const World world_;
    const Options options_;
    std::mutex mutex_;  ///< of the pools; held while workers are made
    std::map<std::pair<ItemId, ModuleId>, Pool> pools_;
};

}  // namespace altiplano::door
