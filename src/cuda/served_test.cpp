#include "base/sockets.hpp"
#include "base/test_folder.hpp"
#include "cuda/card.hpp"
#include "cuda/emulated.hpp"
#include "cuda/errors.hpp"
#include "cuda/served.hpp"
#include "cuda/server.hpp"
#include "cuda/wire.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

/// A card that another process has: here a thread, with an emulated one.
namespace altiplano::cuda {
namespace {

class House {
public:
    explicit House(Server::OpenCard card = {}, OpenItem item = {})
    {
        if (!card)
            card = [this]() -> Result<std::unique_ptr<Device>> {
                auto made = std::make_unique<EmulatedDevice>();
                device = made.get();
                return made;
            };
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
        control_ = ends[0];
        thread_ = std::thread([other = ends[1], card = std::move(card), item = std::move(item)] {
            Server(card, item).run(other);
            close(other);
        });
    }
    ~House() { end(); }
    void end()
    {
        if (control_ >= 0)
            close(std::exchange(control_, -1));
        if (thread_.joinable())
            thread_.join();
    }
    int connect() const
    {
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
        const std::byte hello{};
        EXPECT_TRUE(send_some(control_, {&hello, 1}, ends[1]));
        close(ends[1]);
        return ends[0];
    }
    std::unique_ptr<Device> client() const
    {
        Offer offer(connect());
        for (;;)
            if (auto made = offer.device().value())
                return made;
    }

    std::atomic<EmulatedDevice*> device = nullptr;  ///< the card, once a client is there

private:
    int control_ = -1;
    std::thread thread_;
};

ItemId item(std::uint8_t first)
{
    std::array<std::byte, 32> id{};
    id[0] = std::byte{first};
    return ItemId(id);
}

TEST(Served, passes_the_self_test)
{
    const House house;
    Card card(house.client());
    EXPECT_EQ(card.name(), "emulated");
    const auto passed = self_test(card);
    EXPECT_TRUE(passed) << passed.error().sentence;
}

TEST(Served, gives_back_what_a_process_leaves)
{
    const House house;
    auto stays = house.client();
    ASSERT_TRUE(stays->allocate(100));
    {
        Card card(house.client());
        ASSERT_TRUE(self_test(card));
    }
    for (int i = 0; i < 1000 && house.device.load()->held != 100; ++i) {
        ASSERT_TRUE(stays->finish());
        std::this_thread::yield();
    }
    EXPECT_EQ(house.device.load()->held, 100U);
}

TEST(Served, brings_the_weights_of_an_item_once)
{
    const TestFolder folder;
    const Buffer content(100'000, std::byte{7});
    ASSERT_TRUE(write_file(system_files(), folder / "item", content));
    const House house({}, [&](const ItemId& id) -> Result<std::unique_ptr<File>> {
        return id == item(1) ? system_files().open(folder / "item", Files::Mode::read) : nullptr;
    });
    const auto one = house.client();
    const auto two = house.client();
    auto& card = *house.device.load();

    const Weights of{.length = 99'000, .item = item(1), .offset = 1000};
    const auto first = one->weights(of).value();
    EXPECT_EQ(card.uploaded, 99'000U);
    EXPECT_EQ(std::memcmp(first, content.data(), 99'000), 0);
    EXPECT_EQ(two->weights(of).value(), first);
    EXPECT_EQ(card.uploaded, 99'000U);

    // The rest of a page is zero, and nothing else of what lies after an item.
    EXPECT_TRUE(one->weights({.length = 102'400, .item = item(1)}));
    EXPECT_FALSE(one->weights({.length = 1'000'000, .item = item(1)}));
    EXPECT_FALSE(one->weights({.length = 1000, .item = item(1), .offset = 100'000}));
    EXPECT_EQ(one->weights({.length = 1000, .item = item(2)}).value(), nullptr);

    // Used by one of two, it stays, whatever is asked for; used by nobody, it stays while there is room.
    one->release(first);
    card.memory_bytes = card.held + 1000;
    EXPECT_FALSE(one->allocate(2000));
    EXPECT_EQ(one->weights(of).value(), first);
    one->release(first);
    two->release(first);
    ASSERT_TRUE(two->finish());
    EXPECT_EQ(one->weights(of).value(), first);
    one->release(first);
    EXPECT_TRUE(one->allocate(2000));
    EXPECT_EQ(card.uploaded, 99'000U + 100'000U);
    card.memory_bytes = UINT64_MAX;
    EXPECT_TRUE(one->weights(of));
    EXPECT_EQ(card.uploaded, 99'000U + 100'000U + 99'000U);
}

TEST(Served, waits_for_nobody_while_the_card_is_tested)
{
    std::atomic<bool> tested = false;
    const House house([&]() -> Result<std::unique_ptr<Device>> {
        tested.wait(false);
        return std::make_unique<EmulatedDevice>();
    });
    Offer offer(house.connect());
    EXPECT_EQ(offer.name().value(), "");
    EXPECT_EQ(offer.device().value(), nullptr);
    tested = true;
    tested.notify_all();
    std::string name;
    while (name.empty())
        name = offer.name().value();
    EXPECT_EQ(name, "emulated");
    EXPECT_NE(offer.device().value(), nullptr);
}

TEST(Served, says_when_there_is_no_card)
{
    const House house([]() -> Result<std::unique_ptr<Device>> { return fail(errors::no_card, "there is none"); });
    Offer offer(house.connect());
    auto device = offer.device();
    while (device)
        device = offer.device();
    EXPECT_EQ(device.error().code, errors::no_card);
    EXPECT_EQ(device.error().sentence, "there is none");
}

TEST(Served, ends_with_the_process_that_has_the_card)
{
    House house;
    const auto device = house.client();
    ASSERT_TRUE(device->finish());
    house.end();
    const auto done = device->finish();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, errors::card);
    EXPECT_FALSE(device->allocate(1));
}

/// What a process says that was broken out of.
class Liar {
public:
    explicit Liar(int socket)
        : socket_(socket)
    {
    }
    ~Liar() { close(socket_); }
    void say(Bytes bytes, int descriptor = -1) const { ASSERT_TRUE(send_some(socket_, bytes, descriptor)); }
    wire::Reply ask(const wire::Record& record, int descriptor = -1) const
    {
        say(std::as_bytes(std::span(&record, 1)), descriptor);
        wire::Reply reply;
        EXPECT_EQ(receive_some(socket_, std::as_writable_bytes(std::span(&reply, 1))).value().bytes, sizeof reply);
        return reply;
    }
    /// Something that is not answered. @return what the next finish says
    std::string complaint(const wire::Record& record) const
    {
        say(std::as_bytes(std::span(&record, 1)));
        return ask({.op = wire::Op::finish}).text.data();
    }

private:
    int socket_;
};

int memory_of(std::uint64_t bytes, bool sealed)
{
    const int file = memfd_create("test", MFD_ALLOW_SEALING);
    EXPECT_EQ(ftruncate(file, static_cast<off_t>(bytes)), 0);
    EXPECT_EQ(fcntl(file, F_ADD_SEALS, sealed ? F_SEAL_SHRINK : F_SEAL_GROW), 0);
    return file;
}

TEST(Served, reaches_nothing_that_is_anothers)
{
    using enum wire::Op;
    const House house;
    const auto other = house.client();
    auto* const theirs = other->allocate(4096).value();
    const auto at = reinterpret_cast<std::uint64_t>(theirs);

    const Liar liar(house.connect());
    const int file = memory_of(65536, true);
    const auto staged = liar.ask({.op = wire::Op::staging, .a = 65536}, file);
    ASSERT_EQ(staged.state, wire::State::done);
    const auto id = static_cast<std::uint32_t>(staged.value);
    const auto mine = liar.ask({.op = allocate, .a = 1000}).value;
    EXPECT_EQ(liar.complaint({.op = upload, .staging = id, .a = mine, .c = 1000}), "");

    for (const auto op : {upload, download, clear})
        for (const auto& [address, bytes] : std::initializer_list<std::pair<std::uint64_t, std::uint64_t>>{
                 {at, 1}, {mine, 1001}, {mine + 1000, 1}, {mine - 1, 1}, {0, 1}, {UINT64_MAX, 1}, {mine + 1, UINT64_MAX}})
            EXPECT_NE(liar.complaint({.op = op, .staging = id, .a = address, .c = bytes}), "") << address << ' ' << bytes;
    for (const auto op : {upload, download})
        for (const auto& [offset, bytes] : std::initializer_list<std::pair<std::uint64_t, std::uint64_t>>{
                 {65536, 1}, {65000, 1000}, {UINT64_MAX, 1}, {UINT64_MAX - 10, 100}})
            EXPECT_NE(liar.complaint({.op = op, .staging = id, .a = mine, .b = offset, .c = bytes}), "");
    EXPECT_NE(liar.complaint({.op = upload, .staging = id + 1, .a = mine, .c = 1}), "");
    EXPECT_NE(liar.complaint({.op = release, .a = at}), "");
    EXPECT_NE(liar.complaint({.op = release_staging, .staging = 77}), "");
    EXPECT_NE(liar.complaint({.op = release_program, .a = 77}), "");
    EXPECT_NE(liar.complaint({.op = run, .a = 77}), "");
    EXPECT_NE(liar.complaint({.op = static_cast<wire::Op>(999)}), "");

    // Memory that could shrink, or is smaller than it says.
    for (const bool sealed : {false, true}) {
        const int bad = memory_of(1000, sealed);
        EXPECT_EQ(liar.ask({.op = wire::Op::staging, .a = sealed ? 8192U : 1000U}, bad).state, wire::State::failed);
        close(bad);
    }
    EXPECT_EQ(liar.ask({.op = wire::Op::staging, .a = 4096}).state, wire::State::failed);

    // A kernel that there is not, and a program that is longer than what holds it.
    Work work{};
    work.launch.kernel = static_cast<kernels::card::Kernel>(99);
    ASSERT_EQ(pwrite(file, &work, sizeof work, 0), static_cast<ssize_t>(sizeof work));
    EXPECT_EQ(liar.ask({.op = program, .staging = id, .c = 1}).state, wire::State::failed);
    EXPECT_EQ(liar.ask({.op = program, .staging = id, .c = 65536}).state, wire::State::failed);
    EXPECT_EQ(liar.ask({.op = program, .staging = id, .c = UINT64_MAX / 8}).state, wire::State::failed);
    close(file);

    // Half a record, descriptors where none belong, and questions whose answers nobody takes.
    liar.say(Buffer(17));
    liar.say(Buffer(64, std::byte{0xff}), 1);
    const Buffer questions(64 * wire::records_max);
    const int deaf = house.connect();
    while (send_some(deaf, questions)) { }
    close(deaf);
    EXPECT_EQ(std::memcmp(theirs, Buffer(4096).data(), 4096), 0);
    EXPECT_TRUE(other->finish());
}

}  // namespace
}  // namespace altiplano::cuda
