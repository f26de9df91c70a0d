#include "node/http/rate_limit.hpp"

#include <algorithm>

namespace altiplano::node::http {

bool is_loopback(std::string_view address)
{
    return address == "::1" || address.starts_with("127.");
}

bool RateLimit::take(const std::string& address, Time now)
{
    if (per_second_ == 0 || is_loopback(address))
        return true;
    const auto most = per_second_ * seconds_at_once;
    const std::lock_guard lock(mutex_);
    // Full ones say nothing. When all of so many are in use, somebody has many addresses: then all begin anew.
    if (buckets_.size() >= addresses_max && !buckets_.contains(address)) {
        std::erase_if(buckets_, [&](const auto& entry) {
            const auto& bucket = entry.second;
            return bucket.left + std::chrono::duration<double>(now - bucket.at).count() * per_second_ >= most;
        });
        if (buckets_.size() >= addresses_max)
            buckets_.clear();
    }
    const auto [found, is_new] = buckets_.try_emplace(address, Bucket{most, now});
    auto& bucket = found->second;
    bucket.left = std::min(most, bucket.left + std::chrono::duration<double>(now - bucket.at).count() * per_second_);
    bucket.at = now;
    if (bucket.left < 1)
        return false;
    bucket.left -= 1;
    return true;
}

}  // namespace altiplano::node::http
