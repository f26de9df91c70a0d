#include "base/counters.hpp"

#include <fmt/format.h>
#include <fstream>
#include <map>
#include <mutex>
#include <sys/resource.h>
#include <unistd.h>

namespace altiplano::counters {

namespace {

template <class T> struct Family {
    std::string help;
    std::map<std::string, std::unique_ptr<T>> members;  ///< by their labels as they are written
};

struct Registry {
    std::mutex mutex;
    std::map<std::string, Family<Counter>, std::less<>> counters;
    std::map<std::string, Family<Histogram>, std::less<>> histograms;
    std::map<std::string, std::pair<std::string, std::function<double()>>, std::less<>> gauges;
};

Registry& registry()
{
    static auto* const it = new Registry;  // never destroyed: threads count until the very end
    return *it;
}

std::string written(const Labels& labels)
{
    std::string text;
    for (const auto& [name, value] : labels) {
        text += fmt::format("{}{}=\"", text.empty() ? "" : ",", name);
        for (const char c : value)
            text += c == '\n' ? "\\n" : c == '"' ? "\\\"" : c == '\\' ? "\\\\" : std::string(1, c);
        text += '"';
    }
    return text;
}

template <class Families>
auto& find_or_make(Families& families, std::string_view name, std::string_view help, const Labels& labels)
{
    auto& family = families.try_emplace(std::string(name)).first->second;
    family.help = help;
    auto& member = family.members[written(labels)];
    if (!member)
        member = std::make_unique<typename std::remove_reference_t<decltype(member)>::element_type>();
    return *member;
}

void write_head(std::string& out, std::string_view name, std::string_view help, std::string_view type)
{
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void write_process(std::string& out)
{
    unsigned long pages = 0;
    if (std::ifstream file("/proc/self/statm"); file)
        file >> pages >> pages;
    write_head(out, "process_resident_memory_bytes", "Memory of this program that is in RAM.", "gauge");
    out += fmt::format("process_resident_memory_bytes {}\n", pages * static_cast<unsigned long>(sysconf(_SC_PAGESIZE)));
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    write_head(out, "process_cpu_seconds_total", "Processor time of this program, workers not counted.", "counter");
    out += fmt::format("process_cpu_seconds_total {}\n", seconds(used.ru_utime) + seconds(used.ru_stime));
}

}  // namespace

void Histogram::observe_ns(std::int64_t duration_ns) noexcept
{
    const auto duration_s = static_cast<double>(duration_ns) / 1e9;
    std::size_t bucket = 0;
    while (bucket < bounds_s.size() && duration_s > bounds_s[bucket])
        ++bucket;
    counts_[bucket].fetch_add(1, std::memory_order_relaxed);
    sum_ns_.fetch_add(duration_ns, std::memory_order_relaxed);
}

std::array<std::uint64_t, Histogram::bounds_s.size() + 1> Histogram::buckets() const noexcept
{
    std::array<std::uint64_t, bounds_s.size() + 1> sums{};
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < sums.size(); ++i)
        sums[i] = sum += counts_[i].load(std::memory_order_relaxed);
    return sums;
}

Counter& counter(std::string_view name, std::string_view help, const Labels& labels)
{
    auto& all = registry();
    const std::lock_guard lock(all.mutex);
    return find_or_make(all.counters, name, help, labels);
}

Histogram& histogram(std::string_view name, std::string_view help, const Labels& labels)
{
    auto& all = registry();
    const std::lock_guard lock(all.mutex);
    return find_or_make(all.histograms, name, help, labels);
}

std::shared_ptr<void> gauge(std::string_view name, std::string_view help, std::function<double()> value)
{
    auto& all = registry();
    const std::lock_guard lock(all.mutex);
    all.gauges.insert_or_assign(std::string(name), std::pair(std::string(help), std::move(value)));
    return {&all, [&all, key = std::string(name)](void*) {
                const std::lock_guard looking(all.mutex);
                all.gauges.erase(key);
            }};
}

std::string prometheus_text()
{
    std::string out;
    auto& all = registry();
    const std::lock_guard lock(all.mutex);
    for (const auto& [name, family] : all.counters) {
        write_head(out, name, family.help, "counter");
        for (const auto& [labels, member] : family.members)
            out +=
                fmt::format("{}{}{}{} {}\n", name, labels.empty() ? "" : "{", labels, labels.empty() ? "" : "}", member->value());
    }
    for (const auto& [name, gauge] : all.gauges) {
        write_head(out, name, gauge.first, "gauge");
        out += fmt::format("{} {}\n", name, gauge.second());
    }
    for (const auto& [name, family] : all.histograms) {
        write_head(out, name, family.help, "histogram");
        for (const auto& [labels, member] : family.members) {
            const auto buckets = member->buckets();
            const auto comma = labels.empty() ? "" : ",";
            for (std::size_t i = 0; i < Histogram::bounds_s.size(); ++i)
                out += fmt::format("{}_bucket{{{}{}le=\"{}\"}} {}\n", name, labels, comma, Histogram::bounds_s[i], buckets[i]);
            out += fmt::format("{}_bucket{{{}{}le=\"+Inf\"}} {}\n", name, labels, comma, buckets.back());
            const auto braced = labels.empty() ? std::string() : "{" + labels + "}";
            out += fmt::format("{}_sum{} {}\n{}_count{} {}\n", name, braced, member->sum_s(), name, braced, buckets.back());
        }
    }
    write_process(out);
    return out;
}

}  // namespace altiplano::counters
