#include "node/http/later.hpp"

#include <future>

namespace altiplano::node::http {

Reply when_there(Node& node, const units::Slot& slot, std::function<Reply(const Result<units::SlotResult>&)> render)
{
    const auto stored = node.compute().stored(slot);
    if (!stored)
        return render(std::unexpected(stored.error()));
    if (*stored)
        return render(**stored);
    Reply reply;
    reply.later = [&node, slot, render = std::move(render)](const std::function<void(Reply)>& done) {
        const auto asked = node.waiting().ask(slot, [render, done](const auto& result) { done(render(result)); });
        if (!asked)
            done(error_reply(asked.error()));
    };
    return reply;
}

Reply slowly(Node& node, std::function<Reply()> work)
{
    Reply reply;
    reply.later = [&node, work = std::move(work)](const std::function<void(Reply)>& done) {
        const auto taken = node.waiting().run([work, done] { done(work()); });
        if (!taken)
            done(error_reply(taken.error()));
    };
    return reply;
}

Reply settled(Reply reply)
{
    if (!reply.later)
        return reply;
    auto promise = std::make_shared<std::promise<Reply>>();
    auto answer = promise->get_future();
    reply.later([promise](Reply done) { promise->set_value(std::move(done)); });
    return answer.get();
}

}  // namespace altiplano::node::http
