// Compares what a node recorded with what a process of its own, which has neither results nor images, computes again.
#include "base/clock.hpp"
#include "base/executor.hpp"
#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"
#include "cli/recomputation.hpp"
#include "node/errors.hpp"
#include "node/verify.hpp"
#include "tensor/errors.hpp"

#include <fmt/format.h>

#include <map>
#include <sys/mman.h>
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
    bool both = false;
    bool fast = false;
    std::string claims;  ///< recompute: where the parent left what is claimed to have been generated
};

/// Closed when it goes.
struct Descriptor {
    int number = -1;
    explicit Descriptor(int of)
        : number(of)
    {
    }
    Descriptor(Descriptor&& other) noexcept
        : number(std::exchange(other.number, -1))
    {
    }
    Descriptor& operator=(Descriptor&&) = delete;
    ~Descriptor()
    {
        if (number >= 0)
            close(number);
    }
};

/// One line of the recomputation's output.
void write_line(const std::string& json)
{
    std::puts(json.c_str());
    std::fflush(stdout);
}

using Claimed = std::map<std::pair<std::uint64_t, std::uint64_t>, Buffer>;

/// What a node's results claim to have been generated, in a file without a name that the recomputation inherits: it may not see
/// results.
Result<std::pair<std::string, Descriptor>> write_claims(const node::DataFolder& folder, const ProcessId& process)
{
    Descriptor file(memfd_create("altiplano-claims", 0));
    Buffer all;
    for (units::Slot slot{process, 0};;) {
        TRY(const auto recorded, node::recorded(folder, slot));
        if (!recorded && slot.cron == 0)
            break;
        if (!recorded) {
            slot = {process, slot.nonce + 1};
            continue;
        }
        const auto claim = node::claimed_tokens(*recorded);
        append_u64(all, slot.nonce);
        append_u64(all, slot.cron);
        append_u64(all, claim.size());
        append(all, claim);
        slot.cron++;
    }
    for (Bytes left = all; !left.empty();) {
        const auto written = write(file.number, left.data(), left.size());
        if (written <= 0)
            return fail(errors::bad_answer, fmt::format("no room for the claims: {}", std::generic_category().message(errno)));
        left = left.subspan(static_cast<std::size_t>(written));
    }
    auto path = fmt::format("/proc/self/fd/{}", file.number);
    return std::pair{std::move(path), std::move(file)};
}

Result<compute::Recomputation::Claims> read_claims(const std::string& path)
{
    TRY(const auto all, read_file(system_files(), path));
    auto claimed = std::make_shared<Claimed>();
    const auto number = [&](std::size_t at) { return read_u64(Bytes(all).subspan(at)); };
    constexpr std::size_t head = 24;
    for (std::size_t at = 0; at + head <= all.size();) {
        const auto length = number(at + 16);
        if (length > all.size() - at - head)
            return fail(errors::bad_answer, "the claims are cut off");
        const auto claim = Bytes(all).subspan(at + head, length);
        (*claimed)[{number(at), number(at + 8)}] = to_buffer(claim);
        at += head + length;
    }
    return [claimed](const units::Slot& slot) {
        const auto found = claimed->find({slot.nonce, slot.cron});
        return found == claimed->end() ? Buffer{} : found->second;
    };
}

Result<void> run_recompute(const VerifyOptions& options)
{
    TRY(const auto process, ProcessId::parse(options.process));
    using enum tensor::Options::By;
    const auto by = options.both ? both : options.reference ? reference : own;
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
    compute::Recomputation::Claims claims;
    if (!options.claims.empty()) {
        TRY(claims, read_claims(options.claims));
    }
    return node::recompute(
        {options.data},
        {.process = process,
            .until = until,
            .start = std::move(start),
            .modules = options.modules,
            .by = by,
            .claims = std::move(claims)},
        [](bool enforced) { write_line(isolated_line(enforced)); },
        [](const units::SlotResult& result) { write_line(result_line(result)); },
        [](const ItemId& item) { write_line(opened_line(item)); });
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
    std::optional<store::TrustedRecord> taken;  ///< somebody else's that the node goes on from
    bool met = false;  ///< the recomputation came to it, and gives the same
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
    std::vector<std::string> arguments{process.text(), "--data", folder.root.string(), "--modules", options.modules};
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
    if (options.both)
        arguments.emplace_back("--both");
    std::optional<Descriptor> claims;
    if (options.fast) {
        TRY(auto written, write_claims(folder, process));
        claims.emplace(std::move(written.second));
        add("--claims", written.first);
    }
    Verified verified;
    TRY(verified.taken, node::trusted(folder, process));
    const auto taken_at = verified.taken ? std::optional(units::Slot{process, verified.taken->nonce}) : std::nullopt;
    const auto take = [&](const units::SlotResult& recomputed) -> Result<void> {
        verified.last = recomputed.slot;
        if (verified.wrong)
            return {};
        TRY(const auto recorded, node::recorded(folder, recomputed.slot));
        if (recomputed.slot == taken_at) {
            verified.met = recomputed.state_root == verified.taken->state_root;
            if (!verified.met) {
                verified.wrong = Error{node::errors::verify_differs,
                    fmt::format("the state after slot {} was taken in from the checkpoint {}, signed by {}: {}; the log gives {}",
                        recomputed.slot.nonce, verified.taken->item.text(), verified.taken->signer,
                        verified.taken->state_root.text(), recomputed.state_root.text()),
                    "what the node says of later slots follows from a wrong state; without cache.db and images/ it computes the "
                    "log"};
                verified.wrong_slot = recomputed.slot.nonce;
                return {};
            }
        }
        // Up to what was taken in the node has no results of its own.
        if (!recorded && taken_at && recomputed.slot <= *taken_at && options.slot != recomputed.slot.nonce)
            return {};
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
        if (const auto differs = node::difference(*recorded, recomputed, options.fast); !differs.empty()) {
            verified.wrong = Error{node::errors::verify_differs, fmt::format("slot {}: {}", recomputed.slot.nonce, differs),
                "the node's record and its log disagree: keep both"};
            verified.wrong_slot = recomputed.slot.nonce;
        }
        ++verified.slots;
        verified.crons += recomputed.slot.cron > 0 ? 1 : 0;
        verified.state_root = recomputed.state_root;
        return {};
    };

    TRY(const auto end, recompute_apart(arguments, process, {.each = take}));
    verified.isolated = end.isolated;
    if (end.error) {
        if (exit_of(end.error->code) != Exit::mismatch)
            return std::unexpected(*end.error);
        verified.wrong = verified.wrong ? verified.wrong : end.error;
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
        all.taken = one->taken;
        all.met = all.met || one->met;
        if (one->slots > 0)
            all.state_root = one->state_root;
        if (one->wrong && !all.wrong) {
            all.wrong = one->wrong;
            all.wrong_slot = one->wrong_slot;
        }
    }
    return all;
}

/// Which operation of a model makes the difference, when this machine's own arithmetic is not the reference module's. Only what
/// was computed by one side can have gone wrong there.
std::optional<std::string> name_operation(VerifyOptions options, const std::string& url, const Verified& verified)
{
    if (options.both || options.fast || !verified.wrong_slot)
        return std::nullopt;
    options.both = true;
    options.reference = false;
    options.slot = verified.wrong_slot;
    options.from = *verified.wrong_slot;
    options.jobs = 1;
    const auto again = verify(options, url);
    if (again && again->wrong && again->wrong->code == tensor::errors::differs)
        return again->wrong->sentence;
    return std::nullopt;
}

}  // namespace

void add_verify_commands(CLI::App& app, Common& common, Exit& exit)
{
    auto options = std::make_shared<VerifyOptions>();
    options->modules = doubters_modules();
    const auto take_options = [&](CLI::App& command) {
        command.add_option("process", options->process)->required();
        command.add_option("--slot,--to", options->slot, "the last one to recompute; all by default");
        command.add_option("--data", options->data, "the node's data folder; by default the one of the node at --url");
        command.add_option("--modules", options->modules, "folder of compiled modules, of the doubter's own")
            ->capture_default_str();
        command.add_flag("--reference", options->reference,
            "compute what extensions do by their reference modules in wasm, not by this program's own code");
        command.add_flag(
            "--both", options->both, "compute each operation of a model's graph by both, and name the first that differs: slow");
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
    verifying
        ->add_flag("--fast", options->fast,
            "read what a model generated at once instead of token by token: checks what every slot says, not its state and gas")
        ->excludes("--from")
        ->excludes("--jobs");
    verifying->callback([options, &common, &exit] {
        const auto began = system_clock().monotonic_ns();
        auto verified = verify(*options, common.url);
        if (!verified) {
            exit = report(common, verified.error());
            return;
        }
        if (verified->wrong) {
            if (const auto what = name_operation(*options, common.url, *verified))
                verified->wrong->sentence += "; " + *what;
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
        if (verified->taken)
            json.key("taken_in")
                .begin_object()
                .member("slot", verified->taken->nonce)
                .member("checkpoint", std::string_view(verified->taken->item.text()))
                .member("signer", std::string_view(verified->taken->signer))
                .member("identical", verified->met)
                .end_object();
        json.key("seconds").raw(seconds).end_object();
        std::vector<std::pair<std::string, std::string>> lines{
            {"identical",
                fmt::format("{} slot{}: {}, recomputed in {} s", verified->slots, verified->slots == 1 ? "" : "s",
                    options->fast ? "results; not gas and state roots" : "results, gas and state roots", seconds)},
            {"state root", verified->state_root.text()},
            {"isolated",
                verified->isolated ? "yes: the recomputation could open neither results nor other images"
                                   : "by its code alone: this kernel has no Landlock"}};
        if (verified->parts > 1)
            lines.emplace_back("parts", std::to_string(verified->parts));
        if (verified->trusted)
            lines.emplace_back(
                "trusted", fmt::format("the state after slot {}, as the node's checkpoint has it", *verified->trusted));
        if (verified->taken)
            lines.emplace_back(verified->met ? "taken in" : "not verified",
                fmt::format("the state after slot {}, which the node has from the checkpoint {}, signed by {}: {}",
                    verified->taken->nonce, verified->taken->item.text(), verified->taken->signer,
                    verified->met ? "the log gives the same" : "what leads to it was not recomputed"));
        print(common, json.text(), lines);
    });

    auto* const recomputing = app.add_subcommand("recompute", "")->group("");
    take_options(*recomputing);
    recomputing->add_option("--slot-cron", options->slot_cron);
    recomputing->add_option("--after", options->after);
    recomputing->add_option("--after-cron", options->after_cron);
    recomputing->add_option("--root", options->root);
    recomputing->add_option("--claims", options->claims);
    recomputing->add_option("--layer", options->layers)->allow_extra_args(false);
    recomputing->callback([options, &exit] {
        if (const auto done = run_recompute(*options); !done) {
            exit = exit_of(done.error().code);
            write_line(error_json(done.error()));
        }
    });
}

}  // namespace altiplano::cli
