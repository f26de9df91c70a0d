#include "vm/abi/emscripten/time.hpp"

#include <array>
#include <fmt/format.h>

namespace altiplano::vm::abi::emscripten {

namespace {

constexpr std::int64_t day_seconds = 86400;
constexpr std::int64_t date_seconds_max = 8'640'000'000'000;  // of a JavaScript Date
constexpr std::size_t text_bytes_max = 64 << 10;  // of a pattern

/// Days from 1970-01-01 to a civil date, and back: the proleptic Gregorian calendar counted in 400-year eras that begin
/// in March, so that the leap day comes last.
std::int64_t days_from_civil(std::int64_t year, std::int64_t month, std::int64_t day)
{
    year -= month <= 2 ? 1 : 0;
    const auto era = (year >= 0 ? year : year - 399) / 400;
    const auto year_of_era = year - era * 400;
    const auto day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const auto day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

bool is_leap(std::int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

Answer<std::string> text_at(Guest& guest, std::uint64_t address)
{
    const auto size = guest.memory_bytes();
    ASK(const auto bytes, guest.read(address, address < size ? std::min<std::uint64_t>(size - address, text_bytes_max) : 1));
    const auto text = as_text(bytes);
    return std::string(text.substr(0, text.find('\0')));
}

Answer<void> put_calendar(Guest& guest, std::uint64_t address, const CalendarTime& t)
{
    const std::array fields{t.second, t.minute, t.hour, t.day_of_month, t.month, t.year, t.weekday, t.day_of_year};
    for (std::size_t i = 0; i < fields.size(); ++i)
        ASK_OK(put_u32(guest, address + 4 * i, static_cast<std::uint32_t>(fields[i])));
    return {};
}

Answer<CalendarTime> calendar_at(Guest& guest, std::uint64_t address)
{
    CalendarTime t;
    ASK(const auto bytes, guest.read(address, 32));
    const std::array fields{&t.second, &t.minute, &t.hour, &t.day_of_month, &t.month, &t.year, &t.weekday, &t.day_of_year};
    for (std::size_t i = 0; i < fields.size(); ++i) {
        std::uint32_t word = 0;
        for (std::size_t byte = 0; byte < 4; ++byte)
            word |= std::to_integer<std::uint32_t>(bytes[4 * i + byte]) << (8 * byte);
        *fields[i] = static_cast<std::int32_t>(word);
    }
    return t;
}

/// What local time has besides: no summer time, no offset.
Answer<Value> put_time(Guest& guest, std::int64_t seconds, std::uint64_t address)
{
    ASK_OK(guest.charge(call_gas));
    ASK_OK(put_calendar(guest, address, calendar_of(seconds).value_or(CalendarTime{})));
    ASK_OK(put_u32(guest, address + 32, 0));
    if (guest.wasm64())
        ASK_OK(put_u64(guest, address + 40, 0));
    else
        ASK_OK(put_u32(guest, address + 36, 0));
    return 0;
}

constexpr std::array<std::string_view, 7> weekdays{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> months{
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"};

/// ISO 8601: the week that holds this year's first Thursday is week 1.
std::pair<std::int64_t, std::int64_t> iso_week(const CalendarTime& t)
{
    const auto monday_based = (t.weekday + 6) % 7;
    const auto thursday = t.day_of_year - monday_based + 3;
    const std::int64_t year = t.year + 1900;
    if (thursday < 0)
        return {year - 1, (thursday + (is_leap(year - 1) ? 366 : 365)) / 7 + 1};
    if (thursday >= (is_leap(year) ? 366 : 365))
        return {year + 1, 1};
    return {year, thursday / 7 + 1};
}

std::string two_digits(std::int64_t value)
{
    return fmt::format("{:02}", value);
}

/// One conversion, without those that stand for several.
std::optional<std::string> convert(char which, const CalendarTime& t, std::string_view zone)
{
    const std::int64_t year = t.year + 1900;
    const auto twelve = t.hour == 0 ? 12 : t.hour > 12 ? t.hour - 12 : t.hour;
    const auto weekday = weekdays[static_cast<std::size_t>(t.weekday) % 7];
    const auto month = months[static_cast<std::size_t>(t.month) % 12];
    switch (which) {
    case 'a': return std::string(weekday.substr(0, 3));
    case 'A': return std::string(weekday);
    case 'b': return std::string(month.substr(0, 3));
    case 'B': return std::string(month);
    case 'C': return two_digits(year / 100);
    case 'd': return two_digits(t.day_of_month);
    case 'e': return fmt::format("{:2}", t.day_of_month);
    case 'g': return two_digits(iso_week(t).first % 100);
    case 'G': return fmt::format("{}", iso_week(t).first);
    case 'H': return two_digits(t.hour);
    case 'I': return two_digits(twelve);
    case 'j': return fmt::format("{:03}", t.day_of_year + 1);
    case 'm': return two_digits(t.month + 1);
    case 'M': return two_digits(t.minute);
    case 'n': return "\n";
    case 'p': return t.hour >= 0 && t.hour < 12 ? "AM" : "PM";
    case 'S': return two_digits(t.second);
    case 't': return "\t";
    case 'u': return fmt::format("{}", t.weekday == 0 ? 7 : t.weekday);
    case 'U': return two_digits((t.day_of_year + 7 - t.weekday) / 7);
    case 'V': return two_digits(iso_week(t).second);
    case 'w': return fmt::format("{}", t.weekday);
    case 'W': return two_digits((t.day_of_year + 7 - (t.weekday + 6) % 7) / 7);
    case 'y': return two_digits(((year % 100) + 100) % 100);
    case 'Y': return fmt::format("{}", year);
    case 'z': return "+0000";
    case 'Z': return std::string(zone);
    case '%': return "%";
    default: return std::nullopt;
    }
}

constexpr std::pair<char, std::string_view> compounds[] = {
    {'c', "%a %b %d %H:%M:%S %Y"},
    {'D', "%m/%d/%y"},
    {'F', "%Y-%m-%d"},
    {'h', "%b"},
    {'r', "%I:%M:%S %p"},
    {'R', "%H:%M"},
    {'T', "%H:%M:%S"},
    {'x', "%m/%d/%y"},
    {'X', "%H:%M:%S"},
};

}  // namespace

std::optional<CalendarTime> calendar_of(std::int64_t seconds)
{
    if (seconds > date_seconds_max || seconds < -date_seconds_max)
        return std::nullopt;
    const auto days = floor_divide(seconds, day_seconds);
    const auto rest = seconds - days * day_seconds;
    const auto shifted = days + 719468;
    const auto era = floor_divide(shifted, 146097);
    const auto day_of_era = shifted - era * 146097;
    const auto year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const auto day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const auto month_from_march = (5 * day_of_year + 2) / 153;
    const auto day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    const auto month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    const auto year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    return CalendarTime{.second = rest % 60,
        .minute = rest / 60 % 60,
        .hour = rest / 3600,
        .day_of_month = day,
        .month = month - 1,
        .year = year - 1900,
        .weekday = ((days + 4) % 7 + 7) % 7,
        .day_of_year = days - days_from_civil(year, 1, 1)};
}

std::optional<std::int64_t> seconds_of(const CalendarTime& t)
{
    // A Date takes the years 0 to 99 for those of the twentieth century.
    std::int64_t year = t.year + 1900;
    if (year >= 0 && year <= 99)
        year += 1900;
    // No field has more than 32 bits: nothing here comes near 64.
    year += floor_divide(t.month, 12);
    const auto month = t.month - floor_divide(t.month, 12) * 12;
    const auto days = days_from_civil(year, month + 1, 1) + t.day_of_month - 1;
    const auto seconds = days * day_seconds + t.hour * 3600 + t.minute * 60 + t.second;
    return seconds > date_seconds_max || seconds < -date_seconds_max ? std::nullopt : std::optional(seconds);
}

std::string format_time(std::string_view pattern, const CalendarTime& time, std::string_view zone)
{
    std::string text;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] != '%' || i + 1 == pattern.size()) {
            text += pattern[i];
            continue;
        }
        // The modifiers E and O change nothing in this locale.
        std::size_t at = i + 1;
        if ((pattern[at] == 'E' || pattern[at] == 'O') && at + 1 < pattern.size())
            ++at;
        const auto* const compound = std::ranges::find(compounds, pattern[at], &std::pair<char, std::string_view>::first);
        if (compound != std::end(compounds)) {
            text += format_time(compound->second, time, zone);
        } else if (const auto converted = convert(pattern[at], time, zone)) {
            text += *converted;
        } else {
            text += pattern[i];
            continue;
        }
        i = at;
    }
    return text;
}

Answer<Value> gmtime(Guest& guest, Arguments a)
{
    return put_time(guest, static_cast<std::int64_t>(a[0]), a[1]);
}

Answer<Value> gmtime_split(Guest& guest, Arguments a)
{
    return put_time(guest, static_cast<std::int64_t>((a[1] << 32U) | static_cast<std::uint32_t>(a[0])), a[2]);
}

Answer<Value> gmtime_at(Guest& guest, Arguments a)
{
    ASK(const auto bytes, guest.read(a[0], 4));
    std::uint32_t seconds = 0;
    for (std::size_t i = 0; i < 4; ++i)
        seconds |= std::to_integer<std::uint32_t>(bytes[i]) << (8 * i);
    return put_time(guest, static_cast<std::int32_t>(seconds), a[1]);
}

Answer<Value> mktime(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    ASK(const auto given, calendar_at(guest, a[0]));
    const auto seconds = seconds_of(given);
    ASK_OK(put_calendar(guest, a[0], seconds ? *calendar_of(*seconds) : CalendarTime{}));
    ASK_OK(put_u32(guest, a[0] + 32, 0));
    const auto value = static_cast<std::uint64_t>(seconds.value_or(-1));
    // The upper half of what wasm32 cannot return.
    if (!guest.wasm64() && !guest.module().native().names.set_temporary.empty())
        ASK_OK(guest.call(guest.module().native().names.set_temporary, {value >> 32U}));
    guest.temporary = static_cast<std::uint32_t>(value >> 32U);
    return value;
}

Answer<Value> tzset(Guest& guest, Arguments a)
{
    constexpr std::string_view utc = "UTC";
    ASK_OK(guest.charge(call_gas));
    ASK_OK(guest.write_pointer(a[0], 0));
    ASK_OK(put_u32(guest, a[1], 0));
    for (const auto name : {a[2], a[3]}) {
        ASK_OK(put(guest, name, as_bytes(utc)));
        ASK_OK(put(guest, name + utc.size(), Buffer(1)));
    }
    return 0;
}

Answer<Value> tzset_old(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    ASK_OK(guest.write_pointer(a[0], 0));
    ASK_OK(put_u32(guest, a[1], 0));
    for (std::uint64_t i = 0; i < 2; ++i) {
        ASK(const auto name, guest.call(guest.module().native().names.allocate, {8}));
        ASK_OK(put(guest, name, as_bytes(std::string_view("UTC\0", 4))));
        ASK_OK(put_u32(guest, a[2] + 4 * i, static_cast<std::uint32_t>(name)));
    }
    return 0;
}

Answer<Value> strftime(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    ASK(const auto pattern, text_at(guest, a[2]));
    ASK_OK(guest.charge(byte_gas * pattern.size() * 8));
    ASK(const auto time, calendar_at(guest, a[3]));
    ASK(const auto zone_at, guest.read_pointer(a[3] + (guest.wasm64() ? 48 : 40)));
    std::string zone;
    if (zone_at != 0 && pattern.find("%Z") != std::string::npos) {
        ASK(zone, text_at(guest, zone_at));
        zone.resize(std::min<std::size_t>(zone.size(), 16));
    }
    const auto text = format_time(pattern, time, zone);
    if (text.size() + 1 > a[1])
        return 0;
    ASK_OK(put(guest, a[0], as_bytes(text)));
    ASK_OK(put(guest, a[0] + text.size(), Buffer(1)));
    return text.size();
}

}  // namespace altiplano::vm::abi::emscripten
