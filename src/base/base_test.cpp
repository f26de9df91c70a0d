#include "base/base64url.hpp"
#include "base/errors.hpp"
#include "base/executor.hpp"
#include "base/files.hpp"
#include "base/hash.hpp"
#include "base/test_folder.hpp"
#include "base/text.hpp"

#include <atomic>
#include <future>
#include <gtest/gtest.h>
#include <thread>

using namespace altiplano;

TEST(Base64url, writes_and_reads_back_every_length)
{
    Buffer bytes;
    for (int i = 0; i < 70; ++i) {
        EXPECT_EQ(from_base64url(base64url(bytes)).value(), bytes);
        bytes.push_back(static_cast<std::byte>(i * 37));
    }
    EXPECT_EQ(base64url(as_bytes("\xfb\xff")), "-_8");
}

TEST(Base64, writes_and_reads_back_with_padding)
{
    for (const auto& [plain, text] :
        {std::pair{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"\xff\xfe\xfb", "//77"}}) {
        EXPECT_EQ(base64(as_bytes(std::string_view(plain))), text);
        EXPECT_EQ(as_text(from_base64(text).value()), plain);
    }
    for (const auto* wrong : {"Zg", "Zg=", "Z===", "====", "__77", "Zm9v\n", "Zh=="})
        EXPECT_FALSE(from_base64(wrong)) << wrong;
}

TEST(Base64url, refuses_padding_foreign_characters_and_stray_bits)
{
    for (const auto* text : {"AA==", "A", "A+", "AA A", "AB"})
        EXPECT_EQ(from_base64url(text).error().code, errors::bad_base64url) << text;
}

TEST(Text, is_trimmed_of_spaces_alone)
{
    EXPECT_EQ(trimmed("  a b "), "a b");
    EXPECT_EQ(trimmed("   "), "");
    EXPECT_EQ(trimmed("\ta"), "\ta");
}

TEST(Text, is_a_whole_number_or_none)
{
    EXPECT_EQ(whole_number("0"), 0U);
    EXPECT_EQ(whole_number("18446744073709551615"), UINT64_MAX);
    for (const auto* const wrong : {"", "18446744073709551616", "-1", "+1", " 1", "1 ", "0x1", "1.0"})
        EXPECT_EQ(whole_number(wrong), std::nullopt) << wrong;
}

TEST(Id, is_43_characters_of_32_bytes)
{
    const auto id = ItemId(sha256(as_bytes("abc")));
    EXPECT_EQ(id.text(), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
    EXPECT_EQ(ItemId::parse(id.text()).value(), id);
    EXPECT_EQ(ItemId::parse(id.text().substr(1)).error().code, errors::bad_id);
    EXPECT_EQ(ItemId::parse(std::string(43, '*')).error().code, errors::bad_id);
}

TEST(Hash, is_the_same_in_pieces)
{
    Sha384Hasher hasher;
    hasher.update(as_bytes("hello "));
    hasher.update(as_bytes("world"));
    EXPECT_EQ(hasher.finish(), sha384(as_bytes("hello world")));
}

TEST(Files, keeps_what_is_private_from_others)
{
    auto& files = system_files();
    const TestFolder folder;
    ASSERT_TRUE(files.make_directories(folder));
    ASSERT_TRUE(write_file(files, folder / "key", as_bytes("k")));
    ASSERT_TRUE(files.set_private(folder));
    ASSERT_TRUE(files.set_private(folder / "key"));
    using std::filesystem::perms;
    EXPECT_EQ(std::filesystem::status(folder).permissions(), perms::owner_all);
    EXPECT_EQ(std::filesystem::status(folder / "key").permissions(), perms::owner_read | perms::owner_write);
    EXPECT_FALSE(files.set_private(folder / "missing"));
}

TEST(Files, writes_whole_or_not_at_all)
{
    auto& files = system_files();
    const TestFolder folder;
    ASSERT_TRUE(files.make_directories(folder));
    ASSERT_TRUE(write_file(files, folder / "a", as_bytes("one")));
    ASSERT_TRUE(write_file(files, folder / "a", as_bytes("two")));
    EXPECT_EQ(as_text(read_file(files, folder / "a").value()), "two");
    EXPECT_EQ(read_file(files, folder / "b").error().code, errors::file_missing);
    EXPECT_EQ(files.list(folder).value(), std::vector<std::string>{"a"});
}

TEST(WriteFile, takes_a_name_without_a_folder)
{
    const TestFolder folder;
    const auto before = std::filesystem::current_path();
    std::filesystem::current_path(folder / ".");
    const auto written = write_file(system_files(), "bare", as_bytes("one"));
    std::filesystem::current_path(before);
    EXPECT_TRUE(written);
    EXPECT_TRUE(std::filesystem::exists(folder / "bare"));
}

TEST(ThreadPool, does_what_was_posted_while_its_tasks_are_away)
{
    std::promise<void> last;
    std::atomic<int> done = 0;
    const auto ended = last.get_future().share();
    const auto until_the_last = [&done, ended] {
        const Away away;
        ended.wait();
        ++done;
    };
    {
        const auto pool = thread_pool("test", 1, 2);
        pool->post(until_the_last);
        pool->post(until_the_last);
        pool->post([&] { last.set_value(); });  // behind two that wait for it
        ended.wait();
        for (int i = 0; i < 100; ++i)
            pool->post([&] { ++done; });
    }
    EXPECT_EQ(done, 102);
}

TEST(ThreadPool, has_no_more_at_work_than_it_may_though_others_came_back)
{
    std::atomic<int> at_work = 0, most = 0;
    {
        const auto pool = thread_pool("test", 2, 8);
        for (int i = 0; i < 200; ++i)
            pool->post([&] {
                {
                    const Away away;
                    const Away once_more;
                    std::this_thread::yield();
                }
            });
        for (int i = 0; i < 200; ++i)
            pool->post([&] {
                const int now = ++at_work;
                for (auto before = most.load(); before < now && !most.compare_exchange_weak(before, now);) { }
                std::this_thread::yield();
                --at_work;
            });
    }
    EXPECT_GE(most, 1);
    EXPECT_LE(most, 2);
}

TEST(ThreadPool, finishes_what_was_posted)
{
    std::atomic<int> done = 0;
    {
        const auto pool = thread_pool("test", 3);
        for (int i = 0; i < 100; ++i)
            pool->post([&] { ++done; });
    }
    EXPECT_EQ(done, 100);
}
