#include "cuda/driver.hpp"

#include "cuda/errors.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

namespace altiplano::cuda {

namespace {

Result<Driver> load()
{
    auto* const library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr)
        return fail(errors::no_card, "this machine has no NVIDIA driver (libcuda.so.1)");
    Driver found{};
    const char* missing = nullptr;
    const auto bind = [&]<class Function>(Function& function, const char* name) {
        function = reinterpret_cast<Function>(dlsym(library, name));
        if (function == nullptr)
            missing = name;
    };
    bind(found.init, "cuInit");
    bind(found.error_name, "cuGetErrorName");
    bind(found.device_count, "cuDeviceGetCount");
    bind(found.device, "cuDeviceGet");
    bind(found.device_name, "cuDeviceGetName");
    bind(found.device_attribute, "cuDeviceGetAttribute");
    bind(found.retain_context, "cuDevicePrimaryCtxRetain");
    bind(found.set_context, "cuCtxSetCurrent");
    bind(found.load_module, "cuModuleLoadDataEx");
    bind(found.function, "cuModuleGetFunction");
    bind(found.allocate, "cuMemAlloc_v2");
    bind(found.release, "cuMemFree_v2");
    bind(found.allocate_host, "cuMemHostAlloc");
    bind(found.release_host, "cuMemFreeHost");
    bind(found.register_host, "cuMemHostRegister_v2");
    bind(found.unregister_host, "cuMemHostUnregister");
    bind(found.create_stream, "cuStreamCreate");
    bind(found.upload, "cuMemcpyHtoDAsync_v2");
    bind(found.download, "cuMemcpyDtoHAsync_v2");
    bind(found.fill, "cuMemsetD8Async");
    bind(found.launch, "cuLaunchKernel");
    bind(found.synchronize, "cuStreamSynchronize");
    bind(found.create_graph, "cuGraphCreate");
    bind(found.add_kernel, "cuGraphAddKernelNode");
    bind(found.instantiate, "cuGraphInstantiateWithFlags");
    bind(found.launch_graph, "cuGraphLaunch");
    bind(found.destroy_graph, "cuGraphDestroy");
    bind(found.destroy_executable, "cuGraphExecDestroy");
    if (missing != nullptr)
        return fail(errors::no_card, fmt::format("the NVIDIA driver of this machine is too old: it has no {}", missing));
    if (const auto status = found.init(0); status != 0)
        return fail(errors::no_card, fmt::format("the NVIDIA driver does not start: error {}", status));
    return found;
}

}  // namespace

Result<const Driver*> Driver::find()
{
    static const auto driver = load();
    if (!driver)
        return std::unexpected(driver.error());
    return &*driver;
}

}  // namespace altiplano::cuda
