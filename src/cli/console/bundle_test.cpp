#include "base/test_folder.hpp"
#include "cli/console/bundle.hpp"
#include "cli/errors.hpp"

#include <gtest/gtest.h>

namespace altiplano::cli {
namespace {

class Bundle : public testing::Test {
protected:
    void write(const std::string& name, std::string_view text)
    {
        const Path path = folder_ / name;
        ASSERT_TRUE(system_files().make_directories(path.parent_path()));
        ASSERT_TRUE(write_file(system_files(), path, as_bytes(text)));
    }
    Result<std::string> bundled(const std::string& name) { return bundle(system_files(), folder_ / name); }

    TestFolder folder_;
};

TEST_F(Bundle, keeps_the_lines_and_the_name_of_a_file)
{
    write("a.lua", "local json = require('json')\nlocal u = require(\".utils\")\nreturn 1\n");
    EXPECT_EQ(bundled("a.lua").value(),
        "return assert(load([[\nlocal json = require('json')\nlocal u = require(\".utils\")\nreturn 1\n]], \"@a.lua\"))()");
}

TEST_F(Bundle, puts_required_files_first_and_each_once)
{
    write("main.lua", "local a, b = require('lib.a'), require 'lib.b'\nreturn a .. b\n");
    write("lib/a.lua", "local b = require('b')\nreturn b\n");
    write("lib/b.lua", "return ']]'\n");
    const auto text = bundled("main.lua").value();
    const auto b = text.find("package.preload[\"b\"]"), a = text.find("package.preload[\"lib.a\"]");
    EXPECT_LT(b, a);
    EXPECT_LT(a, text.find("return a .. b"));
    EXPECT_NE(text.find("[=[\nreturn ']]'\n]=]"), text.npos);
    EXPECT_EQ(text.find("package.preload[\"lib.a\"]", a + 1), text.npos);
}

TEST_F(Bundle, says_what_it_cannot_load)
{
    write("x.txt", "");
    EXPECT_EQ(bundled("x.txt").error().code, errors::no_lua_file);
    EXPECT_EQ(bundled("x.txt").error().sentence, ".load function requires a *.lua file");
    EXPECT_EQ(bundled("missing.lua").error().code, errors::no_lua_file);
    write("one.lua", "require('two')");
    write("two.lua", "require('one')");
    EXPECT_EQ(bundled("one.lua").error().code, errors::bad_argument);
}

}  // namespace
}  // namespace altiplano::cli
