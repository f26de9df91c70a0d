#include "compute/refused_compiles.hpp"

#include "base/test_folder.hpp"
#include "compute/errors.hpp"

#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::compute;

namespace {
const Error too_long{errors::compilation_over_limit, "compiling the module took more than 120 s of processor time", {}};

class RefusedCompile : public testing::Test {
protected:
    RefusedCompiles with(const CompileLimits& limits) { return {system_files(), folder / "", limits}; }
    TestFolder folder;
};
}  // namespace

TEST_F(RefusedCompile, is_remembered_across_restarts_with_its_reason)
{
    EXPECT_FALSE(with({}).find("one"));
    with({}).remember("one", too_long);
    const auto found = with({}).find("one");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->code, errors::compilation_over_limit);
    EXPECT_EQ(found->sentence, too_long.sentence + ", so it is not tried again");
    EXPECT_FALSE(with({}).find("another"));
}

TEST_F(RefusedCompile, is_forgotten_when_either_limit_changes)
{
    with({}).remember("one", too_long);
    EXPECT_FALSE(with({.seconds = 240}).find("one"));
    EXPECT_FALSE(with({.bytes = std::uint64_t{8} << 30}).find("one"));
}
