#include "compute/recompute.hpp"

#include "compute/errors.hpp"
#include "drive/files.hpp"
#include "memory/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::compute {

namespace {

/// The tokens that an answer is claimed to have (guest/llama/engine.cpp).
class ClaimFile final : public vm::GuestFile {
public:
    explicit ClaimFile(Buffer bytes)
        : bytes_(std::move(bytes))
    {
    }
    std::uint64_t size() const override { return bytes_.size(); }
    Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) override
    {
        std::ranges::copy(Bytes(bytes_).subspan(offset, into.size()), into.begin());
        return {};
    }
    bool is_item() const override { return false; }
    ItemId item() const override { return {}; }

private:
    Buffer bytes_;
};
constexpr std::string_view claim_path = "altiplano/draft";

/// As the node opens items, but what is opened is what was signed, or nothing.
class CheckedFiles final : public vm::GuestFiles {
public:
    using Told = std::function<void(const ItemId&)>;
    CheckedFiles(weave::Weave& weave, const drive::Reader& reader, Told opened = {}, std::optional<Buffer> claim = {})
        : weave_(weave)
        , files_(weave, reader)
        , opened_(std::move(opened))
        , claim_(std::move(claim))
    {
    }
    Result<std::unique_ptr<vm::GuestFile>> open(std::string_view path) override
    {
        if (claim_ && path == claim_path)
            return std::make_unique<ClaimFile>(*claim_);
        TRY(auto file, files_.open(path));
        if (file->is_item()) {
            TRY_OK(weave_.check(file->item()));
            if (opened_)
                opened_(file->item());
        }
        return file;
    }
    Result<std::unique_ptr<vm::GuestFile>> mapped_item(ItemId item) override
    {
        if (opened_)
            opened_(item);
        return files_.mapped_item(item);
    }

private:
    weave::Weave& weave_;
    drive::WeaveFiles files_;
    Told opened_;
    std::optional<Buffer> claim_;
};

}  // namespace

Result<std::unique_ptr<Recomputation>> Recomputation::prepare(weave::Weave& weave, const units::LogEntry& spawn,
    const Path& modules, tensor::Options::By by, std::shared_ptr<const vm::Module>& module)
{
    TRY(auto context,
        context_of(weave, spawn.message.header(), spawn.assignment.semantics.value_or(units::Assignment::Semantics{})));
    TRY_OK(weave.check(context.code->header.id()));
    for (const auto& one : context.announced)
        TRY_OK(weave.check(one.id));
    if (!spawn.assignment.semantics)
        return fail(errors::other_semantics, "slot 0 records no semantics version");
    TRY_OK(check_semantics(*spawn.assignment.semantics, context.semantics));

    std::unique_ptr<Recomputation> made(new Recomputation(weave, std::move(context)));
    TRY(made->engine_, vm::Engine::create(vm::Engine::reservation_for(made->context_.memory_bytes)));
    TRY(made->cache_,
        vm::ModuleCache::open(
            made->engine_, system_files(), system_random(), {.folder = modules, .extensions = extensions(made->context_, by)}));
    TRY(module, made->cache_->compile(made->context_.code->wasm, *made->context_.format));
    return made;
}

Result<std::unique_ptr<Recomputation>> Recomputation::begin(
    weave::Weave& weave, const units::LogEntry& spawn, const Path& modules, tensor::Options::By by)
{
    std::shared_ptr<const vm::Module> module;
    TRY(auto made, prepare(weave, spawn, modules, by, module));
    TRY(made->machine_, vm::Machine::create(std::move(module), {.memory_bytes = made->context_.limits.memory_bytes}));
    return made;
}

Result<units::SlotResult> Recomputation::next(const LogWalk& walk, const LogWalk::Step& step)
{
    CheckedFiles files(weave_, {.process = context_.item.tags(), .module = context_.code->header.tags(), .height = step.height},
        opened_, claims_ ? std::optional(claims_(step.slot)) : std::nullopt);
    const auto work = step.message ? work_of(*step.message, context_) : work_of(*step.tick, step.slot, walk.left(), context_);
    TRY(auto done, evaluate(*machine_, work, files, {}));
    return slot_result(step, context_, std::move(done));
}

Result<std::unique_ptr<Recomputation>> Recomputation::resume(weave::Weave& weave, const units::LogEntry& spawn,
    const Path& modules, tensor::Options::By by, const std::vector<std::unique_ptr<File>>& layers, const Digest& root)
{
    std::shared_ptr<const vm::Module> module;
    TRY(auto made, prepare(weave, spawn, modules, by, module));
    CheckedFiles files(weave, {.process = made->context_.item.tags(), .module = made->context_.code->header.tags(), .height = 0});
    TRY(made->machine_,
        vm::Machine::restore(std::move(module), {.memory_bytes = made->context_.limits.memory_bytes}, layers, files));
    if (made->machine_->root() != root)
        return fail(memory::errors::bad_image,
            fmt::format("the image is of the state {}, not {}", made->machine_->root().text(), root.text()));
    return made;
}

}  // namespace altiplano::compute
