// Hands descriptors from one process to another.
#include "compute/card_process.hpp"

#include "base/log.hpp"
#include "base/sockets.hpp"
#include "compute/errors.hpp"
#include "compute/spawn.hpp"
#include "cuda/errors.hpp"
#include "cuda/server.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace altiplano::compute {

namespace {

Result<std::array<int, 2>> connected_sockets()
{
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return fail(errors::worker_died, "no sockets are left for the graphics card");
    return ends;
}

}  // namespace

CardStart card_process(Path program)
{
    return [spawner = std::make_shared<Spawner>(std::move(program))]() -> Result<StartedCard> {
        TRY(const auto control, connected_sockets());
        const auto items = connected_sockets();
        const auto process = items ? spawner->start("card", {control[1], (*items)[1]}) : std::unexpected(items.error());
        close(control[1]);
        if (items)
            close((*items)[1]);
        if (!process) {
            close(control[0]);
            if (items)
                close((*items)[0]);
            return std::unexpected(process.error());
        }
        return StartedCard{.control = control[0], .items = (*items)[0], .end = [child = *process] { end_process(child); }};
    };
}

CardProcess::CardProcess(CardStart start, OpenItem open)
    : start_(std::move(start))
    , open_(std::move(open))
{
    const std::lock_guard lock(mutex_);
    start_locked();
}

CardProcess::~CardProcess()
{
    const std::lock_guard lock(mutex_);
    end_locked();
}

bool CardProcess::start_locked()
{
    if (starts_left_ == 0)
        return false;
    --starts_left_;
    auto started = start_();
    if (!started) {
        log::warning("{}: there is no graphics card", started.error().sentence);
        starts_left_ = 0;
        return false;
    }
    now_ = *std::move(started);
    answering_ = thread_pool("card items", 1);
    answering_->post([this, items = now_.items] {
        const auto descriptor_of = [&](const ItemId& id) {
            const auto data = open_(id);
            return data && (*data)->descriptor() >= 0 ? fcntl((*data)->descriptor(), F_DUPFD_CLOEXEC, 0) : -1;
        };
        while (cuda::answer_item(items, descriptor_of)) { }
    });
    return true;
}

void CardProcess::end_locked()
{
    if (now_.control < 0)
        return;
    close(std::exchange(now_.control, -1));
    shutdown(now_.items, SHUT_RDWR);
    answering_.reset();
    close(now_.items);
    if (now_.end)
        now_.end();
}

int CardProcess::connect_locked()
{
    while (now_.control >= 0) {
        const auto ends = connected_sockets();
        if (!ends)
            return -1;
        const std::byte hello{};
        const auto sent = send_some(now_.control, {&hello, 1}, (*ends)[1]);
        close((*ends)[1]);
        if (sent)
            return (*ends)[0];
        close((*ends)[0]);
        end_locked();
        log::warning("the process that has the graphics card ended");
        start_locked();
    }
    return -1;
}

int CardProcess::connect()
{
    const std::lock_guard lock(mutex_);
    return connect_locked();
}

Result<std::string> CardProcess::name()
{
    const int socket = connect();
    if (socket < 0)
        return fail(cuda::errors::card, "the process that has the graphics card is gone");
    return cuda::Offer(socket).name();
}

}  // namespace altiplano::compute
