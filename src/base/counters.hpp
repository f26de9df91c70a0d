#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What the operator counts, in the text that Prometheus reads. Safe from any thread; never part of a result (law 2).
namespace altiplano::counters {

using Labels = std::vector<std::pair<std::string, std::string>>;

/// A number that only grows.
class Counter {
public:
    void add(std::uint64_t more = 1) noexcept { value_.fetch_add(more, std::memory_order_relaxed); }
    std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_ = 0;
};

/// How long things took, from 0.1 ms to 100 s.
class Histogram {
public:
    static constexpr std::array<double, 13> bounds_s{0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100};
    void observe_ns(std::int64_t duration_ns) noexcept;
    /// Observations up to each bound, then all of them.
    std::array<std::uint64_t, bounds_s.size() + 1> buckets() const noexcept;
    double sum_s() const noexcept { return static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) / 1e9; }

private:
    std::array<std::atomic<std::uint64_t>, bounds_s.size() + 1> counts_{};
    std::atomic<std::int64_t> sum_ns_ = 0;
};

/// The one of this name and these labels, made at its first use; lives as long as the program. Keep the reference where it
/// is used often: finding it takes a lock.
Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
Histogram& histogram(std::string_view name, std::string_view help, const Labels& labels = {});

/// A number that is asked for when somebody looks, until the handle is destroyed, which waits for a look under way.
std::shared_ptr<void> gauge(std::string_view name, std::string_view help, std::function<double()> value);

/// All of them, and this program's memory and processor time, in the text format 0.0.4.
std::string prometheus_text();

}  // namespace altiplano::counters
