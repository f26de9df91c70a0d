#pragma once

#include "base/executor.hpp"
#include "store/sqlite/database.hpp"
#include "store/sqlite/sqlite.hpp"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

namespace altiplano::store::sqlite {

/// The two connections of a store: one for its readers, one for its writer, with the tables of `schema` made.
struct Connections {
    std::unique_ptr<Database> readers;
    std::unique_ptr<Database> writers;
};
/// @return store.database, store.disk_full
Result<Connections> connect(const Path& path, const SqliteOptions& options, const char* schema);
/// A further connection to what `connect` opened. @return store.database
Result<std::unique_ptr<Database>> connect_one_more(const Path& path, const SqliteOptions& options);

/// The one writer of a database: a connection and a thread. Transactions that are waiting when it comes round are
/// committed together, so many callers share one sync; each is a savepoint, so one that fails takes no other with it.
class Writer {
public:
    using Transaction = std::function<Result<void>(Database&)>;

    Writer(std::unique_ptr<Database> database, bool group);
    ~Writer() { executor_.reset(); }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    /// Waits until the transaction is durable, or undone. After a failed commit every call fails: what is on disk is the
    /// truth, reopen it (law 7).
    Result<void> write(const Transaction& transaction);

private:
    struct Waiting {
        const Transaction* transaction;
        Result<void> result{};
        // Of its own: one for all would wake everybody who waits for a later commit. No semaphore of the library's: that spins
        // and yields before it sleeps, and a commit takes longer than any spinning.
        std::mutex mutex{};
        std::condition_variable changed{};
        bool done = false;
    };
    void drain();
    void commit(const std::vector<Waiting*>& batch);
    bool run_alone(Waiting& one);
    bool run_all(const std::vector<Waiting*>& batch);
    static void fail_all(const std::vector<Waiting*>& batch, const Error& error);

    std::unique_ptr<Database> database_;
    bool group_;
    std::optional<Error> broken_;
    std::mutex mutex_;
    std::vector<Waiting*> waiting_;
    std::unique_ptr<Executor> executor_;  ///< last, so that its thread ends before what it uses
};

}  // namespace altiplano::store::sqlite
