#include "base/sockets.hpp"

#include "base/errors.hpp"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <unistd.h>

namespace altiplano {

namespace {

std::unexpected<Error> gone()
{
    return fail(errors::peer_gone, "the process at the other end is gone");
}

}  // namespace

Result<std::size_t> send_some(int socket, Bytes bytes, int descriptor)
{
    iovec piece{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    if (descriptor >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        auto* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    for (;;) {
        const auto sent = sendmsg(socket, &message, MSG_NOSIGNAL);
        if (sent > 0)
            return static_cast<std::size_t>(sent);
        if (sent == 0 || errno != EINTR)
            return gone();
    }
}

Result<Received> receive_some(int socket, std::span<std::byte> into)
{
    iovec piece{.iov_base = into.data(), .iov_len = into.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t got;
    do
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return gone();
    Received received{.bytes = static_cast<std::size_t>(got)};
    for (auto* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
            std::memcpy(&received.descriptor, CMSG_DATA(header), sizeof received.descriptor);
    return received;
}

}  // namespace altiplano
