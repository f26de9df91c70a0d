// A worker process that computes wrongly: in place of the module that it is asked to run it takes the one that the
// environment names, in which one instruction is wrong (guest/toolchain/parts/module-wrong).
#include "base/files.hpp"
#include "compute/worker.hpp"

#include <cstdlib>

int main()
{
    using namespace altiplano;
    return compute::run_worker(3, {.instead = [](Bytes wasm) {
        const char* const file = std::getenv("ALTIPLANO_WRONG_MODULE");
        const auto other = file ? read_file(system_files(), file) : Result<Buffer>(to_buffer(wasm));
        return other.value();
    }});
}
