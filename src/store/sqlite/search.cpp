#include "store/sqlite/search.hpp"

#include "store/errors.hpp"
#include "store/sqlite/rows.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace altiplano::store::sqlite {

const char* const index_schema = R"(
    CREATE TABLE IF NOT EXISTS postings (term BLOB NOT NULL, item INTEGER NOT NULL, PRIMARY KEY (term, item)) WITHOUT ROWID;
)";

Result<void> add_postings(Database& database, std::int64_t row, const std::vector<Term>& terms)
{
    for (const auto& term : terms)
        TRY_OK(database.prepare("INSERT OR IGNORE INTO postings VALUES (?, ?)").bind(term.bytes()).bind(row).run());
    return {};
}

namespace {

/// A place in the order of a search: the item's row when the oldest come first, its negative otherwise. So every list
/// ascends, whichever way the search goes.
using Place = std::int64_t;
constexpr Place no_place = INT64_MAX;

class Search {
public:
    Search(Database& database, const Find& find, Work& work)
        : database_(database)
        , find_(find)
        , work_(work)
        , sign_(find.newest_first ? -1 : 1)
    {
    }

    /// The items from the begin on, each given to `take` until that returns false.
    Result<void> run(const std::function<bool(std::int64_t row)>& take);
    Result<void> begin();

    Result<ItemId> id_of(std::int64_t row)
    {
        auto statement = database_.prepare("SELECT id FROM items WHERE rowid = ?");
        TRY(const auto there, statement.bind(row).step());
        if (!there)
            return no_item(row);
        return statement.id<ItemId>(0);
    }
    /// Without the data.
    Result<ItemRecord> record_of(std::int64_t row)
    {
        auto statement =
            database_.prepare("SELECT id, header, x'', blob, data_size, height, owner, bundle FROM items WHERE rowid = ?");
        TRY(auto found, one<ItemRecord>(statement.bind(row), read_item));
        if (!found)
            return no_item(row);
        return *std::move(found);
    }

private:
    static std::unexpected<Error> no_item(std::int64_t row)
    {
        return fail(errors::database, fmt::format("the index names row {}, where no item is", row));
    }

    /// A list of places that is read in pieces: of a term, or of all items.
    class List {
    public:
        List(Search& search, std::optional<Term> term)
            : search_(&search)
            , term_(term)
        {
        }
        explicit List(Search& search, std::vector<Place> all)
            : search_(&search)
            , places_(std::move(all))
            , ended_(true)
        {
        }
        /// The first place at or after `from`, or no_place. `from` never goes back.
        Result<Place> seek(Place from);

    private:
        static constexpr std::size_t piece_min = 8;
        static constexpr std::size_t piece_max = 512;
        Result<void> read(Place from);

        Search* search_;
        std::optional<Term> term_{};
        std::vector<Place> places_{};
        std::size_t next_ = 0;
        std::size_t piece_ = piece_min;
        bool ended_ = false;  ///< nothing lies behind `places_`
    };

    /// The first place at or after `from` in any list of the group.
    Result<Place> seek(std::vector<List>& group, Place from);
    Result<bool> fits(std::int64_t row);
    Result<std::int64_t> first_row_of(std::uint64_t height);
    Result<void> spend(std::uint64_t rows);

    Database& database_;
    const Find& find_;
    Work& work_;
    std::int64_t sign_;
    Place first_ = 0;
    Place last_ = 0;
    std::vector<std::vector<List>> groups_{};
    std::vector<List> excluded_{};
};

Result<void> Search::spend(std::uint64_t rows)
{
    if (work_.left < rows)
        return fail(errors::too_much_work, "the search would look at too many items",
            "add a filter that fewer items fit: a rarer tag, an owner, a range of blocks");
    work_.left -= rows;
    return {};
}

Result<Place> Search::List::seek(Place from)
{
    for (;;) {
        const auto begin = places_.begin() + static_cast<std::ptrdiff_t>(next_);
        const auto found = std::lower_bound(begin, places_.end(), from);
        next_ = static_cast<std::size_t>(found - places_.begin());
        if (found != places_.end())
            return *found;
        if (ended_)
            return no_place;
        // What directly follows is read in growing pieces; after a jump few are read, for the next may be far as well.
        const bool follows = !places_.empty() && from == places_.back() + 1;
        piece_ = follows ? std::min(piece_ * 4, piece_max) : piece_min;
        TRY_OK(read(from));
    }
}

Result<void> Search::List::read(Place from)
{
    places_.clear();
    next_ = 0;
    const bool newest = search_->find_.newest_first;
    const char* const sql = term_ ? newest ? "SELECT item FROM postings WHERE term = ? AND item <= ? ORDER BY item DESC LIMIT ?"
                                           : "SELECT item FROM postings WHERE term = ? AND item >= ? ORDER BY item LIMIT ?"
        : newest                  ? "SELECT rowid FROM items WHERE rowid <= ? ORDER BY rowid DESC LIMIT ?"
                                  : "SELECT rowid FROM items WHERE rowid >= ? ORDER BY rowid LIMIT ?";
    auto statement = search_->database_.prepare(sql);
    if (term_)
        statement.bind(term_->bytes());
    statement.bind(from * search_->sign_).bind(static_cast<std::uint64_t>(piece_));
    for (;;) {
        TRY(const auto there, statement.step());
        if (!there)
            break;
        places_.push_back(statement.number(0) * search_->sign_);
    }
    ended_ = places_.size() < piece_;
    return search_->spend(1 + places_.size());
}

Result<Place> Search::seek(std::vector<List>& group, Place from)
{
    // A long list of alternatives costs even where nothing of it is read.
    TRY_OK(spend(group.size() / 8));
    Place nearest = no_place;
    for (auto& list : group) {
        TRY(const auto place, list.seek(from));
        nearest = std::min(nearest, place);
    }
    return nearest;
}

/// The first row whose item lies at `height` or above; one past the last row when there is none.
Result<std::int64_t> Search::first_row_of(std::uint64_t height)
{
    auto last = database_.prepare("SELECT rowid FROM items ORDER BY rowid DESC LIMIT 1");
    TRY(const auto any, last.step());
    std::int64_t low = 1;
    std::int64_t high = any ? last.number(0) + 1 : 1;
    // Heights never decrease with the rows: put_item refuses it.
    while (low < high) {
        const auto middle = low + (high - low) / 2;
        auto at = database_.prepare("SELECT rowid, height FROM items WHERE rowid >= ? ORDER BY rowid LIMIT 1");
        TRY(const auto there, at.bind(middle).step());
        if (!there || at.unsigned_number(1) >= height)
            high = middle;
        else
            low = at.number(0) + 1;
    }
    return low;
}

Result<void> Search::begin()
{
    // Where it begins and ends: from heights and cursor to places.
    TRY(const auto low, first_row_of(find_.height_min));
    TRY(const auto high, first_row_of(std::min(find_.height_max, std::uint64_t{INT64_MAX} - 1) + 1));
    first_ = find_.newest_first ? -(high - 1) : low;
    last_ = find_.newest_first ? -low : high - 1;
    const auto row_of = [&](const ItemId& id) -> Result<std::optional<std::int64_t>> {
        auto statement = database_.prepare("SELECT rowid FROM items WHERE id = ?");
        TRY(const auto there, statement.bind(id).step());
        return there ? std::optional(statement.number(0)) : std::nullopt;
    };
    if (find_.after) {
        TRY(const auto row, row_of(*find_.after));
        if (!row)
            return fail(errors::not_found, fmt::format("there is no item {} to begin after", find_.after->text()));
        first_ = std::max(first_, *row * sign_ + 1);
    }

    // What it walks.
    for (const auto& terms : find_.each_of) {
        auto& group = groups_.emplace_back();
        for (const auto& term : terms)
            group.emplace_back(*this, std::optional(term));
    }
    for (const auto& term : find_.none_of)
        excluded_.emplace_back(*this, std::optional(term));
    if (find_.ids) {
        std::vector<Place> places;
        for (const auto& id : *find_.ids) {
            TRY_OK(spend(1));
            TRY(const auto row, row_of(id));
            if (row)
                places.push_back(*row * sign_);
        }
        std::ranges::sort(places);
        groups_.emplace_back().emplace_back(*this, std::move(places));
    }
    if (groups_.empty())
        groups_.emplace_back().emplace_back(*this, std::optional<Term>{});
    return {};
}

Result<bool> Search::fits(std::int64_t row)
{
    TRY_OK(spend(excluded_.size() / 8));
    for (auto& list : excluded_) {
        TRY(const auto place, list.seek(row * sign_));
        if (place == row * sign_)
            return false;
    }
    if (!find_.only)
        return true;
    TRY(const auto item, record_of(row));
    TRY_OK(spend(8));  // Reading and understanding an item costs about as much as eight rows of the index.
    return find_.only(item);
}

Result<void> Search::run(const std::function<bool(std::int64_t row)>& take)
{
    auto place = first_;
    std::size_t agreed = 0;  // how many groups in turn have `place`
    for (std::size_t turn = 0; place <= last_; turn = (turn + 1) % groups_.size()) {
        TRY(const auto next, seek(groups_[turn], place));
        if (next == no_place || next > last_)
            return {};
        agreed = next == place ? agreed + 1 : 1;
        place = next;
        if (agreed < groups_.size())
            continue;
        TRY(const auto good, fits(place * sign_));
        if (good && !take(place * sign_))
            return {};
        ++place;
        agreed = 0;
    }
    return {};
}

}  // namespace

Result<Found> search(Database& database, const Find& find, Work& work)
{
    Search search(database, find, work);
    TRY_OK(search.begin());
    std::vector<std::int64_t> rows;
    Found found;
    TRY_OK(search.run([&](std::int64_t row) {
        if (rows.size() == find.limit) {
            found.more = true;
            return false;
        }
        rows.push_back(row);
        return true;
    }));
    for (const auto row : rows) {
        if (find.with_records) {
            TRY(auto record, search.record_of(row));
            found.ids.push_back(record.id);
            found.records.push_back(std::move(record));
        } else {
            TRY(const auto id, search.id_of(row));
            found.ids.push_back(id);
        }
    }
    return found;
}

Result<std::uint64_t> count(Database& database, const Find& find, Work& work)
{
    auto all = find;
    all.after.reset();
    Search search(database, all, work);
    TRY_OK(search.begin());
    std::uint64_t items = 0;
    TRY_OK(search.run([&](std::int64_t) {
        ++items;
        return true;
    }));
    return items;
}

}  // namespace altiplano::store::sqlite
