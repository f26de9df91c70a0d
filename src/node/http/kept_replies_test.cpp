#include "node/http/kept_replies.hpp"

#include <gtest/gtest.h>

using namespace altiplano::node::http;

namespace {

class NoSite final : public Site {
public:
    Answer open(Request) override { return Reply{}; }
};

KeptReplies::Kept reply(std::string body)
{
    return {.head = "HTTP/1.1 200 OK\r\n", .body = std::move(body), .route = "/r"};
}

}  // namespace

TEST(KeptReplies, are_found_by_the_target_of_their_site)
{
    NoSite one;
    NoSite other;
    KeptReplies kept(10'000);
    kept.keep(one, "/a?x=1", reply("first"));
    ASSERT_TRUE(kept.find(one, "/a?x=1"));
    EXPECT_EQ(kept.find(one, "/a?x=1")->body, "first");
    EXPECT_FALSE(kept.find(one, "/a"));
    EXPECT_FALSE(kept.find(other, "/a?x=1")) << "another port serves another site";
}

TEST(KeptReplies, stay_as_they_were_first_kept)
{
    NoSite site;
    KeptReplies kept(10'000);
    kept.keep(site, "/a", reply("first"));
    kept.keep(site, "/a", reply("second"));
    EXPECT_EQ(kept.find(site, "/a")->body, "first");
}

TEST(KeptReplies, forget_what_was_not_asked_for_longest_and_stay_within_their_bytes)
{
    NoSite site;
    constexpr std::size_t most = 10'000;
    KeptReplies kept(most);
    kept.keep(site, "/asked", reply(std::string(1000, 'x')));
    const auto held = kept.find(site, "/asked");
    for (int i = 0; i < 1000; ++i) {
        kept.keep(site, "/" + std::to_string(i), reply(std::string(500, 'y')));
        EXPECT_TRUE(kept.find(site, "/asked"));
        EXPECT_LE(kept.bytes(), most);
    }
    EXPECT_FALSE(kept.find(site, "/0"));
    EXPECT_TRUE(kept.find(site, "/999"));
    for (int i = 0; i < 20; ++i)
        kept.keep(site, "/more" + std::to_string(i), reply(std::string(500, 'z')));
    EXPECT_FALSE(kept.find(site, "/asked"));
    EXPECT_EQ(held->body.size(), 1000U) << "one that is being written stays until it is";
}

TEST(KeptReplies, do_not_give_up_many_for_one_that_is_too_large)
{
    NoSite site;
    KeptReplies kept(std::size_t{1} << 20);
    kept.keep(site, "/small", reply("x"));
    kept.keep(site, "/large", reply(std::string(KeptReplies::reply_bytes_max, 'x')));
    EXPECT_TRUE(kept.find(site, "/small"));
    EXPECT_FALSE(kept.find(site, "/large"));
    KeptReplies none(0);
    none.keep(site, "/small", reply("x"));
    EXPECT_FALSE(none.find(site, "/small"));
}
