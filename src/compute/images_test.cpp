#include "compute/images.hpp"

#include "base/hash.hpp"
#include "base/test_folder.hpp"
#include "memory/region.hpp"
#include "store/sqlite/sqlite.hpp"

#include <algorithm>
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
        ASSERT_TRUE(images.put({process, slot}, root, false, [&](const File& file, const std::optional<Images::Base>& base) {
            OneFile one(file);
            auto saved =
                memory::save_image(one, "image", region, tree, {}, root, base ? std::optional(base->state) : std::nullopt,
                    {.small_state_pages = GetParam(),
                        .overlays = base ? base->overlays : 0,
                        .scattered_pages_max = 4096,
                        .durable = false});
            overlays += saved && saved->overlay ? 1U : 0U;
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
        ASSERT_TRUE(images.put({process, slot}, root, durable, [&](const File& file, const std::optional<Images::Base>&) {
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
