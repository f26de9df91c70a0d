// Asks the kernel for memory that two processes see.
#include "cuda/served.hpp"

#include "base/sockets.hpp"
#include "cuda/errors.hpp"
#include "cuda/wire.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace altiplano::cuda {

namespace {

using wire::number;
using wire::Op;
using wire::pointer;
using wire::Record;
using wire::Reply;
using wire::State;

/// Packets of records to the process that has the card, and its replies.
class Connection {
public:
    explicit Connection(int socket)
        : socket_(socket)
    {
    }
    ~Connection()
    {
        if (socket_ >= 0)
            close(socket_);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    Result<void> queue(const Record& record)
    {
        records_.push_back(record);
        return records_.size() < wire::records_max ? Result<void>{} : flush();
    }
    /// @return what the other process says of itself; cuda.no_card, cuda.card
    Result<Reply> ask(const Record& record, int descriptor = -1)
    {
        records_.push_back(record);
        TRY_OK(flush(descriptor));
        Reply reply;
        const auto got = receive_some(socket_, std::as_writable_bytes(std::span(&reply, 1)));
        if (got && got->descriptor >= 0)
            close(got->descriptor);
        if (!got || got->bytes != sizeof reply)
            return gone();
        reply.text.back() = 0;
        if (reply.state == State::done)
            return reply;
        return fail(reply.state == State::no_card ? errors::no_card : errors::card, std::string(reply.text.data()));
    }
    int release() noexcept { return std::exchange(socket_, -1); }

private:
    static std::unexpected<Error> gone() { return fail(errors::card, "the process that has the graphics card is gone"); }

    /// @param descriptor  goes with the last record
    Result<void> flush(int descriptor = -1)
    {
        const auto sent = send_some(socket_, std::as_bytes(std::span(records_)), descriptor);
        records_.clear();
        return sent ? Result<void>{} : gone();
    }

    int socket_;
    std::vector<Record> records_;
};

/// Memory that both processes see; it never shrinks, so that the other one can rely on it.
Result<int> memory_file(std::uint64_t bytes)
{
    const int file = memfd_create("card", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0)
        return fail(errors::card, "this machine gives no memory that processes share");
    if (ftruncate(file, static_cast<off_t>(bytes)) != 0 || fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
        close(file);
        return fail(errors::card, "this machine gives no memory that processes share");
    }
    return file;
}

class Served final : public Device {
public:
    Served(int socket, std::string name)
        : other_(socket)
        , name_(std::move(name))
    {
    }
    ~Served() override
    {
        for (const auto& one : stagings_)
            munmap(one.memory.data(), one.memory.size());
    }

    std::string name() const override { return name_; }

    Result<std::byte*> allocate(std::uint64_t bytes) override
    {
        TRY(const auto reply, other_.ask({.op = Op::allocate, .a = bytes}));
        return pointer(reply.value);
    }
    void release(std::byte* memory) noexcept override
    {
        (void)other_.queue({.op = Op::release, .a = number(memory)}).has_value();
    }
    Result<std::byte*> weights(const Weights& of) override
    {
        TRY(const auto reply, other_.ask({.op = Op::weights, .a = of.offset, .b = of.length, .item = of.item.array()}));
        return pointer(reply.value);
    }

    Result<std::byte*> staging(std::uint64_t bytes) override
    {
        TRY(const int file, memory_file(bytes));
        void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        const auto reply =
            at == MAP_FAILED ? fail(errors::card, "no address space is left") : other_.ask({.op = Op::staging, .a = bytes}, file);
        close(file);
        if (!reply) {
            if (at != MAP_FAILED)
                munmap(at, bytes);
            return std::unexpected(reply.error());
        }
        stagings_.push_back({{static_cast<std::byte*>(at), bytes}, static_cast<std::uint32_t>(reply->value)});
        return static_cast<std::byte*>(at);
    }
    void release_staging(std::byte* memory) noexcept override
    {
        const auto one = std::ranges::find_if(stagings_, [&](const Staging& s) { return s.memory.data() == memory; });
        if (one == stagings_.end())
            return;
        (void)other_.queue({.op = Op::release_staging, .staging = one->number}).has_value();
        munmap(one->memory.data(), one->memory.size());
        stagings_.erase(one);
    }

    Result<void> upload(std::byte* to, Bytes from) override
    {
        TRY(const auto place, place_of(from));
        return other_.queue({.op = Op::upload, .staging = place.staging, .a = number(to), .b = place.offset, .c = from.size()});
    }
    Result<void> download(std::span<std::byte> to, const std::byte* from) override
    {
        TRY(const auto place, place_of(to));
        return other_.queue({.op = Op::download, .staging = place.staging, .a = number(from), .b = place.offset, .c = to.size()});
    }
    Result<void> clear(std::byte* memory, std::uint64_t bytes) override
    {
        return other_.queue({.op = Op::clear, .a = number(memory), .c = bytes});
    }

    struct There final : Program {
        Served& device;
        std::uint64_t number;

        There(Served& on, std::uint64_t as)
            : device(on)
            , number(as)
        {
        }
        There(const There&) = delete;
        There& operator=(const There&) = delete;
        ~There() override { (void)device.other_.queue({.op = Op::release_program, .a = number}).has_value(); }
    };
    Result<std::unique_ptr<Program>> program(std::span<const Work> work) override
    {
        const auto bytes = std::as_bytes(work);
        TRY(auto* const staged, staging(std::max<std::uint64_t>(bytes.size(), 1)));
        std::memcpy(staged, bytes.data(), bytes.size());
        const auto reply = other_.ask({.op = Op::program, .staging = stagings_.back().number, .c = work.size()});
        release_staging(staged);
        if (!reply)
            return std::unexpected(reply.error());
        return std::make_unique<There>(*this, reply->value);
    }
    Result<void> run(Program& program) override
    {
        return other_.queue({.op = Op::run, .a = static_cast<There&>(program).number});
    }
    Result<void> finish() override
    {
        TRY(const auto reply, other_.ask({.op = Op::finish}));
        (void)reply;
        return {};
    }

private:
    struct Staging {
        std::span<std::byte> memory;
        std::uint32_t number;
    };
    struct Place {
        std::uint32_t staging;
        std::uint64_t offset;
    };
    Result<Place> place_of(Bytes bytes) const
    {
        for (const auto& one : stagings_)
            if (bytes.data() >= one.memory.data() && bytes.data() + bytes.size() <= one.memory.data() + one.memory.size())
                return Place{one.number, static_cast<std::uint64_t>(bytes.data() - one.memory.data())};
        return fail(errors::card, "what a card reads or writes has to be staging memory");
    }
    Connection other_;
    std::string name_;
    std::vector<Staging> stagings_;
};

}  // namespace

Offer::~Offer()
{
    if (socket_ >= 0)
        close(socket_);
}

Result<std::string> Offer::name() const
{
    if (socket_ < 0)
        return fail(errors::card, "the connection to the graphics card is in use");
    Connection other(socket_);
    auto reply = other.ask({.op = Op::hello});
    (void)other.release();
    if (!reply)
        return std::unexpected(std::move(reply).error());
    return reply->value == 0 ? std::string{} : std::string(reply->text.data());
}

Result<std::unique_ptr<Device>> Offer::device()
{
    TRY(auto known, name());
    if (known.empty())
        return nullptr;
    return std::make_unique<Served>(std::exchange(socket_, -1), std::move(known));
}

}  // namespace altiplano::cuda
