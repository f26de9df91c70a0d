#include "base/test_folder.hpp"
#include "memory/errors.hpp"
#include "memory/packed_pages.hpp"
#include "memory/test_state.hpp"

#include <algorithm>
#include <filesystem>
#include <random>

using namespace altiplano;
using namespace altiplano::memory;

namespace {

constexpr std::uint64_t pages = 200;

/// A state that others resemble: some text in every page, and a hole.
std::unique_ptr<State> young()
{
    auto state = State::fresh(1024 * page);
    EXPECT_TRUE(state->region.grow(256 * page));
    for (std::uint64_t i = 0; i < pages; ++i)
        for (std::uint64_t at = 0; at < page && i != 77; at += 40)
            write(state->region, i * page + at, static_cast<char>('a' + at % 26));
    state->commit();
    return state;
}

KeptImage common_at(const Path& path)
{
    return CommonImage::read(*system_files().open(path, Files::Mode::read).value()).value();
}

}  // namespace

TEST(PackedPage, holds_the_words_that_differ)
{
    std::mt19937 random(3);
    for (int round = 0; round < 200; ++round) {
        Buffer other(page);
        for (auto& byte : other)
            byte = static_cast<std::byte>(random());
        auto changed = other;
        const auto count = round % 3 == 0 ? 4096U : static_cast<unsigned>(round % 20);
        for (unsigned i = 0; i < count; ++i)
            changed[random() % page] = static_cast<std::byte>(random());
        Buffer packed;
        pack_page(changed, other, packed);
        EXPECT_LE(packed.size(), std::min<std::size_t>(packed_page_bytes_max, 64 + count * 8));
        for (const auto less : {std::size_t{1}, packed.size() / 2, packed.size()})
            EXPECT_FALSE(first_packed(Bytes(packed).first(packed.size() - less)));
        append(packed, as_bytes("what follows"));
        const auto first = first_packed(packed);
        ASSERT_TRUE(first);
        EXPECT_EQ(first->size(), packed.size() - 12);
        auto unpacked = other;
        unpack_page(*first, unpacked);
        EXPECT_EQ(unpacked, changed);
    }
}

TEST(CommonImage, takes_random_histories_of_its_likes_as_little_files_that_come_back_equal)
{
    const TestFolder folder;
    std::mt19937 random(11);
    auto first = young();
    ASSERT_TRUE(first->save(folder / "common"));
    const auto common = common_at(folder / "common");
    EXPECT_EQ(common->root(), first->root);
    auto other = young();  // that each state is put over
    for (int round = 0; round < 30; ++round) {
        auto state = young();
        if (round % 4 == 1) {
            ASSERT_TRUE(state->region.grow((256 + random() % 100) * page));
        }
        for (auto writes = random() % 600; writes > 0; --writes)
            write(state->region, random() % state->region.bytes().size(), static_cast<char>(random()));
        // Pages that were zeros, and pages that become zeros.
        write(state->region, 77 * page + 5, 'x');
        if (round % 3 == 0)
            std::ranges::fill(state->region.bytes().subspan(9 * page, 2 * page), std::byte{});
        state->commit();
        const Path path = folder / "packed";
        const auto saved = state->save(path, {}, {}, common.get()).value();
        ASSERT_EQ(saved.base, common->root());
        EXPECT_TRUE(saved.small);
        EXPECT_LT(std::filesystem::file_size(path), pages * page / 2);

        auto again = State::fresh(1024 * page);
        ASSERT_TRUE(again->load({folder / "common", path}));
        EXPECT_EQ(again->root, state->root);
        EXPECT_TRUE(std::ranges::equal(again->region.bytes(), state->region.bytes()));
        EXPECT_EQ(again->oracle(), state->root);
        // What came from it is written the same way.
        ASSERT_TRUE(again->save(folder / "again", {}, {}, common.get()));
        EXPECT_EQ(read_file(system_files(), folder / "again").value(), read_file(system_files(), path).value());

        if (other->region.bytes().size() > state->region.bytes().size())
            other = young();
        ASSERT_TRUE(other->overwrite({folder / "common", path}).value()) << round;
        EXPECT_TRUE(std::ranges::equal(other->region.bytes(), state->region.bytes()));
    }
}

TEST(CommonImage, is_nothing_for_states_that_do_not_resemble_it)
{
    const TestFolder folder;
    auto first = young();
    ASSERT_TRUE(first->save(folder / "common"));
    const auto common = common_at(folder / "common");
    std::mt19937 random(5);
    for (std::uint64_t at = 0; at < pages * page; at += 8)
        write(first->region, at, static_cast<char>(random()));
    first->commit();
    EXPECT_FALSE(first->save(folder / "whole", {}, {}, common.get()).value().base);
    auto again = State::fresh(1024 * page);
    EXPECT_TRUE(again->load({folder / "whole"}));
    EXPECT_EQ(again->oracle(), first->root);

    // A memory shorter than that one, and one that is too long to be packed.
    auto state = State::fresh(1024 * page);
    ASSERT_TRUE(state->region.grow(16 * page));
    write(state->region, 0, 'a');
    state->commit();
    EXPECT_FALSE(state->save(folder / "short", {}, {}, common.get()).value().base);
    state = State::fresh(2 * overwritten_memory_bytes);
    ASSERT_TRUE(state->region.grow(overwritten_memory_bytes + page));
    state->commit();
    EXPECT_FALSE(state->save(folder / "long", {}, {}, common.get()).value().base);
    EXPECT_EQ(
        CommonImage::read(*system_files().open(folder / "long", Files::Mode::read).value()).error().code, errors::bad_image);
}

TEST(CommonImage, and_what_lies_on_it_show_each_changed_byte)
{
    const TestFolder folder;
    auto first = young();
    ASSERT_TRUE(first->save(folder / "common"));
    const auto common = common_at(folder / "common");
    for (std::uint64_t i = 0; i < 40; ++i)
        write(first->region, i * 5 * page + 13 * i, 'Z');
    first->commit();
    ASSERT_TRUE(first->save(folder / "packed", {}, {}, common.get()));
    EXPECT_TRUE(check_whole_image(*system_files().open(folder / "common", Files::Mode::read).value()));

    // Whether the state comes back, and as what it was.
    const auto is_right = [&](bool over) {
        auto state = over ? young() : State::fresh(1024 * page);
        if (over)
            return state->overwrite({folder / "common", folder / "packed"}).value_or(false);
        return state->load({folder / "common", folder / "packed"})
            && state->region.examine({0, state->region.bytes().size() / page}) && !state->region.damaged()
            && state->oracle() == first->root;
    };
    EXPECT_TRUE(is_right(false));
    EXPECT_TRUE(is_right(true));
    std::mt19937 random(2);
    int rejected = 0;
    for (int round = 0; round < 150; ++round) {
        const Path path = folder / (round % 3 == 0 ? "common" : "packed");
        const auto size = std::filesystem::file_size(path);
        const auto whole = read_file(system_files(), path).value();
        const bool is_cut = round % 5 == 4;
        const auto at = random() % size;
        if (is_cut)
            std::filesystem::resize_file(path, at);
        else
            flip(path, at);
        // A page that was never read from there, or a byte that nothing follows from, makes no difference: `is_right` compares
        // roots.
        const bool comes_back = is_right(false);
        const bool is_put_over = is_right(true);
        EXPECT_FALSE(is_cut && round % 3 != 0 && (comes_back || is_put_over));
        rejected += comes_back && is_put_over ? 0 : 1;
        ASSERT_TRUE(write_file(system_files(), path, whole));
    }
    EXPECT_GT(rejected, 100);
    // A packed one lies on nothing else, and nothing on it but a whole one.
    auto state = State::fresh(1024 * page);
    EXPECT_EQ(state->load({folder / "packed"}).error().code, errors::bad_image);
    state = State::fresh(1024 * page);
    EXPECT_EQ(state->load({folder / "common", folder / "packed", folder / "packed"}).error().code, errors::bad_image);
    flip(folder / "common", 5 * page + 1);
    EXPECT_EQ(
        check_whole_image(*system_files().open(folder / "common", Files::Mode::read).value()).error().code, errors::bad_image);
}
