#pragma once

#include "base/files.hpp"
#include "item/ed25519.hpp"

#include <string>
#include <vector>

namespace altiplano::cli {

/// The ids that the network of AO gave to what `altiplano up` has here: scripts that name them reach the local ones.
namespace published {
inline constexpr std::string_view war = "xU9zFkq3X2ZQ6olwNVvr1vUWIjc3kXTWr7xKQD6dh10";
inline constexpr std::string_view herder = "wh5vB2IbqmIBUqgodOaTvByNFDPr73gbUq1bVOUtCrw";
inline constexpr std::string_view model = "ISrbGzQot05rs_HKC08O_SmkipYQnqgB1yC3mjZZeEo";
inline constexpr std::string_view registry_1 = "UdPDhw5S7pByV3pVqwyr1qzJ8mR8ktzi9olgsdsyZz4";
inline constexpr std::string_view registry_2 = "DKF8oXtPvh3q8s0fJFIeHFyHNM6oKrwMCUrPxEMroak";
inline constexpr std::string_view aos_module = "ISShJH1ij-hPPt9St5UFFr_8Ys3Kj5cyg7zrMGt7H9s";
inline constexpr std::string_view llama_module = "QkFLfRXw8MOeHMNoHK0tyno17wbSxCecATohFMaULKM";
}  // namespace published

/// A wallet whose key follows from its name, so that every development node has the same ones. Worth nothing.
item::Ed25519Signer development_wallet(std::string_view name);

/// What a development node is given: the same items at every start, so that giving them again changes nothing (law 4).
/// Modules, faucet and token, registry with its packages, herder and worker, and test money.
struct Development {
    struct Step {
        std::string what;  ///< for people
        item::DataItem item;
    };
    struct Stage {
        std::vector<Step> items{};  ///< to be stored: modules
        std::vector<Step> messages{};  ///< to be sent afterwards, in this order
    };
    Stage first;  ///< what there is when the node is shown as ready
    Stage later;  ///< the AI, whose module and model take a while; the model is the caller's
    std::vector<std::pair<std::string, std::string>> aliases;  ///< published id, local id
    std::string war, faucet, registry, herder, aos_module, llama_module;
    std::vector<std::string> workers;
    std::string model;  ///< id of the GGUF; empty: no AI

    struct Options {
        Address scheduler;
        Address authority;
        Path guest;  ///< folder of process.wasm and llama.wasm
        std::string model_id;  ///< of the GGUF, which the caller stores; empty: no AI
        std::size_t workers = 1;
        std::vector<std::string> funded;  ///< addresses that get test money besides the wallets
    };
    /// @return base.file_missing for a module that was not built
    static Result<Development> make(const Options& options, Files& files);
};

/// A text of lua/ by its name, as "blueprints/token.lua".
std::string lua_text(std::string_view name);

/// Text of lua/ with the published ids replaced by the local ones: a program compares senders with the id that it knows.
std::string with_local_ids(std::string text, const std::vector<std::pair<std::string, std::string>>& aliases);

}  // namespace altiplano::cli
