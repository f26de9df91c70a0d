#include "base/hash.hpp"
#include "base/test_folder.hpp"
#include "memory/errors.hpp"
#include "memory/image.hpp"

#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

using namespace altiplano;
using namespace altiplano::memory;

namespace {

using Pages = std::vector<std::uint64_t>;
constexpr auto page = page_bytes;

Region four_pages(Tracker tracker)  // of 'a', committed, room for 64
{
    auto region = Region::fresh(64 * page, tracker).value();
    EXPECT_TRUE(region.grow(4 * page));
    EXPECT_TRUE(region.prepare_write(0, 4 * page));
    std::ranges::fill(region.bytes(), std::byte{'a'});
    EXPECT_TRUE(region.commit());
    return region;
}

void write(Region& region, std::uint64_t at, char value)
{
    region.bytes()[at] = static_cast<std::byte>(value);
}

/// A file of `pages` pages of 'm', with a tail of 100 bytes.
int item_file(std::uint64_t pages)
{
    const int descriptor = memfd_create("item", MFD_CLOEXEC);
    const std::string content(pages * page + 100, 'm');
    EXPECT_EQ(pwrite(descriptor, content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
    return descriptor;
}

/// Whether the system knows of the mapping around `at` that its pages should be large: /proc/self/smaps, VmFlags.
bool asks_for_large_pages(const std::byte* at)
{
    std::ifstream mappings("/proc/self/smaps");
    const auto address = reinterpret_cast<std::uintptr_t>(at);
    bool inside = false;
    for (std::string line; std::getline(mappings, line);) {
        unsigned long long first = 0;
        unsigned long long stop = 0;
        if (std::sscanf(line.c_str(), "%llx-%llx ", &first, &stop) == 2)
            inside = first <= address && address < stop;
        else if (inside && line.starts_with("VmFlags:"))
            return line.find(" hg") != std::string::npos;
    }
    return false;
}

/// In place of what is there, without the care of write_file.
void spoil(const Path& path, Bytes bytes)
{
    std::filesystem::remove(path);
    const auto file = system_files().open(path, Files::Mode::create_new).value();
    EXPECT_TRUE(file->write_at(0, bytes));
}

class AnyTracker : public testing::TestWithParam<Tracker> { };
INSTANTIATE_TEST_SUITE_P(
    Trackers, AnyTracker, testing::Values(Tracker::kernel, Tracker::fault, Tracker::compare), [](const auto& given) {
        return std::string(given.param == Tracker::kernel ? "kernel" : given.param == Tracker::fault ? "fault" : "compare");
    });

#define SKIP_WITHOUT_TRACKER()                                                                                                   \
    if (!Region::fresh(page, GetParam()))                                                                                        \
    GTEST_SKIP() << "this kernel has no userfaultfd WP_ASYNC (Linux 6.7 and later)"

}  // namespace

TEST_P(AnyTracker, names_each_written_page_once)
{
    SKIP_WITHOUT_TRACKER();
    auto region = four_pages(GetParam());
    EXPECT_EQ(region.dirty_pages().value(), Pages{});
    write(region, 2 * page, 'b');
    write(region, 2 * page + 1, 'c');
    write(region, 0, 'd');
    EXPECT_EQ(region.dirty_pages().value(), (Pages{0, 2}));
    ASSERT_TRUE(region.commit());
    EXPECT_EQ(region.dirty_pages().value(), Pages{});
    write(region, 2 * page, 'e');
    EXPECT_EQ(region.dirty_pages().value(), (Pages{2}));
}

TEST_P(AnyTracker, names_what_was_written_since_it_was_taken_and_commits_it_all_the_same)
{
    SKIP_WITHOUT_TRACKER();
    auto region = four_pages(GetParam());
    const auto epoch = region.take_written({0, 4}).value().epoch;
    write(region, 2 * page, 'b');
    const auto taken = region.take_written({0, 4}).value();
    EXPECT_EQ(taken.epoch, epoch);
    EXPECT_EQ(taken.pages, (std::vector<PageRange>{{2, 1}}));
    if (GetParam() != Tracker::compare) {
        EXPECT_EQ(region.take_written({0, 4}).value().pages, std::vector<PageRange>{});
    }
    write(region, 3 * page, 'c');
    EXPECT_EQ(region.dirty_pages().value(), (Pages{2, 3}));
    ASSERT_TRUE(region.roll_back());
    EXPECT_EQ(region.bytes()[2 * page], std::byte{'a'});
    EXPECT_NE(region.take_written({0, 4}).value().epoch, epoch) << "bytes have changed without a write";

    write(region, 1 * page, 'd');
    EXPECT_EQ(region.take_written({0, 2}).value().pages, (std::vector<PageRange>{{1, 1}}));
    ASSERT_TRUE(region.commit());
    EXPECT_EQ(region.dirty_pages().value(), Pages{});
    write(region, 1 * page, 'e');
    ASSERT_TRUE(region.roll_back());
    EXPECT_EQ(region.bytes()[1 * page], std::byte{'d'}) << "what was taken was committed";
}

TEST_P(AnyTracker, keeps_no_copy_of_a_long_run_of_zero_pages)
{
    SKIP_WITHOUT_TRACKER();
    auto region = Region::fresh(64 * page, GetParam()).value();
    ASSERT_TRUE(region.grow(64 * page));
    const auto copies = [&] {
        std::vector<unsigned char> there(64);
        const auto content = region.bytes();
        std::uint64_t count = 0;
        // A page that was dropped is neither ours nor in the memory file.
        EXPECT_EQ(mincore(content.data(), content.size(), there.data()), 0);
        for (const auto one : there)
            count += one & 1U;
        return count;
    };
    ASSERT_TRUE(region.prepare_write(0, 64 * page));
    std::ranges::fill(region.bytes(), std::byte{'a'});
    ASSERT_TRUE(region.commit());
    EXPECT_EQ(copies(), 64U);

    // Zeros over something; what comes behind stays.
    ASSERT_TRUE(region.prepare_write(0, 40 * page));
    std::ranges::fill(region.bytes().first(40 * page), std::byte{});
    ASSERT_TRUE(region.commit());
    if (GetParam() != Tracker::compare) {  // which looks at every page
        EXPECT_EQ(copies(), 24U);
    }
    EXPECT_EQ(region.dirty_pages().value(), Pages{});
    EXPECT_EQ(region.bytes()[39 * page], std::byte{});
    EXPECT_EQ(region.bytes()[40 * page], std::byte{'a'});

    // Written again, kept again; given up, zero again.
    write(region, 5 * page, 'b');
    EXPECT_EQ(region.dirty_pages().value(), Pages{5});
    ASSERT_TRUE(region.commit());
    write(region, 5 * page, 'c');
    write(region, 6 * page, 'c');
    ASSERT_TRUE(region.roll_back());
    EXPECT_EQ(region.bytes()[5 * page], std::byte{'b'});
    EXPECT_EQ(region.bytes()[6 * page], std::byte{});
}

TEST_P(AnyTracker, goes_back_to_the_last_commit_in_bytes_and_length)
{
    SKIP_WITHOUT_TRACKER();
    auto region = four_pages(GetParam());
    write(region, page, 'b');
    ASSERT_TRUE(region.grow(8 * page));
    write(region, 7 * page, 'c');
    ASSERT_TRUE(region.roll_back());
    EXPECT_EQ(region.bytes().size(), 4 * page);
    EXPECT_TRUE(std::ranges::all_of(region.bytes(), [](std::byte b) { return b == std::byte{'a'}; }));
    EXPECT_EQ(region.dirty_pages().value(), Pages{});
    ASSERT_TRUE(region.grow(8 * page));
    EXPECT_EQ(region.bytes()[7 * page], std::byte{0}) << "what was rolled back must not shine through";
}

TEST_P(AnyTracker, refuses_to_grow_over_its_reservation_and_stays_as_it_was)
{
    SKIP_WITHOUT_TRACKER();
    auto region = four_pages(GetParam());
    EXPECT_EQ(region.grow(65 * page).error().code, errors::over_reservation);
    EXPECT_EQ(region.grow(page).error().code, errors::bad_length);
    EXPECT_EQ(region.grow(5 * page + 1).error().code, errors::bad_length);
    EXPECT_EQ(region.bytes().size(), 4 * page);
}

TEST_P(AnyTracker, maps_an_item_and_forgets_it_on_roll_back)
{
    SKIP_WITHOUT_TRACKER();
    auto region = four_pages(GetParam());
    const int item = item_file(1);
    const ItemId id(sha256(as_bytes("item")));
    ASSERT_TRUE(region.map(page, page + 50, item, 0, id, 0));
    close(item);
    EXPECT_EQ(region.bytes()[page], std::byte{'m'});
    EXPECT_EQ(region.bytes()[2 * page + 99], std::byte{'m'}) << "the last page goes on with the item";
    EXPECT_EQ(region.bytes()[2 * page + 100], std::byte{0}) << "and is zero past its end";
    EXPECT_EQ(region.mapped_ranges(), (std::vector<MappedRange>{{page, 2 * page, id, 0}}));
    EXPECT_EQ(region.dirty_pages().value(), (Pages{1, 2}));
    EXPECT_FALSE(region.is_writable(page, 1));
    EXPECT_TRUE(region.is_writable(0, page));
    EXPECT_FALSE(region.is_writable(0, page + 1));
    EXPECT_EQ(region.map(2 * page, page, 0, 0, id, 0).error().code, errors::bad_range) << "over another mapping";
    ASSERT_TRUE(region.roll_back());
    EXPECT_EQ(region.bytes()[page], std::byte{'a'});
    EXPECT_TRUE(region.mapped_ranges().empty());
}

TEST(Region, wants_a_long_item_in_large_pages_and_leaves_short_ones_alone)
{
    if (!std::filesystem::exists("/sys/kernel/mm/transparent_hugepage/enabled"))
        GTEST_SKIP() << "this system has no large pages";
    constexpr std::uint64_t large = 512;
    auto region = Region::fresh(4 * large * page, Tracker::compare).value();
    ASSERT_TRUE(region.grow(4 * large * page));
    const int item = item_file(2 * large);
    const ItemId id(sha256(as_bytes("item")));
    ASSERT_TRUE(region.map(page, 2 * large * page, item, 0, id, 0));
    ASSERT_TRUE(region.map(3 * large * page, 4 * page, item, 0, id, 0));
    close(item);
    EXPECT_TRUE(asks_for_large_pages(&region.bytes()[large * page]));
    EXPECT_FALSE(asks_for_large_pages(&region.bytes()[3 * large * page]));
    EXPECT_FALSE(asks_for_large_pages(&region.bytes()[0]));
}

TEST_P(AnyTracker, unmaps_part_of_a_mapping_to_zeros_and_maps_it_again_on_roll_back)
{
    SKIP_WITHOUT_TRACKER();
    auto region = four_pages(GetParam());
    ASSERT_TRUE(region.grow(8 * page));
    const int item = item_file(4);
    const ItemId id(sha256(as_bytes("item")));
    ASSERT_TRUE(region.map(page, 4 * page, item, 0, id, 0));
    close(item);
    ASSERT_TRUE(region.commit());
    ASSERT_TRUE(region.unmap(2 * page, page));
    EXPECT_EQ(region.mapped_ranges(), (std::vector<MappedRange>{{page, page, id, 0}, {3 * page, 2 * page, id, 2 * page}}));
    EXPECT_EQ(region.bytes()[2 * page], std::byte{0});
    write(region, 2 * page, 'x');
    ASSERT_TRUE(region.roll_back());
    EXPECT_EQ(region.bytes()[2 * page], std::byte{'m'});
    EXPECT_EQ(region.mapped_ranges(), (std::vector<MappedRange>{{page, 4 * page, id, 0}}));
    ASSERT_TRUE(region.unmap(page, 4 * page));
    ASSERT_TRUE(region.commit());
    EXPECT_EQ(region.bytes()[page], std::byte{0}) << "what the mapping hid is gone";
    ASSERT_TRUE(region.roll_back());
    EXPECT_EQ(region.bytes()[page], std::byte{0});
}

TEST_P(AnyTracker, unmapping_in_the_message_that_mapped_gives_zeros_not_what_was_there)
{
    SKIP_WITHOUT_TRACKER();
    auto region = four_pages(GetParam());
    const std::string bytes(page, 'q');
    ASSERT_TRUE(region.map_bytes(page, as_bytes(bytes), ItemId{}, 0));
    EXPECT_EQ(region.bytes()[page], std::byte{'q'});
    ASSERT_TRUE(region.unmap(page, page));
    EXPECT_EQ(region.bytes()[page], std::byte{0});
    ASSERT_TRUE(region.commit());
    EXPECT_EQ(region.bytes()[page], std::byte{0});
}

TEST_P(AnyTracker, gives_the_root_that_the_bytes_alone_give_after_any_history)
{
    SKIP_WITHOUT_TRACKER();
    std::mt19937 random(42);
    auto region = Region::fresh(1024 * page, GetParam()).value();
    PageTree tree;
    const auto globals = to_buffer("globals");
    const ItemId id(sha256(as_bytes("item")));
    const int item = item_file(64);
    Digest committed;
    // Somebody keeps a copy meanwhile, and brings over only what was written.
    std::vector<std::byte> copy(1024 * page);
    std::uint64_t epoch = 0;
    const auto look = [&] {
        const auto now = region.take_written({0, region.bytes().size() / page}).value();
        const auto bring = [&](PageRange pages) {
            std::ranges::copy(region.bytes().subspan(pages.first * page, pages.count * page),
                copy.begin() + static_cast<std::ptrdiff_t>(pages.first * page));
        };
        if (std::exchange(epoch, now.epoch) != now.epoch)
            bring({0, region.bytes().size() / page});
        std::ranges::for_each(now.pages, bring);
        return std::ranges::equal(region.bytes(), std::span(copy).first(region.bytes().size()));
    };
    for (int round = 0; round < 60; ++round) {
        const auto length = region.bytes().size();
        if (random() % 4 == 0 && length < 900 * page) {
            ASSERT_TRUE(region.grow(length + (random() % 50) * page));
        }
        for (auto writes = random() % 30; writes > 0 && region.bytes().size() > 0; --writes) {
            const auto at = random() % region.bytes().size();
            if (!region.is_writable(at, 1))
                continue;
            ASSERT_TRUE(region.prepare_write(at, 1));
            write(region, at, random() % 3 == 0 ? '\0' : static_cast<char>(random()));
        }
        if (random() % 2 == 0) {
            ASSERT_TRUE(look()) << round;
        }
        const auto pages = region.bytes().size() / page;
        if (pages > 80 && random() % 5 == 0) {
            const auto first = random() % (pages - 70);
            const auto count = 1 + random() % 60;
            if (region.is_writable(first * page, count * page)) {
                ASSERT_TRUE(region.map(first * page, count * page, item, page * (random() % 4), id, page * 4));
            }
        }
        if (pages > 80 && random() % 5 == 0) {
            ASSERT_TRUE(region.unmap(random() % (pages - 40) * page, page * (1 + random() % 40)));
        }
        if (random() % 2 == 0) {
            ASSERT_TRUE(look()) << round;
        }
        if (random() % 3 == 0) {
            ASSERT_TRUE(region.roll_back());
            if (!committed.is_zero()) {
                ASSERT_EQ(state_root_of(region.bytes(), globals, region.mapped_ranges()), committed) << round;
            }
        } else {
            committed = tree.commit(region, globals).value();
            ASSERT_EQ(committed, state_root_of(region.bytes(), globals, region.mapped_ranges())) << round;
        }
    }
    close(item);
}

TEST_P(AnyTracker, comes_back_from_an_image_with_the_same_root)
{
    SKIP_WITHOUT_TRACKER();
    const TestFolder folder;
    const Path path = folder / "image";
    const int item = item_file(2);
    const ItemId id(sha256(as_bytes("item")));
    const auto globals = to_buffer("sixteen bytes...");
    auto region = Region::fresh(64 * page, GetParam()).value();
    PageTree tree;
    ASSERT_TRUE(region.grow(20 * page));
    write(region, 3 * page + 7, 'x');
    write(region, 19 * page, 'y');
    ASSERT_TRUE(region.map(5 * page, 2 * page, item, 0, id, 0));
    const auto root = tree.commit(region, globals).value();
    ASSERT_TRUE(save_image(system_files(), path, region, tree, globals, root));

    const auto map_item = [&](Region& into, const MappedRange& range) {
        return into.map(range.at, range.length, item, range.item_offset, range.item, range.item_offset);
    };
    const auto load = [&]() -> Result<Image> {
        TRY(const auto file, system_files().open(path, Files::Mode::read));
        TRY(auto again, Region::fresh(64 * page, GetParam()));
        PageTree fresh_tree;
        const File* const layers[] = {file.get()};
        auto image = load_image(layers, again, fresh_tree, map_item);
        if (!image)
            return image;
        // Every page is touched: what is not what was saved shows then, at the latest.
        const auto seen = state_root_of(again.bytes(), image->globals, again.mapped_ranges());
        const auto committed = fresh_tree.commit(again, image->globals);
        if (again.damaged() || !committed || !fresh_tree.check_all())
            return fail(errors::bad_image, "damaged");
        EXPECT_EQ(seen, root);
        EXPECT_EQ(*committed, root);
        return image;
    };
    const auto image = load();
    ASSERT_TRUE(image) << image.error().sentence;
    EXPECT_EQ(image->root, root);
    EXPECT_EQ(image->globals, globals);

    // Any changed byte of the front, of a page and of a hash is found; what is left is padding.
    constexpr std::size_t front_used = 160 + 16 + 56 + 2 * 16 + 32;
    const auto is_padding = [&](std::size_t at) {
        if (at < image->front_bytes)
            return at >= front_used;
        if (at < image->tree_at())
            return false;
        // Twenty pages: two groups at level 0, one at each other level; a level takes a page of the file.
        const auto offset = at - image->tree_at();
        return offset % page >= (offset < page ? 2 : 1) * PageTree::group_bytes;
    };
    const auto whole = read_file(system_files(), path).value();
    ASSERT_EQ(whole.size(), image->file_bytes());
    for (std::size_t at = 0; at < whole.size(); at += at < 400 ? 1 : 211) {
        auto changed = whole;
        changed[at] ^= std::byte{1};
        spoil(path, changed);
        const auto bad = load();
        ASSERT_EQ(!bad, !is_padding(at)) << at;
    }
    for (const auto length : {std::size_t{0}, std::size_t{20}, std::size_t{page}, whole.size() - 1}) {
        spoil(path, Bytes(whole).first(length));
        EXPECT_EQ(load().error().code, errors::bad_image) << length;
    }
    close(item);
}

TEST(PageTree, hashes_zero_pages_to_nothing)
{
    auto tree = PageTree::reserve(Region::memory_bytes_max).value();
    EXPECT_TRUE(tree.root().is_zero());
    const Buffer zeros(page);
    Buffer something(page);
    something[5] = std::byte{1};
    tree.set_page(200'000'000, something);
    tree.update();
    EXPECT_FALSE(tree.root().is_zero());
    tree.set_page(200'000'000, zeros);
    tree.update();
    EXPECT_TRUE(tree.root().is_zero());
}

TEST(StateRoot, depends_on_everything_that_is_state)
{
    const Buffer memory(4 * page, std::byte{1});
    const auto globals = to_buffer("g");
    const std::vector<MappedRange> mapped{{0, page, ItemId{}, 0}};
    const auto root = state_root_of(memory, globals, mapped);
    EXPECT_NE(state_root_of(Bytes(memory).first(3 * page), globals, mapped), root);
    EXPECT_NE(state_root_of(memory, to_buffer("h"), mapped), root);
    EXPECT_NE(state_root_of(memory, globals, {}), root);
    for (const auto& other : std::vector<MappedRange>{MappedRange{page, page, ItemId{}, 0}, MappedRange{0, 2 * page, ItemId{}, 0},
             MappedRange{0, page, ItemId(sha256(as_bytes("x"))), 0}, MappedRange{0, page, ItemId{}, page}})
        EXPECT_NE(state_root_of(memory, globals, std::vector{other}), root);
    // Fixed for ever: a change here is a change of protocol.
    EXPECT_EQ(state_root_of(memory, globals, {}).text(), "33QrCC9vm5KzroR0qtyxW15W8coYZBJZrhCQH2V7g_Y");
}

TEST(Region, rolls_back_to_what_was_committed_of_pages_that_are_written_every_time)
{
    auto region = Region::fresh(64 * page).value();
    PageTree tree;
    ASSERT_TRUE(region.grow(8 * page));
    for (std::uint8_t i = 1; i < 9; ++i) {
        for (const std::size_t at : {std::size_t{0}, std::size_t{1}, std::size_t{5}})
            region.bytes()[at * page + 7] = std::byte{i};
        const auto root = tree.commit(region, {}).value();
        EXPECT_EQ(root, state_root_of(region.bytes(), {}, {}));
        // A message that failed: it wrote to them and to others, and grew.
        region.bytes()[5 * page + 7] = std::byte{99};
        region.bytes()[3 * page] = std::byte{99};
        ASSERT_TRUE(region.grow(16 * page));
        region.bytes()[12 * page] = std::byte{99};
        ASSERT_TRUE(region.roll_back());
        EXPECT_EQ(region.bytes()[5 * page + 7], std::byte{i});
        EXPECT_EQ(state_root_of(region.bytes(), {}, {}), root);
    }
    EXPECT_EQ(region.hot_pages(), 3U);
}

TEST_P(AnyTracker, gives_the_same_root_when_it_is_worked_out_while_the_guest_writes)
{
    SKIP_WITHOUT_TRACKER();
    std::mt19937 random(7);
    auto region = Region::fresh(1024 * page, GetParam()).value();
    PageTree tree;
    ASSERT_TRUE(region.grow(100 * page));
    const auto globals = to_buffer("globals");
    Digest committed;
    for (int round = 0; round < 300; ++round) {
        // Some pages every time, some of them with the bytes that they had; some once in a while.
        const auto writes = [&](int value) {
            for (std::size_t at = 0; at < 20; ++at) {
                ASSERT_TRUE(region.prepare_write(at * page, 1));
                write(region, at * page + 1, static_cast<char>(at % 5 == 0 && round % 40 > 20 ? 1 : value));
            }
            for (int i = 0; i < 5; ++i) {
                const auto at = random() % region.bytes().size();
                ASSERT_TRUE(region.prepare_write(at, 1));
                write(region, at, static_cast<char>(random() % 2));
            }
        };
        if (round % 50 == 49) {
            ASSERT_TRUE(region.grow(region.bytes().size() + 3 * page));
        }
        writes(round);
        const auto expected = state_root_of(region.bytes(), globals, {});
        ASSERT_TRUE(tree.begin(region, globals));
        const auto kept = to_buffer(Bytes(region.bytes()));
        // The next message, before anybody knows the root.
        writes(round + 1);
        committed = tree.finish().value();
        ASSERT_EQ(committed, expected) << round;
        if (random() % 4 == 0) {
            ASSERT_TRUE(region.roll_back());
            ASSERT_TRUE(std::ranges::equal(region.bytes(), kept)) << round;
        }
        if (random() % 4 == 0) {
            const auto now = state_root_of(region.bytes(), globals, {});
            ASSERT_EQ(tree.commit(region, globals).value(), now) << round;
        }
    }
    // What stops being written is watched again.
    for (int round = 0; round < 10; ++round) {
        ASSERT_TRUE(tree.begin(region, globals));
        committed = tree.finish().value();
    }
    EXPECT_EQ(committed, state_root_of(region.bytes(), globals, {}));
    EXPECT_EQ(region.hot_pages(), 0U);
    EXPECT_TRUE(region.dirty_pages().value().empty());
}

TEST(Hashes, of_many_pages_and_nodes_are_those_of_each_alone)
{
    Buffer bytes(70 * page_bytes);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::byte>(i * 2654435761U >> 13);
    std::fill_n(bytes.begin() + 5 * page_bytes, page_bytes, std::byte{});
    for (const auto& [kind, length] : {std::pair{HashKind::page, page_bytes}, {HashKind::node, PageTree::group_bytes}})
        for (const auto count : std::vector<std::size_t>{0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 70}) {
            std::vector<const std::byte*> inputs;
            for (std::size_t i = 0; i < count; ++i)
                inputs.push_back(bytes.data() + i * page_bytes);
            std::vector<Digest> found(count);
            tree_hashes(kind, inputs, length, found);
            for (std::size_t i = 0; i < count; ++i)
                EXPECT_EQ(found[i], i == 5 ? Digest{} : keyed_hash(kind, {inputs[i], length})) << count << " " << i;
        }
}
