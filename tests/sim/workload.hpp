#pragma once

#include "node/node.hpp"
#include "recorder.hpp"

/// What a node goes through in the simulator, what it said to its clients meanwhile, and what must hold after a restart.
namespace altiplano::sim {

/// What a client was told; `at` is how many operations had been done to the disk when it was.
struct Told {
    struct Slotted {
        std::size_t at;
        units::Slot slot;
        AssignmentId assignment;
        item::DataItem item;
    };
    struct Answered {
        std::size_t at;
        units::SlotResult result;
    };
    struct Stored {
        std::size_t at;
        ItemId id;
        Digest sha256;
    };
    struct Taken {
        std::size_t at;
        store::TrustedRecord record;
    };
    std::optional<std::size_t> opened_at{};
    Address scheduler{};
    Address authority{};
    std::vector<Stored> stored{};
    std::vector<Slotted> slots{};
    std::vector<Answered> answers{};
    std::vector<Taken> taken{};  ///< checkpoints that were taken in, and then verified
};

/// Time stands still but where the script moves it; `sleep_moves`: for whoever waits as well.
class SimulatedClock final : public Clock {
public:
    explicit SimulatedClock(bool sleep_moves)
        : sleep_moves_(sleep_moves)
    {
    }
    std::int64_t wall_ms() const override { return 1'700'000'000'000 + now_ms_; }
    std::int64_t monotonic_ns() const override { return now_ms_ * 1'000'000; }
    void sleep_ms(std::int64_t duration_ms) override;
    void move(std::int64_t ms) { now_ms_ += ms; }

private:
    bool sleep_moves_;
    std::atomic<std::int64_t> now_ms_ = 0;
};

class SeededRandom final : public Random {
public:
    explicit SeededRandom(std::uint64_t seed)
        : chance_(seed)
    {
    }
    void fill(std::span<std::byte> bytes) override
    {
        const std::lock_guard lock(mutex_);
        for (auto& one : bytes)
            one = static_cast<std::byte>(chance_());
    }

private:
    std::mutex mutex_;
    Chance chance_;
};

struct Setting {
    Path data;
    Path modules;  ///< compiled ones, kept for all restarts
    std::size_t messages = 14;  ///< sent from outside in each of the script's rounds
    std::size_t rounds = 3;  ///< the node is closed and opened between them
    std::uint64_t seed = 1;
    bool insists = true;  ///< a client whose call fails calls again, up to ten times; else the script ends there
    bool faulty = false;  ///< calls may fail: time goes on while the node waits to try again
    bool spoilt = false;  ///< caches may have been damaged: what was taken in on trust is then computed from the log
};

/// Runs the script: items and blobs stored, processes spawned, messages that are sent on, spawn, fail and trap, rows of messages
/// whose results become durable together; a log that nobody has computed, gone on from a checkpoint in AO's format, which is
/// verified in the next round; images and overlays after each slot, or in every second round now and then. A call that fails is
/// made again by its client, up to ten times.
/// @param told  is filled as it goes on @return the first thing that is wrong
Result<void> run_script(const Setting& setting, Recorder& recorder, Told& told);

/// Opens a node on what a crash left, and looks whether everything holds that was said at or before `at`: items, slots,
/// results, checkpoints taken in; each sent message exactly once; a recomputation from the log gives the same; it goes on
/// working.
/// @param files  those of a recorder, for a crash during the recovery
Result<void> check(const Setting& setting, const Told& told, std::size_t at, Files& files, Recorder* recorder);

}  // namespace altiplano::sim
