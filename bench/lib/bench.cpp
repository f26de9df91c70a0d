#include "lib/bench.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fmt/format.h>

namespace altiplano::bench {

namespace {

double clock_seconds(clockid_t id)
{
    timespec now{};
    clock_gettime(id, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

double seconds(const std::function<void()>& body)
{
    const double began = clock_seconds(CLOCK_MONOTONIC);
    body();
    return clock_seconds(CLOCK_MONOTONIC) - began;
}

double thread_seconds(const std::function<void()>& body)
{
    const double began = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    body();
    return clock_seconds(CLOCK_THREAD_CPUTIME_ID) - began;
}

double median(std::vector<double> figures)
{
    std::ranges::sort(figures);
    const auto half = figures.size() / 2;
    return figures.size() % 2 != 0 ? figures[half] : (figures[half - 1] + figures[half]) / 2;
}

std::optional<std::pair<double, double>> median_interval(std::vector<double> figures)
{
    // How many of n figures lie below the median is a matter of n coins.
    const auto n = figures.size();
    double one = std::pow(0.5, static_cast<double>(n));
    double below = one;
    std::size_t rank = 0;
    while (below <= 0.025) {
        ++rank;
        one *= static_cast<double>(n - rank + 1) / static_cast<double>(rank);
        below += one;
    }
    if (rank == 0)
        return std::nullopt;
    std::ranges::sort(figures);
    return std::pair(figures[rank - 1], figures[n - rank]);
}

std::optional<std::pair<double, double>> ratio_interval(const std::vector<double>& above, const std::vector<double>& below)
{
    std::vector<double> ratios;
    for (std::size_t i = 0; i < above.size(); ++i)
        ratios.push_back(above[i] / below[i]);
    return median_interval(std::move(ratios));
}

Row in_turn(std::string name, std::string outside_name, std::string unit, Better better, int runs,
    const std::function<Sample()>& ours, const std::function<Sample()>& outside)
{
    std::vector<double> our_figures;
    std::vector<double> their_figures;
    std::uint64_t our_work = 0;
    std::uint64_t their_work = 0;
    for (int run = 0; run < runs; ++run) {
        const auto mine = ours();
        const auto theirs = outside();
        our_figures.push_back(mine.figure);
        their_figures.push_back(theirs.figure);
        our_work = mine.work;
        their_work = theirs.work;
    }
    Row row{.name = std::move(name),
        .outside_name = std::move(outside_name),
        .ours = median(our_figures),
        .outside = median(their_figures),
        .unit = std::move(unit),
        .better = better == Better::less ? "less" : "more",
        .ratio = 0,
        .work = {}};
    row.ratio = better == Better::less ? row.outside / row.ours : row.ours / row.outside;
    row.interval =
        better == Better::less ? ratio_interval(their_figures, our_figures) : ratio_interval(our_figures, their_figures);
    row.work = our_work == their_work ? fmt::format("{}", our_work) : fmt::format("DIFFERS {} {}", our_work, their_work);
    return row;
}

void report(const std::vector<Row>& rows, bool json)
{
    const auto interval = [](const Row& row, std::string_view opening, std::string_view closing) {
        return row.interval ? fmt::format("{}{:.4g}, {:.4g}{}", opening, row.interval->first, row.interval->second, closing)
                            : std::string();
    };
    if (json) {
        std::string text = "{\"rows\": [";
        for (const auto& row : rows)
            text += fmt::format(
                "{}{{\"case\": \"{}\", \"ours\": {:.6g}, \"outside\": {:.6g}, \"against\": \"{}\", \"unit\": \"{}\", \"better\": "
                "\"{}\", \"ratio\": {:.4g}{}, \"work\": \"{}\"}}",
                &row == rows.data() ? "" : ", ", row.name, row.ours, row.outside, row.outside_name, row.unit, row.better,
                row.ratio, interval(row, ", \"interval\": [", "]"), row.work);
        fmt::print("{}]}}\n", text);
        return;
    }
    for (const auto& row : rows)
        fmt::print("{:<34} ours {:>10.5g} {:<10} {:>18} {:>10.5g} {:<10}  better: {}  ratio {:.3g}{}  work {}\n", row.name,
            row.ours, row.unit, row.outside_name, row.outside, row.unit, row.better, row.ratio, interval(row, " [", "]"),
            row.work);
}

Arguments arguments(int count, char** values)
{
    Arguments parsed;
    for (int i = 1; i < count; ++i) {
        const std::string value = values[i];
        if (value == "--json")
            parsed.json = true;
        else if (value == "--smoke")
            parsed.smoke = true;
        else
            parsed.rest.push_back(value);
    }
    return parsed;
}

Arguments arguments(int count, char** values, std::string_view expected)
{
    auto parsed = arguments(count, values);
    if (parsed.rest.size() == static_cast<std::size_t>(std::ranges::count(expected, ' ')) + 1)
        return parsed;
    fmt::print(stderr, "usage: {} {} [--json] [--smoke]\n", values[0], expected);
    std::exit(2);
}

void give_up(const Error& error)
{
    fmt::print(stderr, "{}: {}\n", error.code, error.sentence);
    std::exit(1);
}

std::string output_of(const std::string& command)
{
    std::string output;
    auto* const pipe = popen(command.c_str(), "r");
    char piece[4096];
    while (const auto got = fread(piece, 1, sizeof piece, pipe))
        output.append(piece, got);
    if (pclose(pipe) != 0) {
        fmt::print(stderr, "failed: {}\n", command);
        std::exit(1);
    }
    return output;
}

}  // namespace altiplano::bench
