#pragma once

#include "store/records.hpp"
#include "store/sqlite/database.hpp"

/// Rows as records. The columns' order is that of the structs, and each query names them so.
namespace altiplano::store::sqlite {

Result<BlockRecord> read_block(const Statement& row);
Result<ItemRecord> read_item(const Statement& row);
Result<LogRecord> read_log(const Statement& row);
Result<DeliveryRecord> read_delivery(const Statement& row);

/// At most one row, as what `read` makes of it.
template <class T> Result<std::optional<T>> one(Statement& statement, Result<T> (*read)(const Statement&))
{
    TRY(const auto there, statement.step());
    if (!there)
        return std::optional<T>{};
    TRY(auto record, read(statement));
    return std::optional<T>(std::move(record));
}

}  // namespace altiplano::store::sqlite
