#include "store/sqlite/checked.hpp"

#include "store/sqlite/database.hpp"

#include <filesystem>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

namespace altiplano::store::sqlite {
namespace {

class ADurableDatabase : public testing::Test {
protected:
    ADurableDatabase()
    {
        std::string name = std::filesystem::temp_directory_path() / "altiplano-checked-XXXXXX";
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        folder_ = name;
    }
    ~ADurableDatabase() override
    {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    std::unique_ptr<Database> open() { return Database::open(folder_ / "a.db", Database::Durable::full).value(); }
    std::uintmax_t log_bytes() const { return std::filesystem::file_size(folder_ / "a.db-wal"); }
    static std::int64_t sum(Database& database)
    {
        auto statement = database.prepare("SELECT coalesce(sum(length(bytes)), 0) FROM t");
        EXPECT_TRUE(statement.step().value());
        return statement.number(0);
    }
    static void fill(Database& database, int rows)
    {
        for (int i = 0; i < rows; ++i) {
            const auto done = database.prepare("INSERT INTO t VALUES (randomblob(4000))").run();
            ASSERT_TRUE(done) << done.error().sentence;
        }
    }
    Path folder_;
};

TEST_F(ADurableDatabase, holds_its_log_back_until_a_commit_and_no_longer)
{
    const auto writer = open();
    ASSERT_TRUE(writer->execute("CREATE TABLE t (bytes BLOB)"));
    const auto reader = open();
    ASSERT_TRUE(writer->execute("PRAGMA cache_size = 10; BEGIN"));  // what it does not hold goes to the log at once
    const auto before = log_bytes();
    fill(*writer, 12);
    EXPECT_EQ(log_bytes(), before);
    fill(*writer, 88);
    EXPECT_EQ(sum(*reader), 0);
    ASSERT_TRUE(writer->execute("COMMIT"));
    EXPECT_GE(log_bytes(), before + std::uintmax_t{100} * 4096);
    EXPECT_EQ(sum(*reader), 400'000);
}

TEST_F(ADurableDatabase, reads_back_within_a_transaction_what_its_log_holds)
{
    const auto writer = open();
    ASSERT_TRUE(writer->execute("CREATE TABLE t (bytes BLOB); PRAGMA cache_size = 10; BEGIN"));
    fill(*writer, 1000);  // more than is held back at once
    EXPECT_EQ(sum(*writer), 4'000'000);
    ASSERT_TRUE(writer->execute("SAVEPOINT one"));
    fill(*writer, 100);
    ASSERT_TRUE(writer->execute("ROLLBACK TO one; RELEASE one; COMMIT"));
    EXPECT_EQ(sum(*writer), 4'000'000);
    EXPECT_EQ(sum(*open()), 4'000'000);
}

TEST_F(ADurableDatabase, goes_on_after_a_transaction_that_was_taken_back_and_after_its_log_began_anew)
{
    const auto writer = open();
    ASSERT_TRUE(writer->execute("CREATE TABLE t (bytes BLOB); PRAGMA cache_size = 10"));
    for (int round = 0; round < 5; ++round) {
        ASSERT_TRUE(writer->execute("BEGIN"));
        fill(*writer, 50);
        ASSERT_TRUE(writer->execute("ROLLBACK; BEGIN"));
        fill(*writer, 20);
        ASSERT_TRUE(writer->execute("COMMIT; PRAGMA wal_checkpoint(RESTART)"));
    }
    EXPECT_EQ(sum(*writer), 5 * 20 * 4000);
    EXPECT_EQ(sum(*open()), 5 * 20 * 4000);
}

}  // namespace
}  // namespace altiplano::store::sqlite
