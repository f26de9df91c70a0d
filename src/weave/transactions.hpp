#pragma once

#include "item/data_root.hpp"
#include "item/transaction.hpp"
#include "weave/ledger.hpp"
#include "weave/unbundle.hpp"

#include <map>
#include <shared_mutex>

namespace altiplano::weave {

/// Transactions of Arweave's first layer: taken in with their data, or before it, which then comes in chunks in any order. One
/// without its data is in no block; its costs are taken at once. The last chunk seals it. Bundles are taken apart first.
/// Chunks lie in a sparse file that becomes the blob, so no upload is ever in memory. Safe from any thread.
class Transactions {
public:
    struct Options {
        Price price{};
        bool mint = true;  ///< whether anybody gets test AR for the asking; for development
        std::uint64_t data_bytes_max = std::uint64_t{1} << 40;  ///< of one transaction
        std::uint64_t pending_max = 1000;  ///< uploads begun and not whole
        std::int64_t pending_age_max_ms = std::int64_t{7} * 24 * 3600 * 1000;  ///< after that an upload is given up
    };
    /// Finishes what was whole when the last run ended, gives up what is too old. @param folder  of chunks @return store.*,
    /// base.*
    static Result<std::unique_ptr<Transactions>> open(
        Weave& weave, store::Records& records, Files& files, Clock& clock, Path folder, const Options& options);

    /// Whether a transaction is in a block now, and what became of it if it is a bundle.
    struct Posted {
        std::optional<Block> block{};
        std::optional<Unbundled> bundle{};
        std::optional<Error> no_bundle{};
    };
    /// Verifies and keeps a transaction. Without its data it waits for it, unless the same data is here already.
    /// @return weave.known_transaction, as `charge`, as `verify_data`, weave.over_limit, store.*, base.*
    Result<Posted> post(item::PostedTransaction transaction);

    /// Keeps a transaction of another weave, verified by the caller, with its data: its anchor and its costs were theirs, so
    /// nobody here pays or gets. @param chunks  of its data @return store.*, base.*
    Result<Posted> take_in(NewItem item, const std::vector<item::Chunk>& chunks);

    struct NewChunk {
        Digest data_root;
        std::uint64_t data_size = 0;
        std::uint64_t offset = 0;  ///< of any byte inside the chunk
        Buffer path;
        Buffer bytes;
    };
    /// Verifies and keeps a chunk; durable when it returns, and in any order. The same again is no error.
    /// @return item.bad_proof, weave.bad_chunk, weave.unknown_upload, store.*, base.*
    Result<Posted> put_chunk(const NewChunk& chunk);

    /// A transaction or data item, in a block or not. @return weave.unknown_item, weave.broken_item
    struct Found {
        item::Header header;
        std::uint64_t data_size = 0;
        std::optional<std::uint64_t> height{};
    };
    Result<Found> find(const ItemId& id);
    Result<std::vector<ItemId>> pending();
    /// Where a transaction's data lies in that of all; what has none is nowhere. @return weave.unknown_item
    Result<store::PlaceRecord> place(const ItemId& id);
    /// The chunk with the byte at an offset in all data. @return weave.unknown_chunk, as `Weave::data`
    struct FoundChunk {
        Buffer bytes;
        Buffer path;
    };
    Result<FoundChunk> chunk(std::uint64_t offset);
    Result<std::uint64_t> weave_size(std::uint64_t height);

    Result<item::Winston> price(std::uint64_t bytes) const { return options_.price.of(bytes); }
    Result<store::WalletRecord> wallet(std::string_view address);
    /// Gives a wallet test AR out of nothing. @return what it has then; weave.over_limit
    Result<item::Winston> mint(std::string_view address, item::Winston amount);
    const Options& options() const noexcept { return options_; }

private:
    Transactions(Weave& weave, store::Records& records, Files& files, Clock& clock, Path folder, const Options& options)
        : weave_(weave)
        , records_(records)
        , files_(files)
        , clock_(clock)
        , folder_(std::move(folder))
        , options_(options)
    {
    }

    using Data = std::pair<Digest, std::uint64_t>;  ///< what is uploaded: its root and its size
    /// One upload while anybody works on it. Chunks are written side by side; whoever makes a blob of them is alone.
    struct Upload {
        std::shared_mutex working;
        std::mutex counting;
        std::optional<std::uint64_t> bytes{};  ///< in chunks that are kept; nothing until it was counted
    };
    std::shared_ptr<Upload> upload(const Data& data);
    Path path(const Data& data) const;

    Result<void> check_new(store::RecordsReader& records, const ItemId& id);
    enum class Pays : std::uint8_t { now, has_paid, nothing };
    Result<Posted> seal(NewItem item, const std::vector<item::Chunk>& chunks, Pays pays);
    Result<Posted> post_with_data(item::PostedTransaction transaction);
    Result<Posted> post_without_data(const item::PostedTransaction& transaction);
    Result<std::optional<NewItem>> with_known_data(const item::Header& header, const Data& data);
    Result<bool> keep_chunk(const NewChunk& chunk, const item::Proven& proven);
    Result<Posted> finish(const Data& data, Upload& upload);
    Result<void> give_up_old();
    Result<void> resume();

    Weave& weave_;
    store::Records& records_;
    Files& files_;
    Clock& clock_;
    Path folder_;
    Options options_;
    std::mutex uploads_lock_;
    std::map<Data, std::weak_ptr<Upload>> uploads_;
};

}  // namespace altiplano::weave
