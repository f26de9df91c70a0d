#pragma once

#include "base/bytes.hpp"
#include "base/id.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// What a guest can reach beyond its own memory: files that the host opens for it, and imports of extensions.
/// An import's result, gas and effect on memory depend only on its arguments, guest memory and the weave at the
/// message's height (docs/architecture.md, Extensions).
namespace altiplano::vm {

/// The guest's own fault, recorded as the outcome of its slot.
struct GuestFault {
    std::string_view code;  ///< `trap.*` of errors.hpp
    std::string sentence;  ///< the same on every node: it is recorded
};

/// How a host call ends the message instead of returning: the guest's fault, or a HostFault (an Error).
using Stop = std::variant<GuestFault, Error>;
template <class T> using Answer = std::expected<T, Stop>;
[[nodiscard]] inline std::unexpected<Stop> stop(GuestFault fault)
{
    return std::unexpected<Stop>(std::move(fault));
}
[[nodiscard]] inline std::unexpected<Stop> stop(Error error)
{
    return std::unexpected<Stop>(std::move(error));
}

/// errno values that guests see (WASI preview 1).
enum class Errno : std::uint16_t {
    success = 0,
    acces = 2,
    badf = 8,
    exist = 20,
    fault = 21,
    fbig = 22,
    inval = 28,
    io = 29,
    isdir = 31,
    mfile = 33,
    nametoolong = 37,
    noent = 44,
    nomem = 48,
    nosys = 52,
    notdir = 54,
    notsup = 58,
    notty = 59,
    overflow = 61,
    perm = 63,
    range = 68,
    rofs = 69,
    spipe = 70,
    notcapable = 76,
};

/// A file open in a guest: an item's bytes, which never change.
class GuestFile {
public:
    virtual ~GuestFile() = default;
    virtual std::uint64_t size() const = 0;
    /// Fills `into` from `offset`; both lie inside the file. @return an Error is a HostFault
    virtual Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) = 0;

    /// The bytes as an immutable host file, when there is one: [offset, offset + size()) of `descriptor`.
    struct Backing {
        int descriptor;  ///< borrowed while the GuestFile lives
        std::uint64_t file_offset;  ///< multiple of 4096
    };
    virtual std::optional<Backing> backing() const { return std::nullopt; }
    /// Whether the bytes are an item's, which have a name. Only those can be mapped.
    virtual bool is_item() const { return true; }
    /// Names the bytes in the state root of a machine that maps them.
    virtual ItemId item() const = 0;
};

/// Answers path_open for one message. Paths are relative to "/", have no "." or ".." and no double slash: `data/<id>`.
class GuestFiles {
public:
    virtual ~GuestFiles() = default;
    /// @return vm.file_not_found (the guest sees ENOENT), vm.file_not_admitted (EACCES); any other Error is a HostFault
    virtual Result<std::unique_ptr<GuestFile>> open(std::string_view path) = 0;
    /// The bytes of an item that a restored machine has mapped. @return as `open`; the admission was checked when it was mapped
    virtual Result<std::unique_ptr<GuestFile>> mapped_item(ItemId item) = 0;
};
/// Has no file. Of static lifetime.
GuestFiles& no_files();

enum class ValueType : std::uint8_t {
    i32,
    i64,
    f32,
    f64,
    pointer,  ///< i64 in a wasm64 guest, i32 in a wasm32 guest; zero-extended here
};

/// Arguments and results: i32 and pointers zero-extended, floats by their bits.
using Value = std::uint64_t;

struct Import {
    std::string_view module;  ///< as the guest names it: "altiplano"
    std::string_view name;
    std::vector<ValueType> parameters;
    std::optional<ValueType> result;
};

/// What a host call may touch. Lives for one call.
class CallContext {
public:
    virtual ~CallContext() = default;
    virtual bool wasm64() const = 0;
    virtual std::uint64_t memory_bytes() const = 0;

    /// Guest memory [address, address + length), to read. Valid until this call returns or memory grows.
    /// @return trap.out_of_bounds, also when address + length wraps
    virtual Answer<Bytes> read(std::uint64_t address, std::uint64_t length) = 0;
    /// The same to write. @return trap.out_of_bounds, trap.read_only
    virtual Answer<std::span<std::byte>> write(std::uint64_t address, std::uint64_t length) = 0;
    /// A little-endian pointer or size_t of the guest's width.
    virtual Answer<std::uint64_t> read_pointer(std::uint64_t address) = 0;
    virtual Answer<void> write_pointer(std::uint64_t address, std::uint64_t value) = 0;

    /// Takes gas before the work is done. @return trap.out_of_gas
    virtual Answer<void> charge(std::uint64_t gas) = 0;

    /// The open file behind a descriptor, or nullptr. Borrowed until the call returns.
    virtual GuestFile* file(std::uint32_t fd) = 0;
    /// Makes [offset, offset + length) of the open file appear at `address`, read-only, in place of what was there.
    /// Addresses and offset: multiples of 4096; past the file's end the last page reads as zero. Charges no gas.
    /// @return success, badf, notsup (no item), inval (alignment, range); an Error is a HostFault
    virtual Answer<Errno> map(std::uint32_t fd, std::uint64_t offset, std::uint64_t length, std::uint64_t address) = 0;
    /// Makes whole pages of mapped ranges ordinary memory again, zero. Other pages of the range stay as they are.
    virtual Answer<Errno> unmap(std::uint64_t address, std::uint64_t length) = 0;
    /// What is mapped: [address, address + length) shows `item` from `offset` on. Neither guest nor host writes there.
    struct Mapped {
        std::uint64_t address, length;
        ItemId item;
        std::uint64_t offset;
    };
    virtual std::vector<Mapped> mapped() const { return {}; }
    /// For an extension that keeps a copy of guest memory; one per guest does. What of [address, address + length) may have other
    /// bytes than when it was last taken in this epoch, or, where it never was, than at the epoch's beginning; in another epoch
    /// all may. Nothing where nobody can tell.
    struct Written {
        std::uint64_t epoch = 0;
        struct Range {
            std::uint64_t begin, end;
        };
        std::vector<Range> ranges{};  ///< of whole pages, ascending
    };
    virtual std::optional<Written> take_written(std::uint64_t address, std::uint64_t length)
    {
        (void)address, (void)length;
        return std::nullopt;
    }
    virtual GuestFiles& files() = 0;

    /// Runs a function of a reference module over the guest's memory. The module has no data, imports nothing but that memory,
    /// as env.memory, and exports its stack pointer, the mutable i64 `__stack_pointer`, which begins at `stack_top`. Its other
    /// globals begin each call as the module has them, and its calls may be nested to a fixed depth. It spends no gas; what it
    /// writes is the caller's to have asked for with write(). wasm64 guests only.
    /// @param hash  of `wasm`, by which the compiled module is kept
    /// @return an Error, when the module is no such module or traps: a reference is right by definition, so both are ours
    virtual Answer<Value> run_reference(
        const Digest& hash, Bytes wasm, std::string_view function, Value stack_top, std::span<const Value> arguments) = 0;

    /// The same for a module that is not part of this program. It may use `gas`, and takes none of the message's.
    /// @return a GuestFault when the module is none such, traps, nests its calls too deep or burns more
    virtual Answer<Value> run_announced(const Digest& hash, Bytes wasm, std::string_view function, Value stack_top,
        std::span<const Value> arguments, std::uint64_t gas);
};

/// The rewriting pass as reference modules go through it: what a module is refused for follows from its bytes.
/// @return module.*
Result<Buffer> rewrite_reference(Bytes wasm);
class Engine;
/// Compiles a reference module before it is called, where that can be limited (`run_announced`). What does not
/// compile is found again by the call, whose outcome it is.
void prepare_reference(Engine& engine, const Digest& hash, Bytes wasm);

/// A named set of imports, shared by all machines: `call` may run on several threads at once.
class Extension {
public:
    virtual ~Extension() = default;
    virtual std::string_view name() const = 0;
    virtual std::string_view version() const = 0;
    /// What slot 0 records: a change of behaviour or gas changes it.
    virtual Digest specification() const = 0;
    /// In the order that `call` counts them. The same for the whole life.
    virtual const std::vector<Import>& imports() const = 0;
    /// Runs import number `import`. Its gas is a formula in arguments and guest memory, taken by `context.charge`.
    virtual Answer<Value> call(CallContext& context, std::size_t import, std::span<const Value> arguments) = 0;
};
using Extensions = std::vector<std::shared_ptr<Extension>>;

}  // namespace altiplano::vm
