#pragma once

#include "base/bytes.hpp"
#include "base/id.hpp"
#include "base/result.hpp"
#include "store/find.hpp"
#include "store/layer1.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// Durable records, as plain structs: what is kept (`Records`) and what may be deleted (`Cache`).
namespace altiplano::store {

/// A data item or transaction of the weave: its header as signed, and its data here or in a blob.
struct ItemRecord {
    ItemId id;
    Buffer header;
    Buffer data;  ///< when there is no blob
    std::optional<Digest> blob;  ///< SHA-256 of the data, which is a file of that name
    std::uint64_t data_size = 0;
    std::uint64_t height = 0;  ///< of the block that it lies in
    std::string owner;
    std::optional<ItemId> bundle{};  ///< that it came in
    std::vector<Term> terms{};  ///< what the index finds it by; not read back
};

/// What a search found.
struct Found {
    std::vector<ItemId> ids;
    bool more = false;  ///< whether an item after these fits as well; exact
    std::vector<ItemRecord> records{};  ///< of the ids, without their data; when `Find::with_records`
};

struct BlockRecord {
    std::uint64_t height = 0;
    BlockHash hash;
    BlockHash previous;
    std::int64_t timestamp_ms = 0;
    std::vector<ItemId> items;
};

struct ProcessRecord {
    ProcessId id;
    ModuleId module;
    std::string owner;
    std::string scheduler;
    std::uint64_t slots = 0;  ///< derived from the log, not written
    std::int64_t closed_ms = INT64_MIN;  ///< no entry of its log will have this time or an earlier one; `close_process` writes it
    std::uint64_t closed_height = 0;  ///< of the weave when that was said
};

/// A place in a log: which message, by which assignment. Both are items of the weave.
struct LogRecord {
    ProcessId process;
    std::uint64_t nonce = 0;
    ItemId message;
    AssignmentId assignment;
};

/// A signed item on its way from a process: written before it is first sent, so it is never signed twice (law 4).
struct DeliveryRecord {
    enum class State : std::uint8_t { signed_ = 0, accepted = 1, dead = 2 };
    ProcessId process;  ///< who sends
    std::uint64_t nonce = 0;  ///< in which slot
    std::uint64_t index = 0;  ///< which of the slot's messages
    Buffer item;
    State state = State::signed_;
    std::uint64_t attempts = 0;
    std::int64_t next_attempt_ms = 0;
    std::string last_error;
    std::uint64_t cron = 0;  ///< of which evaluation of the slot: 0 its message, then its cron
    ItemId id{};  ///< of `item`; zero when there is none
    std::uint64_t hops = 0;  ///< how many messages, this one included, follow from the one that began the chain
};

/// Which deliveries to list, in the order of process, nonce, cron, index.
struct DeliveryQuery {
    std::optional<ProcessId> process{};  ///< who sends
    std::optional<DeliveryRecord::State> state{};
    std::uint64_t skip = 0;
    std::uint64_t limit = 100;
};

struct ResultRecord {
    ProcessId process;
    std::uint64_t nonce = 0;
    std::uint8_t kind = 0;
    std::string output;
    Digest state_root;
    std::uint64_t gas = 0;
    std::uint64_t cron = 0;  ///< 0: of the slot's message; k: of the k-th cron evaluation after it
    std::int64_t time_ms = 0;  ///< of the evaluation: the assignment's, or when the cron was due
    std::string cron_name{};  ///< which cron, as in cursors
    std::uint64_t gas_used = 0;  ///< as AO counts it
    friend bool operator==(const ResultRecord&, const ResultRecord&) = default;
};

/// Something that a slot sends, not signed yet: the guest's own JSON for it.
struct OutboxRecord {
    enum class Kind : std::uint8_t { message = 0, spawn = 1, assignment = 2 };
    std::uint64_t index = 0;
    Kind kind = Kind::message;
    std::string json;
};

struct ImageRecord {
    ProcessId process;
    std::uint64_t nonce = 0;
    std::string file;
    Digest state_root;
    std::uint64_t cron = 0;
};

/// An image that is there from now on, or not any more: then its file is named as well, so that one which came in its place
/// stays.
struct ImageChange {
    ImageRecord image;
    bool removed = false;
};

/// A state that nobody computed here: somebody's checkpoint, taken in on trust. Results of the process begin after it.
struct TrustedRecord {
    ProcessId process;
    std::uint64_t nonce = 0;  ///< after which slot
    Digest state_root;
    ItemId item;  ///< that brought it
    std::string signer;
    bool verified = false;  ///< the log was computed up to it here since, and gives it
    friend bool operator==(const TrustedRecord&, const TrustedRecord&) = default;
};

/// Which results of a process: after one place and up to another, in the order of slots and their cron or against it.
struct ResultQuery {
    ProcessId process{};
    std::pair<std::uint64_t, std::uint64_t> first{0, 0};  ///< nonce and cron, inclusive
    std::pair<std::uint64_t, std::uint64_t> last{INT64_MAX, INT64_MAX};  ///< inclusive
    std::int64_t after_ms = INT64_MIN;  ///< exclusive
    std::int64_t until_ms = INT64_MAX;  ///< inclusive
    bool cron_only = false;
    bool plain_only = false;  ///< kind 0 alone
    bool descending = false;
    std::uint64_t limit = 1;
};

/// Reads of what is kept. Each call sees the last commit, or the own transaction's writes inside one.
class RecordsReader {
public:
    virtual ~RecordsReader() = default;
    virtual Result<std::optional<std::string>> meta(std::string_view key) = 0;
    virtual Result<std::optional<ItemRecord>> item(const ItemId& id) = 0;
    virtual Result<std::optional<ItemRecord>> item_without_data(const ItemId& id) = 0;
    /// A page of items; `work` is less by what it took. @return store.not_found for an unknown `after`, store.too_much_work
    virtual Result<Found> find(const Find& find, Work& work) = 0;
    /// How many items fit, whatever the page. @return as `find`
    virtual Result<std::uint64_t> count(const Find& find, Work& work) = 0;
    virtual Result<std::optional<BlockRecord>> block(std::uint64_t height) = 0;
    /// Those of the blocks that there are, without their lists of items; all of one state of the records.
    virtual Result<std::vector<BlockRecord>> block_heads(const std::vector<std::uint64_t>& heights) = 0;
    virtual Result<std::optional<BlockRecord>> block_by_hash(const BlockHash& hash) = 0;
    virtual Result<std::optional<BlockRecord>> tip() = 0;
    virtual Layer1Reader& layer1() = 0;
    virtual Result<std::optional<ProcessRecord>> process(const ProcessId& id) = 0;
    virtual Result<std::vector<ProcessId>> processes() = 0;
    virtual Result<std::optional<LogRecord>> log(const ProcessId& process, std::uint64_t nonce) = 0;
    virtual Result<std::optional<LogRecord>> log_of(const ProcessId& process, const ItemId& message) = 0;
    virtual Result<std::optional<DeliveryRecord>> delivery(
        const ProcessId& process, std::uint64_t nonce, std::uint64_t index, std::uint64_t cron = 0) = 0;
    /// Deliveries not accepted and not dead, in the order of process, nonce, cron, index.
    virtual Result<std::vector<DeliveryRecord>> open_deliveries() = 0;
    virtual Result<std::vector<DeliveryRecord>> open_deliveries(const ProcessId& process) = 0;
    virtual Result<std::vector<DeliveryRecord>> deliveries(const DeliveryQuery& query) = 0;
    /// The delivery of that item.
    virtual Result<std::optional<DeliveryRecord>> delivery_of(const ItemId& id) = 0;
    /// The message that a deep hash was first seen with in the log of a process.
    virtual Result<std::optional<ItemId>> seen(const ProcessId& process, const Digest& hash) = 0;
    /// Every key with this beginning, and its value.
    virtual Result<std::vector<std::pair<std::string, std::string>>> metas(std::string_view beginning) = 0;
};

/// Writes inside one transaction. An error undoes that transaction alone.
class RecordsWriter : public RecordsReader {
public:
    Layer1Writer& layer1() override = 0;
    virtual Result<void> put_meta(std::string_view key, std::string_view value) = 0;
    /// The item and its terms. @return store.conflict for an id that is there, or a height below the last item's
    virtual Result<void> put_item(const ItemRecord& item) = 0;
    virtual Result<void> remove_meta(std::string_view key) = 0;
    virtual Result<void> put_block(const BlockRecord& block) = 0;  ///< @return store.conflict unless it follows the tip
    virtual Result<void> put_process(const ProcessRecord& process) = 0;  ///< @return store.conflict
    virtual Result<void> close_process(const ProcessId& id, std::int64_t closed_ms, std::uint64_t closed_height) = 0;
    /// @return store.conflict unless the nonce is the log's length and the message is new to it
    virtual Result<void> append_log(const LogRecord& entry) = 0;
    virtual Result<void> put_seen(const ProcessId& process, const Digest& hash, const ItemId& message) = 0;
    virtual Result<void> put_delivery(const DeliveryRecord& delivery) = 0;  ///< new, or in place of the same key

    /// To build the index anew, which follows from the items: forgets it; then gives all items some at a time, each batch
    /// with the terms that `terms` makes of them (the records come without data). @param after  the last batch's answer
    /// @return where to go on; nothing when all are done
    virtual Result<void> forget_index() = 0;
    using Terms = std::function<Result<std::vector<Term>>(const ItemRecord& item)>;
    virtual Result<std::optional<std::uint64_t>> index_items(std::uint64_t after, std::size_t items_max, const Terms& terms) = 0;
};

/// The weave, the logs and the delivery ledger. Safe from any thread.
class Records : public RecordsReader {
public:
    using Transaction = std::function<Result<void>(RecordsWriter&)>;
    /// Runs `transaction` on the one writer thread; durable when it returns. Calls that come together share one sync.
    /// @return what `transaction` returned; store.database, store.disk_full, store.broken: nothing of it is kept then
    virtual Result<void> write(Transaction transaction) = 0;
};

/// What becomes durable together.
struct Evaluation {
    ResultRecord result;
    std::vector<OutboxRecord> outbox;
};

/// Results, outboxes, images: may be deleted while nobody has it open. Safe from any thread.
class Cache {
public:
    virtual ~Cache() = default;
    /// Results and what they send, in one transaction (law 3). The same again is no error.
    /// @return for each, store.result_differs when there is another: that stays, and this one is kept beside it (law 7); or
    /// one error for all, none of which is kept then
    virtual Result<std::vector<Result<void>>> put_results(std::span<const Evaluation* const> evaluations) = 0;
    /// The same for one.
    Result<void> put_result(const ResultRecord& result, const std::vector<OutboxRecord>& outbox)
    {
        const Evaluation evaluation{result, outbox};
        const Evaluation* const one = &evaluation;
        TRY(auto outcomes, put_results({&one, 1}));
        return std::move(outcomes.front());
    }
    virtual Result<std::optional<ResultRecord>> result(const ProcessId& process, std::uint64_t nonce, std::uint64_t cron = 0) = 0;
    virtual Result<std::vector<ResultRecord>> results(const ResultQuery& query) = 0;
    virtual Result<std::vector<OutboxRecord>> outbox(const ProcessId& process, std::uint64_t nonce, std::uint64_t cron = 0) = 0;
    /// The slot after the last one that has a result of its message, without a gap from slot 0 on, or from what was taken in.
    virtual Result<std::uint64_t> results_end(const ProcessId& process) = 0;
    /// What was kept beside a slot's result, because it differed.
    virtual Result<std::vector<ResultRecord>> disagreements(const ProcessId& process) = 0;

    /// In order, in one transaction.
    virtual Result<void> change_images(std::span<const ImageChange> changes) = 0;
    Result<void> put_image(const ImageRecord& image) { return change_images({{{image, false}}}); }
    Result<void> remove_image(const ImageRecord& image) { return change_images({{{image, true}}}); }
    /// Images of a process, newest first.
    virtual Result<std::vector<ImageRecord>> images(const ProcessId& process) = 0;

    /// The newest state that was taken in for a process; there is at most one.
    virtual Result<std::optional<TrustedRecord>> trusted(const ProcessId& process) = 0;
    virtual Result<void> put_trusted(const TrustedRecord& trusted) = 0;  ///< new, or in place of the one before
};

}  // namespace altiplano::store
