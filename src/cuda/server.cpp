// Waits for sockets itself, and maps memory that other processes gave it.
#include "cuda/server.hpp"

#include "base/executor.hpp"
#include "base/sockets.hpp"
#include "cuda/errors.hpp"
#include "cuda/shared_weights.hpp"
#include "cuda/wire.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace altiplano::cuda {

namespace {

using wire::number;
using wire::Op;
using wire::pointer;
using wire::Record;
using wire::Reply;
using wire::State;

constexpr std::uint64_t pinned_bytes_min = std::uint64_t{32} << 20;  ///< for smaller ones pinning costs more than it brings
constexpr std::uint64_t staging_bytes_max = std::uint64_t{16} << 30;
constexpr std::size_t stagings_max = 64, works_max = 1 << 20;

std::unexpected<Error> not_its_own(std::string_view what)
{
    return fail(errors::card, fmt::format("a worker process named {} that it does not have", what));
}

/// One worker process, and what it has here.
class Client {
public:
    explicit Client(int socket)
        : socket_(socket)
    {
    }
    ~Client() { close(socket_); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    int socket() const noexcept { return socket_; }

    /// @return false when it is to be let go
    bool serve(Device& device, SharedWeights& weights, std::span<const Record> records, int descriptor)
    {
        bool goes_on = true;
        for (std::size_t i = 0; i < records.size() && goes_on; ++i) {
            const auto& record = records[i];
            if (wire::is_answered(record.op)) {
                const bool last = i + 1 == records.size();
                goes_on = reply(answer(device, weights, record, last ? std::exchange(descriptor, -1) : -1));
            } else if (auto done = take(device, weights, record); !done && !failed_) {
                failed_ = std::move(done).error();
            }
        }
        if (descriptor >= 0)
            close(descriptor);
        return goes_on;
    }
    /// Where there is no card, or none yet.
    bool say(std::span<const Record> records, const Error* why_not)
    {
        bool goes_on = true;
        for (const auto& record : records)
            if (wire::is_answered(record.op)) {
                Result<Reply> answer(Reply{});
                if (why_not != nullptr)
                    answer = std::unexpected(*why_not);
                else if (record.op != Op::hello)
                    answer = fail(errors::card, "the card is not there yet");
                goes_on = goes_on && reply(answer);
            }
        return goes_on;
    }
    void leave(Device& device, SharedWeights& weights)
    {
        programs_.clear();
        (void)device.finish().has_value();
        for (const auto& [at, bytes] : memory_)
            device.release(pointer(at));
        for (const auto* const memory : shared_)
            weights.leave(memory);
        for (const auto& [id, memory] : stagings_)
            let_go(device, memory);
    }

private:
    Result<Reply> answer(Device& device, SharedWeights& weights, const Record& record, int descriptor)
    {
        Reply reply;
        switch (record.op) {
        case Op::hello: {
            reply.value = 1;
            const auto name = device.name();
            name.copy(reply.text.data(), reply.text.size() - 1);
            return reply;
        }
        case Op::allocate: {
            TRY(auto* const memory, weights.allocate(record.a));
            memory_[number(memory)] = record.a;
            reply.value = number(memory);
            return reply;
        }
        case Op::weights: {
            TRY(const auto* const memory, weights.use(ItemId(record.item), record.a, record.b));
            if (memory != nullptr)
                shared_.push_back(memory);
            reply.value = number(memory);
            return reply;
        }
        case Op::staging: {
            TRY(reply.value, take_staging(device, record.a, descriptor));
            return reply;
        }
        case Op::program: {
            if (record.c > works_max)
                return fail(errors::card, "a worker process asked for too long a program");
            TRY(const auto staged, staged_bytes(record.staging, record.b, record.c * sizeof(Work)));
            std::vector<Work> work(static_cast<std::size_t>(record.c));
            std::memcpy(work.data(), staged.data(), staged.size());
            for (std::size_t i = 0; i < work.size(); ++i) {
                if (static_cast<unsigned>(work[i].launch.kernel) >= kernels::card::kernels)
                    return not_its_own("a kernel");
                if (std::ranges::any_of(work[i].waits_for_some(), [i](std::uint32_t place) { return place >= i; }))
                    return not_its_own("earlier work");
            }
            TRY(auto program, device.program(work));
            programs_[++counter_] = std::move(program);
            reply.value = counter_;
            return reply;
        }
        default:
            TRY_OK(device.finish());
            if (auto failed = std::exchange(failed_, std::nullopt))
                return std::unexpected(*std::move(failed));
            return reply;
        }
    }

    Result<void> take(Device& device, SharedWeights& weights, const Record& record)
    {
        switch (record.op) {
        case Op::release: {
            if (const auto one = std::ranges::find(shared_, pointer(record.a)); one != shared_.end()) {
                weights.leave(*one);
                shared_.erase(one);
                return {};
            }
            if (memory_.erase(record.a) == 0)
                return not_its_own("memory");
            device.release(pointer(record.a));
            return {};
        }
        case Op::release_staging: {
            const auto one = stagings_.find(record.staging);
            if (one == stagings_.end())
                return not_its_own("staging memory");
            TRY_OK(device.finish());
            let_go(device, one->second);
            stagings_.erase(one);
            return {};
        }
        case Op::upload: {
            TRY_OK(own(record.a, record.c));
            TRY(const auto from, staged_bytes(record.staging, record.b, record.c));
            return device.upload(pointer(record.a), from);
        }
        case Op::download: {
            TRY_OK(own(record.a, record.c));
            TRY(const auto to, staged_bytes(record.staging, record.b, record.c));
            return device.download(to, pointer(record.a));
        }
        case Op::clear: TRY_OK(own(record.a, record.c)); return device.clear(pointer(record.a), record.c);
        case Op::release_program: {
            TRY_OK(device.finish());
            return programs_.erase(record.a) == 1 ? Result<void>{} : not_its_own("a program");
        }
        case Op::run: {
            const auto one = programs_.find(record.a);
            return one != programs_.end() ? device.run(*one->second) : not_its_own("a program");
        }
        default: return fail(errors::card, fmt::format("a worker process asked for {}", static_cast<std::uint32_t>(record.op)));
        }
    }

    /// @param descriptor  owned
    Result<std::uint64_t> take_staging(Device& device, std::uint64_t bytes, int descriptor)
    {
        if (descriptor < 0)
            return not_its_own("staging memory");
        struct stat status{};
        // Sealed, so that it cannot shrink under whoever reads it.
        const bool fits = (fcntl(descriptor, F_GET_SEALS) & F_SEAL_SHRINK) != 0 && fstat(descriptor, &status) == 0 && bytes > 0
            && bytes <= staging_bytes_max && static_cast<std::uint64_t>(status.st_size) >= bytes
            && stagings_.size() < stagings_max;
        void* const at = fits ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0) : MAP_FAILED;
        close(descriptor);
        if (at == MAP_FAILED)
            return not_its_own("staging memory");
        const std::span memory(static_cast<std::byte*>(at), bytes);
        if (bytes >= pinned_bytes_min)
            device.pin(memory);
        const auto id = static_cast<std::uint32_t>(++counter_);
        stagings_[id] = memory;
        return id;
    }
    static void let_go(Device& device, std::span<std::byte> memory)
    {
        if (memory.size() >= pinned_bytes_min)
            device.unpin(memory);
        munmap(memory.data(), memory.size());
    }
    Result<std::span<std::byte>> staged_bytes(std::uint32_t id, std::uint64_t offset, std::uint64_t bytes) const
    {
        const auto one = stagings_.find(id);
        if (one == stagings_.end() || offset > one->second.size() || bytes > one->second.size() - offset)
            return not_its_own("staging memory");
        return one->second.subspan(offset, bytes);
    }
    Result<void> own(std::uint64_t at, std::uint64_t bytes) const
    {
        auto after = memory_.upper_bound(at);
        if (after == memory_.begin())
            return not_its_own("memory");
        const auto& [begin, length] = *--after;
        if (at - begin > length || bytes > length - (at - begin))
            return not_its_own("memory");
        return {};
    }

    bool reply(const Result<Reply>& answer) const
    {
        Reply reply;
        if (answer) {
            reply = *answer;
        } else {
            reply.state = answer.error().code == errors::no_card ? State::no_card : State::failed;
            answer.error().sentence.copy(reply.text.data(), reply.text.size() - 1);
        }
        // Whoever does not take its replies is not waited for.
        return send(socket_, &reply, sizeof reply, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof reply;
    }

    int socket_;
    std::map<std::uint64_t, std::uint64_t> memory_;  ///< bytes by address
    std::vector<const std::byte*> shared_;  ///< weights, as often as they are used
    std::map<std::uint32_t, std::span<std::byte>> stagings_;
    std::map<std::uint64_t, std::unique_ptr<Device::Program>> programs_;
    std::uint64_t counter_ = 0;
    std::optional<Error> failed_;
};

}  // namespace

void Server::run(int control)
{
    // Set once, by the thread that opens the card.
    std::mutex mutex;
    std::optional<Result<std::unique_ptr<Device>>> opened;
    const auto opening = thread_pool("card", 1);
    opening->post([&] {
        auto card = open_card_();
        const std::lock_guard lock(mutex);
        opened = std::move(card);
    });

    std::list<Client> clients;
    Device* device = nullptr;
    std::optional<SharedWeights> weights;
    const Error* why_not = nullptr;
    const auto look_for_card = [&] {
        if (device != nullptr || why_not != nullptr)
            return;
        const std::lock_guard lock(mutex);
        if (!opened)
            return;
        if (*opened) {
            device = (*opened)->get();
            weights.emplace(*device, open_item_);
        } else {
            why_not = &opened->error();
        }
    };
    /// @return false when the client is to be let go
    const auto serve = [&](Client& client) {
        std::array<Record, wire::records_max> records;
        const auto got = receive_some(client.socket(), std::as_writable_bytes(std::span(records)));
        if (!got)
            return false;
        const auto packet = std::span<const Record>(records).first(got->bytes / sizeof(Record));
        if (device != nullptr)
            return client.serve(*device, *weights, packet, got->descriptor);
        if (got->descriptor >= 0)
            close(got->descriptor);
        return client.say(packet, why_not);
    };

    std::vector<pollfd> waiting;
    for (;;) {
        waiting.assign(1, {.fd = control, .events = POLLIN, .revents = 0});
        for (const auto& client : clients)
            waiting.push_back({.fd = client.socket(), .events = POLLIN, .revents = 0});
        if (poll(waiting.data(), waiting.size(), -1) < 0)
            continue;
        look_for_card();
        auto client = clients.begin();
        for (std::size_t i = 1; i < waiting.size(); ++i) {
            const auto here = client++;
            if (waiting[i].revents == 0 || serve(*here))
                continue;
            if (device != nullptr)
                here->leave(*device, *weights);
            clients.erase(here);
        }
        if (waiting[0].revents != 0) {
            std::byte greeting{};
            const auto got = receive_some(control, {&greeting, 1});
            if (!got)
                break;
            if (got->descriptor >= 0)
                clients.emplace_back(got->descriptor);
        }
    }
    if (device != nullptr)
        for (auto& client : clients)
            client.leave(*device, *weights);
}

void run_card_process(int control, int items, Server::OpenCard card)
{
    Server(std::move(card), [items](const ItemId& item) -> Result<std::unique_ptr<File>> {
        TRY_OK(send_some(items, item.bytes()));
        std::byte there{};
        TRY(const auto got, receive_some(items, {&there, 1}));
        return got.descriptor >= 0 ? adopt_file(got.descriptor) : nullptr;
    }).run(control);
}

Result<void> answer_item(int items, const std::function<int(const ItemId&)>& descriptor_of)
{
    std::array<std::byte, ItemId::size> id;
    TRY(const auto got, receive_some(items, id));
    if (got.descriptor >= 0)
        close(got.descriptor);
    if (got.bytes != id.size())
        return fail(errors::card, "the process that has the graphics card asked for no item");
    const int descriptor = descriptor_of(ItemId(id));
    const std::byte there{1};
    const auto sent = send_some(items, {&there, 1}, descriptor);
    if (descriptor >= 0)
        close(descriptor);
    return sent ? Result<void>{} : std::unexpected(sent.error());
}

}  // namespace altiplano::cuda
