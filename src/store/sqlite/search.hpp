#pragma once

#include "store/find.hpp"
#include "store/records.hpp"
#include "store/sqlite/database.hpp"

namespace altiplano::store::sqlite {

/// The index of items: a row (term, item) for each term of each item. It follows from the items alone.
extern const char* const index_schema;

/// @param row  of the item
Result<void> add_postings(Database& database, std::int64_t row, const std::vector<Term>& terms);

/// Walks the lists of the search's terms together, each jumping to where the others are, so that the rarest term decides
/// the cost (leapfrog join). @return store.not_found for an unknown `after`; store.too_much_work, store.database
Result<Found> search(Database& database, const Find& find, Work& work);
/// How many items fit, whatever `limit` and `after`. @return as `search`
Result<std::uint64_t> count(Database& database, const Find& find, Work& work);

}  // namespace altiplano::store::sqlite
