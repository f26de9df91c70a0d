#include "tensor_backend.hpp"

#include "translate.hpp"

#include <tensor/check.hpp>

#include <ggml-backend-impl.h>
#include <ggml-impl.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

extern "C" __attribute__((import_module("altiplano"), import_name("compute"))) std::int32_t altiplano_compute(
    const std::byte* graph, std::uint64_t graph_bytes, std::byte* scratch, std::uint64_t scratch_bytes);

namespace altiplano::guest {
namespace {

/// Where a graph computes something on the way, in a buffer of llama.cpp's for that.
struct Place {
    std::byte* begin;
    std::byte* end;
    ggml_backend_buffer_t buffer;
};

/// Where this message's graphs did. A buffer that has a place in it says itself when it is freed.
std::vector<Place>& used_places()
{
    static std::vector<Place> places;
    return places;
}
constexpr std::size_t places_max = 10'000;  // before what lies together is joined: a graph has some thirty
std::uint64_t messages = 1;  // that clear_scratch has seen, and the one that runs

void (*free_buffer)(ggml_backend_buffer_t) = nullptr;
void forget_and_free(ggml_backend_buffer_t buffer)
{
    std::erase_if(used_places(), [buffer](const auto& place) { return place.buffer == buffer; });
    free_buffer(buffer);
}

void add_place(std::vector<Place>& places, const ggml_tensor& tensor)
{
    auto* const buffer = tensor.view_src ? tensor.view_src->buffer : tensor.buffer;
    if (buffer == nullptr || ggml_backend_buffer_get_usage(buffer) != GGML_BACKEND_BUFFER_USAGE_COMPUTE)
        return;
    if (buffer->iface.free_buffer != forget_and_free)
        free_buffer = std::exchange(buffer->iface.free_buffer, forget_and_free);
    auto* const begin = static_cast<std::byte*>(tensor.data);
    places.push_back({begin, begin + ggml_nbytes(&tensor), buffer});
}

/// Most of a graph's tensors lie where others of it lay before: what is left are a few places for all.
void merge(std::vector<Place>& places)
{
    std::ranges::sort(places, {}, &Place::begin);
    std::size_t kept = 0;
    for (const auto& place : places)
        if (kept > 0 && places[kept - 1].buffer == place.buffer && place.begin <= places[kept - 1].end)
            places[kept - 1].end = std::max(places[kept - 1].end, place.end);
        else
            places[kept++] = place;
    places.resize(kept);
}

/// A graph as it was last handed over: ggml gives an unchanged graph the same uid, so that it need not be written again.
struct Written {
    std::uint64_t uid = 0;
    int nodes = 0;
    std::vector<std::byte> bytes;
    std::vector<Place> places;
    std::uint64_t used_in = 0;  ///< the message
};

struct Backend {
    Written written;
    std::vector<std::byte> scratch;
};

bool write(const ggml_cgraph& graph, Written& written, std::int64_t& scratch_bytes)
{
    written.bytes.resize(sizeof(tensor::GraphRecord) + static_cast<std::size_t>(graph.n_nodes) * sizeof(tensor::NodeRecord));
    tensor::GraphRecord header;
    tensor::ScratchSizes sizes;
    auto* at = written.bytes.data() + sizeof header;
    written.places.clear();
    written.used_in = 0;
    for (int i = 0; i < graph.n_nodes; i++) {
        const auto& node = *graph.nodes[i];
        add_place(written.places, node);
        for (const auto* source : node.src)
            if (source)
                add_place(written.places, *source);
        if (is_view(node) || (node.flags & GGML_TENSOR_FLAG_COMPUTE) == 0 || ggml_is_empty(&node))
            continue;
        tensor::NodeRecord record;
        if (!translate(node, record))
            return false;
        std::memcpy(at, &record, sizeof record);
        at += sizeof record;
        header.nodes++;

        // As the host will see it, for what it needs besides.
        kernels::Node kernel;
        kernel.op = static_cast<kernels::Op>(record.op);
        std::memcpy(kernel.parameters, record.parameters, sizeof kernel.parameters);
        const auto shape = [](const tensor::TensorRecord& from, kernels::Tensor& to) {
            to.type = static_cast<kernels::Type>(from.type);
            for (int d = 0; d < 4; d++)
                to.extent[d] = static_cast<std::int64_t>(from.extent[d]);
        };
        shape(record.result, kernel.result);
        for (unsigned s = 0; s < record.sources; s++)
            shape(record.source[s], kernel.source[s]);
        sizes.include(kernel);
    }
    merge(written.places);
    written.bytes.resize(sizeof header + header.nodes * sizeof(tensor::NodeRecord));
    std::memcpy(written.bytes.data(), &header, sizeof header);
    scratch_bytes = sizes.bytes();
    return true;
}

ggml_status compute(ggml_backend_t backend, ggml_cgraph* graph)
{
    auto& self = *static_cast<Backend*>(backend->context);
    auto& written = self.written;
    if (graph->uid == 0 || graph->uid != written.uid || graph->n_nodes != written.nodes) {
        std::int64_t scratch_bytes = 0;
        written.uid = 0;
        if (!write(*graph, written, scratch_bytes))
            return GGML_STATUS_FAILED;
        written.uid = graph->uid;
        written.nodes = graph->n_nodes;
        if (self.scratch.size() < static_cast<std::size_t>(scratch_bytes))
            self.scratch.resize(static_cast<std::size_t>(scratch_bytes));
    }
    if (std::exchange(written.used_in, messages) != messages) {
        used_places().insert(used_places().end(), written.places.begin(), written.places.end());
        if (used_places().size() > places_max)
            merge(used_places());
    }
    const auto answer = altiplano_compute(written.bytes.data(), written.bytes.size(), self.scratch.data(), self.scratch.size());
    return answer == 0 ? GGML_STATUS_SUCCESS : GGML_STATUS_FAILED;
}

const char* backend_name(ggml_backend_t)
{
    return "tensor";
}
void free_backend(ggml_backend_t backend)
{
    delete static_cast<Backend*>(backend->context);
    delete backend;
}
ggml_guid_t guid()
{
    static ggml_guid id = {0x61, 0x6c, 0x74, 0x69, 0x70, 0x6c, 0x61, 0x6e, 0x6f, 0x2d, 0x74, 0x65, 0x6e, 0x73, 0x6f, 0x72};
    return &id;
}

const char* device_name(ggml_backend_dev_t)
{
    return "tensor";
}
void device_memory(ggml_backend_dev_t, std::size_t* free, std::size_t* total)
{
    *free = *total = 0;
}
enum ggml_backend_dev_type device_type(ggml_backend_dev_t)
{
    return GGML_BACKEND_DEVICE_TYPE_ACCEL;
}
void device_properties(ggml_backend_dev_t device, ggml_backend_dev_props* properties)
{
    *properties = {};
    properties->name = properties->description = device_name(device);
    properties->type = GGML_BACKEND_DEVICE_TYPE_ACCEL;
    properties->caps.buffer_from_host_ptr = true;
    properties->caps.mmap_support = true;
}
ggml_backend_t start_device(ggml_backend_dev_t device, const char*)
{
    ggml_backend_i interface = {};
    interface.get_name = backend_name;
    interface.free = free_backend;
    interface.graph_compute = compute;
    return new ggml_backend{guid(), interface, device, new Backend};
}
ggml_backend_buffer_type_t buffer_type(ggml_backend_dev_t)
{
    return ggml_backend_cpu_buffer_type();
}
ggml_backend_buffer_t buffer_from_pointer(ggml_backend_dev_t, void* pointer, std::size_t size, std::size_t)
{
    return ggml_backend_cpu_buffer_from_ptr(pointer, size);
}
bool supports(ggml_backend_dev_t, const ggml_tensor* node)
{
    return is_supported(*node);
}
bool supports_buffers(ggml_backend_dev_t, ggml_backend_buffer_type_t type)
{
    return ggml_backend_buft_is_host(type);
}

const char* registry_name(ggml_backend_reg_t)
{
    return "tensor";
}
std::size_t device_count(ggml_backend_reg_t)
{
    return 1;
}
ggml_backend_dev_t device(ggml_backend_reg_t registry, std::size_t)
{
    static ggml_backend_device one = [registry] {
        ggml_backend_device_i interface = {};
        interface.get_name = interface.get_description = device_name;
        interface.get_memory = device_memory;
        interface.get_type = device_type;
        interface.get_props = device_properties;
        interface.init_backend = start_device;
        interface.get_buffer_type = buffer_type;
        interface.buffer_from_host_ptr = buffer_from_pointer;
        interface.supports_op = supports;
        interface.supports_buft = supports_buffers;
        return ggml_backend_device{interface, registry, nullptr};
    }();
    return &one;
}

}  // namespace

std::size_t clear_scratch()
{
    merge(used_places());
    std::size_t bytes = 0;
    for (const auto& place : used_places()) {
        const auto length = static_cast<std::size_t>(place.end - place.begin);
        std::memset(place.begin, 0, length);
        bytes += length;
    }
    used_places().clear();
    messages++;
    return bytes;
}

void register_tensor_device()
{
    static ggml_backend_reg registry = {GGML_BACKEND_API_VERSION, {registry_name, device_count, device, nullptr}, nullptr};
    ggml_backend_register(&registry);
}

}  // namespace altiplano::guest
