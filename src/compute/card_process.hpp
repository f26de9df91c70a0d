#pragma once

#include "base/executor.hpp"
#include "base/files.hpp"
#include "cuda/served.hpp"
#include "weave/weave.hpp"

#include <mutex>

namespace altiplano::compute {

/// The node's ends of two socket pairs to a process in `cuda::run_card_process`, and what ends it.
struct StartedCard {
    int control = -1, items = -1;
    std::function<void()> end{};  ///< called once, when the node is done with it
};
using CardStart = std::function<Result<StartedCard>()>;

/// Starts `program card` with the sockets as its descriptors 3 and 4. @return compute.worker_died
CardStart card_process(Path program);

/// The process that has this node's graphics card, which worker processes are not let near. It is started at once, and again when
/// it has ended, three times. Safe from any thread.
class CardProcess {
public:
    using OpenItem = std::function<Result<std::unique_ptr<weave::ItemData>>(const ItemId&)>;

    /// @param open  gives it the weights that are asked for; called on a thread of this object's
    CardProcess(CardStart start, OpenItem open);
    ~CardProcess();
    CardProcess(const CardProcess&) = delete;
    CardProcess& operator=(const CardProcess&) = delete;

    /// A way to it, for a worker (cuda::Offer). @return the caller's descriptor; -1 where there is none any more
    int connect();
    /// The card's name. @return empty: it is being tested; cuda.no_card, cuda.card, cuda.wrong_bits are all told as they are
    Result<std::string> name();

private:
    int connect_locked();
    bool start_locked();
    void end_locked();

    CardStart start_;
    OpenItem open_;
    std::mutex mutex_;
    std::unique_ptr<Executor> answering_;  ///< items that the process asks for
    StartedCard now_;
    int starts_left_ = 3;
};

}  // namespace altiplano::compute
