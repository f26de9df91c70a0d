#include "node/config.hpp"

#include "base/json.hpp"
#include "base/test_folder.hpp"
#include "node/errors.hpp"

#include <set>

namespace altiplano::node {

namespace {

class AConfig : public testing::Test {
protected:
    Result<Config> load(std::string_view file = "", Config::Flags flags = {}, std::map<std::string, std::string> environment = {})
    {
        Path path;
        if (!file.empty()) {
            path = folder / "node.toml";
            EXPECT_TRUE(write_file(system_files(), path, as_bytes(file)));
        }
        return Config::load(
            path, system_files(),
            [&](const std::string& name) -> std::optional<std::string> {
                const auto found = environment.find(name);
                return found == environment.end() ? std::nullopt : std::optional(found->second);
            },
            flags);
    }
    TestFolder folder;
};

}  // namespace

TEST_F(AConfig, has_a_default_for_every_key_that_fits_its_own_type)
{
    const auto config = load().value();
    std::set<std::string> names;
    for (const auto& setting : Config::table()) {
        EXPECT_TRUE(names.insert(std::string(setting.name)).second) << setting.name << " stands twice";
        EXPECT_EQ(config.origin(setting.name), "default");
        EXPECT_FALSE(setting.sentence.empty());
    }
    EXPECT_EQ(config.number("port"), 4000);
    EXPECT_TRUE(config.boolean("alias_ports"));
    EXPECT_EQ(config.list("units"), (std::vector<std::string>{"scheduler", "compute", "messenger", "gateway"}));
    EXPECT_TRUE(config.map("aliases").empty());
}

TEST_F(AConfig, takes_a_flag_before_the_environment_before_the_file)
{
    const auto file = "port = 1\nwarm = 2\nworkers = 3\n";
    const auto config = load(file, {{"port", "11"}}, {{"ALTIPLANO_PORT", "12"}, {"ALTIPLANO_WARM", "13"}}).value();
    EXPECT_EQ(config.number("port"), 11);
    EXPECT_EQ(config.origin("port"), "--port");
    EXPECT_EQ(config.number("warm"), 13);
    EXPECT_EQ(config.origin("warm"), "ALTIPLANO_WARM");
    EXPECT_EQ(config.number("workers"), 3);
    EXPECT_EQ(config.origin("workers"), (folder / "node.toml").string() + ":3");
}

TEST_F(AConfig, reads_every_type_from_each_place)
{
    const auto file = R"(
hosts = ["a", "b"]
alias_ports = false
address = "::1"
[aliases]
one = "two"
)";
    const auto config = load(file).value();
    EXPECT_EQ(config.list("hosts"), (std::vector<std::string>{"a", "b"}));
    EXPECT_FALSE(config.boolean("alias_ports"));
    EXPECT_EQ(config.text("address"), "::1");
    EXPECT_EQ(config.map("aliases").at("one"), "two");

    const auto flags = load("", {{"hosts", "c,d"}, {"alias_ports", "no"}, {"aliases", "x=y,z=Name=w"}}).value();
    EXPECT_EQ(flags.list("hosts"), (std::vector<std::string>{"c", "d"}));
    EXPECT_FALSE(flags.boolean("alias_ports"));
    EXPECT_EQ(flags.map("aliases").at("z"), "Name=w");
}

TEST_F(AConfig, names_line_and_nearest_key_of_one_that_it_does_not_know)
{
    const auto config = load("port = 1\n\nalias_port = true\n");
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().code, errors::bad_config);
    EXPECT_NE(config.error().sentence.find("node.toml:3: there is no setting 'alias_port'"), std::string::npos)
        << config.error().sentence;
    EXPECT_EQ(config.error().hint, "did you mean 'alias_ports'?");
    EXPECT_NE(load("zzzzzzzzzzzz = 1\n").error().hint.find("altiplano config show"), std::string::npos);
}

TEST_F(AConfig, refuses_values_that_do_not_fit)
{
    for (const auto* file : {"port = 70000\n", "port = -1\n", "port = \"x\"\n", "hosts = \"a\"\n", "hosts = [1]\n",
             "alias_ports = 1\n", "tracker = \"magic\"\n", "aliases = 3\n", "[aliases]\na = 1\n", "port = \n",
             "port = 1\nport = 2\n", "[port]\nx = 1\n"}) {
        const auto config = load(file);
        ASSERT_FALSE(config) << file;
        EXPECT_EQ(config.error().code, errors::bad_config);
        EXPECT_NE(config.error().sentence.find("node.toml:"), std::string::npos) << config.error().sentence;
    }
    EXPECT_EQ(load("", {{"port", "many"}}).error().sentence, "--port: port is a whole number from 0 to 65535, not 'many'");
    EXPECT_EQ(load("", {}, {{"ALTIPLANO_ALIAS_PORTS", "maybe"}}).error().code, errors::bad_config);
    EXPECT_EQ(load("", {{"aliases", "nothing"}}).error().code, errors::bad_config);
}

TEST_F(AConfig, is_shown_as_a_file_that_says_the_same)
{
    const auto config = load("port = 1\nhosts = [\"a\\\"b\"]\n[aliases]\n\"x-1\" = \"y\"\n").value();
    for (const bool explain : {false, true}) {
        const auto again = load(config.toml(explain));
        ASSERT_TRUE(again) << again.error().sentence;
        EXPECT_EQ(again->number("port"), 1);
        EXPECT_EQ(again->list("hosts"), config.list("hosts"));
        EXPECT_EQ(again->map("aliases"), config.map("aliases"));
        EXPECT_EQ(again->toml(false), config.toml(false));
    }
    EXPECT_NE(config.toml(true).find("ALTIPLANO_PORT, --port"), std::string::npos);
    const auto json = config.json();
    EXPECT_EQ(JsonView::parse(json)->find("port")->find("value")->integer(), 1);
}

TEST_F(AConfig, shows_no_key)
{
    const auto config = load("", {{"api_keys", "0123456789abcdef"}}).value();
    EXPECT_EQ(config.toml(true).find("0123456789abcdef"), std::string::npos);
    EXPECT_EQ(config.json().find("0123456789abcdef"), std::string::npos);
    EXPECT_EQ(config.list("api_keys").size(), 1);
}

}  // namespace altiplano::node
