#include "store/references.hpp"

#include "base/test_folder.hpp"
#include "store/errors.hpp"

#include <chrono>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace altiplano::store {
namespace {

TEST(References, make_a_blob_of_a_file_that_lies_elsewhere_and_stays_there)
{
    const TestFolder folder;
    auto& files = system_files();
    const auto blobs = Blobs::open(files, folder / "blobs").value();
    const Path file = folder / "model.gguf";
    const std::string content(100'000, 'm');
    ASSERT_TRUE(write_file(files, file, as_bytes(content)));
    const auto hash = sha256(as_bytes(content));
    ASSERT_TRUE(refer(files, *blobs, file, hash));
    EXPECT_EQ(blobs->read(hash).value()->size().value(), content.size());
    EXPECT_EQ(all_referred(files, folder / "blobs").value(), std::vector<Path>{file});
    EXPECT_EQ(blobs->scrub().value(), std::vector<Digest>{});

    // Whoever owns the file may write to it, which shows.
    const auto before = changed_ns(*blobs, hash);
    EXPECT_NE(before, 0);
    std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() + std::chrono::seconds(5));
    EXPECT_NE(changed_ns(*blobs, hash), before);

    ASSERT_TRUE(forget(files, *blobs, hash));
    EXPECT_EQ(blobs->read(hash).error().code, errors::not_found);
    EXPECT_TRUE(files.exists(file));
    EXPECT_EQ(forget(files, *blobs, hash).error().code, errors::not_found);
}

TEST(References, are_hashed_the_same_when_the_cache_gets_their_files_in_large_pieces)
{
    const TestFolder folder;
    auto& files = system_files();
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{5}, std::size_t{4096}, (std::size_t{64} << 20) + 12345}) {
        const Path path = folder / fmt::format("{}", bytes);
        const std::string content(bytes, 'm');
        ASSERT_TRUE(write_file(files, path, as_bytes(content)));
        const auto file = files.open(path, Files::Mode::read).value();
        const auto hash = sha256_of(*file, Cached::in_large_pieces).value();
        EXPECT_EQ(hash, sha256(as_bytes(content)));
        EXPECT_EQ(hash, sha256_of(*file).value());
    }
}

TEST(References, are_none_for_blobs_of_our_own)
{
    const TestFolder folder;
    const auto blobs = Blobs::open(system_files(), folder / "blobs").value();
    const auto writer = blobs->write().value();
    ASSERT_TRUE(writer->append(as_bytes("ours")));
    const auto hash = writer->finish().value();
    EXPECT_EQ(changed_ns(*blobs, hash), 0);
    EXPECT_EQ(forget(system_files(), *blobs, hash).error().code, errors::not_found);
    EXPECT_TRUE(blobs->read(hash));
}

}  // namespace
}  // namespace altiplano::store
