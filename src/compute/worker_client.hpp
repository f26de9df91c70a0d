#pragma once

#include "base/clock.hpp"
#include "compute/context.hpp"
#include "compute/frames.hpp"
#include "compute/giving_way.hpp"
#include "compute/images.hpp"
#include "compute/tensor_threads.hpp"

namespace altiplano::compute {

/// The worker's end of a socket pair, and what ends the worker; by default a process of the program itself.
struct StartedWorker {
    int socket = -1;
    std::function<void()> end;  ///< called once, when the node is done with it
    std::int64_t process = 0;  ///< its process id, for whoever looks; 0 when it is none
};
using WorkerStart = std::function<Result<StartedWorker>()>;

/// Starts `program worker` with the socket as its descriptor 3. Workers die with this function object, and with the node.
/// @return compute.worker_died
WorkerStart worker_process(Path program);

/// Called while an answer is waited for. @return in how many milliseconds again, at least 1
using Meanwhile = std::function<int()>;

/// One worker process with one module, and the machine of one process in it. One thread at a time. After any Error but
/// a refused module it is to be destroyed.
class WorkerClient {
public:
    /// What answers when the guest opens a path. `mapped`: it is an item that was admitted and mapped at an earlier slot.
    using OpenItem = std::function<Result<std::unique_ptr<weave::ItemData>>(std::string_view path, bool mapped)>;
    using Console = std::function<void(int fd, std::string_view text)>;

    /// A way to the node's graphics card (CardProcess::connect); -1 where there is none.
    using OpenCard = std::function<int()>;

    static Result<std::unique_ptr<WorkerClient>> start(const WorkerStart& how, OpenCard card = {});
    ~WorkerClient();

    /// Compiles the module, or takes it from the cache in `modules`. @return module.*, compute.worker_died
    Result<void> load(const Context& context, const Path& modules, memory::Tracker tracker, const TensorThreads& threads);
    /// Begins with fresh memory. @return the root of the state after constructors; module.constructors_failed, vm.*
    Result<Digest> begin(std::uint64_t memory_limit_bytes);
    /// Begins with an image and the overlays on it. @return the state root; vm.bad_image, memory.bad_image, vm.*
    Result<Digest> restore(std::uint64_t memory_limit_bytes, std::span<const std::unique_ptr<File>> layers, const OpenItem& open);
    /// Puts a linear memory in place of the one that the machine began with. @return the state root; as `Machine::take_memory`
    Result<Digest> fill(const File& memory, std::uint64_t length_bytes);
    /// Lets the machine go, with its memory. @return false when the worker is gone
    bool forget();
    /// Hands over a message to be evaluated after those before; it begins at once where there is none. @return
    /// compute.worker_died
    Result<void> hand_over(const Work& work);
    /// Whether a message is so small that it may be handed over while the one before is evaluated: it fits what the kernel
    /// keeps for the worker, so that nobody waits for whom it keeps waiting.
    static bool may_wait(const Work& work);
    /// What became of the first that was handed over. @return a HostFault: compute.worker_died, vm.*, whatever `open` returned
    Result<Evaluated> evaluated(const OpenItem& open, const Console& console, const Meanwhile& meanwhile = {});
    /// Writes the state into `file` and syncs it: whole, or if that is worth it what it has besides one of the bases.
    /// @param durable  without, a crash may leave less of it, which is found when it is used
    Result<memory::SavedImage> save(const File& file, const Images::Bases& bases, bool durable);
    Result<vm::Machine::Description> describe();
    /// Remembers the state; `changes` gives the pages that differ from it, as ranges.
    Result<void> mark();
    Result<std::vector<memory::PageRange>> changes();

    /// What the worker's process gets of the machine: for evaluations that take long.
    WorkerShare& share() noexcept { return share_; }
    bool is_there() const { return channel_.is_open(); }
    /// Whoever waits for this worker is told that it died. From any thread; only the destructor is of use afterwards.
    void give_up() const;

    std::int64_t process() const noexcept { return worker_.process; }

private:
    WorkerClient(StartedWorker worker, OpenCard card)
        : worker_(std::move(worker))
        , card_(std::move(card))
        , channel_(worker_.socket)
        , share_(worker_.process)
    {
    }
    Result<Frame> answer(FrameType expected, const OpenItem& open, const Console& console, const Meanwhile& meanwhile = {});
    Result<void> give_item(Bytes payload, const OpenItem& open);
    Result<void> give_card();

    StartedWorker worker_;
    OpenCard card_;
    Channel channel_;
    WorkerShare share_;
    std::shared_ptr<const CommonImages::One> common_;  ///< that the worker was given last
};

}  // namespace altiplano::compute
