#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <unordered_map>

namespace altiplano::node::http {

/// How many requests one address may make: so many a second in the long run, ten seconds' worth of them at once. Safe from any
/// thread; what it holds is bounded.
class RateLimit {
public:
    using Time = std::chrono::steady_clock::time_point;
    /// @param per_second  0: no limit
    explicit RateLimit(std::uint64_t per_second)
        : per_second_(static_cast<double>(per_second))
    {
    }
    /// Whether one more may come now. Always from this machine.
    bool take(const std::string& address, Time now);

    static constexpr double seconds_at_once = 10;
    static constexpr std::size_t addresses_max = 100'000;

private:
    struct Bucket {
        double left = 0;
        Time at{};
    };
    const double per_second_;
    std::mutex mutex_;
    std::unordered_map<std::string, Bucket> buckets_;
};

/// Whether an address is this machine's own.
bool is_loopback(std::string_view address);

}  // namespace altiplano::node::http
