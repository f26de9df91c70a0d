#include "vm/machine.hpp"

#include "memory/errors.hpp"
#include "memory/image.hpp"
#include "vm/abi/calls.hpp"
#include "vm/errors.hpp"
#include "vm/guest.hpp"
#include "vm/stack.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

namespace altiplano::vm {

namespace {

// A region that is too short for the largest engine would only show when somebody asks for that one.
static_assert(Engine::large_reservation_bytes + memory_guard_bytes <= memory::Region::reserved_bytes_max);

std::uint64_t reserved_bytes(const Module& module)
{
    return module.native().engine->reservation_bytes() + memory_guard_bytes;
}

/// Runs guest code on its stack. A stop that is an Error is a HostFault and comes back as one.
template <class T> Result<std::expected<T, GuestFault>> on_stack(const std::function<Answer<T>()>& task)
{
    std::optional<Answer<T>> answer;
    if (!on_guest_stack([&] { answer = task(); }))
        return fail(errors::host_stack, "the kernel gave no stack for guest code");
    if (*answer) {
        if constexpr (std::is_void_v<T>)
            return std::expected<T, GuestFault>();
        else
            return std::expected<T, GuestFault>(*std::move(*answer));
    }
    auto stopped = std::move(*answer).error();
    if (auto* error = std::get_if<Error>(&stopped))
        return std::unexpected(std::move(*error));
    return std::expected<T, GuestFault>(std::unexpect, std::get<GuestFault>(std::move(stopped)));
}

/// How much a process may have: its Memory-Limit in whole wasm pages, at most what the module declares.
std::uint64_t memory_bytes_max(const Module& module, Machine::Limits limits)
{
    return std::min(limits.memory_bytes / wasm_page_bytes * wasm_page_bytes, module.memory_bytes_max());
}

Result<void> fits(const Module& module, Machine::Limits limits)
{
    if (module.memory_bytes_min() > memory_bytes_max(module, limits))
        return fail(errors::memory_over_limit,
            fmt::format("the module starts with {} bytes of memory; the process may have {}", module.memory_bytes_min(),
                limits.memory_bytes),
            "spawn with a larger Memory-Limit");
    const auto& engine = *module.native().engine;
    const auto offered = engine.narrows() ? Engine::narrow_memory_bytes_max : engine.reservation_bytes();
    if (const auto needed = memory_bytes_max(module, limits); needed > offered)
        return fail(errors::memory_not_offered,
            fmt::format("the process may have {} bytes of memory; this engine offers {}", needed, offered));
    return {};
}

/// State besides memory and mapped ranges: whose memory it is, then the globals. The module's hash makes an image of
/// another module a wrong one, and two processes with equal memories and other code have other roots.
Buffer state_of(Guest& guest)
{
    auto state = to_buffer(guest.module().hash().bytes());
    append(state, guest.globals());
    return state;
}
Bytes globals_in(Bytes state)
{
    return state.subspan(Digest::size);
}

Answer<void> construct(Guest& guest)
{
    return guest.module().format().abi == Format::Abi::wasi ? abi::wasi::construct(guest) : abi::emscripten::construct(guest);
}

/// One message, from its text to the text of its result.
Answer<Run> deliver(Guest& guest, const Call& call)
{
    const Guest::Surroundings surroundings{call.timestamp_ms, call.seed, call.gas_limit, call.files, &call.console};
    if (auto begun = guest.begin(surroundings); !begun)
        return std::unexpected(std::move(begun).error());
    auto bytes = guest.module().format().abi == Format::Abi::wasi
        ? abi::wasi::handle(guest, call.message_json, call.env_json)
        : abi::emscripten::handle(guest, call.message_json, call.env_json);
    if (!bytes)
        return std::unexpected(std::move(bytes).error());
    // Compiled code looks at its gas only at loops and calls: an overdraft since the last look shows as an empty tank.
    const auto left = guest.gas_left();
    if (left == 0)
        return stop(GuestFault{errors::trap_out_of_gas, "the gas limit was reached"});
    Run run{
        .kind = Run::Kind::result, .bytes = *std::move(bytes), .gas_used = std::min(call.gas_limit, altiplano_gas_max()) - left};
    if (guest.module().format().metering != Format::Metering::none)
        run.metered = guest.metered();
    return run;
}

}  // namespace

struct Machine::Private {
    std::unique_ptr<Guest> guest;
    memory::PageTree tree{};
    Buffer state{};  ///< what is state besides memory, as of the last commit
    Digest root{};  ///< as of the last commit
    std::optional<Digest> saved{};  ///< the state that the newest image has
    std::vector<memory::PageTree::Leaf> marked{};
    std::atomic<bool> lost = false;  ///< a HostFault left the state in between
    std::atomic<bool> unfinished =
        false;  ///< between `begin_commit` and the end of `finish_commit`, which may be on another thread

    void wait() const noexcept { unfinished.wait(true, std::memory_order_acquire); }
    Result<void> usable() const;
    Result<void> again();
    Result<void> anew();
};

Machine::Machine()
    : private_(std::make_unique<Private>())
{
}
Machine::~Machine()
{
    private_->wait();
}

Result<void> Machine::Private::usable() const
{
    if (lost)
        return fail(errors::machine_lost, "a host fault ended this machine", "restore another from the last commit");
    return {};
}

Result<std::unique_ptr<Machine>> Machine::create(std::shared_ptr<const Module> module, Limits limits)
{
    TRY_OK(fits(*module, limits));
    TRY(auto region, memory::Region::fresh(reserved_bytes(*module), limits.tracker));
    TRY_OK(region.grow(module->memory_bytes_min()));
    const auto limit = memory_bytes_max(*module, limits);
    const auto hash = module->hash();
    std::unique_ptr<Machine> machine(new Machine);
    machine->private_->guest = std::make_unique<Guest>(std::move(module), std::move(region), limit);
    auto& guest = *machine->private_->guest;

    TRY(const auto constructed, on_stack<void>([&]() -> Answer<void> {
        if (auto there = guest.instantiate(); !there)
            return there;
        if (auto begun = guest.begin({0, hash, constructor_gas, nullptr, nullptr, constructor_metered}); !begun)
            return begun;
        return construct(guest);
    }));
    guest.end();
    if (!constructed)
        return fail(errors::constructors_failed,
            fmt::format("the module's constructors failed: {}: {}", constructed.error().code, constructed.error().sentence));
    TRY_OK(machine->commit());
    return machine;
}

Result<Run> Machine::handle(const Call& call)
{
    auto& guest = *private_->guest;
    TRY_OK(private_->usable());
    auto done = on_stack<Run>([&] { return deliver(guest, call); });
    guest.end();
    if (!done) {
        private_->lost = true;
        return std::unexpected(std::move(done).error());
    }
    // What host code read of a damaged image ended no message yet, but must not count.
    if (guest.region().damaged()) {
        private_->lost = true;
        return fail(memory::errors::bad_image, "the memory image of this process has other bytes than were saved",
            "images are caches: the log rebuilds it");
    }
    if (*done)
        return **std::move(done);

    // The guest's fault: everything but the gas is as before the message.
    const auto refused_bytes = guest.grow_refused_bytes();
    TRY_OK(private_->again());
    auto fault = std::move(*done).error();
    if (refused_bytes != 0)
        fault.sentence += fmt::format(
            " (it asked for {} bytes of memory; its Memory-Limit allows {})", refused_bytes, guest.memory_bytes_max());
    return Run{.kind = Run::Kind::guest_fault,
        .fault_code = fault.code,
        .fault_sentence = std::move(fault.sentence),
        .gas_used = call.gas_limit};
}

Result<Digest> Machine::commit()
{
    private_->wait();
    TRY_OK(private_->usable());
    auto& guest = *private_->guest;
    auto state = state_of(guest);
    auto root = private_->tree.commit(guest.region(), state);
    if (!root) {
        private_->lost = true;  // the tree is half-way
        return root;
    }
    private_->state = std::move(state);
    private_->root = *root;
    return *root;
}

Result<void> Machine::begin_commit()
{
    auto& mine = *private_;
    mine.wait();
    TRY_OK(mine.usable());
    auto state = state_of(*mine.guest);
    if (auto begun = mine.tree.begin(mine.guest->region(), state); !begun) {
        mine.lost = true;  // the tree is half-way
        return begun;
    }
    mine.state = std::move(state);
    mine.unfinished.store(true, std::memory_order_relaxed);
    return {};
}

Result<Digest> Machine::finish_commit()
{
    auto& mine = *private_;
    auto root = mine.tree.finish();
    if (root)
        mine.root = *root;
    else
        mine.lost = true;
    mine.unfinished.store(false, std::memory_order_release);
    mine.unfinished.notify_all();
    return root;
}

Result<void> Machine::roll_back()
{
    TRY_OK(private_->usable());
    return private_->again();
}

/// The state of the last commit.
Result<void> Machine::Private::again()
{
    lost = true;
    TRY_OK(guest->region().roll_back());
    return anew();
}

/// A new instance over the memory that is there, since it cannot change its length under an old one.
Result<void> Machine::Private::anew()
{
    lost = true;
    TRY(const auto there, on_stack<void>([&] { return guest->instantiate(); }));
    if (!there)
        return fail(errors::host_engine, "a module that could be instantiated no longer can: " + there.error().sentence);
    if (!guest->set_globals(globals_in(state)))
        return fail(errors::host_engine, "a machine's own globals no longer fit it");
    lost = false;
    return {};
}

Result<Digest> Machine::take_memory(const File& memory, std::uint64_t length_bytes)
{
    TRY_OK(private_->usable());
    auto& guest = *private_->guest;
    auto& region = guest.region();
    if (length_bytes % wasm_page_bytes != 0 || length_bytes < region.bytes().size())
        return fail(errors::bad_image,
            fmt::format("a memory of {} bytes is none that the module can have: it begins with {}, in pages of {}", length_bytes,
                region.bytes().size(), wasm_page_bytes));
    if (length_bytes > guest.memory_bytes_max())
        return fail(errors::memory_over_limit,
            fmt::format("the memory has {} bytes; the process may have {}", length_bytes, guest.memory_bytes_max()));
    private_->lost = true;
    const auto begun_bytes = region.bytes().size();
    TRY_OK(region.grow(length_bytes));
    Buffer piece(std::size_t{1} << 20);
    for (std::uint64_t at = 0; at < length_bytes; at += piece.size()) {
        const auto part = std::span(piece).first(std::min<std::uint64_t>(piece.size(), length_bytes - at));
        TRY(const auto got, memory.read_at(at, part));
        std::ranges::fill(part.subspan(got), std::byte{});  // the file may end with a hole
        for (std::size_t page = 0; page < part.size(); page += memory::page_bytes) {
            const auto there = part.subspan(page, memory::page_bytes);
            // Behind what the constructors had are zeros. They stay untouched, so that they go on costing nothing.
            if (at + page >= begun_bytes && std::ranges::all_of(there, [](std::byte byte) { return byte == std::byte{}; }))
                continue;
            std::ranges::copy(there, region.bytes().subspan(at + page, memory::page_bytes).begin());
        }
    }
    TRY_OK(private_->anew());
    return commit();
}

Result<memory::SavedImage> Machine::save(Files& files, const Path& path, const std::optional<Digest>& base,
    const memory::SaveRule& rule, const memory::CommonImage* common)
{
    private_->wait();
    TRY_OK(private_->usable());
    auto& mine = *private_;
    TRY(const auto saved,
        memory::save_image(files, path, mine.guest->region(), mine.tree, mine.state, mine.root,
            base && base == mine.saved ? base : std::nullopt, rule, common));
    mine.saved = mine.root;
    return saved;
}

Machine::Description Machine::describe() const
{
    const auto& mine = *private_;
    mine.wait();
    return {.root = mine.root,
        .memory_bytes = mine.guest->region().bytes().size(),
        .used_pages = mine.tree.pages().size(),
        .globals = to_buffer(globals_in(mine.state)),
        .mapped = mine.guest->region().mapped_ranges()};
}

void Machine::mark()
{
    private_->wait();
    private_->marked = private_->tree.pages();
}

std::vector<memory::PageRange> Machine::changes_since_mark() const
{
    private_->wait();
    return memory::differences(private_->marked, private_->tree.pages());
}

std::uint64_t Machine::unsaved_bytes() const noexcept
{
    return private_->guest->region().unsaved_pages().size() * memory::page_bytes;
}

Result<std::unique_ptr<Machine>> Machine::restore(std::shared_ptr<const Module> module, Limits limits,
    const std::vector<std::unique_ptr<File>>& layers, GuestFiles& files, std::unique_ptr<Machine> left, memory::KeptImage* common)
{
    TRY_OK(fits(*module, limits));
    const auto limit = memory_bytes_max(*module, limits);
    const auto bad = [](std::string_view what) { return fail(errors::bad_image, fmt::format("the image {}", what)); };
    // What it claims, before anything is done for it.
    std::vector<const File*> files_of_layers;
    files_of_layers.reserve(layers.size());
    for (const auto& layer : layers)
        files_of_layers.push_back(layer.get());
    if (layers.empty())
        return bad("is missing");
    TRY(const auto front, memory::read_image(*layers.back()));
    if (front.globals.size() < Digest::size || !equal(Bytes(front.globals).first(Digest::size), module->hash().bytes()))
        return bad("is of another module");
    if (front.length_bytes % wasm_page_bytes != 0 || front.length_bytes < module->memory_bytes_min())
        return bad(fmt::format("holds {} bytes of memory, which the module cannot have", front.length_bytes));
    if (front.length_bytes > limit)
        return fail(errors::memory_over_limit,
            fmt::format("the image holds {} bytes of memory; the process may have {}", front.length_bytes, limit));

    if (left && &left->private_->guest->module() == module.get()) {
        memory::KeptImage none;
        TRY(const auto is_other, left->become(limits, files_of_layers, common != nullptr ? *common : none));
        if (is_other)
            return left;
    }
    left.reset();  // no two memories at once
    TRY(auto region, memory::Region::fresh(reserved_bytes(*module), limits.tracker));
    std::unique_ptr<Machine> machine(new Machine);
    TRY(auto loaded,
        memory::load_image(files_of_layers, region, machine->private_->tree,
            [&](memory::Region& into, const memory::MappedRange& range) -> Result<void> {
                TRY(const auto file, files.mapped_item(range.item));
                if (range.item_offset >= file->size() || range.length - 1 > file->size() - range.item_offset + memory::page_bytes)
                    return bad("maps more of an item than there is");
                return map_file(into, *file, range.item_offset, range.length, range.at);
            }));
    machine->private_->root = loaded.root;
    machine->private_->saved = loaded.root;
    machine->private_->state = std::move(loaded.globals);
    machine->private_->guest = std::make_unique<Guest>(std::move(module), std::move(region), limit);
    auto& guest = *machine->private_->guest;
    TRY(const auto there, on_stack<void>([&] { return guest.instantiate(); }));
    if (!there || !guest.set_globals(globals_in(machine->private_->state)))
        return bad("does not fit the module");
    return machine;
}

bool Machine::may_become_another() const
{
    private_->wait();
    return !private_->lost && memory::may_be_overwritten(private_->guest->region(), private_->tree);
}

/// Puts another process of this module in place of this one. @return whether it did; else this machine is of no use any more
Result<bool> Machine::become(Limits limits, std::span<const File* const> layers, memory::KeptImage& common)
{
    auto& mine = *private_;
    auto& guest = *mine.guest;
    mine.wait();
    if (mine.lost.exchange(true))
        return false;
    if (limits.tracker != memory::Tracker::automatic && limits.tracker != guest.region().tracker())
        return false;
    TRY(auto image, memory::overwrite_with_image(layers, guest.region(), mine.tree, common));
    if (!image)
        return false;
    // The other's globals, which `anew` sets, and what follows from bytes: the root proves them.
    mine.state = std::move(image->globals);
    mine.marked.clear();
    guest.set_memory_bytes_max(memory_bytes_max(guest.module(), limits));
    TRY_OK(mine.anew());
    TRY(const auto root, commit());
    if (root != image->root)
        return fail(memory::errors::bad_image,
            fmt::format("the memory image gives the state {}, and says that it is {}", root.text(), image->root.text()),
            "images are caches: delete it, the log rebuilds it");
    guest.region().saved();
    mine.saved = root;
    return true;
}

Result<std::unique_ptr<Machine>> Machine::restore(
    std::shared_ptr<const Module> module, Limits limits, std::unique_ptr<File> image, GuestFiles& files)
{
    std::vector<std::unique_ptr<File>> layers;
    layers.push_back(std::move(image));
    return restore(std::move(module), limits, layers, files);
}

Digest Machine::root() const noexcept
{
    private_->wait();
    return private_->root;
}
std::uint64_t Machine::memory_bytes() const noexcept
{
    return private_->guest->memory_bytes();
}

}  // namespace altiplano::vm
