#pragma once

#include "workload.hpp"

/// What the simulator shows, each a command of the program: exit status 0 when everything held.
namespace altiplano::sim {

struct Arguments {
    std::size_t points = 150;  ///< of a sample
    bool all = false;
    std::uint64_t seed = 1;
    std::size_t messages = 14;
    std::size_t rounds = 3;
    std::size_t shard = 0;  ///< which of `shards` parts, for as many programs at once
    std::size_t shards = 1;
    std::optional<std::size_t> point{};
    std::optional<Tear> tear{};
    bool forgetful = false;  ///< the disk keeps nothing before its end, whatever was synced: the simulator must notice
    bool list = false;
    bool verbose = false;
};

/// Where the disks are: in memory if there is room.
class Scratch {
public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    Path fresh(std::string_view name);
    Path path;
};

/// One run of the script on a sound disk.
struct Recording {
    Setting setting;
    Told told{};
    std::vector<std::unique_ptr<Op>> ops{};
    Tree after{};  ///< what is on the disk at the end
};
Result<Recording> record(Scratch& scratch, const Arguments& given);

/// Stops the disk at each operation, with each tear, and restarts on what is left; some restarts are stopped as well.
int crash(const Arguments& given);
/// Lets each operation fail for want of room, or by an input/output error: the node says so, and goes on when there is room.
int full(const Arguments& given);
/// Flips bits in every stored file: what is only a cache comes back, what is kept is named when it is not what was written.
int flip(const Arguments& given);
/// Two runs of one seed leave the same record.
int twice(const Arguments& given);

}  // namespace altiplano::sim
