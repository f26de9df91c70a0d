#include "base/counters.hpp"

#include <gtest/gtest.h>

namespace altiplano::counters {

namespace {
bool has(std::string_view line)
{
    return prometheus_text().find(std::string(line) + "\n") != std::string::npos;
}
}  // namespace

TEST(Counters, say_what_they_counted_in_the_text_that_prometheus_reads)
{
    counter("test_things_total", "Things.", {{"kind", "a\"b\\c\nd"}}).add(2);
    counter("test_things_total", "Things.", {{"kind", "a\"b\\c\nd"}}).add();
    counter("test_plain_total", "Plain.").add();
    EXPECT_TRUE(has("# TYPE test_things_total counter"));
    EXPECT_TRUE(has(R"(test_things_total{kind="a\"b\\c\nd"} 3)"));
    EXPECT_TRUE(has("test_plain_total 1"));
    EXPECT_NE(prometheus_text().find("process_resident_memory_bytes "), std::string::npos);
}

TEST(Counters, histograms_sum_up_to_each_bound)
{
    auto& times = histogram("test_seconds", "Times.");
    times.observe_ns(50'000);
    times.observe_ns(2'000'000);
    times.observe_ns(200'000'000'000);
    EXPECT_TRUE(has("test_seconds_bucket{le=\"0.0001\"} 1"));
    EXPECT_TRUE(has("test_seconds_bucket{le=\"0.003\"} 2"));
    EXPECT_TRUE(has("test_seconds_bucket{le=\"100\"} 2"));
    EXPECT_TRUE(has("test_seconds_bucket{le=\"+Inf\"} 3"));
    EXPECT_TRUE(has("test_seconds_count 3"));
}

TEST(Counters, a_gauge_is_asked_for_while_its_handle_lives)
{
    double value = 1;
    {
        const auto handle = gauge("test_now", "Now.", [&] { return value; });
        value = 7;
        EXPECT_TRUE(has("test_now 7"));
    }
    EXPECT_FALSE(has("test_now 7"));
}

}  // namespace altiplano::counters
