#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/files.hpp"
#include "base/id.hpp"
#include "memory/image.hpp"
#include "vm/extension.hpp"
#include "vm/module.hpp"

#include <functional>

namespace altiplano::vm {

/// One message for a machine.
struct Call {
    std::string_view message_json;  ///< no NUL inside
    std::string_view env_json;
    std::int64_t timestamp_ms = 0;  ///< of the assignment; the guest's clock starts there
    Digest seed{};  ///< of the guest's random stream
    std::uint64_t gas_limit = 0;
    GuestFiles* files = nullptr;  ///< null: none
    /// What the guest prints, fd 1 or 2, as it prints it: for whoever watches, never part of a result. May be empty.
    std::function<void(int fd, std::string_view text)> console{};
};

/// What became of a message.
struct Run {
    enum class Kind { result, guest_fault };
    Kind kind = Kind::result;
    Buffer bytes{};  ///< Kind::result: exactly what the guest wrote, without its NUL
    std::string_view fault_code{};  ///< Kind::guest_fault: `trap.*`
    std::string fault_sentence{};
    std::uint64_t gas_used = 0;  ///< the limit after a fault
    std::optional<std::uint64_t> metered{};  ///< Kind::result of a format that meters: GasUsed as AO's loader counts it
};

/// A module with memory, ready to run. Its state between messages is its linear memory, the exposed globals and the
/// mapped ranges; all else is as after the constructors at the start of every message, warm or restored (law 1).
///
/// One thread at a time. Guest code runs on a stack of its own, so the caller's may be small.
class Machine {
public:
    struct Limits {
        std::uint64_t memory_bytes = std::uint64_t{1} << 30;  ///< the process's Memory-Limit: memory.grow beyond it gives -1
        memory::Tracker tracker = memory::Tracker::automatic;  ///< how written pages are found; shows in no outcome
    };

    /// A new process: fresh memory, data segments, then start and `_initialize`. Committed: `root()` is that of the state
    /// after constructors, which is also what a failed slot 0 leaves. Constructors may spend `constructor_gas`.
    /// @return module.constructors_failed, vm.memory_over_limit, other vm.* for HostFaults
    static Result<std::unique_ptr<Machine>> create(std::shared_ptr<const Module> module, Limits limits);

    /// A process as files of `save` have it: a whole image, then overlays, oldest first. Constructors do not run again. Nothing
    /// is read through: bytes that are not what was saved are found at their first use, which is a HostFault then
    /// (memory.bad_image).
    /// @param files  answers `mapped_item` for ranges that were mapped
    /// @param left  a machine that nobody needs any more. One of this module may become the process: then only pages that differ
    /// are copied, all bytes are proven by the state root before it is used, and nothing of the process before is there
    /// @param common  what packed layers lie on, kept from one call to the next
    /// @return vm.bad_image, memory.bad_image, vm.*
    static Result<std::unique_ptr<Machine>> restore(std::shared_ptr<const Module> module, Limits limits,
        const std::vector<std::unique_ptr<File>>& layers, GuestFiles& files, std::unique_ptr<Machine> left = {},
        memory::KeptImage* common = nullptr);
    /// Whether it is worth keeping for `restore` to make another process of: its state is small.
    bool may_become_another() const;

    /// AO's modules of the first generations boot Lua there, and count it: AO's usual Compute-Limit.
    static constexpr std::uint64_t constructor_metered = 9'000'000'000'000;
    /// The same from one whole image.
    static Result<std::unique_ptr<Machine>> restore(
        std::shared_ptr<const Module> module, Limits limits, std::unique_ptr<File> image, GuestFiles& files);

    static constexpr std::uint64_t constructor_gas = 1'000'000'000;  ///< a constant of the semantics, as the clock 0 there

    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    /// Runs one message. A result leaves the memory as the guest left it: commit() or roll_back() next. After a guest
    /// fault the machine is rolled back already. An Error is a HostFault: destroy the machine, record nothing.
    Result<Run> handle(const Call& call);

    /// Keeps what was written since the last commit. @return the state root; vm.*
    Result<Digest> commit();
    /// The same in two steps: after the first the next message may be handled, while the second works out the state root, on any
    /// thread. Once after each `begin_commit`; whatever else needs the root waits for it. @return as `commit`
    Result<void> begin_commit();
    Result<Digest> finish_commit();
    /// Forgets what was written since the last commit (or creation).
    Result<void> roll_back();
    /// Takes a linear memory over, as AO's loader does when it goes on from a checkpoint: what else is state stays as the
    /// constructors left it. For a machine that has only begun. @param memory  whole wasm pages, no fewer than there are
    /// @return the state root; vm.bad_image when the process cannot have such a memory, vm.*, base.*
    Result<Digest> take_memory(const File& memory, std::uint64_t length_bytes);
    /// The state root of the last commit.
    Digest root() const noexcept;
    std::uint64_t memory_bytes() const noexcept;

    /// Writes the state as an image that `restore` takes; durable when it returns, if it is to be. Right after a commit or
    /// roll-back.
    /// @param base  the state that the newest image is of: if this machine was last saved as that or restored from it, and
    /// it is worth it, only what changed since is written
    /// @param common  what is written instead is what differs from it, where that is little
    /// @return base.disk_full, base.file_failed, memory.bad_image
    Result<memory::SavedImage> save(Files& files, const Path& path, const std::optional<Digest>& base = {},
        const memory::SaveRule& rule = {}, const memory::CommonImage* common = nullptr);
    /// The state of the last commit, as far as people look at it.
    struct Description {
        Digest root{};
        std::uint64_t memory_bytes = 0;
        std::uint64_t used_pages = 0;  ///< of 4 KiB, that hold anything but zeros
        Buffer globals{};  ///< the exposed mutable ones, 16 bytes each
        std::vector<memory::MappedRange> mapped{};
    };
    Description describe() const;
    /// Remembers the state of the last commit; `changes_since_mark` gives the pages that differ from it now, as ranges.
    void mark();
    std::vector<memory::PageRange> changes_since_mark() const;

    /// Bytes of pages that were committed since the last save.
    std::uint64_t unsaved_bytes() const noexcept;

private:
    Machine();
    Result<bool> become(Limits limits, std::span<const File* const> layers, memory::KeptImage& common);
    struct Private;
    std::unique_ptr<Private> private_;
};

}  // namespace altiplano::vm
