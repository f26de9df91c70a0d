#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Ratios against something outside that a sceptic accepts (docs/performance.md). A ratio above 1 means ours is better.
namespace altiplano::bench {

/// One figure of one side, and a fingerprint of the work that gave it: both sides must agree on the work, so that
/// neither compiler nor author changes what is measured.
struct Sample {
    double figure = 0;
    std::uint64_t work = 0;
};

struct Row {
    std::string name;
    std::string outside_name;
    double ours = 0;
    double outside = 0;
    std::string unit;  ///< "s", "messages/s", "tokens/s"
    std::string better;  ///< "less" or "more"
    double ratio = 0;
    std::string work;
    /// In which the ratio of a pair's figures lies in the middle, by 95 in 100; none for few pairs.
    std::optional<std::pair<double, double>> interval{};
};

enum class Better { less, more };

/// Runs both sides `runs` times in turn, ours first, and takes the medians.
Row in_turn(std::string name, std::string outside_name, std::string unit, Better better, int runs,
    const std::function<Sample()>& ours, const std::function<Sample()>& outside);

/// Seconds that `body` took on the clock that never goes back.
double seconds(const std::function<void()>& body);
/// CPU seconds of the calling thread.
double thread_seconds(const std::function<void()>& body);

double median(std::vector<double> figures);

/// Where the median of what the figures are drawn from lies, by 95 in 100, whatever its distribution: an interval between two of
/// the figures, by their ranks. Nothing for fewer than six.
std::optional<std::pair<double, double>> median_interval(std::vector<double> figures);
/// Of the ratios, pair by pair.
std::optional<std::pair<double, double>> ratio_interval(const std::vector<double>& above, const std::vector<double>& below);

/// Prints rows as a table, or with `json` as the one document `{"rows": [...]}`.
void report(const std::vector<Row>& rows, bool json);

/// What every benchmark takes: `--json`, `--smoke` (one small run, so that none rots).
struct Arguments {
    bool json = false;
    bool smoke = false;
    std::vector<std::string> rest;
};
Arguments arguments(int count, char** values);
/// The same where exactly the words of `expected` are wanted in `rest`; else the program's end with its usage.
Arguments arguments(int count, char** values, std::string_view expected);

/// The value, or the program's end with the error on stderr: a benchmark has nobody to hand it to.
[[noreturn]] void give_up(const Error& error);
template <class T> T must(Result<T> result)
{
    if (!result)
        give_up(result.error());
    return *std::move(result);
}

/// What a command of the shell prints; the program's end when it fails.
std::string output_of(const std::string& command);

/// Keeps a compiler from dropping what produced `value`.
template <class T> void used(const T& value)
{
    asm volatile("" : : "r"(&value) : "memory");
}

}  // namespace altiplano::bench
