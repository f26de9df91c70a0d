// Worker processes, and the process that has the graphics card, here one made of fibers (src/kernels/card/emulated.hpp). Each
// graph that it runs leaves a line in the file that the environment names.
#include "base/files.hpp"
#include "compute/worker.hpp"
#include "cuda/card.hpp"
#include "cuda/emulated.hpp"
#include "cuda/server.hpp"

#include <csignal>
#include <cstdio>
#include <string_view>
#include <sys/prctl.h>

using namespace altiplano;

namespace {

class Noted final : public cuda::EmulatedDevice {
public:
    std::string name() const override { return "a card made of fibers"; }
    Result<std::unique_ptr<Program>> program(std::span<const cuda::Work> work) override
    {
        nodes_ = work.size();
        return EmulatedDevice::program(work);
    }
    Result<void> run(Program& program) override
    {
        if (auto* const file = std::fopen(std::getenv("ALTIPLANO_CARD_NOTES"), "a")) {
            std::fprintf(file, "%zu launches, %llu bytes held\n", nodes_, static_cast<unsigned long long>(held.load()));
            std::fclose(file);
        }
        return EmulatedDevice::run(program);
    }

private:
    std::size_t nodes_ = 0;
};

}  // namespace

int main(int argc, char** argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc > 1 && std::string_view(argv[1]) == "card") {
        cuda::run_card_process(3, 4, [] { return std::make_unique<Noted>(); });
        return 0;
    }
    return compute::run_worker(3);
}
