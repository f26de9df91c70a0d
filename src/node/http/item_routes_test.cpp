#include "node/http/item_routes.hpp"

#include "node/http/ranges.hpp"
#include "node/http/test_site.hpp"

#include <fmt/format.h>

using namespace altiplano;
using namespace altiplano::node;
using namespace altiplano::node::http;

namespace {

class ItemRoutes : public TestSite { };

}  // namespace

TEST(Parts, are_those_that_a_header_names)
{
    using P = std::vector<Part>;
    const auto of = [](std::string_view range) { return parts_of(range, 10).value(); };
    EXPECT_EQ(of("bytes=2-4"), (P{{2, 3}}));
    EXPECT_EQ(of("bytes=-3"), (P{{7, 3}}));
    EXPECT_EQ(of("bytes=0-1,4-5"), (P{{0, 2}, {4, 2}}));
    EXPECT_EQ(of("bytes=0-1, -2 ,4-4"), (P{{0, 2}, {8, 2}, {4, 1}}));
    EXPECT_EQ(of("bytes=0-1,10-"), (P{{0, 2}})) << "what names no byte is left out";
    EXPECT_EQ(of("bytes=0-1,x"), P{}) << "no sense, so all of it";
    EXPECT_EQ(of("bytes=0-1,"), P{});
    EXPECT_EQ(of("bytes=0-9,0-9"), P{}) << "more than there is";
    std::string many = "bytes=0-0";
    for (std::size_t i = 0; i < parts_max; ++i)
        many += ",1-1";
    EXPECT_EQ(parts_of(many, 1000).value(), P{});
    EXPECT_EQ(parts_of("bytes=10-,11-12", 10).error().code, "node.bad_range");
    EXPECT_EQ(parts_of("bytes=-1", 0).error().code, "node.bad_range");
}

TEST_F(ItemRoutes, give_several_ranges_as_parts)
{
    std::string data(100'000, 'a');
    data[70'000] = 'b';
    for (const auto& content : {std::string("0123456789"), data}) {
        const auto id = put(content, {{"Content-Type", "text/plain"}});
        const auto reply = get("/" + id, {{"range", "bytes=1-2,-3"}});
        EXPECT_EQ(reply.status, 206U);
        EXPECT_EQ(reply.content_type, "multipart/byteranges; boundary=altiplano-" + id);
        const auto size = content.size();
        const auto expected =
            fmt::format("\r\n--altiplano-{0}\r\nContent-Type: text/plain\r\nContent-Range: bytes 1-2/{1}\r\n\r\n{2}"
                        "\r\n--altiplano-{0}\r\nContent-Type: text/plain\r\nContent-Range: bytes "
                        "{3}-{4}/{1}\r\n\r\n{5}\r\n--altiplano-{0}--\r\n",
                id, size, content.substr(1, 2), size - 3, size - 1, content.substr(size - 3));
        EXPECT_EQ(text_of(reply), expected);
        // However the server cuts it.
        std::string again;
        Buffer piece(7);
        for (std::uint64_t at = 0; at < reply.data_length; at += 7) {
            piece.resize(std::min<std::uint64_t>(7, reply.data_length - at));
            ASSERT_TRUE(reply.data->read_at(at, piece));
            again += as_text(piece);
        }
        EXPECT_EQ(again, expected);
    }
}

TEST_F(ItemRoutes, say_how_much_there_is_when_a_range_names_nothing)
{
    const auto reply = get("/" + put("0123456789"), {{"range", "bytes=10-"}});
    EXPECT_EQ(reply.status, 416U);
    EXPECT_EQ(header(reply, "Content-Range"), "bytes */10");
}

TEST_F(ItemRoutes, give_a_range_only_if_the_client_has_the_same_item)
{
    const auto id = put("0123456789");
    EXPECT_EQ(get("/" + id, {{"range", "bytes=0-1"}, {"if-range", "\"" + id + "\""}}).status, 206U);
    EXPECT_EQ(get("/" + id, {{"range", "bytes=0-1"}, {"if-range", "\"another\""}}).status, 200U);
    for (const auto& list : {"\"" + id + "\"", "W/\"" + id + "\"", "\"x\", \"" + id + "\"", std::string("*")})
        EXPECT_EQ(get("/" + id, {{"if-none-match", list}}).status, 304U) << list;
    EXPECT_EQ(get("/" + id, {{"if-none-match", "\"x\", W/\"y\""}}).status, 200U);
}

TEST_F(ItemRoutes, show_tags_as_headers_and_let_no_author_set_others)
{
    const auto id = put("x",
        {{"Type", "Process"}, {"Scheduler", "s"}, {"Type", "second"}, {"Set-Cookie", "a=b"}, {"Content-Security-Policy", "none"},
            {"Location", "/"}, {"Bad\r\nName", "x"}, {"Größe", "x"}, {"Action", "a\r\nSet-Cookie: c=d"}});
    const auto reply = get("/" + id);
    EXPECT_EQ(header(reply, "Type"), "Process");
    EXPECT_EQ(header(reply, "Scheduler"), "s");
    EXPECT_EQ(header(reply, "X-Arweave-Tag-Type"), "Process");
    EXPECT_EQ(header(reply, "X-Arweave-Tag-Set-Cookie"), "a=b");
    EXPECT_EQ(header(reply, "Action"), "aSet-Cookie: c=d");
    EXPECT_EQ(header(reply, "Access-Control-Expose-Headers"), "*");
    for (const auto& [name, value] : reply.headers) {
        EXPECT_NE(name, "Set-Cookie");
        EXPECT_NE(name, "Location");
        EXPECT_NE(name, "Content-Security-Policy");
        EXPECT_EQ(name.find_first_of("\r\n"), name.npos);
        EXPECT_EQ(value.find_first_of("\r\n"), value.npos);
    }
}

TEST_F(ItemRoutes, keep_a_stranger_s_page_from_acting_here_however_its_type_is_written)
{
    for (const auto* const type : {"text/HTML", "image/svg+xml; charset=utf-8", "application/XHTML+xml", "text/xml", "text/xsl",
             "multipart/x-mixed-replace"})
        EXPECT_EQ(header(get("/" + put("x", {{"Content-Type", type}})), "Content-Security-Policy"), "sandbox") << type;
}

TEST_F(ItemRoutes, give_what_a_path_manifest_names)
{
    const auto page = put("<p>page</p>", {{"Content-Type", "text/html"}});
    const auto image = put("image", {{"Content-Type", "image/png"}});
    const auto manifest = put(
        fmt::format(R"({{"manifest":"arweave/paths","version":"0.2.0","index":{{"path":"index.html"}},"fallback":{{"id":"{0}"}},)"
                    R"("paths":{{"index.html":{{"id":"{0}"}},"img/lama.png":{{"id":"{1}"}},"gone":{{"id":"{2}"}}}}}})",
            page, image, std::string(43, 'A')),
        {{"Content-Type", "application/x.arweave-manifest+json"}});
    const auto redirected = get("/" + manifest);
    EXPECT_EQ(redirected.status, 302U);
    EXPECT_EQ(header(redirected, "Location"), "/" + manifest + "/");

    const auto index = get("/" + manifest + "/");
    EXPECT_EQ(text_of(index), "<p>page</p>");
    EXPECT_EQ(index.content_type, "text/html");
    EXPECT_EQ(header(index, "Content-Security-Policy"), "sandbox");
    EXPECT_EQ(header(index, "X-Arweave-Resolved-Id"), page);
    EXPECT_EQ(text_of(get("/" + manifest + "/img/lama.png")), "image");
    EXPECT_EQ(text_of(get("/" + manifest + "/img/lama.png", {{"range", "bytes=0-1"}})), "im");
    EXPECT_EQ(text_of(get("/" + manifest + "/any/where")), "<p>page</p>") << "the fallback";
    EXPECT_EQ(code_of(get("/" + manifest + "/gone")), "weave.unknown_item");
    EXPECT_TRUE(text_of(get("/raw/" + manifest)).starts_with("{\"manifest\"")) << "as it is";

    EXPECT_EQ(text_of(get("/" + page + "/")), "<p>page</p>");
    EXPECT_EQ(get("/" + page + "/below").status, 404U);
    const auto broken = put("no manifest", {{"Content-Type", "application/x.arweave-manifest+json"}});
    EXPECT_EQ(code_of(get("/" + broken + "/")), "weave.bad_manifest");
}
