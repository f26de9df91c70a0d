#include "compute/frames.hpp"

#include "base/executor.hpp"
#include "base/test_folder.hpp"
#include "compute/errors.hpp"

#include <sys/socket.h>
#include <unistd.h>

using namespace altiplano;
using namespace altiplano::compute;

namespace {

struct Ends {
    Ends() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, raw), 0); }
    int raw[2];
};

}  // namespace

TEST(Frames, carry_payload_and_descriptor)
{
    const Ends ends;
    Channel one(ends.raw[0]);
    Channel other(ends.raw[1]);
    const TestFolder folder;
    const auto file = system_files().open(folder / "file", Files::Mode::create).value();
    ASSERT_TRUE(file->write_at(0, as_bytes("content")));
    Buffer large(5'000'001);
    for (std::size_t i = 0; i < large.size(); ++i)
        large[i] = static_cast<std::byte>(i / 1000);
    const auto pool = thread_pool("sender", 1);
    pool->post([&] { EXPECT_TRUE(one.send(FrameType::item_reply, large, file->descriptor())); });
    const auto frame = other.receive().value();
    EXPECT_EQ(frame.type, FrameType::item_reply);
    EXPECT_EQ(frame.payload, large);
    ASSERT_GE(frame.descriptor, 0);
    Buffer back(7);
    EXPECT_EQ(adopt_file(frame.descriptor)->read_at(0, back).value(), 7U);
    EXPECT_EQ(as_text(back), "content");
}

TEST(Frames, that_are_cut_or_nonsense_are_errors)
{
    Buffer good;
    append_u64(good, 3);
    append_u64(good, 5);
    append(good, as_bytes("12345"));
    for (std::size_t cut = 0; cut < good.size(); ++cut) {
        const Ends ends;
        Channel other(ends.raw[1]);
        ASSERT_EQ(write(ends.raw[0], good.data(), cut), static_cast<ssize_t>(cut));
        close(ends.raw[0]);
        EXPECT_EQ(other.receive().error().code, errors::worker_died) << cut;
    }
    for (const auto& [type, size] : {std::pair<std::uint64_t, std::uint64_t>{frame_types, 0}, {UINT64_MAX, 0}, {0, UINT64_MAX},
             {0, (std::uint64_t{1} << 30) + 1}}) {
        const Ends ends;
        Channel other(ends.raw[1]);
        Buffer bad;
        append_u64(bad, type);
        append_u64(bad, size);
        ASSERT_EQ(write(ends.raw[0], bad.data(), bad.size()), 16);
        EXPECT_EQ(other.receive().error().code, errors::worker_protocol);
        close(ends.raw[0]);
    }
}

TEST(Fields, come_apart_as_they_were_put_together_and_never_past_the_end)
{
    const auto bytes = Packer().number(UINT64_MAX).text("text").text("").number(1).bytes();
    Unpacker fields(bytes);
    EXPECT_EQ(fields.number().value(), UINT64_MAX);
    EXPECT_EQ(as_text(fields.text().value()), "text");
    EXPECT_EQ(fields.text().value().size(), 0U);
    EXPECT_EQ(fields.number().value(), 1U);
    EXPECT_FALSE(fields.number());
    EXPECT_FALSE(fields.text());
    EXPECT_FALSE(Unpacker(Packer().number(UINT64_MAX).bytes()).text());
}

TEST(Errors, keep_their_code_across_processes_and_cannot_flood_it)
{
    const auto back = unpack_error(pack_error({"vm.host_memory", "sentence", "hint"}));
    EXPECT_EQ(back.code, "vm.host_memory");
    EXPECT_EQ(back.sentence, "sentence");
    EXPECT_EQ(back.hint, "hint");
    EXPECT_EQ(unpack_error(as_bytes("short")).code, errors::worker_protocol);
    // In a process of its own: the table of codes is the program's.
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(
        {
            (void)unpack_error(pack_error({"vm.host_memory", "", ""}));
            int accepted = 0;
            for (int i = 0; i < 3000; ++i)
                accepted +=
                    unpack_error(Packer().text("x" + std::to_string(i)).text("").text("").bytes()).code == errors::worker_protocol
                    ? 0
                    : 1;
            const bool known = unpack_error(pack_error({"vm.host_memory", "", ""})).code == "vm.host_memory";
            std::_Exit(accepted < 1001 && known ? 0 : 1);
        },
        testing::ExitedWithCode(0), "");
}
