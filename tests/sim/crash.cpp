#include "scenes.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <unordered_set>

namespace altiplano::sim {

Scratch::Scratch()
{
    std::error_code failed;
    const auto room = std::filesystem::space("/dev/shm", failed);
    const Path base =
        !failed && room.available > (std::uint64_t{256} << 20) ? Path("/dev/shm") : std::filesystem::temp_directory_path();
    auto name = (base / "altiplano-sim-XXXXXX").string();
    ENSURE(mkdtemp(name.data()) != nullptr, "there is room for a folder");
    path = name;
}

Scratch::~Scratch()
{
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
}

Path Scratch::fresh(std::string_view name)
{
    std::filesystem::remove_all(path / name);
    std::filesystem::create_directories(path / name);
    return path / name;
}

Result<Recording> record(Scratch& scratch, const Arguments& given)
{
    Recording made{.setting = {.data = scratch.fresh("live"),
                       .modules = scratch.path / "modules",
                       .messages = given.messages,
                       .rounds = given.rounds,
                       .seed = given.seed}};
    reset_sqlite_chance(given.seed);
    Recorder recorder(made.setting.data);
    TRY_OK(run_script(made.setting, recorder, made.told));
    made.ops = recorder.take();
    made.after = read_tree(made.setting.data);
    return made;
}

namespace {

struct Case {
    std::size_t point;
    Tear tear;
};

/// A sample is spread evenly and takes each tear in turn; all means every point with every tear.
std::vector<Case> cases_of(const Arguments& given, std::size_t points)
{
    std::vector<Case> cases;
    Chance chance(given.seed);
    for (std::size_t i = 0; i < (given.all || given.point ? points : given.points); ++i) {
        const auto step = given.all || given.point ? points : given.points;
        const auto from = i * points / step;
        const auto to = std::max((i + 1) * points / step, from + 1);
        const auto point = from + chance() % (to - from);
        for (std::size_t tear = 0; tear < tears; ++tear) {
            const bool wanted = given.point ? point == *given.point : given.all || tear == i % tears;
            if (wanted && (!given.tear || *given.tear == static_cast<Tear>(tear)))
                cases.push_back({point, static_cast<Tear>(tear)});
        }
    }
    return cases;
}

Chance chance_of(const Arguments& given, const Case& one)
{
    return Chance(given.seed * 1'000'003 + one.point * tears + static_cast<std::size_t>(one.tear));
}

/// One restart on a disk. @param again  the restart is stopped too, at a point and with a tear of chance
Result<void> restart(Scratch& scratch, const Recording& made, std::size_t point, const Tree& disk, Chance* again)
{
    auto setting = made.setting;
    setting.data = scratch.fresh("restarted");
    write_tree(disk, setting.data);
    if (!again)
        return check(setting, made.told, point, system_files(), nullptr);
    std::vector<std::unique_ptr<Op>> ops;
    {
        Recorder recorder(setting.data);
        TRY_OK(check(setting, made.told, point, recorder.files(), &recorder));
        ops = recorder.take();
    }
    Disk second(disk);
    const auto stop = (*again)() % (ops.size() + 1);
    for (std::size_t i = 0; i < stop; ++i)
        second.apply(*ops[i]);
    return restart(scratch, made, point, second.after_crash(static_cast<Tear>((*again)() % tears), *again), nullptr);
}

}  // namespace

int crash(const Arguments& given)
{
    Scratch scratch;
    const auto made = record(scratch, given);
    if (!made) {
        fmt::print(stderr, "error  the script fails on a sound disk: {} ({})\n", made.error().sentence, made.error().code);
        return 1;
    }
    const auto points = made->ops.size() + 1;
    fmt::print("{} operations recorded; {} messages sent, {} results told\n", points - 1, made->told.slots.size(),
        made->told.answers.size());
    if (given.list) {
        for (std::size_t i = 0; i < made->ops.size(); ++i)
            fmt::print("{} {}\n", i, describe(*made->ops[i]));
        return 0;
    }
    const auto cases = cases_of(given, points);
    const auto begin = cases.size() * given.shard / given.shards;
    const auto end = cases.size() * (given.shard + 1) / given.shards;
    Disk disk;
    std::size_t applied = 0;
    std::size_t restarts = 0;
    std::size_t stopped_again = 0;
    std::size_t told = 0;
    std::unordered_set<std::size_t> seen;
    for (std::size_t i = begin; i < end; ++i) {
        const auto& one = cases[i];
        for (; applied < one.point; ++applied)
            if (!given.forgetful || made->ops[applied]->kind != Op::Kind::sync)
                disk.apply(*made->ops[applied]);
        auto chance = chance_of(given, one);
        const auto left = disk.after_crash(one.tear, chance);
        // Where nothing waits for a sync all tears leave the same, and so do two points between which nothing was told.
        const auto told_by_now = static_cast<std::size_t>(std::ranges::count_if(made->told.answers, [&](const auto& a) {
            return a.at <= one.point;
        }) + std::ranges::count_if(made->told.slots, [&](const auto& a) { return a.at <= one.point; }));
        if (told_by_now != std::exchange(told, told_by_now))
            seen.clear();
        if (!seen.insert(left.fingerprint()).second && !given.point)
            continue;
        ++restarts;
        const bool twice = restarts % 8 == 0;
        stopped_again += twice ? 1 : 0;
        if (const auto held = restart(scratch, *made, one.point, left, twice ? &chance : nullptr); !held) {
            fmt::print(stderr, "error  stopped before operation {} ({}), tear '{}': {} ({})\n", one.point,
                one.point < made->ops.size() ? describe(*made->ops[one.point]) : "the end", name_of(one.tear),
                held.error().sentence, held.error().code);
            fmt::print(stderr, "again  sim crash --seed {} --messages {} --rounds {} --point {} --tear {}{}\n", given.seed,
                given.messages, given.rounds, one.point, name_of(one.tear), twice ? "   (its restart was stopped as well)" : "");
            return 1;
        }
        if (given.verbose && restarts % 100 == 0)
            fmt::print("{} of {} cases\n", i - begin, end - begin);
    }
    fmt::print("crash: {} points of {}, {} cases, {} restarts on different disks, {} of them stopped again: nothing lost\n",
        given.all ? points : std::min(points, given.points), points, end - begin, restarts, stopped_again);
    return 0;
}

int twice(const Arguments& given)
{
    // Names that count runs of this program are left out, and what is in the files is in.
    const auto shape = [](const Recording& made) {
        std::vector<std::string> lines;
        for (const auto& op : made.ops) {
            auto line = describe(*op);
            if (const auto at = line.find(".tmp"); at != line.npos)
                if (const auto dot = line.rfind('.', at - 1); dot != line.npos && line.find('-', dot) < at)
                    line.erase(dot, at - dot);
            lines.push_back(fmt::format("{} {}", line, std::hash<std::string_view>{}(as_text(op->bytes))));
        }
        return lines;
    };
    Scratch scratch;
    std::vector<std::vector<std::string>> shapes;
    for (int run = 0; run < 2; ++run) {
        const auto made = record(scratch, given);
        if (!made) {
            fmt::print(stderr, "error  {} ({})\n", made.error().sentence, made.error().code);
            return 1;
        }
        shapes.push_back(shape(*made));
    }
    const auto [one, other] = std::ranges::mismatch(shapes[0], shapes[1]);
    if (one != shapes[0].end() || other != shapes[1].end()) {
        fmt::print(stderr, "error  two runs of seed {} differ from operation {} on:\n  {}\n  {}\n", given.seed,
            one - shapes[0].begin(), one != shapes[0].end() ? *one : "the end", other != shapes[1].end() ? *other : "the end");
        return 1;
    }
    fmt::print("twice: two runs of seed {} left the same {} operations\n", given.seed, shapes[0].size());
    return 0;
}

}  // namespace altiplano::sim
