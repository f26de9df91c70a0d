#include "base/interrupts.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <optional>
#include <sched.h>
#include <string>

using namespace altiplano;

namespace {

struct Seen {
    int threads = 0;
    std::uint64_t waits = 0;  ///< that they have begun, all together
    std::vector<std::string> processors{};
};

Seen ticking_threads()
{
    Seen seen;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream status(task.path() / "status");
        std::string word;
        bool mine = false;
        std::string processors;
        while (status >> word) {
            if (word == "Name:" && status >> word)
                mine = word == "tick";
            else if (word == "Cpus_allowed_list:")
                status >> processors;
            else if (word == "voluntary_ctxt_switches:" && mine) {
                status >> word;
                seen.waits += std::stoull(word);
            }
        }
        if (mine) {
            ++seen.threads;
            seen.processors.push_back(processors);
        }
    }
    return seen;
}

}  // namespace

TEST(Interrupts, come_to_every_processor_while_somebody_needs_them_and_then_no_more)
{
    cpu_set_t all;
    ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    Interrupts interrupts;
    EXPECT_EQ(ticking_threads().threads, 0);
    std::optional<Interrupts::Needed> one(std::in_place, interrupts);
    {
        const Interrupts::Needed other(interrupts);
        one.reset();
        Seen seen;
        const auto before = ticking_threads().waits;
        do
            seen = ticking_threads();
        while (seen.threads < CPU_COUNT(&all) || seen.waits < before + 20);
        EXPECT_EQ(seen.threads, CPU_COUNT(&all));
        for (const auto& processors : seen.processors)
            EXPECT_EQ(processors.find_first_of(",-"), std::string::npos) << processors;
    }
    // They end their last millisecond, and wait.
    for (int quiet = 0; quiet < 20;) {
        const auto before = ticking_threads().waits;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        quiet = ticking_threads().waits == before ? quiet + 1 : 0;
    }
}
