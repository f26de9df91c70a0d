#pragma once

#include "vm/abi/ask.hpp"

/// Calendar time for AO's modules: UTC, since a node's own time zone must not show, else as JavaScript's Date has it.
namespace altiplano::vm::abi::emscripten {

/// The fields of C's `struct tm` that emscripten knows. They have 32 bits there; more here, so that no sum of two overflows.
struct CalendarTime {
    std::int64_t second = 0;
    std::int64_t minute = 0;
    std::int64_t hour = 0;
    std::int64_t day_of_month = 0;
    std::int64_t month = 0;  ///< 0 to 11
    std::int64_t year = 0;  ///< since 1900
    std::int64_t weekday = 0;  ///< 0 is Sunday
    std::int64_t day_of_year = 0;
};

/// @return nothing outside the years that a Date knows
std::optional<CalendarTime> calendar_of(std::int64_t seconds);
/// The seconds of what may be out of range in each field (month 13, day 0). @return nothing outside of a Date's years
std::optional<std::int64_t> seconds_of(const CalendarTime& time);
/// @param zone  what %Z gives
std::string format_time(std::string_view pattern, const CalendarTime& time, std::string_view zone);

Answer<Value> gmtime(Guest& guest, Arguments a);  ///< (seconds i64, tm)
Answer<Value> gmtime_split(Guest& guest, Arguments a);  ///< (low, high, tm)
Answer<Value> gmtime_at(Guest& guest, Arguments a);  ///< (pointer to 32 bits of seconds, tm)
Answer<Value> mktime(Guest& guest, Arguments a);
Answer<Value> tzset(Guest& guest, Arguments a);
Answer<Value> tzset_old(Guest& guest, Arguments a);  ///< names are allocated
Answer<Value> strftime(Guest& guest, Arguments a);

}  // namespace altiplano::vm::abi::emscripten
