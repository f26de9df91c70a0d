// Shows an answer while it is generated, so it listens on a thread of its own and measures time.
#include "base/clock.hpp"
#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"

#include <atomic>
#include <condition_variable>
#include <fmt/format.h>
#include <mutex>
#include <thread>

namespace altiplano::cli {

namespace {

struct AskOptions {
    std::string question;
    std::string process;
    std::string module;
    std::string model;
    std::string system;
    std::uint64_t tokens = 256;
    std::string seed;
    std::string report;
};

/// Hears what a process prints, when it does, on a thread of its own, and shows it.
class Listener {
public:
    /// @param shows  else it only takes the time
    Listener(const Client& client, std::string process, bool shows)
        : shows_(shows)
        , thread_([this, client, process = std::move(process)] {
            (void)client
                .events(
                    "/~altiplano/console/" + process, [this] { set(ready_); },
                    [this](std::string_view data) {
                        const auto event = JsonView::parse(data);
                        const auto slot = event ? event->find("slot") : std::nullopt;
                        const auto text = event ? event->find("text") : std::nullopt;
                        const auto stream = event ? event->find("stream") : std::nullopt;
                        if (over_)
                            return false;
                        if (!slot || !text || !stream || stream->integer() != 1)
                            return true;
                        const std::lock_guard lock(mutex_);
                        pieces_.push_back(
                            {slot->integer().value_or(0), text->string().value_or(""), system_clock().monotonic_ns()});
                        take_wanted();
                        return true;
                    })
                .has_value();
        })
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return ready_; });
    }
    ~Listener()
    {
        over_ = true;
        thread_.detach();  // waits in the network for events that do not come any more; the program is about to end
    }

    /// What that slot prints is wanted, from its beginning on.
    void want(std::int64_t slot)
    {
        const std::lock_guard lock(mutex_);
        slot_ = slot;
        take_wanted();
    }
    /// How long the pieces took, from the first to the last.
    double seconds()
    {
        const std::lock_guard lock(mutex_);
        return static_cast<double>(last_ns_ - first_ns_) / 1e9;
    }
    bool printed()
    {
        const std::lock_guard lock(mutex_);
        return first_ns_ != 0;
    }

private:
    void set(bool& what)
    {
        const std::lock_guard lock(mutex_);
        what = true;
        changed_.notify_all();
    }
    void take_wanted()
    {
        if (slot_ < 0)
            return;
        for (const auto& piece : pieces_) {
            if (piece.slot != slot_)
                continue;
            last_ns_ = piece.came_ns;
            if (first_ns_ == 0)
                first_ns_ = last_ns_;
            if (shows_)
                std::fputs(printable(piece.text).c_str(), stdout);
        }
        std::fflush(stdout);
        pieces_.clear();
    }

    struct Piece {
        std::int64_t slot;
        std::string text;
        std::int64_t came_ns;
    };
    const bool shows_;
    std::atomic<bool> over_ = false;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool ready_ = false;
    std::int64_t slot_ = -1;
    std::int64_t first_ns_ = 0;
    std::int64_t last_ns_ = 0;
    std::vector<Piece> pieces_;  ///< of which it is not known whether they are wanted
    std::thread thread_;
};

Result<std::string> process_for(const Client& client, const Common& common, AskOptions& options)
{
    if (!options.process.empty())
        return options.process;
    if (options.module.empty()) {
        TRY(const auto module, client.newest_item("Type=Module&Name=llama"));
        if (!module)
            return fail(errors::bad_argument, "no --module is named, and the node has no module with the name llama",
                "`altiplano put llama.wasm --module --name llama` stores it");
        options.module = *module;
    }
    if (options.model.empty())
        return fail(errors::bad_argument, "no --model and no --process is named",
            "`altiplano put model.gguf --attest` stores one and prints its id");

    TRY(const auto key, common.key());
    const auto me = key->address().text();
    TRY(const auto there,
        client.newest_item(fmt::format("Type=Process&Module={}&Model={}&owner={}", options.module, options.model, me)));
    if (there)
        return *there;
    TRY(const auto made,
        spawn(client, common, options.module,
            {{"Name", "ask"}, {"Model", options.model}, {"Extension", "WeaveDrive"}, {"Attestor", me}}, ""));
    return made.process;
}

Result<void> ask(AskOptions& options, const Common& common, Exit& exit)
{
    const Client client(common.url);
    TRY(const auto process, process_for(client, common, options));
    const bool show = !common.json;
    Listener listener(client, process, show);

    item::Tags tags{{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Message"}, {"Action", "Ask"},
        {"Max-Tokens", std::to_string(options.tokens)}};
    if (!options.system.empty())
        tags.add("System", options.system);
    if (!options.seed.empty())
        tags.add("Seed", options.seed);
    TRY(const auto sent, send(client, common, process, std::move(tags), options.question));
    listener.want(std::strtoll(sent.slot.c_str(), nullptr, 10));
    TRY(const auto answer, client.get(fmt::format("/~altiplano/result/{}/{}", sent.process, sent.slot)));

    const auto words = said(answer);
    const auto view = answer.view().value();
    const auto response = view.find("result") ? view.find("result")->find("response") : std::nullopt;
    const auto output = response ? response->find("Output") : std::nullopt;
    const auto stats = output ? output->find("stats") : std::nullopt;
    const auto number = [&](std::string_view name) {
        return stats && stats->find(name) ? stats->find(name)->integer().value_or(0) : 0;
    };
    const auto generated = number("generated_tokens");
    const auto seconds = listener.seconds();

    JsonWriter json;
    json.begin_object()
        .member("process", std::string_view(sent.process))
        .key("slot")
        .raw(sent.slot)
        .member("message", std::string_view(sent.id))
        .member("answer", std::string_view(words.failed ? "" : words.text));
    json.member("generated_tokens", generated).member("prompt_tokens", number("prompt_tokens"));
    json.member("tokens_per_second",
        std::string_view(
            seconds > 0 && generated > 1 ? fmt::format("{:.1f}", static_cast<double>(generated - 1) / seconds) : "0"));
    json.key("gas").raw(answer.field("gas")).member("state_root", std::string_view(answer.field("state_root")));
    if (words.failed)
        json.member("error", std::string_view(words.text));
    json.end_object();
    if (!options.report.empty())
        TRY_OK(write_file(system_files(), options.report, as_bytes(json.text())));
    if (common.json)
        std::puts(json.text().c_str());

    if (words.failed) {
        if (listener.printed() && show)
            std::puts("");
        if (show)
            return fail(errors::process_failed, words.text);
        exit = Exit::failure;
        return {};
    }
    // What was streamed is what the result says; without a stream the result is shown.
    if (show)
        std::puts(listener.printed() ? "" : printable(words.text).c_str());
    return {};
}

}  // namespace

void add_ask_command(CLI::App& app, Common& common, Exit& exit)
{
    auto options = std::make_shared<AskOptions>();
    auto* const command = app.add_subcommand("ask", "asks an AI process, spawning one if there is none, and streams its answer");
    command->add_option("question", options->question)->required();
    command->add_option("--process", options->process, "the process to ask");
    command->add_option("--model", options->model, "id of a GGUF that was put with --attest");
    command->add_option("--module", options->module, "id of the llama module; by default the newest with that name");
    command->add_option("--tokens", options->tokens, "at most so many")->check(CLI::Range(1, 1 << 20))->capture_default_str();
    command->add_option("--system", options->system, "who the model is to be");
    command->add_option("--seed", options->seed, "asks for chance; without it the likeliest words");
    command->add_option("--report", options->report, "a file for the figures, as JSON");
    command->callback([options, &common, &exit] {
        if (const auto done = ask(*options, common, exit); !done)
            exit = report(common, done.error());
    });
}

}  // namespace altiplano::cli
