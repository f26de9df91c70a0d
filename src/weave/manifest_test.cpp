#include "weave/manifest.hpp"

#include "base/hash.hpp"
#include "weave/errors.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::weave;

namespace {

ItemId id(std::string_view name)
{
    return ItemId(sha256(as_bytes(name)));
}

std::string manifest(std::string_view version, std::string_view index, std::string_view fallback = "")
{
    return fmt::format(R"({{"manifest":"arweave/paths","version":"{}","index":{},{}"paths":{{"index.html":{{"id":"{}"}},)"
                       R"("img/lama.png":{{"id":"{}"}},"größe":{{"id":"{}"}},"folder/":{{"id":"{}"}}}}}})",
        version, index, fallback, id("index").text(), id("lama").text(), id("größe").text(), id("folder").text());
}

std::string entry(std::string_view name)
{
    return fmt::format(R"({{"id":"{}"}})", id(name).text());
}

}  // namespace

TEST(Manifest, has_an_item_for_each_path_and_its_index_for_none)
{
    const auto one = manifest("0.1.0", R"({"path":"index.html"})");
    EXPECT_EQ(resolve_path(one, "").value(), id("index"));
    EXPECT_EQ(resolve_path(one, "index.html").value(), id("index"));
    EXPECT_EQ(resolve_path(one, "img/lama.png").value(), id("lama"));
    EXPECT_EQ(resolve_path(one, "größe").value(), id("größe"));
    EXPECT_EQ(resolve_path(one, "img/lama.png/").value(), id("lama"));
    EXPECT_EQ(resolve_path(one, "folder").value(), id("folder"));
    EXPECT_EQ(resolve_path(one, "img").error().code, errors::unknown_path);
    EXPECT_EQ(resolve_path(one, "../index.html").error().code, errors::unknown_path);
}

TEST(Manifest, of_version_0_2_0_names_its_index_by_id_and_has_a_fallback)
{
    const auto one = manifest("0.2.0", entry("other"), "\"fallback\":" + entry("lost") + ",");
    EXPECT_EQ(resolve_path(one, "").value(), id("other"));
    EXPECT_EQ(resolve_path(one, "nothing/here").value(), id("lost"));
    EXPECT_EQ(resolve_path(one, "img/lama.png").value(), id("lama"));
}

TEST(Manifest, that_cannot_be_read_is_refused)
{
    for (const auto* const text : {"", "[]", "{", "{}", R"({"manifest":"arweave/paths"})",
             R"({"manifest":"arweave/paths","version":"0.3.0","paths":{}})", R"({"manifest":7,"version":"0.1.0"})",
             R"({"manifest":"arweave/paths","version":"0.1.0","paths":{"a":{"id":"short"}}})"})
        EXPECT_EQ(resolve_path(text, "a").error().code, errors::bad_manifest) << text;
    EXPECT_EQ(resolve_path(manifest("0.1.0", "{}"), "").error().code, errors::unknown_path);
    EXPECT_EQ(resolve_path(manifest("0.1.0", "null"), "").error().code, errors::unknown_path);
    EXPECT_EQ(
        resolve_path(R"({"manifest":"arweave/paths","version":"0.1.0","paths":[1]})", "a").error().code, errors::unknown_path);
}
