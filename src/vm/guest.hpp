#pragma once

#include "base/hash.hpp"
#include "memory/region.hpp"
#include "vm/machine.hpp"
#include "vm/native.hpp"

#include <map>

namespace altiplano::vm {

// Sentences of faults that several places find, hence part of the semantics version.
inline constexpr std::string_view depth_sentence = "the guest's calls are nested too deep";
inline constexpr std::string_view read_only_sentence = "the guest wrote to a mapped item, which is read-only";

/// A live instance over a region, with what one message may use: descriptors, clock, randomness, gas.
/// What Wasmtime calls back runs here. One thread; the address is fixed, the store knows it.
class Guest final : public CallContext, private MemorySource {
public:
    Guest(std::shared_ptr<const Module> module, memory::Region region, std::uint64_t memory_bytes_max);
    ~Guest() override;
    Guest(const Guest&) = delete;
    Guest& operator=(const Guest&) = delete;

    /// A new instance over the region as it is, in place of the one before. Runs no guest code.
    Answer<void> instantiate();

    /// What the guest sees besides its memory, as at the start of a message.
    struct Surroundings {
        std::int64_t timestamp_ms = 0;
        Digest seed{};
        std::uint64_t gas = 0;
        GuestFiles* files = nullptr;
        const std::function<void(int, std::string_view)>* console = nullptr;
        std::uint64_t metered = 0;  ///< what AO's own count may come to; 0: as much as the gas
    };
    Answer<void> begin(const Surroundings& surroundings);
    /// Closes what the message left open.
    void end() noexcept;

    /// Calls an export. On the guest stack only. @return the first result, 0 if it has none
    Answer<Value> call(std::string_view name, std::initializer_list<Value> arguments);
    bool has_export(std::string_view name);

    std::uint64_t gas_left() const noexcept { return gas_left(gas_); }
    /// The exposed globals, by number: 16 little-endian bytes each (narrow types zero-extended).
    Buffer globals();
    /// @return false unless `bytes` holds exactly these globals
    bool set_globals(Bytes bytes);

    memory::Region& region() noexcept { return region_; }
    /// The last length of memory that this message was refused for the process's limit, and that limit.
    std::uint64_t grow_refused_bytes() const noexcept { return grow_refused_bytes_; }
    void refuse_growth(std::uint64_t length) noexcept;
    std::uint64_t memory_bytes_max() const noexcept { return memory_bytes_max_; }
    /// Of another process, between messages.
    void set_memory_bytes_max(std::uint64_t bytes) noexcept { memory_bytes_max_ = bytes; }
    const Module& module() const noexcept { return *module_; }

    // CallContext
    bool wasm64() const override { return module_->wasm64(); }
    std::uint64_t memory_bytes() const override;
    Answer<Bytes> read(std::uint64_t address, std::uint64_t length) override;
    Answer<std::span<std::byte>> write(std::uint64_t address, std::uint64_t length) override;
    Answer<std::uint64_t> read_pointer(std::uint64_t address) override;
    Answer<void> write_pointer(std::uint64_t address, std::uint64_t value) override;
    Answer<void> charge(std::uint64_t gas) override;
    GuestFile* file(std::uint32_t fd) override;
    Answer<Errno> map(std::uint32_t fd, std::uint64_t offset, std::uint64_t length, std::uint64_t address) override;
    Answer<Errno> unmap(std::uint64_t address, std::uint64_t length) override;
    std::vector<Mapped> mapped() const override;
    std::optional<Written> take_written(std::uint64_t address, std::uint64_t length) override;
    GuestFiles& files() override;
    Answer<Value> run_reference(
        const Digest& hash, Bytes wasm, std::string_view function, Value stack_top, std::span<const Value> arguments) override;
    Answer<Value> run_announced(const Digest& hash, Bytes wasm, std::string_view function, Value stack_top,
        std::span<const Value> arguments, std::uint64_t gas) override;

    // For the host functions of abi/.
    struct OpenFile {
        std::unique_ptr<GuestFile> file;
        std::uint64_t offset = 0;
        bool sought_end = false;  ///< fseek(file, 0, SEEK_END) was the last call (emscripten)
    };
    OpenFile* open_file(std::uint32_t fd);
    /// @return nothing when the guest has too many open
    std::optional<std::uint32_t> add_file(std::unique_ptr<GuestFile> file);
    bool close_file(std::uint32_t fd);
    /// The message's time, one microsecond later at each call.
    std::uint64_t clock_ns() noexcept;
    void random(std::span<std::byte> into);
    void print(int fd, std::string_view text);

    // For abi/emscripten.
    /// Grows memory as memory.grow does, at its price. @return false when the guest may not have that much
    Answer<bool> grow_memory(std::uint64_t wasm_pages);
    /// AO's clock: anew at the start of each message (Format::first_tick), one more at each look.
    std::uint64_t ticks() noexcept { return ticks_++; }
    /// Ends the guest code up to the newest `invoke` on the stack; without one, the message.
    Answer<Value> throw_longjmp();
    /// emscripten's second result register, for guests whose 64-bit results are split.
    std::uint32_t temporary = 0;
    /// Where asyncify is, of a guest whose stack is put away while a call is answered.
    struct Sleep {
        enum class State : std::uint8_t { awake, unwinding, rewinding } state = State::awake;
        Value data = 0;  ///< where the stack is put
        Value answer = 0;
    } sleep;
    /// What metering.usegas is told. @return trap.out_of_gas over the limit
    Answer<void> meter(std::uint64_t amount);
    /// What the message has used by AO's count, of formats that meter.
    std::uint64_t metered() const noexcept;
    /// The same as `call`, of what AO's loader does not call: it leaves no trace in the count.
    Answer<Value> call_unmetered(std::string_view name);

    /// `invoke_*`: calls a table entry; a longjmp out of it ends here.
    wasm_trap_t* invoke(const BoundImport& bound, wasmtime_val_raw_t* values) noexcept;
    /// Runs a bound import; a Stop is remembered until the call into the guest has unwound.
    wasm_trap_t* run(const BoundImport& bound, wasmtime_val_raw_t* values) noexcept;

private:
    std::byte* base() noexcept override;
    std::size_t length() noexcept override;
    std::size_t capacity() noexcept override { return module_->native().engine->reservation_bytes(); }
    bool grow(std::size_t length) noexcept override;

    Answer<void> invoke_entry(const BoundImport& bound, wasmtime_val_raw_t* values);
    Answer<const wasmtime_func_t*> table_entry(std::uint64_t index, const BoundImport& bound);
    /// What calls a table entry, and the arguments that it takes.
    Answer<const wasmtime_func_t*> entry_call(
        const BoundImport& bound, const wasmtime_val_raw_t* values, wasmtime_val_raw_t* inner);
    Answer<Value> call(const wasmtime_func_t& function, std::initializer_list<Value> arguments);
    std::optional<wasmtime_extern_t> exported(std::string_view name);

    /// A reference module's instance over this memory.
    struct Reference {
        OwnedStore store{};  ///< that it is of, if it is one of ours; else it is of the guest's
        wasmtime_context_t* context = nullptr;
        std::size_t memory_bytes = 0;  ///< as long as the memory was when it was made
        wasmtime_instance_t instance{};
        wasmtime_global_t depth{};
        wasmtime_global_t mapped{};
        wasmtime_global_t gas{};  ///< of announced ones
        std::vector<std::pair<wasmtime_global_t, wasmtime_val_t>> globals{};  ///< what it can change, with the first values
    };
    Answer<void> in_bounds(std::uint64_t address, std::uint64_t length) const;
    /// @param used_up  whether the code that trapped had used up its gas
    Stop stop_of(OwnedError error, OwnedTrap trap, bool used_up);
    /// @param announced  whether the module is somebody else's: then what is wrong with it is a fault of the guest that called it
    Answer<Value> run_beside(const Digest& hash, Bytes wasm, std::string_view function, Value stack_top,
        std::span<const Value> arguments, std::uint64_t gas, bool announced);
    std::expected<Reference, std::string> reference_of(const wasmtime_module_t* code, bool announced);
    bool too_deep();
    std::int64_t meter_left() const noexcept;
    void note_mapped();
    Tuning::Gas counting() const noexcept { return module_->native().engine->native().tuning.gas; }
    Answer<void> set_gas(std::uint64_t gas) { return set_gas(gas_, gas); }
    /// Of a module in the guest's store. Where the engine counts, all of them have the same.
    Answer<void> set_gas(const wasmtime_global_t& global, std::uint64_t gas);
    std::uint64_t gas_left(const wasmtime_global_t& global) const noexcept;
    wasmtime_context_t* context() const noexcept { return wasmtime_store_context(store_.get()); }

    std::shared_ptr<const Module> module_;
    memory::Region region_;
    std::uint64_t memory_bytes_max_;
    OwnedStore store_;
    wasmtime_instance_t instance_{};
    wasmtime_global_t depth_{};
    wasmtime_global_t mapped_{};
    wasmtime_global_t gas_{};
    wasmtime_global_t meter_{};  ///< of modules that the rewriting pass meters
    std::vector<wasmtime_global_t> globals_;
    std::map<std::pair<bool, Digest>, Reference> references_;  ///< announced ones and our own

    // What `invoke_*` needs, looked up once per instance.
    wasmtime_func_t stack_save_{};
    wasmtime_func_t stack_restore_{};
    wasmtime_func_t set_threw_{};
    wasmtime_table_t table_{};
    struct TableEntry {
        wasmtime_func_t function{};
        const BoundImport* fits = nullptr;  ///< whose signature it has
    };
    std::vector<wasmtime_func_t> dyn_calls_;  ///< by the number of the `invoke_*`; null where it has none
    std::vector<TableEntry> entries_;  ///< the table's, filled as they are called: it never changes

    bool longjmp_ = false;  ///< why the guest unwinds, until an `invoke` takes it
    std::uint64_t ticks_ = 0;
    std::uint64_t metered_ = 0;
    std::uint64_t meter_limit_ = 0;

    std::optional<Stop> stopped_;  ///< why a host call ended the message
    std::uint64_t grow_refused_bytes_ = 0;  ///< the last length that the process's limit forbade in this message
    std::optional<Error> grow_failed_;  ///< the kernel refused memory that the process may have
    std::map<std::uint32_t, OpenFile> open_;
    GuestFiles* files_ = nullptr;
    const std::function<void(int, std::string_view)>* console_ = nullptr;
    std::uint64_t now_ns_ = 0;
    std::array<std::byte, 32> random_key_{};
    std::uint64_t random_blocks_ = 0;
    std::array<std::byte, 32> random_block_{};
    std::size_t random_used_ = 32;
};

/// Shows [offset, offset + pages_bytes) of a file at `address`: mapped where the file's bytes are a host file, else
/// copied. The guest sees no difference. @param offset  at most the file's size
Result<void> map_file(
    memory::Region& region, GuestFile& file, std::uint64_t offset, std::uint64_t pages_bytes, std::uint64_t address);

}  // namespace altiplano::vm
