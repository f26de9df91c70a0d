#pragma once

#include "cuda/mirror.hpp"

#include <list>
#include <map>
#include <mutex>
#include <vector>

namespace altiplano::cuda {

/// A node of a graph, ready to run; its tensors point into guest memory.
struct Step {
    const kernels::Node* node = nullptr;
    bool prepare = false;
};

/// Runs graphs on a graphics card. Weights stay there by the item that they are of; what else a graph reads is compared with what
/// the card has of it, and sent where it differs; what it writes comes back. One graph at a time; any thread.
class Card {
public:
    explicit Card(std::unique_ptr<Device> device);
    ~Card();
    Card(const Card&) = delete;
    Card& operator=(const Card&) = delete;

    std::string name() const { return device_->name(); }
    /// The device, with nothing of this card's on it; this card is of no more use.
    std::unique_ptr<Device> give_back();

    /// A graph with what it needs on the card, for as long as memory lies where it is and shows the same weights.
    class Plan;
    /// @param steps  checked (`tensor/check.hpp`)
    /// @param memory  all of the guest's
    Result<std::shared_ptr<Plan>> plan(std::span<const Step> steps, std::int64_t activation_bytes, std::int64_t angle_bytes,
        std::span<std::byte> memory, std::span<const Weights> weights);

    struct Ran {
        kernels::Outcome outcome = kernels::Outcome::done;
        std::uint32_t node = 0;  ///< the first that failed
    };
    /// Guest memory is written only when all went well. @param written  saves comparing @return cuda.card
    Result<Ran> run(Plan& plan, const TakeWritten& written = {});

private:
    using SharedMemory = std::shared_ptr<CardMemory>;

    Result<SharedMemory> allocate(std::uint64_t bytes);
    /// Asks again with less and less on the card. @param ask  gives memory of the card, or an Error when there is too little
    template <class Ask> Result<std::byte*> with_room(const Ask& ask);
    Result<SharedMemory> weights_of(std::span<const std::byte> memory, const Weights& weights);
    Result<std::shared_ptr<Mirror>> mirror_of(std::span<const std::byte> memory, std::uint64_t begin, std::uint64_t end);
    Result<void> send(Plan& plan, const TakeWritten& written);
    Result<void> send(std::byte* to, Bytes from);

    std::unique_ptr<Device> device_;
    std::mutex mutex_;
    std::byte* sent_ = nullptr;  ///< staging
    std::uint64_t sent_used_ = 0;
    std::byte* fetched_ = nullptr;
    std::uint64_t fetched_bytes_ = 0;
    struct Kept {
        Weights of;
        SharedMemory memory;
    };
    std::list<Kept> weights_;  ///< the last one used first
    std::list<std::shared_ptr<Mirror>> mirrors_;
    SharedMemory activations_, angles_, parts_;
};

/// Computes every operation and format on the card and by the definition, numbers that are not finite among them.
/// @return what differs: cuda.wrong_bits, cuda.card
std::vector<Error> differences(Card& card);
/// @return the first of them
Result<void> self_test(Card& card);
/// The first card of this machine, if it passes that. @return cuda.no_card, cuda.card, cuda.wrong_bits
Result<std::unique_ptr<Device>> tested_card();

}  // namespace altiplano::cuda
