#include "memory/file_hashes.hpp"

#include "base/test_folder.hpp"
#include "memory/image.hpp"

#include <algorithm>
#include <atomic>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace altiplano;
using namespace altiplano::memory;

namespace {

constexpr auto page = page_bytes;
constexpr std::uint64_t item_pages = 1200;
constexpr std::uint64_t shown_at = 100;  ///< page of the memory
constexpr std::uint64_t memory_pages = 1600;
const auto item_id = ItemId(sha256(as_bytes("an item")));

std::byte byte_of(std::uint64_t item_page)
{
    return static_cast<std::byte>(1 + item_page % 251);
}

/// An item as a file of one's own, and a state that shows it, saved as an image.
struct Shown {
    TestFolder folder;
    Path item = folder / "item";
    Path image = folder / "image";

    Shown()
    {
        Buffer bytes(item_pages * page);
        for (std::uint64_t i = 0; i < item_pages; ++i)
            std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(i * page), page, byte_of(i));
        EXPECT_TRUE(write_file(system_files(), item, bytes));

        PageTree tree;
        auto region = Region::fresh(memory_pages * page).value();
        EXPECT_TRUE(region.grow(memory_pages * page));
        region.bytes()[7 * page] = std::byte{'g'};
        region.bytes()[1500 * page] = std::byte{'g'};
        const Opened file(item);
        EXPECT_TRUE(region.map(shown_at * page, item_pages * page, file.number, 0, item_id, 0));
        const auto root = tree.commit(region, {}).value();
        EXPECT_EQ(root, state_root_of(region.bytes(), {}, region.mapped_ranges()));
        EXPECT_TRUE(save_image(system_files(), image, region, tree, {}, root));
    }

    struct Opened {
        explicit Opened(const Path& path)
            : number(::open(path.c_str(), O_RDONLY))
        {
        }
        ~Opened() { ::close(number); }
        int number;
    };
    std::shared_ptr<FileHashes> hashes() const { return FileHashes::of(Opened(item).number); }
    void change(std::uint64_t item_page) const
    {
        const int file = ::open(item.c_str(), O_RDWR);
        EXPECT_EQ(pwrite(file, "x", 1, static_cast<off_t>(item_page * page)), 1);
        ::close(file);
    }
};

/// That state, awake.
struct Awake {
    PageTree tree;
    Region region;

    static std::unique_ptr<Awake> from(const Shown& shown)
    {
        std::unique_ptr<Awake> state(new Awake{{}, Region::fresh(memory_pages * page).value()});
        const auto file = system_files().open(shown.image, Files::Mode::read).value();
        const File* const layers[] = {file.get()};
        const auto loaded = load_image(layers, state->region, state->tree, [&](Region& into, const MappedRange& range) {
            return into.map(
                range.at, range.length, Shown::Opened(shown.item).number, range.item_offset, range.item, range.item_offset);
        });
        EXPECT_TRUE(loaded);
        return state;
    }
    std::byte at(std::uint64_t item_page) const
    {
        return *static_cast<const volatile std::byte*>(&region.bytes()[(shown_at + item_page) * page]);
    }
};

TEST(FileHashes, are_noted_once_for_whoever_shows_the_file)
{
    const Shown shown;
    const auto hashes = shown.hashes();
    ASSERT_NE(hashes, nullptr);
    EXPECT_EQ(hashes, shown.hashes()) << "opened again, it is the same file";
    for (std::uint64_t i = 0; i < item_pages; ++i) {
        ASSERT_NE(hashes->find(i), nullptr) << "the commit that mapped it hashed page " << i;
        EXPECT_EQ(*hashes->find(i), keyed_hash(HashKind::page, Buffer(page, byte_of(i))));
    }
    EXPECT_EQ(hashes->find(item_pages), nullptr);

    const auto again = Awake::from(shown);
    EXPECT_EQ(again->region.known_hash(7), nullptr) << "no page of an item";
    EXPECT_EQ(again->region.known_hash(shown_at + item_pages), nullptr);
    EXPECT_EQ(again->region.known_hash(shown_at + 3), hashes->find(3));
    for (std::uint64_t i = 0; i < item_pages; ++i)
        EXPECT_EQ(again->at(i), byte_of(i));
    EXPECT_FALSE(again->region.damaged());
}

TEST(FileHashes, stand_for_the_bytes_when_a_state_comes_back)
{
    const Shown shown;
    // What is noted first stays, so a wrong hash must come before the right one: that of a file that has just changed its times.
    ASSERT_EQ(::chmod(shown.item.c_str(), 0400), 0);
    for (std::uint64_t i = 492; i < 508; ++i)  // pages that are checked together
        shown.hashes()->note(i, keyed_hash(HashKind::page, Buffer(page)));
    const auto first = Awake::from(shown);
    EXPECT_EQ(first->at(200), byte_of(200)) << "hashed";
    EXPECT_FALSE(first->region.damaged());
    (void)first->at(500);
    EXPECT_TRUE(first->region.damaged()) << "the noted hash is not that of the state";
    EXPECT_FALSE(first->tree.commit(first->region, {}));
}

TEST(FileHashes, of_a_file_that_is_changed_after_all_are_forgotten)
{
    const Shown shown;
    const auto before = shown.hashes();
    shown.change(700);
    EXPECT_NE(shown.hashes(), before);
    const auto again = Awake::from(shown);
    EXPECT_EQ(again->at(10), byte_of(10));
    EXPECT_FALSE(again->region.damaged());
    (void)again->at(700);
    EXPECT_TRUE(again->region.damaged());
}

TEST(FileHashes, leave_the_root_as_the_bytes_give_it)
{
    const Shown shown;
    const auto again = Awake::from(shown);
    ASSERT_TRUE(again->region.unmap((shown_at + 10) * page, 300 * page));
    ASSERT_TRUE(
        again->region.map((shown_at + 20) * page, 50 * page, Shown::Opened(shown.item).number, 600 * page, item_id, 600 * page));
    const auto root = again->tree.commit(again->region, {}).value();
    EXPECT_EQ(again->at(20), byte_of(600));
    EXPECT_EQ(root, state_root_of(again->region.bytes(), {}, again->region.mapped_ranges()));
}

/// Whether a page of the item is in the page table, though nobody touched it.
bool is_there(const Awake& state, std::uint64_t item_page)
{
    const auto address = reinterpret_cast<std::uint64_t>(&state.region.bytes()[(shown_at + item_page) * page]);
    const int file = ::open("/proc/self/pagemap", O_RDONLY);
    std::uint64_t entry = 0;
    EXPECT_EQ(pread(file, &entry, sizeof entry, static_cast<off_t>(address / page * sizeof entry)), 8);
    ::close(file);
    return (entry >> 63) != 0;
}

TEST(ParkedItem, is_shown_with_its_pages_by_what_wakes_next)
{
    const Shown shown;
    auto before = Awake::from(shown);
    for (std::uint64_t i = 0; i < item_pages; ++i)
        ASSERT_EQ(before->at(i), byte_of(i));
    before.reset();

    const auto again = Awake::from(shown);
    EXPECT_FALSE(is_there(*again, 1000)) << "nobody asked for the item yet";
    EXPECT_EQ(again->at(30), byte_of(30));
    EXPECT_TRUE(is_there(*again, 1000)) << "a page that nobody touched";
    EXPECT_FALSE(again->region.is_writable((shown_at + 30) * page, 1));
    // Another one that is awake meanwhile has a mapping of its own.
    const auto other = Awake::from(shown);
    EXPECT_EQ(other->at(30), byte_of(30));
    EXPECT_FALSE(is_there(*other, 1000));
    for (const auto& state : {again.get(), other.get()}) {
        for (std::uint64_t i = 0; i < item_pages; ++i)
            ASSERT_EQ(state->at(i), byte_of(i));
        state->region.bytes()[8 * page] = std::byte{'n'};
        state->region.bytes()[(shown_at - 1) * page] = std::byte{'n'};  // checked together with the item's first pages
        EXPECT_EQ(state->tree.commit(state->region, {}).value(),
            state_root_of(state->region.bytes(), {}, state->region.mapped_ranges()));
    }
}

TEST(ParkedItem, of_a_file_that_is_changed_after_all_is_shown_to_nobody)
{
    const Shown shown;
    auto before = Awake::from(shown);
    for (std::uint64_t i = 0; i < item_pages; ++i)
        (void)before->at(i);
    before.reset();
    shown.change(700);
    const auto again = Awake::from(shown);
    (void)again->at(10);
    EXPECT_FALSE(again->region.damaged());
    EXPECT_FALSE(is_there(*again, 1000));
    (void)again->at(700);
    EXPECT_TRUE(again->region.damaged());
}

TEST(Region, that_came_back_is_read_and_written_by_several_threads_at_once)
{
    const Shown shown;
    for (int round = 0; round < 20; ++round) {
        const auto state = Awake::from(shown);
        std::atomic<int> wrong{0};
        std::vector<std::jthread> threads;
        for (std::uint64_t thread = 0; thread < 3; ++thread)
            threads.emplace_back([&, thread] {
                for (std::uint64_t i = 0; i < item_pages; ++i)
                    if (state->at(i) != byte_of(i))
                        ++wrong;
                // Neighbours, which are checked together.
                state->region.bytes()[(1500 + thread) * page + 1] = std::byte{'t'};
            });
        threads.clear();
        EXPECT_EQ(wrong, 0);
        EXPECT_FALSE(state->region.damaged());
        EXPECT_EQ(state->region.dirty_pages().value(), (std::vector<std::uint64_t>{1500, 1501, 1502}));
        EXPECT_EQ(state->tree.commit(state->region, {}).value(),
            state_root_of(state->region.bytes(), {}, state->region.mapped_ranges()));
    }
}

}  // namespace
