// Proofs of answers: written from a node's data folder, checked anywhere.
#include "base/clock.hpp"
#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"
#include "cli/receipt/receipt.hpp"
#include "cli/recomputation.hpp"
#include "node/errors.hpp"
#include "node/verify.hpp"
#include "store/sqlite/sqlite.hpp"

#include <cstdlib>
#include <fmt/format.h>

namespace altiplano::cli {

namespace {

struct ReceiptOptions {
    std::string process;
    std::uint64_t slot = 0;
    bool bundle = false;
    std::string data;
    std::string output;
    std::string modules;
};

Result<std::set<ItemId>> opened_until(
    const ReceiptOptions& options, const std::string& data, const units::Slot& slot, const units::SlotResult& recorded)
{
    std::set<ItemId> opened;
    std::string differs;
    TRY(const auto end,
        recompute_apart({slot.process.text(), "--data", data, "--modules", options.modules, "--slot", std::to_string(slot.nonce)},
            slot.process,
            {.each = [&](const units::SlotResult& result) -> Result<void> {
                 if (result.slot == slot)
                     differs = node::difference(recorded, result);
                 return {};
             },
                .opened = [&](const ItemId& item) { opened.insert(item); }}));
    if (end.error)
        return std::unexpected(*end.error);
    if (!differs.empty())
        return fail(node::errors::verify_differs, fmt::format("slot {}: {}", slot.nonce, differs),
            "there is nothing to prove: keep both");
    return opened;
}

/// @return the text of the file
Result<std::string> make_receipt(const ReceiptOptions& options, const Common& common)
{
    TRY(const auto process, ProcessId::parse(options.process));
    const units::Slot slot{process, options.slot};
    auto data = options.data;
    const bool of_node = data.empty();
    if (of_node) {
        TRY(const auto status, Client(common.url).get("/~altiplano/status"));
        data = status.field("data");
    }
    const node::DataFolder folder{data};
    TRY_OK(folder.check(system_files()));
    TRY(const auto recorded, node::recorded(folder, slot));
    if (!recorded)
        return fail(node::errors::not_computed, fmt::format("the node has recorded no result of slot {}", slot.nonce),
            "`altiplano result` makes it compute the slot");
    Receipt receipt{.facts = {}, .gateway = of_node ? common.url : ""};
    std::set<ItemId> opened;
    if (options.bundle) {
        TRY(opened, opened_until(options, data, slot, *recorded));
    }
    TRY(const auto records, store::open_records(folder.records(), {.to_read = true}));
    TRY(const auto blobs, store::Blobs::open_to_read(system_files(), folder.blobs()));
    TRY(const auto weave, weave::Weave::open_to_read(*records, *blobs, system_clock()));
    scheduler::LogReader log(*weave, *records);
    TRY(receipt.facts, log_facts(*weave, log, slot));
    for (auto& fact : result_facts(*recorded))
        receipt.facts.push_back(std::move(fact));
    if (options.bundle) {
        TRY(receipt.bundle, make_bundle(*weave, *records, log, slot, opened));
    }
    return write_receipt(receipt);
}

struct CheckOptions {
    std::string file;
    std::string gateway;
    std::string data;
    std::string modules;
    bool reference = false;
};

/// A folder that is gone with the object, unless it was somebody's own.
class WorkFolder {
public:
    static Result<WorkFolder> make(const std::string& wanted)
    {
        if (!wanted.empty())
            return WorkFolder(wanted, false);
        std::string name = (std::filesystem::temp_directory_path() / "altiplano-check-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr)
            return fail(errors::bad_argument, "no temporary folder can be made", "name a folder with --data");
        return WorkFolder(name, true);
    }
    WorkFolder(WorkFolder&& other) noexcept
        : path_(std::move(other.path_))
        , ours_(std::exchange(other.ours_, false))
    {
    }
    WorkFolder& operator=(WorkFolder&&) = delete;
    ~WorkFolder()
    {
        std::error_code ignored;
        if (ours_)
            std::filesystem::remove_all(path_, ignored);
    }
    const Path& path() const { return path_; }

private:
    WorkFolder(Path path, bool ours)
        : path_(std::move(path))
        , ours_(ours)
    {
    }
    Path path_;
    bool ours_;
};

std::unexpected<Error> differs(std::string what)
{
    return fail(errors::receipt_differs, std::move(what), "keep both: the receipt, and what it is compared with");
}

/// @return the facts, all of them found again; cli.receipt_differs with the first that is not
Result<Facts> check(const CheckOptions& options)
{
    TRY(const auto text, read_file(system_files(), options.file));
    TRY(const auto receipt, read_receipt(as_text(text)));
    const auto gateway = options.gateway.empty() ? receipt.gateway : options.gateway;
    net::AddressRules rules;
    if (!options.gateway.empty()) {
        TRY(const auto url, net::parse_url(options.gateway));
        rules = rules.with(url);  // the one in the file is a stranger's choice: only public addresses are asked for that
    }
    const auto http = net::curl_http(std::move(rules));
    TRY(const auto work, WorkFolder::make(options.data));
    TRY_OK(fill_folder(work.path(), receipt, *http, gateway));

    // What the log says, without computing.
    const node::DataFolder folder{work.path()};
    TRY(const auto process, ProcessId::parse(fact(receipt.facts, "process")));
    const units::Slot slot{process, std::strtoull(fact(receipt.facts, "slot").c_str(), nullptr, 10)};
    Facts found;
    {
        TRY(const auto records, store::open_records(folder.records(), {.to_read = true}));
        TRY(const auto blobs, store::Blobs::open_to_read(system_files(), folder.blobs()));
        TRY(const auto weave, weave::Weave::open_to_read(*records, *blobs, system_clock()));
        scheduler::LogReader log(*weave, *records);
        TRY(found, log_facts(*weave, log, slot));
    }
    for (const auto& [name, value] : found)
        if (const auto said = fact(receipt.facts, name); said != value)
            return differs(difference(receipt.facts, found));

    // What it computes.
    std::optional<units::SlotResult> result;
    std::vector<std::string> arguments{
        process.text(), "--data", work.path().string(), "--modules", options.modules, "--slot", std::to_string(slot.nonce)};
    if (options.reference)
        arguments.emplace_back("--reference");
    TRY(const auto end, recompute_apart(arguments, process, {.each = [&](const units::SlotResult& one) -> Result<void> {
        if (one.slot == slot)
            result = one;
        return {};
    }}));
    if (end.error)
        return std::unexpected(*end.error);
    if (!result)
        return fail(errors::bad_answer, "the recomputation did not come to the slot");
    for (auto& one : result_facts(*result))
        found.push_back(std::move(one));
    if (const auto what = difference(receipt.facts, found); !what.empty())
        return differs(what);
    if (!receipt.whole)
        return differs("what the receipt says is right, but a byte of the file is not as it was written");
    return found;
}

}  // namespace

void add_receipt_commands(CLI::App& app, Common& common, Exit& exit)
{
    auto options = std::make_shared<ReceiptOptions>();
    options->modules = doubters_modules();
    auto* const giving = app.add_subcommand("receipt", "writes a proof of a slot's result: what `altiplano check` needs");
    giving->add_option("process", options->process)->required();
    giving->add_option("--slot", options->slot, "which message of the process")->required();
    giving->add_flag("--bundle", options->bundle, "with all that is needed to compute it again");
    giving->add_option("--output,-o", options->output, "a file; by default it is printed");
    giving->add_option("--data", options->data, "the node's data folder; by default the one of the node at --url");
    giving->add_option("--modules", options->modules, "folder of compiled modules")->capture_default_str();
    giving->callback([options, &common, &exit] {
        const auto done = [&]() -> Result<void> {
            TRY(const auto text, make_receipt(*options, common));
            if (!options->output.empty())
                return write_file(system_files(), options->output, as_bytes(text));
            std::fputs(text.c_str(), stdout);
            return {};
        }();
        if (!done)
            exit = report(common, done.error());
    });

    auto wanted = std::make_shared<CheckOptions>();
    wanted->modules = doubters_modules();
    auto* const checking =
        app.add_subcommand("check", "computes again what a receipt says, on any machine; exit 5 when anything differs");
    checking->add_option("file", wanted->file, "what `altiplano receipt` wrote")->required();
    checking->add_option("--gateway", wanted->gateway,
        "URL that what is missing is fetched from; by default the one in the receipt, if it is public");
    checking->add_option(
        "--data", wanted->data, "a folder for what is fetched, which must be empty; by default one that is gone afterwards");
    checking->add_option("--modules", wanted->modules, "folder of compiled modules")->capture_default_str();
    checking->add_flag("--reference", wanted->reference, "compute what extensions do by their reference modules in wasm");
    checking->callback([wanted, &common, &exit] {
        const auto facts = check(*wanted);
        if (!facts) {
            exit = report(common, facts.error());
            return;
        }
        JsonWriter json;
        json.begin_object().member("identical", true);
        for (const auto& [name, value] : *facts)
            json.member(name, std::string_view(value));
        json.end_object();
        print(common, json.text(),
            {{"identical", fmt::format("slot {} of {}", fact(*facts, "slot"), fact(*facts, "process"))},
                {"state root", fact(*facts, "state_root")}, {"message", fact(*facts, "message")},
                {"scheduler", fact(*facts, "scheduler")}});
    });
}

}  // namespace altiplano::cli
