#include "base/hash.hpp"
#include "base/test_folder.hpp"
#include "memory/errors.hpp"
#include "memory/test_state.hpp"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <random>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace altiplano;
using namespace altiplano::memory;

namespace {

Result<void> merge(const Path& into, const std::vector<Path>& paths)
{
    return merge_images(system_files(), into, Layers(paths).layers);
}

std::uint64_t resident_bytes()
{
    long pages = 0;
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    EXPECT_EQ(std::fscanf(file, "%*d %ld", &pages), 1);
    std::fclose(file);
    return static_cast<std::uint64_t>(pages) * page;
}

/// A state of a thousand pages of 'a', saved at `path`.
void save_a_thousand_pages(const Path& path)
{
    auto state = State::fresh(1024 * page);
    ASSERT_TRUE(state->region.grow(1000 * page));
    for (std::uint64_t i = 0; i < 1000; ++i)
        write(state->region, i * page, 'a');
    state->commit();
    ASSERT_TRUE(state->save(path));
}

class AnyHistory : public testing::TestWithParam<Tracker> { };
INSTANTIATE_TEST_SUITE_P(
    Trackers, AnyHistory, testing::Values(Tracker::kernel, Tracker::fault, Tracker::compare), [](const auto& given) {
        return std::string(given.param == Tracker::kernel ? "kernel" : given.param == Tracker::fault ? "fault" : "compare");
    });

}  // namespace

TEST_P(AnyHistory, of_writes_images_overlays_and_merges_has_the_root_that_the_bytes_give)
{
    if (!Region::fresh(page, GetParam()))
        GTEST_SKIP() << "this kernel has no userfaultfd WP_ASYNC (Linux 6.7 and later)";
    const TestFolder folder;
    std::mt19937 random(7);
    const int item = memfd_create("item", MFD_CLOEXEC);
    const std::string content(64 * page, 'm');
    ASSERT_EQ(pwrite(item, content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
    const ItemId id(sha256(as_bytes("item")));
    const auto map_item = [&](Region& into, const MappedRange& range) {
        return into.map(range.at, range.length, item, range.item_offset, range.item, range.item_offset);
    };

    constexpr auto reserved = 4096 * page;
    auto state = State::fresh(reserved, GetParam());
    ASSERT_TRUE(state->region.grow(600 * page));
    state->commit();
    std::vector<Path> chain;
    std::optional<Digest> saved;
    int overlays = 0;
    int files = 0;
    for (int round = 0; round < 150; ++round) {
        auto& region = state->region;
        if (random() % 8 == 0 && region.bytes().size() < 3000 * page) {
            ASSERT_TRUE(region.grow(region.bytes().size() + random() % 90 * page));
        }
        const auto pages = region.bytes().size() / page;
        // Scattered bytes, and now and then a run that is long enough to be mapped.
        for (auto writes = random() % 20; writes > 0; --writes) {
            const auto at = random() % region.bytes().size();
            if (region.is_writable(at, 1))
                write(region, at, random() % 3 == 0 ? '\0' : static_cast<char>(random()));
        }
        if (const auto first = random() % (pages - 100); random() % 4 == 0 && region.is_writable(first * page, 90 * page))
            for (std::uint64_t i = 0; i < 90; ++i)
                write(region, (first + i) * page + 5, static_cast<char>(random()));
        if (const auto first = random() % (pages - 70); random() % 6 == 0 && region.is_writable(first * page, 33 * page)) {
            ASSERT_TRUE(region.map(first * page, 33 * page, item, 2 * page, id, 2 * page));
        }
        if (random() % 6 == 0) {
            ASSERT_TRUE(region.unmap(random() % (pages - 40) * page, page * (1 + random() % 40)));
        }
        if (random() % 5 == 0) {
            ASSERT_TRUE(region.roll_back());
            ASSERT_EQ(state->oracle(), state->root) << round;
            continue;
        }
        state->commit();
        ASSERT_EQ(state->oracle(), state->root) << round;
        if (random() % 3 != 0)
            continue;

        // Save; sometimes merge; then go on from what was saved.
        const Path path = folder / fmt::format("image-{}", files++);
        const auto kind = state->save(path, saved == state->root ? std::nullopt : saved).value();
        overlays += kind.base ? 1 : 0;
        if (!kind.base)
            chain.clear();
        chain.push_back(path);
        saved = state->root;
        if (chain.size() > 4) {
            const Path merged = folder / fmt::format("image-{}", files++);
            ASSERT_TRUE(merge(merged, chain));
            chain = {merged};
        }
        if (random() % 2 == 0) {
            auto again = State::fresh(reserved, GetParam());
            const auto loaded = again->load(chain, map_item);
            ASSERT_TRUE(loaded) << loaded.error().sentence;
            ASSERT_EQ(again->root, state->root);
            if (random() % 2 == 0) {
                ASSERT_EQ(again->oracle(), state->root) << round;
            }
            ASSERT_FALSE(again->region.damaged());
            state = std::move(again);
        }
    }
    EXPECT_GT(overlays, 10);
    close(item);
}

TEST_P(AnyHistory, of_states_that_are_put_over_one_another_has_the_root_that_the_bytes_give)
{
    if (!Region::fresh(page, GetParam()))
        GTEST_SKIP() << "this kernel has no userfaultfd WP_ASYNC (Linux 6.7 and later)";
    const TestFolder folder;
    std::mt19937 random(11);
    constexpr auto reserved = 1024 * page;
    struct Process {
        std::vector<Path> chain;
        Digest root;
    };
    std::vector<Process> processes(4);
    const auto scribble = [&](Region& region) {
        for (auto writes = random() % 30; writes > 0; --writes)
            write(region, random() % region.bytes().size(), random() % 3 == 0 ? '\0' : static_cast<char>(random()));
    };
    int files = 0;
    const auto save = [&](State& state, Process& process, const std::optional<Digest>& base) {
        const Path path = folder / fmt::format("image-{}", files++);
        if (!state.save(path, base).value().base)
            process.chain.clear();
        process.chain.push_back(path);
        process.root = state.root;
    };
    for (auto& process : processes) {
        auto state = State::fresh(reserved, GetParam());
        ASSERT_TRUE(state->region.grow((200 + random() % 100) * page));
        for (std::uint64_t i = 0; i < 150; ++i)
            write(state->region, i * page, i % 7 == 0 ? static_cast<char>(random()) : 's');  // most of it is everybody's
        state->commit();
        save(*state, process, {});
    }

    auto state = State::fresh(reserved, GetParam());
    ASSERT_TRUE(state->load(processes[0].chain)) << "nobody has seen its pages yet";
    int put_over = 0;
    for (int round = 0; round < 40; ++round) {
        auto& next = processes[random() % processes.size()];
        const auto longer = state->region.bytes().size();
        const auto put = state->overwrite(next.chain);
        ASSERT_TRUE(put) << put.error().sentence;
        if (!*put) {
            auto again = State::fresh(reserved, GetParam());
            ASSERT_TRUE(again->load(next.chain));
            ASSERT_LT(again->region.bytes().size(), longer) << "no memory becomes shorter";
            state = std::move(again);
        }
        put_over += *put ? 1 : 0;
        ASSERT_EQ(state->root, next.root) << round;
        ASSERT_EQ(state->oracle(), state->root) << round;
        state->region.saved();
        // It goes on as itself: what it writes, forgets, keeps and saves.
        scribble(state->region);
        ASSERT_TRUE(state->region.roll_back());
        ASSERT_EQ(state->oracle(), state->root) << round;
        if (random() % 8 == 0) {
            ASSERT_TRUE(state->region.grow(std::min(state->region.bytes().size() + random() % 20 * page, reserved)));
        }
        scribble(state->region);
        state->commit();
        ASSERT_EQ(state->oracle(), state->root) << round;
        save(*state, next, next.root);
    }
    EXPECT_GT(put_over, 15);
}

TEST(Image, that_is_put_over_another_state_proves_every_byte)
{
    const TestFolder folder;
    const Path path = folder / "image";
    save_a_thousand_pages(path);
    const auto good = read_file(system_files(), path).value();
    const auto image = read_image(*system_files().open(path, Files::Mode::read).value()).value();
    auto other = State::fresh(1024 * page);
    ASSERT_TRUE(other->region.grow(1000 * page));
    for (std::uint64_t i = 0; i < 1000; ++i)
        write(other->region, i * page, i < 500 ? 'a' : 'b');
    other->commit();
    ASSERT_TRUE(other->save(folder / "other"));

    const auto put_over = [&]() {
        auto state = State::fresh(1024 * page);
        EXPECT_TRUE(state->load({folder / "other"}));
        const auto put = state->overwrite({path});
        return put && *put && state->oracle() == image.root;
    };
    EXPECT_TRUE(put_over());
    // A page that is copied.
    flip(path, image.front_bytes + 700 * page + 9);
    EXPECT_FALSE(put_over());
    // A hash that says that a page is there already.
    const auto theirs = read_file(system_files(), folder / "other").value();
    auto forged = good;
    std::ranges::copy(Bytes(theirs).subspan(image.tree_at() + 700 * Digest::size, Digest::size),
        forged.begin() + static_cast<std::ptrdiff_t>(image.tree_at() + 700 * Digest::size));
    ASSERT_NE(forged, good);
    ASSERT_TRUE(write_file(system_files(), path, forged));
    EXPECT_FALSE(put_over());
    // Any other wrong hash only has a page copied that need not be.
    ASSERT_TRUE(write_file(system_files(), path, good));
    flip(path, image.tree_at() + 20);
    EXPECT_TRUE(put_over());
    // What the state before came from is damaged: that decides nothing about this image.
    flip(folder / "other", image.front_bytes + 300 * page);
    auto state = State::fresh(1024 * page);
    ASSERT_TRUE(state->load({folder / "other"}));
    EXPECT_EQ(state->overwrite({path}).value(), false);
}

TEST(Image, is_put_over_no_state_that_is_large_or_shows_an_item)
{
    const TestFolder folder;
    save_a_thousand_pages(folder / "image");
    auto large = State::fresh(4096 * page);
    ASSERT_TRUE(large->region.grow(4000 * page));
    for (std::uint64_t i = 0; i < 4000; ++i)
        write(large->region, i * page, 'a');
    large->commit();
    EXPECT_FALSE(may_be_overwritten(large->region, large->tree));
    EXPECT_EQ(large->overwrite({folder / "image"}).value(), false);

    auto mapped = State::fresh(1024 * page);
    ASSERT_TRUE(mapped->region.grow(100 * page));
    const std::string bytes(page, 'm');
    ASSERT_TRUE(mapped->region.map_bytes(0, as_bytes(bytes), ItemId(sha256(as_bytes("item"))), 0));
    mapped->commit();
    EXPECT_FALSE(may_be_overwritten(mapped->region, mapped->tree));
    EXPECT_EQ(mapped->overwrite({folder / "image"}).value(), false);
}

TEST(Image, of_a_hundred_sparse_gibibytes_is_restored_without_being_read)
{
    const TestFolder folder;
    constexpr std::uint64_t reserved = std::uint64_t{256} << 30;
    constexpr std::uint64_t length = (std::uint64_t{100} << 30);
    const auto before = resident_bytes();
    auto state = State::fresh(reserved);
    ASSERT_TRUE(state->region.grow(length));
    const std::vector<std::uint64_t> places{
        0, std::uint64_t{1} << 32, std::uint64_t{1} << 34, std::uint64_t{1} << 36, length - page};
    for (const auto at : places)
        write(state->region, at, 'x');
    state->commit();
    ASSERT_TRUE(state->save(folder / "image"));
    EXPECT_LT(std::filesystem::file_size(folder / "image"), std::uint64_t{1} << 31) << "as it looks; it is mostly holes";

    auto again = State::fresh(reserved);
    ASSERT_TRUE(again->load({folder / "image"}));
    EXPECT_EQ(again->root, state->root);
    for (const auto at : places) {
        EXPECT_EQ(again->region.bytes()[at], std::byte{'x'});
        write(again->region, at + 1, 'y');
    }
    again->commit();
    for (const auto at : places)
        write(state->region, at + 1, 'y');
    state->commit();
    EXPECT_EQ(again->root, state->root);
    EXPECT_LT(resident_bytes() - before, std::uint64_t{64} << 20) << "two of them, with their hashes";
}

TEST(Image, shows_a_changed_byte_when_it_is_touched_and_not_before)
{
    const TestFolder folder;
    const Path path = folder / "image";
    save_a_thousand_pages(path);
    const auto image = read_image(*system_files().open(path, Files::Mode::read).value()).value();
    flip(path, image.front_bytes + 500 * page + 77);

    auto again = State::fresh(1024 * page);
    ASSERT_TRUE(again->load({path}));
    EXPECT_EQ(again->region.bytes()[10 * page], std::byte{'a'});
    write(again->region, 10 * page, 'b');
    EXPECT_TRUE(again->tree.commit(again->region, globals)) << "the changed page decided nothing yet";
    const volatile auto* touched = &again->region.bytes()[500 * page];
    (void)*touched;
    EXPECT_TRUE(again->region.damaged());
    EXPECT_EQ(again->tree.commit(again->region, globals).error().code, errors::bad_image);
    EXPECT_EQ(again->save(folder / "other").error().code, errors::bad_image);
    EXPECT_FALSE(std::filesystem::exists(folder / "other"));
    EXPECT_EQ(merge(folder / "other", {path}).error().code, errors::bad_image);
    EXPECT_FALSE(std::filesystem::exists(folder / "other"));

    // Before the kernel writes there, it is found as well.
    auto third = State::fresh(1024 * page);
    ASSERT_TRUE(third->load({path}));
    EXPECT_EQ(third->region.prepare_write(501 * page, 1).error().code, errors::bad_image);
}

TEST(Image, of_other_hashes_gives_no_other_root)
{
    const TestFolder folder;
    const Path path = folder / "image";
    save_a_thousand_pages(path);
    const auto image = read_image(*system_files().open(path, Files::Mode::read).value()).value();
    // The hash of page 7, whose neighbour the guest then writes: the node above must not take it in.
    flip(path, image.tree_at() + 7 * Digest::size);
    auto again = State::fresh(1024 * page);
    ASSERT_TRUE(again->load({path}));
    write(again->region, 900 * page, 'b');
    EXPECT_TRUE(again->tree.commit(again->region, globals));
    auto third = State::fresh(1024 * page);
    ASSERT_TRUE(third->load({path}));
    EXPECT_FALSE(third->region.prepare_write(8 * page, 1));
    EXPECT_EQ(merge(folder / "other", {path}).error().code, errors::bad_image);
}

TEST(Image, that_is_an_overlay_holds_what_changed_and_needs_what_it_lies_on)
{
    const TestFolder folder;
    auto state = State::fresh(2048 * page);
    ASSERT_TRUE(state->region.grow(2000 * page));
    for (std::uint64_t i = 0; i < 2000; ++i)
        write(state->region, i * page, 'a');
    state->commit();
    EXPECT_FALSE(state->save(folder / "whole").value().base);
    const auto base = state->root;
    write(state->region, 100 * page, 'b');
    for (std::uint64_t i = 500; i < 540; ++i)
        write(state->region, i * page, 'c');
    state->commit();
    EXPECT_EQ(state->region.unsaved_pages().size(), 41U);
    const auto saved = state->save(folder / "over", base).value();
    EXPECT_TRUE(saved.base);
    EXPECT_EQ(saved.pages, 41U);
    EXPECT_TRUE(state->region.unsaved_pages().empty());
    EXPECT_LT(std::filesystem::file_size(folder / "over"), 60 * page);

    auto again = State::fresh(2048 * page);
    EXPECT_EQ(again->load({folder / "over"}).error().code, errors::bad_image);
    again = State::fresh(2048 * page);
    EXPECT_EQ(again->load({folder / "whole", folder / "whole"}).error().code, errors::bad_image);
    again = State::fresh(2048 * page);
    ASSERT_TRUE(again->load({folder / "whole", folder / "over"}));
    EXPECT_EQ(again->root, state->root);
    // A roll-back returns to the overlay's bytes, copied or mapped, and to the image's.
    for (const auto at : {std::uint64_t{100}, std::uint64_t{101}, std::uint64_t{520}, std::uint64_t{700}})
        write(again->region, at * page, 'z');
    ASSERT_TRUE(again->region.roll_back());
    EXPECT_EQ(again->oracle(), state->root);

    // A small state is written whole again after a few overlays, and needs no merging.
    std::vector<bool> overlays;
    for (std::size_t there = 1; there < 5; ++there) {
        write(state->region, there * page, 'q');
        const auto before = state->root;
        state->commit();
        const auto small = state->save(folder / "small", before, {.overlays = there}).value();
        EXPECT_TRUE(small.small);
        overlays.push_back(small.base.has_value());
    }
    EXPECT_EQ(overlays, (std::vector{true, true, false, false}));
}

TEST(Region, watches_no_longer_what_every_commit_changes)
{
    for (const auto tracker : {Tracker::kernel, Tracker::fault}) {
        if (!Region::fresh(page, tracker))
            continue;
        auto state = State::fresh(64 * page, tracker);
        ASSERT_TRUE(state->region.grow(64 * page));
        for (int i = 0; i < 10; ++i) {
            write(state->region, 3 * page, static_cast<char>('a' + i));
            state->commit();
            ASSERT_EQ(state->oracle(), state->root);
        }
        EXPECT_EQ(state->region.hot_pages(), 1U);
        EXPECT_EQ(state->region.dirty_pages().value(), (std::vector<std::uint64_t>{3})) << "it counts as written every time";
        // Once it stays the same it is watched again, and still found.
        state->commit();
        EXPECT_EQ(state->region.hot_pages(), 0U);
        EXPECT_TRUE(state->region.dirty_pages().value().empty());
        write(state->region, 3 * page, 'z');
        state->commit();
        EXPECT_EQ(state->oracle(), state->root);
    }
}

TEST(Region, finds_a_write_to_a_chunk_that_was_quiet_for_long)
{
    if (!Region::fresh(page, Tracker::kernel))
        GTEST_SKIP() << "this kernel has no userfaultfd WP_ASYNC (Linux 6.7 and later)";
    constexpr std::uint64_t chunk = std::uint64_t{64} << 20;
    auto state = State::fresh(32 * chunk, Tracker::kernel);
    ASSERT_TRUE(state->region.grow(20 * chunk));
    for (std::uint64_t i = 0; i < 20; ++i)
        write(state->region, i * chunk + 7 * page, 'a');
    state->commit();
    for (int i = 0; i < 8; ++i) {
        state->region.bytes()[0] = static_cast<std::byte>('a' + i);
        state->commit();
    }
    // Without a word to the region: the guest's own store.
    state->region.bytes()[13 * chunk + 9 * page] = std::byte{'b'};
    state->region.bytes()[13 * chunk + 7 * page] = std::byte{'c'};
    state->region.bytes()[17 * chunk + 100] = std::byte{'d'};
    const auto first = [&](std::uint64_t number) { return number * chunk / page; };
    EXPECT_EQ(state->region.dirty_pages().value(), (std::vector<std::uint64_t>{0, first(13) + 7, first(13) + 9, first(17)}));
    ASSERT_TRUE(state->region.roll_back());
    EXPECT_EQ(state->region.bytes()[13 * chunk + 7 * page], std::byte{'a'});
    EXPECT_EQ(state->region.bytes()[13 * chunk + 9 * page], std::byte{0});
    // And growing into a quiet chunk opens it.
    ASSERT_TRUE(state->region.grow(20 * chunk + 16 * page));
    state->region.bytes()[20 * chunk + 5 * page] = std::byte{'e'};
    EXPECT_TRUE(std::ranges::count(state->region.dirty_pages().value(), first(20) + 5) == 1);
}
