// Starts the recomputation as a process of its own, which has given up every file but the log and the blobs.
#include "base/base64url.hpp"
#include "base/clock.hpp"
#include "base/executor.hpp"
#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"
#include "node/errors.hpp"
#include "node/verify.hpp"

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

struct VerifyOptions {
    std::string process;
    std::optional<std::uint64_t> slot;
    std::uint64_t from = 0;
    std::size_t jobs = 1;
    std::vector<std::string> layers;  ///< recompute: a checkpoint to begin after
    std::uint64_t after = 0;
    std::uint64_t after_cron = 0;
    std::uint64_t slot_cron = 0;
    std::string root;
    std::string data;
    std::string modules;
    bool reference = false;
};

/// One line of the recomputation's output.
void write_line(const std::string& json)
{
    std::puts(json.c_str());
    std::fflush(stdout);
}

Result<void> run_recompute(const VerifyOptions& options)
{
    TRY(const auto process, ProcessId::parse(options.process));
    const auto isolated = [](bool enforced) {
        write_line(JsonWriter().begin_object().member("isolated", enforced).end_object().text());
    };
    std::optional<compute::Images::State> start;
    if (!options.layers.empty()) {
        start.emplace();
        start->slot = {process, options.after, options.after_cron};
        TRY(start->root, Digest::parse(options.root));
        start->layers.assign(options.layers.begin(), options.layers.end());
    }
    std::optional<units::Slot> until;
    if (options.slot)
        until = {process, *options.slot, options.slot_cron};
    return node::recompute({options.data},
        {.process = process,
            .until = until,
            .start = std::move(start),
            .modules = options.modules,
            .reference = options.reference},
        isolated, [](const units::SlotResult& result) {
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
            write_line(json.text());
        });
}

Result<units::SlotResult> read_line(const JsonView& line, const ProcessId& process)
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

struct Verified {
    std::uint64_t slots = 0;  ///< how many were recomputed and compared
    std::uint64_t crons = 0;  ///< of these, how many by cron
    std::optional<units::Slot> last;  ///< the newest that was recomputed
    bool isolated = true;
    std::optional<Error> wrong;
    std::optional<std::uint64_t> wrong_slot;
    Digest state_root;
    std::optional<std::uint64_t> trusted;  ///< the checkpoint whose state was taken for right
    std::size_t parts = 1;
};

/// Slots that one child recomputes: from slot 0, or from what follows a checkpoint, up to `until` or the end of the log.
struct Part {
    std::optional<compute::Images::State> start;
    std::optional<units::Slot> until;
};

/// One part, in a process of its own.
Result<Verified> verify_part(
    const VerifyOptions& options, const node::DataFolder& folder, const ProcessId& process, const Part& part)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fail(errors::bad_answer, fmt::format("no pipe: {}", std::generic_category().message(errno)));
    std::vector<std::string> arguments{
        "altiplano", "recompute", process.text(), "--data", folder.root.string(), "--modules", options.modules};
    const auto add = [&](std::string name, std::string value) {
        arguments.push_back(std::move(name));
        arguments.push_back(std::move(value));
    };
    if (part.until) {
        add("--slot", std::to_string(part.until->nonce));
        add("--slot-cron", std::to_string(part.until->cron));
    }
    if (part.start) {
        add("--after", std::to_string(part.start->slot.nonce));
        add("--after-cron", std::to_string(part.start->slot.cron));
        add("--root", part.start->root.text());
        for (const auto& layer : part.start->layers)
            add("--layer", layer.string());
    }
    if (options.reference)
        arguments.emplace_back("--reference");
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

    Verified verified;
    std::optional<Error> ended;
    static std::set<std::string, std::less<>> codes;
    static std::mutex codes_mutex;
    const auto take = [&](const std::string& line) -> Result<void> {
        TRY(const auto view, JsonView::parse(line));
        if (const auto isolated = view.find("isolated")) {
            verified.isolated = isolated->boolean().value_or(false);
            return {};
        }
        if (view.find("error")) {
            const auto text = [&](std::string_view name) {
                return view.find(name) ? view.find(name)->string().value_or("") : std::string();
            };
            const std::lock_guard lock(codes_mutex);
            ended = Error{*codes.insert(text("code")).first, text("error"), text("hint")};
            return {};
        }
        TRY(const auto recomputed, read_line(view, process));
        verified.last = recomputed.slot;
        if (verified.wrong)
            return {};
        TRY(const auto recorded, node::recorded(folder, recomputed.slot));
        // What is due by cron after the newest message is evaluated when somebody asks.
        if (!recorded && recomputed.slot.cron > 0)
            return {};
        // Slots before the one that was asked for must only lead there; those that have a record are compared as well.
        if (!recorded && options.slot && recomputed.slot.nonce != *options.slot)
            return {};
        if (recomputed.slot.nonce < options.from)
            return {};
        if (!recorded)
            return fail(node::errors::not_computed,
                fmt::format("the node has recorded no result of slot {}", recomputed.slot.nonce),
                "`altiplano result` makes it compute the slot");
        if (const auto differs = node::difference(*recorded, recomputed); !differs.empty()) {
            verified.wrong = Error{node::errors::verify_differs, fmt::format("slot {}: {}", recomputed.slot.nonce, differs),
                "the node's record and its log disagree: keep both"};
            verified.wrong_slot = recomputed.slot.nonce;
        }
        ++verified.slots;
        verified.crons += recomputed.slot.cron > 0 ? 1 : 0;
        verified.state_root = recomputed.state_root;
        return {};
    };

    Result<void> taken;
    std::string line;
    char piece[65536];
    for (ssize_t got; (got = read(ends[0], piece, sizeof piece)) != 0;) {
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
    close(ends[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) { }
    if (!taken)
        return std::unexpected(taken.error());
    if (ended) {
        if (exit_of(ended->code) != Exit::mismatch)
            return std::unexpected(*ended);
        verified.wrong = verified.wrong ? verified.wrong : ended;
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return fail(errors::bad_answer, "the recomputation ended without saying why");
    }
    // A record after all that the log gives.
    if (!verified.wrong && !part.until && verified.last) {
        TRY(const auto more, node::recorded(folder, {process, verified.last->nonce, verified.last->cron + 1}));
        if (more)
            verified.wrong = Error{node::errors::verify_differs,
                fmt::format("slot {} has a recorded cron evaluation {} that the log does not give", verified.last->nonce,
                    verified.last->cron + 1),
                "the node's record and its log disagree: keep both"};
    }
    return verified;
}

/// What is to be verified, cut at checkpoints. A part that begins after one takes its state for right; the part before ends
/// there and says whether it is. Only the first part's beginning stays trusted, unless it is slot 0.
std::vector<Part> parts_of(const std::vector<compute::Images::State>& states, std::uint64_t from,
    const std::optional<units::Slot>& until, std::size_t jobs)
{
    std::vector<Part> parts(1);
    for (const auto& state : states) {
        if (until && state.slot >= *until)
            break;
        if (state.slot.nonce < from) {
            parts.front().start = state;
        } else if (jobs > 1) {
            parts.back().until = state.slot;
            parts.push_back({.start = state, .until = {}});
        }
    }
    parts.back().until = until;
    return parts;
}

Result<Verified> verify(const VerifyOptions& options, const std::string& url)
{
    TRY(const auto process, ProcessId::parse(options.process));
    auto data = options.data;
    if (data.empty()) {
        // A node on this machine says where its folder is.
        TRY(const auto status, Client(url).get("/~altiplano/status"));
        data = status.field("data");
    }
    const node::DataFolder folder{data};
    TRY_OK(folder.check(system_files()));
    std::vector<compute::Images::State> states;
    if (options.from > 0 || options.jobs > 1) {
        TRY(states, node::checkpoints(folder, process));
    }
    const auto parts = parts_of(
        states, options.from, options.slot ? std::optional(units::Slot{process, *options.slot}) : std::nullopt, options.jobs);
    std::vector<Result<Verified>> done(parts.size(), Verified{});
    {
        const auto pool = thread_pool("verify", std::min(options.jobs, parts.size()));
        for (std::size_t i = 0; i < parts.size(); ++i)
            pool->post([&, i] { done[i] = verify_part(options, folder, process, parts[i]); });
    }
    Verified all;
    all.parts = parts.size();
    if (parts.front().start)
        all.trusted = parts.front().start->slot.nonce;
    for (auto& one : done) {
        if (!one)
            return std::unexpected(one.error());
        all.slots += one->slots;
        all.crons += one->crons;
        all.isolated = all.isolated && one->isolated;
        if (one->slots > 0)
            all.state_root = one->state_root;
        if (one->wrong && !all.wrong) {
            all.wrong = one->wrong;
            all.wrong_slot = one->wrong_slot;
        }
    }
    return all;
}

std::string default_modules()
{
    const char* const cache = std::getenv("XDG_CACHE_HOME");
    const char* const home = std::getenv("HOME");
    return (cache && *cache ? std::string(cache) : std::string(home ? home : ".") + "/.cache") + "/altiplano-verify/modules";
}

}  // namespace

void add_verify_commands(CLI::App& app, Common& common, Exit& exit)
{
    auto options = std::make_shared<VerifyOptions>();
    options->modules = default_modules();
    const auto take_options = [&](CLI::App& command) {
        command.add_option("process", options->process)->required();
        command.add_option("--slot,--to", options->slot, "the last one to recompute; all by default");
        command.add_option("--data", options->data, "the node's data folder; by default the one of the node at --url");
        command.add_option("--modules", options->modules, "folder of compiled modules, of the doubter's own")
            ->capture_default_str();
        command.add_flag("--reference", options->reference,
            "compute what extensions do by their reference modules in wasm, not by this program's own code");
    };

    auto* const verifying = app.add_subcommand(
        "verify", "computes a process again from the log and the blobs alone, and compares; exit 5 when anything differs");
    take_options(*verifying);
    verifying->add_option("--from", options->from,
        "the first one to compare; the state before it is taken from a checkpoint of the node, if there is one. 0: nothing is "
        "taken");
    verifying->add_option("--jobs", options->jobs, "parts between checkpoints that are recomputed at once")
        ->check(CLI::Range(1, 256))
        ->capture_default_str();
    verifying->callback([options, &common, &exit] {
        const auto began = system_clock().monotonic_ns();
        const auto verified = verify(*options, common.url);
        if (!verified) {
            exit = report(common, verified.error());
            return;
        }
        if (verified->wrong) {
            exit = report(common, *verified->wrong);
            exit = Exit::mismatch;
            return;
        }
        const auto seconds = fmt::format("{:.1f}", static_cast<double>(system_clock().monotonic_ns() - began) / 1e9);
        JsonWriter json;
        json.begin_object()
            .member("process", std::string_view(options->process))
            .member("identical", true)
            .member("slots", verified->slots)
            .member("crons", verified->crons);
        json.member("state_root", std::string_view(verified->state_root.text()))
            .member("isolated", verified->isolated)
            .member("parts", static_cast<std::uint64_t>(verified->parts));
        if (verified->trusted)
            json.member("trusted_checkpoint", *verified->trusted);
        json.key("seconds").raw(seconds).end_object();
        std::vector<std::pair<std::string, std::string>> lines{
            {"identical",
                fmt::format("{} slot{}: results, gas and state roots, recomputed in {} s", verified->slots,
                    verified->slots == 1 ? "" : "s", seconds)},
            {"state root", verified->state_root.text()},
            {"isolated",
                verified->isolated ? "yes: the recomputation could open neither results nor other images"
                                   : "by its code alone: this kernel has no Landlock"}};
        if (verified->parts > 1)
            lines.emplace_back("parts", std::to_string(verified->parts));
        if (verified->trusted)
            lines.emplace_back(
                "trusted", fmt::format("the state after slot {}, as the node's checkpoint has it", *verified->trusted));
        print(common, json.text(), lines);
    });

    auto* const recomputing = app.add_subcommand("recompute", "")->group("");
    take_options(*recomputing);
    recomputing->add_option("--slot-cron", options->slot_cron);
    recomputing->add_option("--after", options->after);
    recomputing->add_option("--after-cron", options->after_cron);
    recomputing->add_option("--root", options->root);
    recomputing->add_option("--layer", options->layers)->allow_extra_args(false);
    recomputing->callback([options, &exit] {
        if (const auto done = run_recompute(*options); !done) {
            exit = exit_of(done.error().code);
            write_line(error_json(done.error()));
        }
    });
}

}  // namespace altiplano::cli
