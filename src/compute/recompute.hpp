#pragma once

#include "compute/context.hpp"
#include "vm/module.hpp"

namespace altiplano::compute {

/// A process computed again from its log alone, in this very process: what a doubter does. Uses no result and no image.
class Recomputation {
public:
    /// @param spawn  slot 0, which records the semantics
    /// @param modules  folder of compiled modules; empty: nothing is kept
    /// @param by  whose code extensions compute by
    /// @return compute.other_semantics, compute.not_a_module, module.*, weave.*, vm.*
    static Result<std::unique_ptr<Recomputation>> begin(weave::Weave& weave, const units::LogEntry& spawn, const Path& modules,
        tensor::Options::By by = tensor::Options::By::own);

    /// The same from an image and its overlays, whose state is taken to be that of `root`, which it is then checked against
    /// as it is used: whoever doubts `root` as well computes what leads to it.
    /// @return also memory.bad_image, vm.bad_image
    static Result<std::unique_ptr<Recomputation>> resume(weave::Weave& weave, const units::LogEntry& spawn, const Path& modules,
        tensor::Options::By by, const std::vector<std::unique_ptr<File>>& layers, const Digest& root);

    /// The result of the next evaluation. @param walk  stands before it, as `step` says. Items that the guest opens are read
    /// through and their signatures verified.
    /// @return a HostFault: nothing can be said about the slot
    Result<units::SlotResult> next(const LogWalk& walk, const LogWalk::Step& step);

    const Context& context() const noexcept { return context_; }
    /// Who is told of every item that the guest opens.
    void on_open(std::function<void(const ItemId&)> told) { opened_ = std::move(told); }

    /// What a language model is claimed to have generated in an evaluation: its tokens, 32 bits each, little-endian. The guest
    /// reads them at once instead of one by one; what it answers follows from the model all the same. States and gas do not.
    using Claims = std::function<Buffer(const units::Slot& slot)>;
    void claim(Claims claims) { claims_ = std::move(claims); }

private:
    static Result<std::unique_ptr<Recomputation>> prepare(weave::Weave& weave, const units::LogEntry& spawn, const Path& modules,
        tensor::Options::By by, std::shared_ptr<const vm::Module>& module);
    Recomputation(weave::Weave& weave, Context context)
        : weave_(weave)
        , context_(std::move(context))
    {
    }

    weave::Weave& weave_;
    Context context_;
    std::shared_ptr<vm::Engine> engine_;
    std::unique_ptr<vm::ModuleCache> cache_;
    std::unique_ptr<vm::Machine> machine_;
    std::function<void(const ItemId&)> opened_;
    Claims claims_;
};

}  // namespace altiplano::compute
