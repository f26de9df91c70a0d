#include "vm/guest.hpp"

#include "base/log.hpp"
#include "memory/errors.hpp"
#include "vm/abi/emscripten/emscripten.hpp"
#include "vm/fault_address.hpp"
#include "vm/raw_value.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace altiplano::vm {
namespace {

constexpr std::size_t global_bytes = 16;

/// Trap codes of Wasmtime that follow from the guest's own doing. What is missing here is a HostFault.
struct TrapRow {
    wasmtime_trap_code_t code;
    std::string_view ours;
    std::string_view sentence;
};
constexpr TrapRow guest_traps[] = {
    {WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS, errors::trap_out_of_bounds, "the guest used an address outside its memory"},
    {WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS, errors::trap_table_out_of_bounds,
        "the guest used a table entry that does not exist"},
    {WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL, errors::trap_indirect_call, "the guest called an empty table entry"},
    {WASMTIME_TRAP_CODE_BAD_SIGNATURE, errors::trap_indirect_call, "the guest called a function with another signature"},
    {WASMTIME_TRAP_CODE_INTEGER_OVERFLOW, errors::trap_integer_overflow, "an integer division overflowed"},
    {WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO, errors::trap_division_by_zero, "an integer was divided by zero"},
    {WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER, errors::trap_bad_conversion,
        "a float does not fit the integer it was converted to"},
    {WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED, errors::trap_unreachable,
        "the guest ran into `unreachable` (abort, or a failed assertion)"},
    {WASMTIME_TRAP_CODE_NULL_REFERENCE, errors::trap_null_reference, "the guest used a null reference"},
    {WASMTIME_TRAP_CODE_OUT_OF_FUEL, errors::trap_out_of_gas, "the gas limit was reached"},
    {WASMTIME_TRAP_CODE_UNCAUGHT_EXCEPTION, errors::trap_exception, "the guest threw an exception that nothing catches"},
};

/// Before a bulk write, if the machine has mapped ranges. Out of bounds is left to the write itself, whose trap it is.
Answer<Value> check_write(Guest& guest, std::span<const Value> arguments)
{
    const auto address = arguments[0];
    const auto length = arguments[1];
    const auto size = guest.memory_bytes();
    if (address <= size && length <= size - address && !guest.region().is_writable(address, length))
        return stop(GuestFault{errors::trap_read_only, std::string(read_only_sentence)});
    return 0;
}

/// The guest asked for more wasm pages than a narrow memory has, so for more than its process may have.
Answer<Value> refuse_growth(Guest& guest, std::span<const Value> arguments)
{
    guest.refuse_growth(arguments[0] * wasm_page_bytes);
    return 0;
}

}  // namespace

const HostFunction& refuse_growth_function()
{
    static const HostFunction function{{"altiplano", "refuse_growth", {ValueType::i64}, std::nullopt}, refuse_growth};
    return function;
}

const HostFunction& check_write_function()
{
    static const HostFunction function{{"altiplano", "check_write", {ValueType::i64, ValueType::i64}, std::nullopt}, check_write};
    return function;
}

wasm_trap_t* call_import(void* bound, wasmtime_caller_t* caller, wasmtime_val_raw_t* values, std::size_t) noexcept
{
    auto* guest = static_cast<Guest*>(wasmtime_context_get_data(wasmtime_caller_context(caller)));
    const auto& import = *static_cast<const BoundImport*>(bound);
    return import.made ? guest->invoke(import, values) : guest->run(import, values);
}

Guest::Guest(std::shared_ptr<const Module> module, memory::Region region, std::uint64_t memory_bytes_max)
    : module_(std::move(module))
    , region_(std::move(region))
    , memory_bytes_max_(memory_bytes_max)
{
}

Guest::~Guest()
{
    end();
}

Answer<void> Guest::instantiate()
{
    const auto& native = module_->native();
    globals_.clear();
    references_.clear();
    instance_ = {};
    stopped_.reset();
    grow_failed_.reset();
    store_.reset(wasmtime_store_new(native.engine->native().engine.get(), this, nullptr));
    if (!store_)
        return stop(Error{errors::host_engine, "Wasmtime gave no store", {}});

    // No guest code runs here: start functions and data segments are exports of their own. Only element segments and the first
    // values of globals and tables act; the segments may lie outside their table. The engine compiles some of them to code, which
    // burns its fuel, if that counts: it is bounded by the module's length, and no part of a message's bill (`begin` sets that).
    if (counting() == Tuning::Gas::by_engine)
        if (auto set = set_gas(altiplano_gas_max()); !set)
            return set;
    wasm_trap_t* trap = nullptr;
    {
        const OfferMemory offer(*this);
        OwnedError error(wasmtime_instance_pre_instantiate(native.pre.get(), context(), &instance_, &trap));
        OwnedTrap owned(trap);
        if (error || owned)
            return std::unexpected(stop_of(std::move(error), std::move(owned), false));
    }

    const auto global = [&](std::string_view name) {
        wasmtime_extern_t found;
        ENSURE(wasmtime_instance_export_get(context(), &instance_, name.data(), name.size(), &found)
                && found.kind == WASMTIME_EXTERN_GLOBAL,
            "the rewriting pass exports it");
        return found.of.global;
    };
    depth_ = global("altiplano:depth");
    mapped_ = global("altiplano:mapped");
    if (counting() == Tuning::Gas::by_module)
        gas_ = global("altiplano:gas");
    if (native.has_meter)
        meter_ = global("altiplano:meter");
    note_mapped();
    for (const auto& name : native.globals)
        globals_.push_back(global(name));

    entries_.clear();
    if (module_->format().abi == Format::Abi::emscripten && !native.names.table.empty()) {
        stack_save_ = exported(native.names.stack_save)->of.func;
        stack_restore_ = exported(native.names.stack_restore)->of.func;
        set_threw_ = exported(native.names.set_threw)->of.func;
        table_ = exported(native.names.table)->of.table;
        entries_.resize(wasmtime_table_size(context(), &table_));
        dyn_calls_.assign(native.invokes, {});
        for (const auto& import : native.imports)
            if (!import->dyn_call.empty())
                dyn_calls_[import->invoke] = exported(import->dyn_call)->of.func;
    }
    return {};
}

std::optional<wasmtime_extern_t> Guest::exported(std::string_view name)
{
    wasmtime_extern_t found;
    if (!wasmtime_instance_export_get(context(), &instance_, name.data(), name.size(), &found))
        return std::nullopt;
    return found;
}

Answer<void> Guest::begin(const Surroundings& surroundings)
{
    end();
    now_ns_ = static_cast<std::uint64_t>(surroundings.timestamp_ms) * 1'000'000;
    random_key_ = surroundings.seed.array();
    random_blocks_ = 0;
    random_used_ = random_block_.size();
    files_ = surroundings.files;
    console_ = surroundings.console;
    ticks_ = module_->format().first_tick;
    temporary = 0;
    sleep = {};
    metered_ = 0;
    meter_limit_ = std::min<std::uint64_t>(surroundings.metered > 0 ? surroundings.metered : surroundings.gas, INT64_MAX);
    if (module_->native().has_meter) {
        const wasmtime_val_t left{.kind = WASMTIME_I64, .of = {.i64 = static_cast<std::int64_t>(meter_limit_)}};
        if (const OwnedError e{wasmtime_global_set(context(), &meter_, &left)})
            return stop(Error{errors::host_engine, message_of(e.get()), {}});
    }
    longjmp_ = false;
    stopped_.reset();
    grow_failed_.reset();
    grow_refused_bytes_ = 0;
    const wasmtime_val_t zero{.kind = WASMTIME_I32, .of = {.i32 = 0}};
    if (const OwnedError e{wasmtime_global_set(context(), &depth_, &zero)})
        return stop(Error{errors::host_engine, message_of(e.get()), {}});
    return set_gas(surroundings.gas);
}

void Guest::end() noexcept
{
    open_.clear();
    files_ = nullptr;
    console_ = nullptr;
}

bool Guest::has_export(std::string_view name)
{
    return exported(name).has_value();
}

Answer<Value> Guest::call(std::string_view name, std::initializer_list<Value> arguments)
{
    const auto found = exported(name);
    ENSURE(found && found->kind == WASMTIME_EXTERN_FUNC, "ModuleCache::compile checked the exports");
    return call(found->of.func, arguments);
}

Answer<Value> Guest::call(const wasmtime_func_t& function, std::initializer_list<Value> arguments)
{
    wasmtime_val_raw_t values[4]{};
    ENSURE(arguments.size() <= std::size(values), "the guest ABI has no call with more");
    std::ranges::transform(arguments, values, [](Value v) {
        wasmtime_val_raw_t raw;
        set_value(raw, v);
        return raw;
    });
    wasm_trap_t* trap = nullptr;
    OwnedError error(wasmtime_func_call_unchecked(context(), &function, values, std::size(values), &trap));
    OwnedTrap owned(trap);
    if (error || owned)
        return std::unexpected(stop_of(std::move(error), std::move(owned), gas_left() == 0));
    // memory.grow answered -1 although the process may have the memory: the guest has seen something untrue.
    if (grow_failed_)
        return stop(*grow_failed_);
    return value_of(values[0], ValueType::pointer, wasm64());
}

Answer<bool> Guest::grow_memory(std::uint64_t wasm_pages)
{
    constexpr std::uint64_t page_gas = 255;  // as memory.grow costs, shim/src/config.rs
    if (wasm_pages > memory::Region::memory_bytes_max / wasm_page_bytes)
        return false;
    if (auto paid = charge(page_gas * (wasm_pages + 1)); !paid)
        return std::unexpected(std::move(paid).error());
    const auto memory = exported("altiplano:memory");
    ENSURE(memory, "the rewriting pass exports the memory");
    std::uint64_t before = 0;
    const OwnedError error(wasmtime_memory_grow(context(), &memory->of.memory, wasm_pages, &before));
    if (grow_failed_)
        return stop(*grow_failed_);
    return !error;
}

std::int64_t Guest::meter_left() const noexcept
{
    if (!module_->native().has_meter)
        return 0;
    wasmtime_val_t left;
    wasmtime_global_get(context(), &meter_, &left);
    return left.of.i64;
}

std::uint64_t Guest::metered() const noexcept
{
    return module_->native().has_meter ? meter_limit_ - static_cast<std::uint64_t>(meter_left()) : metered_;
}

Answer<Value> Guest::call_unmetered(std::string_view name)
{
    if (!module_->native().has_meter)
        return call(name, {});
    wasmtime_val_t left;
    wasmtime_global_get(context(), &meter_, &left);
    auto done = call(name, {});
    if (done)
        if (const OwnedError e{wasmtime_global_set(context(), &meter_, &left)})
            return stop(Error{errors::host_engine, message_of(e.get()), {}});
    return done;
}

Answer<void> Guest::meter(std::uint64_t amount)
{
    metered_ += amount;
    if (metered_ > meter_limit_)
        return stop(GuestFault{errors::trap_out_of_gas, "the gas limit was reached"});
    return {};
}

bool Guest::too_deep()
{
    wasmtime_val_t depth;
    wasmtime_global_get(context(), &depth_, &depth);
    return static_cast<std::uint32_t>(depth.of.i32) > altiplano_depth_limit();
}

/// Whose fault it is. Both arguments must be looked at: a trap made from a message comes back as an error
/// (measured.md, trap 1).
Stop Guest::stop_of(OwnedError error, OwnedTrap trap, bool used_up)
{
    if (stopped_)
        return *std::exchange(stopped_, std::nullopt);
    if (grow_failed_)
        return *grow_failed_;
    if (region_.damaged())
        return Error{memory::errors::bad_image, "the memory image of this process has other bytes than were saved",
            "images are caches: the log rebuilds it"};
    wasmtime_trap_code_t code = 0;
    if (trap && wasmtime_trap_code(trap.get(), &code)) {
        if (code == WASMTIME_TRAP_CODE_STACK_OVERFLOW)
            return Error{errors::host_stack, "the native stack ended before the depth limit was reached",
                "report this module: its frames are larger than we count"};
        if (code == WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED && (used_up || meter_left() < 0))
            return GuestFault{errors::trap_out_of_gas, "the gas limit was reached"};
        if (code == WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED && too_deep())
            return GuestFault{errors::trap_depth, std::string(depth_sentence)};
        if (code == WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS)
            if (const auto fault = take_fault(); fault.address != nullptr) {
                // Faults that the dirty tracker resolved lie in writable memory, so none of them is mistaken for this.
                const auto* begin = region_.bytes().data();
                if (fault.address >= begin && fault.address < begin + region_.bytes().size()
                    && !region_.is_writable(static_cast<std::uint64_t>(fault.address - begin), 1)) {
                    if (fault.bus_error)
                        return Error{errors::host_file, "the file behind a mapped item ended early or could not be read", {}};
                    return GuestFault{errors::trap_read_only, std::string(read_only_sentence)};
                }
            }
        for (const auto& row : guest_traps)
            if (row.code == code)
                return GuestFault{row.ours, std::string(row.sentence)};
    }
    if (wasmtime_context_has_exception(context())) {
        wasmtime_exnref_t exception;
        if (wasmtime_context_take_exception(context(), &exception))
            wasmtime_exnref_unroot(&exception);
        return GuestFault{errors::trap_exception, "the guest threw an exception that nothing catches"};
    }
    return Error{errors::host_engine, error ? message_of(error.get()) : message_of(trap.get()), {}};
}

wasm_trap_t* Guest::run(const BoundImport& bound, wasmtime_val_raw_t* values) noexcept
{
    Value arguments[16];
    const auto& import = *bound.import;
    const auto count = std::min(import.parameters.size(), std::size(arguments));
    for (std::size_t i = 0; i < count; ++i)
        arguments[i] = value_of(values[i], import.parameters[i], bound.wasm64);
    const std::span<const Value> given(arguments, count);
    try {
        auto answer = bound.function != nullptr ? bound.function->call(*this, given)
                                                : bound.extension->call(*this, bound.extension_import, given);
        if (answer) {
            if (import.result)
                set_value(values[0], *answer);
            return nullptr;
        }
        stopped_ = std::move(answer).error();
    } catch (const std::exception& thrown) {
        // Nothing may be thrown through compiled code. What throws here is the host's own trouble: no memory.
        stopped_ = Error{errors::host_memory, fmt::format("{}.{} failed: {}", import.module, import.name, thrown.what()), {}};
    }
    constexpr std::string_view why = "stopped by a host call";
    return wasmtime_trap_new(why.data(), why.size());
}

/// Tells compiled code whether bulk writes must be checked.
void Guest::note_mapped()
{
    const wasmtime_val_t mapped{.kind = WASMTIME_I32, .of = {.i32 = region_.mapped_ranges().empty() ? 0 : 1}};
    const OwnedError error(wasmtime_global_set(context(), &mapped_, &mapped));
    ENSURE(!error, "the global is ours: a mutable i32");
}

// ---- memory

std::byte* Guest::base() noexcept
{
    return region_.bytes().data();
}
std::size_t Guest::length() noexcept
{
    return region_.bytes().size();
}

void Guest::refuse_growth(std::uint64_t length) noexcept
{
    // Wasmtime asks us about no more than its engine reserves. Which engine it is shows in no outcome: we say no more than the
    // small one would.
    if (length <= std::max(Engine::small_reservation_bytes, Engine::reservation_for(memory_bytes_max_)))
        grow_refused_bytes_ = length;
}

bool Guest::grow(std::size_t length) noexcept
{
    if (length > memory_bytes_max_) {
        refuse_growth(length);
        return false;
    }
    if (auto grown = region_.grow(length); !grown) {
        grow_failed_ =
            Error{errors::host_memory, "the kernel refused memory that the process may have: " + grown.error().sentence, {}};
        return false;
    }
    return true;
}

std::uint64_t Guest::memory_bytes() const
{
    return region_.bytes().size();
}

Answer<void> Guest::in_bounds(std::uint64_t address, std::uint64_t length) const
{
    const auto size = memory_bytes();
    if (address > size || length > size - address)
        return stop(GuestFault{errors::trap_out_of_bounds, "the guest gave a host call an address outside its memory"});
    return {};
}

Answer<Bytes> Guest::read(std::uint64_t address, std::uint64_t length)
{
    if (auto ok = in_bounds(address, length); !ok)
        return std::unexpected(std::move(ok).error());
    return Bytes(region_.bytes()).subspan(address, length);
}

Answer<std::span<std::byte>> Guest::write(std::uint64_t address, std::uint64_t length)
{
    if (auto ok = in_bounds(address, length); !ok)
        return std::unexpected(std::move(ok).error());
    if (!region_.is_writable(address, length))
        return stop(GuestFault{errors::trap_read_only, std::string(read_only_sentence)});
    if (auto ready = region_.prepare_write(address, length); !ready)
        return stop(std::move(ready).error());
    return region_.bytes().subspan(address, length);
}

Answer<std::uint64_t> Guest::read_pointer(std::uint64_t address)
{
    const std::size_t width = wasm64() ? 8 : 4;
    auto bytes = read(address, width);
    if (!bytes)
        return std::unexpected(std::move(bytes).error());
    std::uint64_t value = 0;
    std::memcpy(&value, bytes->data(), width);
    return value;
}

Answer<void> Guest::write_pointer(std::uint64_t address, std::uint64_t value)
{
    const std::size_t width = wasm64() ? 8 : 4;
    auto bytes = write(address, width);
    if (!bytes)
        return std::unexpected(std::move(bytes).error());
    std::memcpy(bytes->data(), &value, width);
    return {};
}

// ---- gas

Answer<void> Guest::set_gas(const wasmtime_global_t& global, std::uint64_t gas)
{
    gas = std::min(gas, altiplano_gas_max());
    const wasmtime_val_t left{.kind = WASMTIME_I64, .of = {.i64 = static_cast<std::int64_t>(gas)}};
    const OwnedError error(counting() == Tuning::Gas::by_module ? wasmtime_global_set(context(), &global, &left)
            : counting() == Tuning::Gas::by_engine              ? wasmtime_context_set_fuel(context(), gas)
                                                                : nullptr);
    if (error)
        return stop(Error{errors::host_engine, message_of(error.get()), {}});
    return {};
}

std::uint64_t Guest::gas_left(const wasmtime_global_t& global) const noexcept
{
    if (counting() == Tuning::Gas::by_module) {
        wasmtime_val_t left;
        wasmtime_global_get(context(), &global, &left);
        return static_cast<std::uint64_t>(std::max<std::int64_t>(left.of.i64, 0));
    }
    std::uint64_t left = altiplano_gas_max();
    const OwnedError error(counting() == Tuning::Gas::by_engine ? wasmtime_context_get_fuel(context(), &left) : nullptr);
    return left;
}

Answer<void> Guest::charge(std::uint64_t gas)
{
    const auto left = gas_left();
    if (gas >= left)
        return stop(GuestFault{errors::trap_out_of_gas, "the gas limit was reached"});
    return set_gas(left - gas);
}

// ---- globals

Buffer Guest::globals()
{
    Buffer bytes(globals_.size() * global_bytes);
    for (std::size_t i = 0; i < globals_.size(); ++i) {
        wasmtime_val_t value;
        wasmtime_global_get(context(), &globals_[i], &value);
        const std::size_t width = value.kind == WASMTIME_V128          ? 16
            : value.kind == WASMTIME_I64 || value.kind == WASMTIME_F64 ? 8
                                                                       : 4;
        std::memcpy(bytes.data() + i * global_bytes, &value.of, width);
    }
    return bytes;
}

bool Guest::set_globals(Bytes bytes)
{
    if (bytes.size() != globals_.size() * global_bytes)
        return false;
    for (std::size_t i = 0; i < globals_.size(); ++i) {
        wasmtime_val_t value;
        wasmtime_global_get(context(), &globals_[i], &value);  // for its kind
        const std::size_t width = value.kind == WASMTIME_V128          ? 16
            : value.kind == WASMTIME_I64 || value.kind == WASMTIME_F64 ? 8
                                                                       : 4;
        const auto wanted = bytes.subspan(i * global_bytes, width);
        // One that no code can write (shim/src/settled.rs) cannot be set, and need not be.
        if (std::memcmp(&value.of, wanted.data(), width) == 0)
            continue;
        std::memcpy(&value.of, wanted.data(), width);
        if (const OwnedError e{wasmtime_global_set(context(), &globals_[i], &value)})
            return false;
    }
    return true;
}

// ---- time, randomness, console

std::uint64_t Guest::clock_ns() noexcept
{
    constexpr std::uint64_t step_ns = 1000;
    return std::exchange(now_ns_, now_ns_ + step_ns);
}

/// Block n of the stream is keyed BLAKE3 of n, with the message's seed as key.
void Guest::random(std::span<std::byte> into)
{
    while (!into.empty()) {
        if (random_used_ == random_block_.size()) {
            Buffer counter;
            append_u64(counter, random_blocks_++);
            altiplano_blake3(reinterpret_cast<const std::uint8_t*>(counter.data()), counter.size(),
                reinterpret_cast<const std::uint8_t*>(random_key_.data()), reinterpret_cast<std::uint8_t*>(random_block_.data()));
            random_used_ = 0;
        }
        const auto count = std::min(into.size(), random_block_.size() - random_used_);
        std::memcpy(into.data(), random_block_.data() + random_used_, count);
        random_used_ += count;
        into = into.subspan(count);
    }
}

void Guest::print(int fd, std::string_view text)
{
    if (console_ != nullptr && *console_)
        (*console_)(fd, text);
}

}  // namespace altiplano::vm
