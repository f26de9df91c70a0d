#include "store/sqlite/writer.hpp"

#include "base/counters.hpp"
#include "store/errors.hpp"

namespace altiplano::store::sqlite {

Result<Connections> connect(const Path& path, const SqliteOptions& options, const char* schema)
{
    Connections made;
    if (options.to_read) {
        TRY(made.writers, Database::open_to_read(path));
        TRY(made.readers, Database::open_to_read(path));
        return made;
    }
    const auto durable = options.durable ? Database::Durable::full : Database::Durable::off;
    TRY(made.writers, Database::open(path, durable));
    TRY_OK(made.writers->execute(schema));
    TRY(made.readers, Database::open(path, durable));
    return made;
}

Result<std::unique_ptr<Database>> connect_one_more(const Path& path, const SqliteOptions& options)
{
    if (options.to_read)
        return Database::open_to_read(path);
    return Database::open(path, options.durable ? Database::Durable::full : Database::Durable::off);
}

Writer::Writer(std::unique_ptr<Database> database, bool group)
    : database_(std::move(database))
    , group_(group)
    , executor_(thread_pool("store", 1))
{
}

Result<void> Writer::write(const Transaction& transaction)
{
    Waiting mine{.transaction = &transaction};
    bool comes_anyway = false;
    {
        const std::lock_guard lock(mutex_);
        // A round that takes all and has not begun takes this one along.
        comes_anyway = group_ && !waiting_.empty();
        waiting_.push_back(&mine);
    }
    if (!comes_anyway)
        executor_->post([this] { drain(); });
    std::unique_lock lock(mine.mutex);
    mine.changed.wait(lock, [&] { return mine.done; });
    return std::move(mine.result);
}

void Writer::drain()
{
    std::vector<Waiting*> batch;
    {
        const std::lock_guard lock(mutex_);
        ENSURE(!waiting_.empty(), "whoever asks for a round waits for it");
        if (group_) {
            batch.swap(waiting_);
        } else {
            batch.push_back(waiting_.front());
            waiting_.erase(waiting_.begin());
        }
    }
    commit(batch);
    for (auto* one : batch) {
        // Told, it may be gone as soon as its mutex is free.
        const std::lock_guard lock(one->mutex);
        one->done = true;
        one->changed.notify_one();
    }
}

void Writer::fail_all(const std::vector<Waiting*>& batch, const Error& error)
{
    for (auto* one : batch)
        one->result = std::unexpected(error);
}

/// It needs no savepoint, for which SQLite keeps every page as it was. @return false: rolled back, and told
bool Writer::run_alone(Waiting& one)
{
    one.result = (*one.transaction)(*database_);
    if (one.result)
        return true;
    (void)database_->execute("ROLLBACK").has_value();  // SQLite may have done it already
    return false;
}

/// Each by itself. @return false: all rolled back, and told
bool Writer::run_all(const std::vector<Waiting*>& batch)
{
    for (auto* one : batch) {
        one->result = database_->prepare("SAVEPOINT one").run();
        if (!one->result)
            continue;
        one->result = (*one->transaction)(*database_);
        const auto ended =
            one->result ? database_->prepare("RELEASE one").run() : database_->execute("ROLLBACK TO one; RELEASE one");
        if (!ended && one->result)
            one->result = ended;
        if (!one->result && one->result.error().code == errors::disk_full) {
            // SQLite may have undone the whole transaction already, so none of the batch is kept.
            const auto full = one->result.error();
            (void)database_->execute("ROLLBACK").has_value();
            fail_all(batch, full);
            return false;
        }
    }
    return true;
}

void Writer::commit(const std::vector<Waiting*>& batch)
{
    if (broken_)
        return fail_all(batch, *broken_);
    if (const auto begun = database_->execute("BEGIN IMMEDIATE"); !begun)
        return fail_all(batch, begun.error());

    if (!(batch.size() == 1 ? run_alone(*batch.front()) : run_all(batch)))
        return;

    static auto& commits = counters::counter("altiplano_store_commits_total", "Commits, each with one sync.");
    static auto& transactions =
        counters::counter("altiplano_store_transactions_total", "Transactions in them: many share one commit.");
    commits.add();
    transactions.add(batch.size());
    if (const auto committed = database_->execute("COMMIT"); !committed) {
        (void)database_->execute("ROLLBACK").has_value();
        // A full disk leaves the database as it was and may be mended; any other failure leaves us not knowing what is
        // on disk.
        if (committed.error().code != errors::disk_full)
            broken_ = Error{errors::broken, "an earlier commit failed: " + committed.error().sentence,
                "restart: what is on disk is the truth"};
        fail_all(batch, committed.error());
    }
}

}  // namespace altiplano::store::sqlite
