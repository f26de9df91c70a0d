#include "store/sqlite/rows.hpp"

namespace altiplano::store::sqlite {

Result<BlockRecord> read_block(const Statement& row)
{
    BlockRecord block;
    block.height = row.unsigned_number(0);
    TRY(block.hash, row.id<BlockHash>(1));
    TRY(block.previous, row.id<BlockHash>(2));
    block.timestamp_ms = row.number(3);
    for (auto ids = row.bytes(4); ids.size() >= ItemId::size; ids = ids.subspan(ItemId::size)) {
        TRY(const auto id, ItemId::from_bytes(ids.first(ItemId::size)));
        block.items.push_back(id);
    }
    return block;
}

Result<ItemRecord> read_item(const Statement& row)
{
    ItemRecord item;
    TRY(item.id, row.id<ItemId>(0));
    item.header = to_buffer(row.bytes(1));
    item.data = to_buffer(row.bytes(2));
    if (!row.is_null(3)) {
        TRY(item.blob, row.id<Digest>(3));
    }
    item.data_size = row.unsigned_number(4);
    item.height = row.unsigned_number(5);
    item.owner = row.text(6);
    if (!row.is_null(7)) {
        TRY(item.bundle, row.id<ItemId>(7));
    }
    return item;
}

Result<LogRecord> read_log(const Statement& row)
{
    LogRecord entry;
    TRY(entry.process, row.id<ProcessId>(0));
    entry.nonce = row.unsigned_number(1);
    TRY(entry.message, row.id<ItemId>(2));
    TRY(entry.assignment, row.id<AssignmentId>(3));
    return entry;
}

Result<DeliveryRecord> read_delivery(const Statement& row)
{
    DeliveryRecord delivery;
    TRY(delivery.process, row.id<ProcessId>(0));
    delivery.nonce = row.unsigned_number(1);
    delivery.index = row.unsigned_number(2);
    delivery.item = to_buffer(row.bytes(3));
    delivery.state = static_cast<DeliveryRecord::State>(row.number(4));
    delivery.attempts = row.unsigned_number(5);
    delivery.next_attempt_ms = row.number(6);
    delivery.last_error = row.text(7);
    delivery.cron = row.unsigned_number(8);
    TRY(delivery.id, row.id<ItemId>(9));
    delivery.hops = row.unsigned_number(10);
    return delivery;
}

}  // namespace altiplano::store::sqlite
