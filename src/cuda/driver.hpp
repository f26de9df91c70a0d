#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <cstdint>

/// NVIDIA's driver interface (libcuda.so.1), as much of it as is used here, found when the program runs: nothing of CUDA is
/// needed to build it. Names, types and numbers are those of the CUDA Driver API reference, 11 and later.
namespace altiplano::cuda {

struct Driver {
    using Handle = void*;
    using Status = int;  ///< 0: success
    using Address = std::uint64_t;

    Status (*init)(unsigned flags);
    Status (*error_name)(Status, const char** name);
    Status (*device_count)(int* count);
    Status (*device)(int* device, int ordinal);
    Status (*device_name)(char* name, int length, int device);
    Status (*device_attribute)(int* value, int attribute, int device);
    Status (*retain_context)(Handle* context, int device);
    Status (*set_context)(Handle context);
    Status (*load_module)(Handle* module, const void* image, unsigned options, int* option, void** values);
    Status (*function)(Handle* function, Handle module, const char* name);
    Status (*allocate)(Address* memory, std::size_t bytes);
    Status (*release)(Address memory);
    Status (*allocate_host)(void** memory, std::size_t bytes, unsigned flags);
    Status (*release_host)(void* memory);
    Status (*register_host)(void* memory, std::size_t bytes, unsigned flags);
    Status (*unregister_host)(void* memory);
    Status (*create_stream)(Handle* stream, unsigned flags);
    Status (*upload)(Address to, const void* from, std::size_t bytes, Handle stream);
    Status (*download)(void* to, Address from, std::size_t bytes, Handle stream);
    Status (*fill)(Address to, unsigned char value, std::size_t bytes, Handle stream);
    Status (*launch)(Handle function, unsigned blocks_x, unsigned blocks_y, unsigned blocks_z, unsigned threads_x,
        unsigned threads_y, unsigned threads_z, unsigned shared_bytes, Handle stream, void** parameters, void** extra);
    Status (*synchronize)(Handle stream);
    Status (*create_graph)(Handle* graph, unsigned flags);
    /// CUDA_KERNEL_NODE_PARAMS, its first version.
    struct Kernel {
        Handle function;
        unsigned blocks_x, blocks_y, blocks_z, threads_x, threads_y, threads_z, shared_bytes;
        void** parameters;
        void** extra;
    };
    Status (*add_kernel)(Handle* node, Handle graph, const Handle* waits_for, std::size_t count, const Kernel* kernel);
    Status (*instantiate)(Handle* executable, Handle graph, unsigned long long flags);
    Status (*launch_graph)(Handle executable, Handle stream);
    Status (*destroy_graph)(Handle graph);
    Status (*destroy_executable)(Handle executable);

    static constexpr int capability_major = 75;  ///< a device's attribute
    static constexpr unsigned stream_by_itself = 1;  ///< waits for no default stream
    static constexpr int jit_error_log = 5, jit_error_log_bytes = 6;  ///< options of load_module

    /// The driver of this machine, initialised. @return cuda.no_card
    static Result<const Driver*> find();
};

}  // namespace altiplano::cuda
