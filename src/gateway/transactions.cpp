// `transaction` and `transactions`.
#include "base/base64url.hpp"
#include "gateway/asked.hpp"
#include "gateway/errors.hpp"
#include "gateway/transaction_filter.hpp"
#include "store/errors.hpp"
#include "weave/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::gateway {

namespace {

using graphql::Inputs;
using graphql::Value;

Value amount(std::string winston)
{
    auto ar = winston;
    if (ar.size() < 13)
        ar.insert(0, 13 - ar.size(), '0');
    ar.insert(ar.size() - 12, ".");
    return Value(plain_object({{"winston", std::move(winston)}, {"ar", std::move(ar)}}));
}

Value id_object(const std::optional<ItemId>& id)
{
    return id ? Value(plain_object({{"id", id->text()}})) : Value{};
}

/// An item; it is read when something other than its id is asked for.
class TransactionObject final : public graphql::Object {
public:
    /// @param record  when a search has read it
    TransactionObject(Asking asked, const ItemId& id, std::optional<store::ItemRecord> record = {})
        : asked_(std::move(asked))
        , id_(id)
        , record_(std::move(record))
    {
    }
    Result<Value> field(std::string_view field, const Inputs& arguments) const override;

private:
    Asking asked_;
    ItemId id_;
    std::optional<store::ItemRecord> record_;
    mutable std::optional<weave::StoredItem> item_{};
};

/// A row per field: what it is of an item.
struct FieldRow {
    std::string_view name;
    Result<Value> (*value)(Asked& asked, const weave::StoredItem& item);
};
constexpr FieldRow fields[] = {
    {"anchor", [](Asked&, const weave::StoredItem& item) -> Result<Value> { return Value(base64url(item.header.anchor())); }},
    {"signature",
        [](Asked&, const weave::StoredItem& item) -> Result<Value> { return Value(base64url(item.header.signature())); }},
    {"recipient",
        [](Asked&, const weave::StoredItem& item) -> Result<Value> {
            return Value(item.header.target() ? item.header.target()->text() : std::string());
        }},
    {"owner",
        [](Asked&, const weave::StoredItem& item) -> Result<Value> {
            return Value(plain_object({{"address", item.header.owner().text()}, {"key", base64url(item.header.owner_key())}}));
        }},
    // A data item pays nothing and transfers nothing.
    {"fee",
        [](Asked&, const weave::StoredItem& item) -> Result<Value> {
            return amount(item.header.layer1() ? item.header.layer1()->reward.text() : "0");
        }},
    {"quantity",
        [](Asked&, const weave::StoredItem& item) -> Result<Value> {
            return amount(item.header.layer1() ? item.header.layer1()->quantity.text() : "0");
        }},
    {"data",
        [](Asked&, const weave::StoredItem& item) -> Result<Value> {
            const auto type = item.header.tags().first("Content-Type");
            return Value(
                plain_object({{"size", std::to_string(item.data_size)}, {"type", type ? Value(std::string(*type)) : Value{}}}));
        }},
    {"tags",
        [](Asked&, const weave::StoredItem& item) -> Result<Value> {
            Value::List tags;
            for (const auto& tag : item.header.tags())
                tags.emplace_back(plain_object({{"name", tag.name}, {"value", tag.value}}));
            return Value(std::move(tags));
        }},
    {"ingested_at",
        [](Asked& asked, const weave::StoredItem& item) -> Result<Value> {
            TRY(const auto* block, asked.block(item.height));
            return Value(block->timestamp_ms / 1000);
        }},
    {"block",
        [](Asked& asked, const weave::StoredItem& item) -> Result<Value> {
            TRY(const auto* block, asked.block(item.height));
            return Value(block_object(*block));
        }},
    {"parent", [](Asked&, const weave::StoredItem& item) -> Result<Value> { return id_object(item.bundle); }},
    {"bundledIn", [](Asked&, const weave::StoredItem& item) -> Result<Value> { return id_object(item.bundle); }},
};

Result<Value> TransactionObject::field(std::string_view field, const Inputs&) const
{
    if (field == "id")
        return Value(id_.text());
    if (!item_) {
        TRY(item_, record_ ? weave::Weave::item_of(*record_) : asked_->weave().item(id_));
    }
    const auto row = std::ranges::find(fields, field, &FieldRow::name);
    ENSURE(row != std::end(fields), "the table has a row for each field of the schema");
    return row->value(*asked_, *item_);
}

/// A page of items, found when it is looked at, and their number, counted when it is asked for.
class ConnectionObject final : public graphql::Object {
public:
    ConnectionObject(Asking asked, store::Find find)
        : asked_(std::move(asked))
        , find_(std::move(find))
    {
        find_.with_records = true;
    }
    Result<Value> field(std::string_view field, const Inputs&) const override
    {
        if (field == "count") {
            TRY(const auto items, asked_->records().count(find_, asked_->work()));
            return Value(static_cast<std::int64_t>(items));
        }
        if (!found_) {
            auto found = asked_->records().find(find_, asked_->work());
            if (!found && found.error().code == store::errors::not_found)
                return fail(errors::bad_cursor, found.error().sentence, "a cursor comes from an edge of the page before");
            TRY(found_, std::move(found));
            std::vector<std::uint64_t> heights;
            for (const auto& record : found_->records)
                heights.push_back(record.height);
            asked_->expect_blocks(std::move(heights));
        }
        if (field == "pageInfo")
            return Value(page_info_object(found_->more));
        Value::List edges;
        for (const auto& record : found_->records)
            edges.emplace_back(edge_object(
                {.cursor = record.id.text(), .node = std::make_shared<TransactionObject>(asked_, record.id, record)}));
        return Value(std::move(edges));
    }

private:
    Asking asked_;
    store::Find find_;
    mutable std::optional<store::Found> found_{};
};

}  // namespace

Result<Value> transaction(const Asking& asked, const Inputs& arguments)
{
    const auto id = ItemId::parse(*text_argument(arguments, "id"));
    if (!id || !asked->weave().has(*id))
        return Value{};
    return Value(std::shared_ptr<const graphql::Object>(std::make_shared<TransactionObject>(asked, *id)));
}

Result<Value> transactions(const Asking& asked, const Inputs& arguments)
{
    TRY(auto find, search_of(*asked, arguments));
    return Value(std::shared_ptr<const graphql::Object>(std::make_shared<ConnectionObject>(asked, std::move(find))));
}

}  // namespace altiplano::gateway
