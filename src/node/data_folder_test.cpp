#include "node/data_folder.hpp"

#include "base/test_folder.hpp"
#include "item/errors.hpp"
#include "node/errors.hpp"

#include <sys/stat.h>

using namespace altiplano;
using namespace altiplano::node;

namespace {

unsigned mode_of(const Path& path)
{
    struct stat status{};
    EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
    return status.st_mode & 0777U;
}

}  // namespace

TEST(ADataFolder, belongs_to_one_node_until_that_lets_go)
{
    const TestFolder temporary;
    const DataFolder folder{temporary / "data"};
    auto first = folder.claim(system_files()).value();
    EXPECT_EQ(folder.claim(system_files()).error().code, errors::folder_in_use);
    EXPECT_TRUE(folder.check(system_files())) << "reading needs no lock";
    first.reset();
    EXPECT_TRUE(folder.claim(system_files()));
}

TEST(ADataFolder, of_another_version_is_refused_and_left_as_it_was)
{
    const TestFolder temporary;
    const DataFolder folder{temporary / "data"};
    folder.claim(system_files()).value().reset();
    ASSERT_TRUE(write_file(system_files(), folder.root / "VERSION", as_bytes("altiplano data folder 2\n")));
    EXPECT_EQ(folder.claim(system_files()).error().code, errors::newer_folder);
    EXPECT_EQ(folder.check(system_files()).error().code, errors::newer_folder);
    EXPECT_EQ(as_text(read_file(system_files(), folder.root / "VERSION").value()), "altiplano data folder 2\n");
}

TEST(ADataFolder, is_not_made_by_whoever_only_reads)
{
    const TestFolder temporary;
    const DataFolder folder{temporary / "data"};
    EXPECT_EQ(folder.check(system_files()).error().code, errors::no_folder);
    EXPECT_FALSE(system_files().exists(folder.root));
}

TEST(AKey, is_made_for_its_owner_s_eyes_only_and_the_same_from_then_on)
{
    const TestFolder temporary;
    const DataFolder folder{temporary / "data"};
    const auto lock = folder.claim(system_files()).value();
    const auto made = load_or_make_key(system_files(), system_random(), folder.key("authority")).value();
    EXPECT_EQ(mode_of(folder.key("authority")), 0600U);
    EXPECT_EQ(mode_of(folder.root / "keys"), 0700U);
    EXPECT_EQ(load_or_make_key(system_files(), system_random(), folder.key("authority")).value()->address(), made->address());
    EXPECT_NE(load_or_make_key(system_files(), system_random(), folder.key("scheduler")).value()->address(), made->address());
}

TEST(AKey, that_is_broken_is_refused_by_name_and_not_replaced)
{
    const TestFolder temporary;
    const auto path = temporary / "wallet.json";
    ASSERT_TRUE(write_file(system_files(), path, as_bytes("{\"kty\":\"OKP\"}")));
    const auto key = load_or_make_key(system_files(), system_random(), path);
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, item::errors::bad_key);
    EXPECT_NE(key.error().sentence.find("wallet.json"), std::string::npos);
    EXPECT_EQ(as_text(read_file(system_files(), path).value()), "{\"kty\":\"OKP\"}");
}
