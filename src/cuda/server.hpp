#pragma once

#include "cuda/shared_weights.hpp"

#include <functional>

namespace altiplano::cuda {

/// Has a card for many processes (served.hpp), which share the weights on it. What they ask for reaches their own memory on the
/// card, the items' weights, and what they gave this process to read and write; where kernels read and write, only they know.
/// A process that was broken out of could thus make others compute wrongly, and nothing else.
class Server {
public:
    /// The card, tested. May take long: it is called on a thread of its own, and until it returns nobody has a card.
    using OpenCard = std::function<Result<std::unique_ptr<Device>>()>;

    Server(OpenCard card, OpenItem item)
        : open_card_(std::move(card))
        , open_item_(std::move(item))
    {
    }
    /// Serves whoever is at the other end of a socket that comes over `control`, until that ends.
    void run(int control);

private:
    OpenCard open_card_;
    OpenItem open_item_;
};

/// The whole life of the process that has the card: workers' sockets come over one socket pair, items are asked for over the
/// other
/// (`answer_item`).
void run_card_process(int control, int items, Server::OpenCard card);
/// Waits for one question of `run_card_process`, and answers it. @param descriptor_of  gives a descriptor that is then closed, or
/// -1. @return base.peer_gone
Result<void> answer_item(int items, const std::function<int(const ItemId&)>& descriptor_of);

}  // namespace altiplano::cuda
