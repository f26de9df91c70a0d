// Starts the recomputation as a process of its own.
#include "cli/recomputation.hpp"

#include "base/base64url.hpp"
#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <mutex>
#include <set>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace altiplano::cli {

namespace {

/// Codes are static: one that another process says is kept for as long as this one lives.
std::string_view static_code(std::string code)
{
    static std::set<std::string, std::less<>> codes;
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    return *codes.insert(std::move(code)).first;
}

Result<units::SlotResult> read_result(const JsonView& line, const ProcessId& process)
{
    const auto bad = fail(errors::bad_answer, "the recomputation printed what it should not");
    const auto text = [&](std::string_view name) { return line.find(name) ? line.find(name)->string() : std::nullopt; };
    const auto slot = line.find("slot") ? line.find("slot")->integer() : std::nullopt;
    const auto kind = line.find("kind") ? line.find("kind")->integer() : std::nullopt;
    const auto cron = line.find("cron") ? line.find("cron")->integer() : std::nullopt;
    const auto time = line.find("time") ? line.find("time")->integer() : std::nullopt;
    if (!slot || !kind || !cron || !time || !text("cron_name") || !text("output") || !text("state_root") || !text("gas")
        || !text("gas_used"))
        return bad;
    TRY(const auto output, from_base64url(*text("output")));
    TRY(const auto root, Digest::parse(*text("state_root")));
    return units::SlotResult{.slot = {process, static_cast<std::uint64_t>(*slot), static_cast<std::uint64_t>(*cron)},
        .kind = static_cast<units::SlotResult::Kind>(*kind),
        .output = to_string(output),
        .state_root = root,
        .gas = std::strtoull(text("gas")->c_str(), nullptr, 10),
        .gas_used = std::strtoull(text("gas_used")->c_str(), nullptr, 10),
        .time_ms = *time,
        .cron_name = *text("cron_name")};
}

/// Starts this program again. @return its process, and the end of a pipe that its stdout goes into
Result<std::pair<pid_t, int>> start(std::vector<std::string> arguments)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fail(errors::bad_answer, fmt::format("no pipe: {}", std::generic_category().message(errno)));
    arguments.insert(arguments.begin(), {"altiplano", "recompute"});
    std::vector<char*> raw;
    raw.reserve(arguments.size() + 1);
    for (auto& argument : arguments)
        raw.push_back(argument.data());
    raw.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    pid_t child = 0;
    const int failed = posix_spawn(&child, own_program().c_str(), &actions, nullptr, raw.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failed != 0) {
        close(ends[0]);
        return fail(
            errors::bad_answer, fmt::format("cannot start the recomputation: {}", std::generic_category().message(failed)));
    }
    return std::pair{child, ends[0]};
}

}  // namespace

Result<RecomputationEnd> recompute_apart(
    const std::vector<std::string>& arguments, const ProcessId& process, const Recomputed& recomputed)
{
    TRY(const auto started, start(arguments));
    const auto [child, output] = started;
    RecomputationEnd end;
    const auto take = [&](const std::string& line) -> Result<void> {
        TRY(const auto view, JsonView::parse(line));
        const auto text = [&](std::string_view name) {
            return view.find(name) ? view.find(name)->string().value_or("") : std::string();
        };
        if (const auto isolated = view.find("isolated")) {
            end.isolated = isolated->boolean().value_or(false);
        } else if (view.find("error")) {
            end.error = Error{static_code(text("code")), text("error"), text("hint")};
        } else if (view.find("opened")) {
            TRY(const auto item, ItemId::parse(text("opened")));
            if (recomputed.opened)
                recomputed.opened(item);
        } else {
            TRY(const auto result, read_result(view, process));
            TRY_OK(recomputed.each(result));
        }
        return {};
    };

    Result<void> taken;
    std::string line;
    char piece[65536];
    for (ssize_t got; (got = read(output, piece, sizeof piece)) != 0;) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        for (const char c : std::string_view(piece, static_cast<std::size_t>(got))) {
            if (c != '\n') {
                line += c;
                continue;
            }
            if (taken)
                taken = take(line);
            line.clear();
        }
    }
    close(output);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) { }
    if (!taken)
        return std::unexpected(taken.error());
    if (!end.error && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        return fail(errors::bad_answer, "the recomputation ended without saying why");
    return end;
}

std::string isolated_line(bool enforced)
{
    return JsonWriter().begin_object().member("isolated", enforced).end_object().text();
}

std::string opened_line(const ItemId& item)
{
    return JsonWriter().begin_object().member("opened", std::string_view(item.text())).end_object().text();
}

std::string result_line(const units::SlotResult& result)
{
    JsonWriter json;
    json.begin_object()
        .member("slot", result.slot.nonce)
        .member("cron", result.slot.cron)
        .member("time", result.time_ms)
        .member("cron_name", std::string_view(result.cron_name))
        .member("kind", static_cast<std::int64_t>(result.kind))
        .member("output", std::string_view(base64url(as_bytes(result.output))));
    json.member("state_root", std::string_view(result.state_root.text()))
        .member("gas", std::string_view(std::to_string(result.gas)))
        .member("gas_used", std::string_view(std::to_string(result.gas_used)))
        .end_object();
    return std::move(json).text();
}

std::string doubters_modules()
{
    return environment_or("XDG_CACHE_HOME", environment_or("HOME", ".") + "/.cache") + "/altiplano-verify/modules";
}

}  // namespace altiplano::cli
