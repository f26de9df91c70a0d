#include "node/http/rate_limit.hpp"

#include <gtest/gtest.h>

using namespace altiplano::node::http;
using namespace std::chrono_literals;

namespace {

int taken(RateLimit& limit, const std::string& address, RateLimit::Time now, int asked)
{
    int count = 0;
    for (int i = 0; i < asked; ++i)
        count += limit.take(address, now) ? 1 : 0;
    return count;
}

const RateLimit::Time start{1h};

}  // namespace

TEST(RateLimit, lets_ten_seconds_worth_through_at_once_and_then_so_many_a_second)
{
    RateLimit limit(5);
    EXPECT_EQ(taken(limit, "192.0.2.1", start, 100), 50);
    EXPECT_EQ(taken(limit, "192.0.2.1", start + 1s, 100), 5);
    EXPECT_EQ(taken(limit, "192.0.2.1", start + 1s + 200ms, 100), 1);
    EXPECT_EQ(taken(limit, "192.0.2.1", start + 1h, 100), 50) << "nobody saves more than that";
}

TEST(RateLimit, counts_each_address_for_itself)
{
    RateLimit limit(1);
    EXPECT_EQ(taken(limit, "192.0.2.1", start, 100), 10);
    EXPECT_EQ(taken(limit, "192.0.2.2", start, 100), 10);
    EXPECT_EQ(taken(limit, "2001:db8::1", start, 100), 10);
}

TEST(RateLimit, does_not_count_this_machine_and_nobody_where_there_is_none)
{
    RateLimit limit(1);
    EXPECT_EQ(taken(limit, "127.0.0.1", start, 1000), 1000);
    EXPECT_EQ(taken(limit, "::1", start, 1000), 1000);
    RateLimit none(0);
    EXPECT_EQ(taken(none, "192.0.2.1", start, 1000), 1000);
}

TEST(RateLimit, forgets_those_who_ask_no_more_when_there_are_many)
{
    RateLimit limit(1);
    EXPECT_EQ(taken(limit, "192.0.2.1", start + 2s, 100), 10);
    for (std::size_t i = 0; i + 1 < RateLimit::addresses_max; ++i)
        EXPECT_TRUE(limit.take("old " + std::to_string(i), start));
    // A second later the old ones are full again, and make room; who asked much is still known.
    EXPECT_TRUE(limit.take("198.51.100.1", start + 2s));
    EXPECT_EQ(taken(limit, "192.0.2.1", start + 2s, 100), 0);
}
