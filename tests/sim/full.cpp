#include "scenes.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::sim {

namespace {

/// Whether the operation takes room.
bool takes_room(const Op& op)
{
    return op.kind == Op::Kind::create || op.kind == Op::Kind::write || op.kind == Op::Kind::make_directory;
}

/// The script on a disk on which operation number `at` and `more` after it fail for want of room; then there is room again,
/// and clients ask again. Everything must hold, on this disk and on what a power failure at its end leaves of it.
Result<void> fills_up(Scratch& scratch, const Arguments& given, std::size_t at, std::size_t more)
{
    Setting setting{.data = scratch.fresh("live"),
        .modules = scratch.path / "modules",
        .messages = given.messages,
        .rounds = given.rounds,
        .seed = given.seed,
        .faulty = true};
    Told told;
    std::vector<std::unique_ptr<Op>> ops;
    {
        std::size_t failed = 0;
        reset_sqlite_chance(given.seed);
        Recorder recorder(setting.data, [&](const Op& op, std::size_t number) {
            if (number < at || failed > more || !takes_room(op))
                return Recorder::Fault::none;
            ++failed;
            return Recorder::Fault::disk_full;
        });
        TRY_OK(run_script(setting, recorder, told));
        ops = recorder.take();
    }
    Disk disk;
    for (const auto& op : ops)
        disk.apply(*op);
    Chance chance(given.seed + at);
    const auto left = disk.after_crash(Tear::lost, chance);
    setting.data = scratch.fresh("restarted");
    write_tree(left, setting.data);
    return check(setting, told, ops.size(), system_files(), nullptr);
}

/// The script on a disk of which sync number `at` fails: from then on nobody may be told anything that is not on it. The node
/// is stopped there, as an operator would whose node says that its store is broken, and opened again on what was synced.
Result<void> fails_to_sync(Scratch& scratch, const Arguments& given, std::size_t at)
{
    Setting setting{.data = scratch.fresh("live"),
        .modules = scratch.path / "modules",
        .messages = given.messages,
        .rounds = given.rounds,
        .seed = given.seed,
        .insists = false,
        .faulty = true};
    Told told;
    std::vector<std::unique_ptr<Op>> ops;
    {
        bool failed = false;
        reset_sqlite_chance(given.seed);
        Recorder recorder(setting.data, [&](const Op& op, std::size_t number) {
            failed = failed || (number >= at && op.kind == Op::Kind::sync);
            return failed && op.kind == Op::Kind::sync ? Recorder::Fault::io_error : Recorder::Fault::none;
        });
        // How it ends does not matter here, as long as nobody was told what is not true.
        if (const auto ran = run_script(setting, recorder, told); !ran && ran.error().code == "sim.wrong")
            return std::unexpected(ran.error());
        ops = recorder.take();
    }
    Disk disk;
    for (const auto& op : ops)
        disk.apply(*op);
    for (const auto tear : {Tear::lost, Tear::kept, Tear::scattered}) {
        Chance chance(given.seed + at);
        setting.data = scratch.fresh("restarted");
        write_tree(disk.after_crash(tear, chance), setting.data);
        TRY_OK(check(setting, told, ops.size(), system_files(), nullptr));
    }
    return {};
}

}  // namespace

int full(const Arguments& given)
{
    Scratch scratch;
    const auto made = record(scratch, given);
    if (!made) {
        fmt::print(stderr, "error  the script fails on a sound disk: {} ({})\n", made.error().sentence, made.error().code);
        return 1;
    }
    std::vector<std::size_t> writes;
    std::vector<std::size_t> syncs;
    for (std::size_t i = 0; i < made->ops.size(); ++i) {
        if (takes_room(*made->ops[i]))
            writes.push_back(i);
        if (made->ops[i]->kind == Op::Kind::sync)
            syncs.push_back(i);
    }
    const auto sample = [&](const std::vector<std::size_t>& all, std::size_t points) {
        std::vector<std::size_t> some;
        Chance chance(given.seed);
        const auto count = given.all ? all.size() : std::min(points, all.size());
        for (std::size_t i = 0; i < count; ++i) {
            const auto from = i * all.size() / count;
            const auto to = std::max((i + 1) * all.size() / count, from + 1);
            if (i % given.shards == given.shard)
                some.push_back(all[from + chance() % (to - from)]);
        }
        return given.point ? std::vector{*given.point} : some;
    };
    const auto report = [&](std::string_view what, std::size_t at, const Error& error) {
        fmt::print(stderr,
            "error  {} at operation {} ({}): {} ({})\nagain  sim full --seed {} --messages {} --rounds {} --point {}\n", what, at,
            describe(*made->ops[at]), error.sentence, error.code, given.seed, given.messages, given.rounds, at);
        return 1;
    };
    std::size_t runs = 0;
    for (const auto at : sample(writes, given.points)) {
        // One operation alone, or whatever comes until clients have been told a few times.
        if (const auto held = fills_up(scratch, given, at, runs++ % 2 == 0 ? 0 : 5); !held)
            return report("no room", at, held.error());
    }
    std::size_t failed = 0;
    for (const auto at : sample(syncs, given.points / 2)) {
        ++failed;
        if (const auto held = fails_to_sync(scratch, given, at); !held)
            return report("syncs fail", at, held.error());
    }
    fmt::print(
        "full: {} of {} writes without room, {} of {} syncs failed: nothing lost\n", runs, writes.size(), failed, syncs.size());
    return 0;
}

}  // namespace altiplano::sim
