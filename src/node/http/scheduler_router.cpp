#include "node/http/scheduler_router.hpp"

#include "node/errors.hpp"
#include "node/http/message_body.hpp"
#include "node/http/reply.hpp"

#include <fmt/format.h>
#include <map>
#include <mutex>

namespace altiplano::node::http {

namespace {

/// Which scheduler has which process.
class Routes {
public:
    Routes(Node& node, std::vector<std::string> schedulers)
        : node_(node)
        , schedulers_(std::move(schedulers))
    {
        for (auto& url : schedulers_)
            while (url.ends_with('/'))
                url.pop_back();
    }

    /// @return nothing for a process that came nowhere by this router
    Result<std::optional<std::string>> of(const ProcessId& process) { return node_.records().meta(key_of(process)); }

    /// @return the scheduler that has it, chosen now if there is none; store.*
    Result<std::string> place(const ProcessId& process)
    {
        const std::lock_guard lock(mutex_);
        TRY(const auto there, of(process));
        if (there)
            return *there;
        TRY_OK(count());
        auto fewest = schedulers_.front();
        for (const auto& url : schedulers_)
            if (counts_[url] < counts_[fewest])
                fewest = url;
        TRY_OK(node_.records().write([&](store::RecordsWriter& writer) { return writer.put_meta(key_of(process), fewest); }));
        ++counts_[fewest];
        return fewest;
    }

private:
    static std::string key_of(const ProcessId& process) { return "route " + process.text(); }

    Result<void> count()
    {
        if (counted_)
            return {};
        TRY(const auto routes, node_.records().metas("route "));
        for (const auto& [key, url] : routes)
            ++counts_[url];
        counted_ = true;
        return {};
    }

    Node& node_;
    std::vector<std::string> schedulers_;
    std::mutex mutex_;
    std::map<std::string, std::uint64_t> counts_;
    bool counted_ = false;
};

/// Every failure is 400 here (3.1).
Reply router_error(const Error& error)
{
    auto reply = error_reply(error);
    if (reply.status == 404 || reply.status == 422)
        reply.status = 400;
    return reply;
}

/// The same path and query there; the client sends its body again.
Reply redirect(const std::string& scheduler, const Request& request)
{
    std::string_view rest = request.target;
    constexpr std::string_view mounted = "/su";
    if (rest == mounted || rest.starts_with("/su/") || rest.starts_with("/su?"))
        rest.remove_prefix(mounted.size());
    Reply reply{.status = 307, .body = "{}\n"};
    reply.headers.emplace_back("Location", one_line(scheduler + (rest.starts_with('/') ? "" : "/") + std::string(rest)));
    return reply;
}

Result<Reply> redirect_of(Routes& routes, const Request& request, std::string_view process, std::string_view words)
{
    const auto id = ProcessId::parse(process);
    TRY(const auto url, id ? routes.of(*id) : Result<std::optional<std::string>>(std::optional<std::string>{}));
    if (!url)
        return fail(
            errors::bad_request, fmt::format("{}: {}", words, process), "a process that this router placed is known here");
    return redirect(*url, request);
}

}  // namespace

Router scheduler_router(Node& node, std::vector<std::string> schedulers)
{
    ENSURE(!schedulers.empty(), "the node checks its options");
    const auto routes = std::make_shared<Routes>(node, std::move(schedulers));
    const auto by_query = [routes](const Request& request) -> Result<Reply> {
        const auto process = request.query_value("process-id");
        if (!process)
            return fail(errors::bad_request, "No process-id query parameter provided", "add ?process-id=<id>");
        return redirect_of(*routes, request, *process, "Unable to locate scheduler for process-id");
    };
    const auto by_path = [routes](const Request& request) -> Result<Reply> {
        return redirect_of(*routes, request, request.parameter("process"), "Unable to locate scheduler for process-id");
    };

    Router router;
    router.errors_by(router_error);
    router.get("/", "where the scheduler of ?process-id= is", by_query);
    router.get("/timestamp", "its time: where the scheduler of ?process-id= is", by_query);
    router.get("/health", "whether it serves", [](const Request&) -> Result<Reply> { return text_reply(""); });
    router.stream("POST", "/", "where a message or a new process is to be sent",
        [routes, by_query](const Request& request) -> Result<std::unique_ptr<Body>> {
            if (request.query_value("assign") || request.query_value("process-id"))
                return std::make_unique<NoBody>([by_query, request] { return by_query(request); }, router_error);
            return std::make_unique<MessageBody>(
                [routes, request](const item::DataItem& item) -> Result<Reply> {
                    if (item.tags().first("Type") == "Process") {
                        // What is not signed takes no place.
                        TRY_OK(item.verify());
                        TRY(const auto url, routes->place(ProcessId(item.id())));
                        return redirect(url, request);
                    }
                    return redirect_of(*routes, request, item.target() ? item.target()->text() : std::string(),
                        "Unable to locate scheduler for message target");
                },
                router_error);
        });
    router.get("/processes/{process}", "where its scheduler is", by_path);
    router.get("/{process}/latest", "where its scheduler is", by_path);
    router.get("/{id}", "where the scheduler of ?process-id= is", by_query);
    return router;
}

}  // namespace altiplano::node::http
