// Talks to the kernel's sockets directly: descriptors travel between a node and its workers here.
#include "compute/frames.hpp"

#include "base/sockets.hpp"
#include "compute/errors.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <mutex>
#include <poll.h>
#include <set>
#include <sys/socket.h>
#include <unistd.h>

namespace altiplano::compute {

namespace {

constexpr std::size_t front_bytes = 16;  // type, payload size
constexpr std::size_t copied_bytes_max = 64 << 10;
constexpr std::size_t room_bytes_min = 1 << 20;
constexpr std::uint64_t payload_bytes_max = std::uint64_t{1} << 30;

std::unexpected<Error> died()
{
    return fail(errors::worker_died, "the worker process ended before it answered", "the slot stays open and is evaluated again");
}
std::unexpected<Error> nonsense(std::string_view what)
{
    return fail(errors::worker_protocol, fmt::format("a worker process sent {}", what));
}

Buffer front_of(FrameType type, std::size_t payload_bytes)
{
    Buffer front;
    append_u64(front, static_cast<std::uint64_t>(type));
    append_u64(front, payload_bytes);
    return front;
}

Result<void> send_all(int socket, Bytes bytes, int descriptor = -1)
{
    while (!bytes.empty()) {
        const auto sent = send_some(socket, bytes, std::exchange(descriptor, -1));
        if (!sent)
            return died();
        bytes = bytes.subspan(*sent);
    }
    return {};
}

Result<void> receive_all(int socket, std::span<std::byte> into)
{
    while (!into.empty()) {
        const auto got = ::recv(socket, into.data(), into.size(), 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return died();
        into = into.subspan(static_cast<std::size_t>(got));
    }
    return {};
}

}  // namespace

Channel::~Channel()
{
    if (socket_ >= 0)
        close(socket_);
}

Buffer Channel::bytes_of(FrameType type, Bytes payload)
{
    auto frame = front_of(type, payload.size());
    append(frame, payload);
    return frame;
}

Result<void> Channel::send(FrameType type, Bytes payload, int descriptor)
{
    // In one piece: whoever receives would wake for the front and sleep again before the payload is there.
    if (payload.size() <= copied_bytes_max)
        return send_all(socket_, bytes_of(type, payload), descriptor);
    TRY_OK(send_all(socket_, front_of(type, payload.size()), descriptor));
    return send_all(socket_, payload);
}

bool Channel::wait(int timeout_ms)
{
    pollfd one{.fd = socket_, .events = POLLIN, .revents = 0};
    const int ready = poll(&one, 1, timeout_ms);
    return ready != 0;  // an interruption counts as something: receive() waits on
}

bool Channel::is_open() const
{
    char byte;
    const auto got = recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

Result<Frame> Channel::receive()
{
    std::array<std::byte, front_bytes> front;
    const auto got = receive_some(socket_, front);
    if (!got)
        return died();

    Frame frame{.type = FrameType::failed, .descriptor = got->descriptor};
    const auto give_up = [&](std::unexpected<Error> error) {
        if (frame.descriptor >= 0)
            close(frame.descriptor);
        return error;
    };
    if (const auto rest = receive_all(socket_, std::span(front).subspan(got->bytes)); !rest)
        return give_up(std::unexpected(rest.error()));
    const auto type = read_u64(front);
    const auto size = read_u64(Bytes(front).subspan(8));
    if (type >= frame_types || size > payload_bytes_max)
        return give_up(nonsense(fmt::format("a frame of type {} with {} bytes", type, size)));
    frame.type = static_cast<FrameType>(type);
    // Room grows with what comes: a worker that announces much has to send it.
    while (frame.payload.size() < size) {
        const auto had = frame.payload.size();
        const auto more = std::min<std::uint64_t>(size - had, std::max(had, room_bytes_min));
        frame.payload.resize(had + static_cast<std::size_t>(more));
        if (const auto rest = receive_all(socket_, std::span(frame.payload).subspan(had)); !rest)
            return give_up(std::unexpected(rest.error()));
    }
    return frame;
}

Result<std::uint64_t> Unpacker::number()
{
    if (rest_.size() < 8)
        return nonsense("a frame that ends inside a number");
    const auto value = read_u64(rest_);
    rest_ = rest_.subspan(8);
    return value;
}

Result<Bytes> Unpacker::text()
{
    TRY(const auto size, number());
    if (size > rest_.size())
        return nonsense("a frame that ends inside a text");
    const auto text = rest_.first(static_cast<std::size_t>(size));
    rest_ = rest_.subspan(text.size());
    return text;
}

Buffer pack_error(const Error& error)
{
    return Packer().text(error.code).text(error.sentence).text(error.hint).bytes();
}

Error unpack_error(Bytes payload)
{
    const auto read = [&]() -> Result<Error> {
        Unpacker fields(payload);
        TRY(const auto code, fields.text());
        TRY(const auto sentence, fields.text());
        TRY(const auto hint, fields.text());
        // Codes are static: each that arrives is kept once. A worker gone wild cannot fill the memory with them.
        static std::mutex mutex;
        static std::set<std::string, std::less<>> codes;
        const std::lock_guard lock(mutex);
        if (code.size() > 64 || (codes.size() >= 1000 && !codes.contains(as_text(code))))
            return nonsense("an error with a strange code");
        return Error{*codes.emplace(as_text(code)).first, to_string(sentence), to_string(hint)};
    }();
    return read ? *read : read.error();
}

}  // namespace altiplano::compute
