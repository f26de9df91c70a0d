#pragma once

#include "cuda/card.hpp"

/// The card of this machine for processes that may not touch its driver: another process has it (server.hpp), and is asked over a
/// socket pair.
namespace altiplano::cuda {

/// One end of a connection to a Server. Any thread.
class Offer {
public:
    /// @param socket  of SOCK_SEQPACKET; this object's from now on
    explicit Offer(int socket)
        : socket_(socket)
    {
    }
    ~Offer();
    Offer(const Offer&) = delete;
    Offer& operator=(const Offer&) = delete;

    /// What the other process says of its card. @return its name; empty: it does not know yet; cuda.no_card, cuda.card
    Result<std::string> name() const;
    /// To be used as if it were here. To be asked once; `name` is not asked afterwards.
    /// @return nullptr: not yet; else as `name`
    Result<std::unique_ptr<Device>> device();

private:
    int socket_;
};

}  // namespace altiplano::cuda
