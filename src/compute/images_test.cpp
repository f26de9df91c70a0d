#include "compute/images.hpp"

#include "base/hash.hpp"
#include "base/test_folder.hpp"
#include "memory/common_image.hpp"
#include "memory/region.hpp"
#include "store/sqlite/sqlite.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace altiplano;
using namespace altiplano::compute;

namespace {

/// What a worker does with the descriptor that it is handed.
class OneFile final : public Files {
public:
    explicit OneFile(const File& file)
        : file_(file)
    {
    }
    Result<std::unique_ptr<File>> open(const Path&, Mode) override { return adopt_file(dup(file_.descriptor())); }
    bool exists(const Path&) override { return false; }
    Result<void> rename(const Path&, const Path&) override { return {}; }
    Result<void> remove(const Path&) override { return {}; }
    Result<void> make_directories(const Path&) override { return {}; }
    Result<void> sync_directory(const Path&) override { return {}; }
    Result<void> set_read_only(const Path&) override { return {}; }
    Result<std::vector<std::string>> list(const Path&) override { return std::vector<std::string>{}; }

private:
    const File& file_;
};

}  // namespace

/// Merged in the background when there are many overlays, or written whole again.
class AnyState : public testing::TestWithParam<std::uint64_t> { };
INSTANTIATE_TEST_SUITE_P(Images, AnyState, testing::Values(16, 16384),
    [](const auto& given) { return std::string(given.param == 16 ? "large" : "small"); });

TEST_P(AnyState, of_a_day_of_checkpoints_takes_less_than_three_times_its_size)
{
    constexpr std::uint64_t pages = 2048;
    const TestFolder folder;
    ASSERT_TRUE(system_files().make_directories(folder / "images"));
    const auto cache = store::open_cache(folder / "cache.db").value();
    Images images(*cache, system_files(), folder / "images", nullptr);
    const ProcessId process(sha256(as_bytes("process")));
    auto region = memory::Region::fresh(pages * memory::page_bytes).value();
    ASSERT_TRUE(region.grow(pages * memory::page_bytes));
    memory::PageTree tree;
    for (std::uint64_t page = 0; page < pages; ++page)
        region.bytes()[page * memory::page_bytes] = std::byte{1};

    // One every ten minutes, the whole day, of a process that changes some pages here and there.
    constexpr std::uint64_t checkpoints = 24 * 6;
    std::uint64_t chance = 1;
    std::uint64_t most = 0;
    std::size_t overlays = 0;
    Digest root;
    for (std::uint64_t slot = 0; slot < checkpoints; ++slot) {
        for (int i = 0; i < 60; ++i) {
            chance = chance * 6364136223846793005U + 1442695040888963407U;
            region.bytes()[(chance >> 33) % pages * memory::page_bytes + 8] = static_cast<std::byte>(chance >> 56);
        }
        root = tree.commit(region, {}).value();
        ASSERT_TRUE(images.put({process, slot}, root, false, [&](const File& file, const Images::Bases& bases, bool) {
            OneFile one(file);
            const auto& base = bases.own;
            auto saved =
                memory::save_image(one, "image", region, tree, {}, root, base ? std::optional(base->state) : std::nullopt,
                    {.small_state_pages = GetParam(),
                        .overlays = base ? base->overlays : 0,
                        .scattered_pages_max = 4096,
                        .durable = false});
            overlays += saved && saved->base ? 1U : 0U;
            return saved;
        }));
        store::ResultRecord result;
        result.process = process;
        result.nonce = slot;
        result.state_root = root;
        ASSERT_TRUE(cache->put_result(result, {}));
        most = std::max(most, images.total().value().bytes);
    }
    EXPECT_GT(overlays, checkpoints / 2);
    EXPECT_LT(most, 3 * pages * memory::page_bytes);
    EXPECT_LE(images.total().value().files, 16U);

    // And the newest is the state.
    auto chain = images.up_to({process, checkpoints}).value();
    ASSERT_TRUE(chain);
    EXPECT_EQ(chain->state().nonce, checkpoints - 1);
    EXPECT_EQ(chain->state().state_root, root);
    std::vector<const File*> layers;
    for (const auto& layer : chain->layers)
        layers.push_back(layer.get());
    auto again = memory::Region::fresh(pages * memory::page_bytes).value();
    memory::PageTree other;
    const auto loaded = memory::load_image(
        layers, again, other, [](memory::Region&, const memory::MappedRange&) -> Result<void> { return fail("test.none", ""); });
    ASSERT_TRUE(loaded);
    EXPECT_TRUE(std::ranges::equal(again.bytes(), region.bytes()));
}

TEST(Images, that_need_not_be_durable_are_recorded_together_and_a_crash_takes_the_newest)
{
    const TestFolder folder;
    ASSERT_TRUE(system_files().make_directories(folder / "images"));
    const auto cache = store::open_cache(folder / "cache.db").value();
    auto region = memory::Region::fresh(64 * memory::page_bytes).value();
    ASSERT_TRUE(region.grow(64 * memory::page_bytes));
    memory::PageTree tree;
    const auto put = [&](Images& images, const ProcessId& process, std::uint64_t slot, bool durable) {
        region.bytes()[0] = static_cast<std::byte>(slot + 1);
        const auto root = tree.commit(region, {}).value();
        ASSERT_TRUE(images.put({process, slot}, root, durable, [&](const File& file, const Images::Bases&, bool) {
            OneFile one(file);
            return memory::save_image(one, "image", region, tree, {}, root, {}, {.durable = durable});
        }));
        store::ResultRecord result;
        result.process = process;
        result.nonce = slot;
        result.state_root = root;
        ASSERT_TRUE(cache->put_result(result, {}));
    };
    const auto newest = [&](Images& images, const ProcessId& process) {
        const auto chain = images.up_to({process, 100}).value();
        return chain ? chain->state().nonce : 100;
    };
    const ProcessId process(sha256(as_bytes("process")));
    Images images(*cache, system_files(), folder / "images", nullptr);
    put(images, process, 0, true);
    for (std::uint64_t slot = 1; slot < 3; ++slot)
        put(images, process, slot, false);
    EXPECT_EQ(newest(images, process), 2U);
    EXPECT_EQ(cache->images(process).value().size(), 1U);
    // Whoever begins with what is on disk now finds the older one, whole.
    {
        Images after(*cache, system_files(), folder / "images", nullptr);
        EXPECT_EQ(newest(after, process), 0U);
    }
    // With some more they are written, and what is not needed any more goes.
    for (std::uint64_t other = 0; other < 32; ++other)
        put(images, ProcessId(sha256(as_bytes(std::to_string(other)))), 0, false);
    const auto recorded = cache->images(process).value();
    ASSERT_EQ(recorded.size(), 2U);
    EXPECT_EQ(recorded.front().nonce, 2U);
    EXPECT_FALSE(system_files().exists(folder / "images" / (process.text() + "-0")));
    // A durable one takes those along that wait.
    put(images, process, 6, false);
    put(images, ProcessId(sha256(as_bytes("other"))), 0, true);
    EXPECT_EQ(cache->images(process).value().front().nonce, 6U);
}

namespace {

/// States of processes of one module: a hundred pages of which a few differ.
class Likes : public testing::Test {
protected:
    static constexpr std::uint64_t pages = 112;
    struct State {
        memory::Region region = memory::Region::fresh(pages * memory::page_bytes).value();
        memory::PageTree tree{};
        Digest root{};
    };

    Likes() { EXPECT_TRUE(system_files().make_directories(folder / "images")); }
    /// The state of process `number` after slot `nonce`, from nothing.
    static std::unique_ptr<State> state(std::uint64_t number, std::uint64_t nonce)
    {
        auto state = std::make_unique<State>();
        EXPECT_TRUE(state->region.grow(pages * memory::page_bytes));
        for (std::uint64_t at = 0; at < pages * memory::page_bytes; at += 64)
            state->region.bytes()[at] = static_cast<std::byte>(at / 64 + 1);
        for (std::uint64_t i = 0; i <= nonce; ++i) {
            state->region.bytes()[(7 + 5 * i) % pages * memory::page_bytes + 100] = static_cast<std::byte>(number + 1);
            state->region.bytes()[200] = static_cast<std::byte>(i + 1);
        }
        state->root = state->tree.commit(state->region, {}).value();
        return state;
    }
    static ProcessId process(std::uint64_t number) { return ProcessId(sha256(as_bytes(fmt::format("process {}", number)))); }
    /// @param of_module  none: of none that has a common image
    void put(Images& images, std::uint64_t number, std::uint64_t nonce, const std::optional<Digest>& of_module)
    {
        const auto now = state(number, nonce);
        ASSERT_TRUE(images.put(
            {process(number), nonce}, now->root, false,
            [&](const File& file, const Images::Bases& bases, bool durable) {
                OneFile one(file);
                const auto common = bases.common ? memory::CommonImage::read(*bases.common->file).value() : nullptr;
                return memory::save_image(
                    one, "image", now->region, now->tree, {}, now->root, {}, {.durable = durable}, common.get());
            },
            of_module));
        store::ResultRecord result;
        result.process = process(number);
        result.nonce = nonce;
        result.state_root = now->root;
        ASSERT_TRUE(cache->put_result(result, {}));
    }
    /// Whether the newest image is what the state after `nonce` was.
    static testing::AssertionResult comes_back(Images& images, std::uint64_t number, std::uint64_t nonce)
    {
        const auto chain = images.up_to({process(number), 1000}).value();
        if (!chain || chain->state().nonce != nonce)
            return testing::AssertionFailure() << "no image of slot " << nonce;
        std::vector<const File*> layers;
        for (const auto& layer : chain->layers)
            layers.push_back(layer.get());
        State again;
        const auto loaded = memory::load_image(layers, again.region, again.tree,
            [](memory::Region&, const memory::MappedRange&) -> Result<void> { return fail("test.none", ""); });
        if (!loaded || !again.region.examine({0, pages}) || again.region.damaged()) {
            images.drop(*chain);
            return testing::AssertionFailure() << "it is damaged";
        }
        return std::ranges::equal(again.region.bytes(), state(number, nonce)->region.bytes())
            ? testing::AssertionSuccess()
            : testing::AssertionFailure() << "other bytes";
    }
    std::size_t files_like(std::string_view end) const
    {
        const auto names = system_files().list(folder / "images").value();
        return static_cast<std::size_t>(
            std::ranges::count_if(names, [&](const std::string& name) { return name.ends_with(end); }));
    }

    const TestFolder folder;
    std::unique_ptr<store::Cache> cache = store::open_cache(folder / "cache.db").value();
    const Digest module = sha256(as_bytes("module"));
};

}  // namespace

TEST_F(Likes, share_what_they_have_in_common_and_come_back_after_a_restart)
{
    constexpr std::uint64_t processes = 40;
    {
        Images images(*cache, system_files(), folder / "images", nullptr);
        for (std::uint64_t number = 0; number < processes; ++number)
            put(images, number, 0, module);
        EXPECT_EQ(files_like("-common"), 1U);
        EXPECT_LT(images.total().value().bytes, (2 * pages + processes * 7) * memory::page_bytes);
        for (std::uint64_t number = 0; number < processes; ++number)
            EXPECT_TRUE(comes_back(images, number, 0));
        // One whose module has none, and one that is no longer young, is written whole.
        put(images, 100, 0, std::nullopt);
        EXPECT_GT(images.stored_bytes(process(100)).value(), pages / 2 * memory::page_bytes);
        put(images, 101, 50, sha256(as_bytes("another")));
        EXPECT_GT(images.stored_bytes(process(101)).value(), pages / 2 * memory::page_bytes);
        EXPECT_EQ(files_like("-common"), 1U);
    }
    Images images(*cache, system_files(), folder / "images", nullptr);
    ASSERT_TRUE(images.sweep());
    EXPECT_EQ(files_like("-common"), 1U);
    for (std::uint64_t number = 0; number < processes; ++number)
        EXPECT_TRUE(comes_back(images, number, 0));
    put(images, 7, 1, module);
    EXPECT_LT(images.stored_bytes(process(7)).value(), 16 * memory::page_bytes) << "it goes on with that one";
    EXPECT_TRUE(comes_back(images, 7, 1));
}

TEST_F(Likes, go_on_with_each_others_files)
{
    Images images(*cache, system_files(), folder / "images", nullptr);
    constexpr std::uint64_t processes = 40;
    constexpr std::uint64_t slots = 12;
    for (std::uint64_t nonce = 0; nonce < slots; ++nonce)
        for (std::uint64_t number = 0; number < processes; ++number)
            put(images, number, nonce, module);
    for (std::uint64_t number = 0; number < processes; ++number)
        EXPECT_TRUE(comes_back(images, number, slots - 1));
    // The same slot again, of a log that was taken back.
    put(images, 3, slots - 2, module);
    for (std::uint64_t number = 0; number < processes; ++number)
        if (number != 3) {
            EXPECT_TRUE(comes_back(images, number, slots - 1));
        }
    // Two states of each, and some files that wait for the next.
    EXPECT_LT(images.total().value().files, 2 * processes + 64 + 1);
    ASSERT_TRUE(images.sweep());
    EXPECT_LE(images.total().value().files, 2 * processes + 1);
    for (std::uint64_t number = 4; number < processes; ++number)
        EXPECT_TRUE(comes_back(images, number, slots - 1));
}

TEST_F(Likes, of_a_day_of_checkpoints_take_less_than_three_times_their_size_with_what_they_share)
{
    Images images(*cache, system_files(), folder / "images", nullptr);
    constexpr std::uint64_t processes = 3;
    constexpr std::uint64_t checkpoints = 24 * 6;  // one every ten minutes
    std::uint64_t most = 0;
    for (std::uint64_t slot = 0; slot < checkpoints; ++slot)
        for (std::uint64_t number = 0; number < processes; ++number) {
            put(images, number, slot, module);
            if (slot > 0)
                most = std::max(most, images.total().value().bytes);
        }
    EXPECT_EQ(files_like("-common"), 1U);
    EXPECT_LT(most, 3 * processes * pages * memory::page_bytes);
    for (std::uint64_t number = 0; number < processes; ++number)
        EXPECT_TRUE(comes_back(images, number, checkpoints - 1));
}

TEST_F(Likes, lose_time_and_nothing_else_when_what_they_lie_on_is_damaged)
{
    Images images(*cache, system_files(), folder / "images", nullptr);
    for (std::uint64_t number = 0; number < 4; ++number)
        put(images, number, 0, module);
    // One that is broken itself goes alone.
    const auto own = folder / "images" / (process(1).text() + "-0");
    auto bytes = read_file(system_files(), own).value();
    bytes.back() ^= std::byte{1};
    ASSERT_TRUE(write_file(system_files(), own, bytes));
    EXPECT_FALSE(comes_back(images, 1, 0));
    EXPECT_EQ(files_like("-common"), 1U);
    EXPECT_TRUE(comes_back(images, 2, 0));
    // A page of what they all lie on: whoever comes first finds it, and it goes.
    const auto names = system_files().list(folder / "images").value();
    for (const auto& name : names)
        if (name.ends_with("-common")) {
            auto common = read_file(system_files(), folder / "images" / name).value();
            common[40 * memory::page_bytes] ^= std::byte{1};
            ASSERT_TRUE(write_file(system_files(), folder / "images" / name, common));
        }
    EXPECT_FALSE(comes_back(images, 2, 0));
    EXPECT_EQ(files_like("-common"), 0U);
    EXPECT_FALSE(images.up_to({process(3), 1000}).value()) << "what it lay on is not there";
    // The next to be saved makes another.
    put(images, 5, 1, module);
    EXPECT_EQ(files_like("-common"), 1U);
    EXPECT_TRUE(comes_back(images, 5, 1));
    put(images, 3, 1, module);
    EXPECT_TRUE(comes_back(images, 3, 1));
}
