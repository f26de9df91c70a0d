#pragma once

#include "tensor/graph.hpp"
#include "vm/extension.hpp"

#include <algorithm>

#include <cstring>
#include <vector>

/// Guest memory without a virtual machine, and records of tensors in it, for the tests of this room.
namespace altiplano::tensor {

inline constexpr std::uint64_t test_memory_bytes = std::uint64_t{1} << 20;
/// Where a test's graph and scratch lie.
inline constexpr std::uint64_t graph_at = 0xa0000, scratch_at = 0xb0000, scratch_bytes = 0x50000;

/// Rows as close as they can be.
inline TensorRecord plain(
    std::uint64_t address, kernels::Type type, std::uint64_t e0, std::uint64_t e1 = 1, std::uint64_t e2 = 1, std::uint64_t e3 = 1)
{
    const auto format = kernels::format_of(type);
    const auto bytes = static_cast<std::uint64_t>(format.block_bytes);
    const auto row = e0 / static_cast<std::uint64_t>(format.block_elements) * bytes;
    return {address, {e0, e1, e2, e3}, {bytes, row, row * e1, row * e1 * e2}, static_cast<std::uint32_t>(type), 0};
}

inline NodeRecord node(kernels::Op op, const TensorRecord& result, const std::vector<TensorRecord>& sources,
    const std::vector<std::uint32_t>& parameters = {})
{
    NodeRecord record;
    record.op = static_cast<std::uint32_t>(op);
    record.result = result;
    record.sources = static_cast<std::uint32_t>(sources.size());
    std::copy(sources.begin(), sources.end(), record.source);
    std::copy(parameters.begin(), parameters.end(), record.parameters);
    return record;
}

class Memory : public vm::CallContext {
public:
    std::vector<std::uint64_t> words = std::vector<std::uint64_t>(test_memory_bytes / 8);
    std::uint64_t gas = 1'000'000'000;
    std::uint64_t read_only_begin = 0, read_only_end = 0;

    std::byte* bytes() { return reinterpret_cast<std::byte*>(words.data()); }
    template <class T> void put(std::uint64_t address, const std::vector<T>& values)
    {
        std::memcpy(bytes() + address, values.data(), values.size() * sizeof(T));
    }
    template <class T> std::vector<T> get(std::uint64_t address, std::size_t count)
    {
        std::vector<T> values(count);
        std::memcpy(values.data(), bytes() + address, count * sizeof(T));
        return values;
    }
    vm::Answer<vm::Value> compute(vm::Extension& extension, const std::vector<NodeRecord>& nodes)
    {
        put(graph_at, std::vector{GraphRecord{.nodes = static_cast<std::uint32_t>(nodes.size())}});
        put(graph_at + sizeof(GraphRecord), nodes);
        const vm::Value arguments[] = {
            graph_at, sizeof(GraphRecord) + nodes.size() * sizeof(NodeRecord), scratch_at, scratch_bytes};
        return extension.call(*this, 0, arguments);
    }

    bool wasm64() const override { return true; }
    std::uint64_t memory_bytes() const override { return test_memory_bytes; }
    vm::Answer<Bytes> read(std::uint64_t address, std::uint64_t length) override
    {
        if (address > memory_bytes() || length > memory_bytes() - address)
            return vm::stop(vm::GuestFault{"trap.out_of_bounds", ""});
        return Bytes(bytes() + address, length);
    }
    vm::Answer<std::span<std::byte>> write(std::uint64_t address, std::uint64_t length) override
    {
        if (address < read_only_end && read_only_begin < address + length)
            return vm::stop(vm::GuestFault{"trap.read_only", ""});
        if (const auto ok = read(address, length); !ok)
            return std::unexpected(ok.error());
        return std::span(bytes() + address, length);
    }
    vm::Answer<void> charge(std::uint64_t spent) override
    {
        if (spent > gas)
            return vm::stop(vm::GuestFault{"trap.out_of_gas", ""});
        gas -= spent;
        return {};
    }
    vm::Answer<std::uint64_t> read_pointer(std::uint64_t) override { return 0; }
    vm::Answer<void> write_pointer(std::uint64_t, std::uint64_t) override { return {}; }
    vm::GuestFile* file(std::uint32_t) override { return nullptr; }
    vm::Answer<vm::Errno> map(std::uint32_t, std::uint64_t, std::uint64_t, std::uint64_t) override { return vm::Errno::nosys; }
    vm::Answer<vm::Errno> unmap(std::uint64_t, std::uint64_t) override { return vm::Errno::nosys; }
    vm::GuestFiles& files() override { return vm::no_files(); }
    vm::Answer<vm::Value> run_reference(const Digest&, Bytes, std::string_view, vm::Value, std::span<const vm::Value>) override
    {
        return 0;
    }
};

inline std::string_view fault(const vm::Answer<vm::Value>& answer)
{
    return answer ? std::string_view("none") : std::get<vm::GuestFault>(answer.error()).code;
}

}  // namespace altiplano::tensor
