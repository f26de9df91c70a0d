#include "gateway/arweave_schema.hpp"

namespace altiplano::gateway {

namespace {

using graphql::InputDef;
using graphql::Kind;
using graphql::TypeDef;

constexpr InputDef first{
    .name = "first", .type = "Int", .description = "How many on a page; at most 1000.", .default_value = "10"};
constexpr InputDef after{
    .name = "after", .type = "String", .description = "The cursor that the page begins behind; \"\" is none."};
constexpr InputDef sort{
    .name = "sort", .type = "SortOrder", .description = "The order of the page.", .default_value = "HEIGHT_DESC"};
constexpr std::string_view use_bundled_in = "Use `bundledIn`";

std::vector<TypeDef> types()
{
    return {
        {.kind = Kind::object,
            .name = "Query",
            .description = "What can be asked of this weave.",
            .fields =
                {
                    {.name = "transaction",
                        .type = "Transaction",
                        .description = "A data item or transaction by its id.",
                        .arguments = {{.name = "id", .type = "ID!"}}},
                    {.name = "transactions",
                        .type = "TransactionConnection!",
                        .description = "Data items and transactions that fit all filters, a page at a time.",
                        .arguments =
                            {
                                {.name = "ids", .type = "[ID!]", .description = "Any of these ids."},
                                {.name = "owners",
                                    .type = "[String!]",
                                    .description = "Signed by any of these addresses or public keys."},
                                {.name = "recipients", .type = "[String!]", .description = "Sent to any of these addresses."},
                                {.name = "tags",
                                    .type = "[TagFilter!]",
                                    .description = "With tags that fit every one of these filters."},
                                {.name = "bundledIn",
                                    .type = "[ID!]",
                                    .description = "Out of any of these bundles; null: out of no bundle."},
                                {.name = "ingested_at",
                                    .type = "RangeFilter",
                                    .description = "Taken in between these times, in seconds since 1970."},
                                {.name = "block", .type = "BlockFilter", .description = "In blocks of these heights."},
                                first,
                                after,
                                sort,
                                {.name = "parent",
                                    .type = "[ID!]",
                                    .description = "As `bundledIn`.",
                                    .deprecated = use_bundled_in},
                            }},
                    {.name = "block",
                        .type = "Block",
                        .description = "A block by its id.",
                        .arguments = {{.name = "id", .type = "String"}}},
                    {.name = "blocks",
                        .type = "BlockConnection!",
                        .description = "Blocks that fit all filters, a page at a time.",
                        .arguments = {{.name = "ids", .type = "[ID!]", .description = "Any of these ids."},
                            {.name = "height", .type = "BlockFilter", .description = "Of these heights."}, first, after, sort}},
                }},
        {.kind = Kind::object,
            .name = "Transaction",
            .description = "A data item or transaction, without its data.",
            .fields = {{"id", "ID!"}, {"anchor", "String!", "Base64url; may be empty."}, {"signature", "String!", "Base64url."},
                {"recipient", "String!", "The address it is sent to; may be empty."}, {"owner", "Owner!"}, {"fee", "Amount!"},
                {"quantity", "Amount!", "What is transferred to the recipient."}, {"data", "MetaData!"}, {"tags", "[Tag!]!"},
                {"ingested_at", "Int", "When it was taken in here, in seconds since 1970."},
                {"block", "Block", "The block that it lies in; null: in none yet."},
                {"parent", "Parent", "As `bundledIn`.", {}, use_bundled_in},
                {"bundledIn", "Bundle", "The bundle that it came in."}}},
        {.kind = Kind::object,
            .name = "TransactionConnection",
            .description = "A page of transactions.",
            .fields = {{"pageInfo", "PageInfo!"}, {"edges", "[TransactionEdge!]!"},
                {"count", "Int", "How many there are on all pages together; costs a look at each."}}},
        {.kind = Kind::object,
            .name = "TransactionEdge",
            .description = "A transaction on a page.",
            .fields = {{"cursor", "String!", "For `after`."}, {"node", "Transaction!"}}},
        {.kind = Kind::object,
            .name = "BlockConnection",
            .description = "A page of blocks.",
            .fields = {{"pageInfo", "PageInfo!"}, {"edges", "[BlockEdge!]!"}}},
        {.kind = Kind::object,
            .name = "BlockEdge",
            .description = "A block on a page.",
            .fields = {{"cursor", "String!", "For `after`."}, {"node", "Block!"}}},
        {.kind = Kind::object,
            .name = "PageInfo",
            .description = "Whether it goes on.",
            .fields = {{"hasNextPage", "Boolean!", "Whether something comes after this page."}}},
        {.kind = Kind::object,
            .name = "Block",
            .description = "A block of the weave.",
            .fields = {{"id", "ID!", "Its hash."}, {"timestamp", "Int!", "In seconds since 1970."}, {"height", "Int!"},
                {"previous", "ID!", "The hash of the block before it."}}},
        {.kind = Kind::object,
            .name = "Owner",
            .description = "Who signed.",
            .fields = {{"address", "String!"}, {"key", "String!", "The public key, base64url."}}},
        {.kind = Kind::object,
            .name = "Amount",
            .description = "An amount of AR.",
            .fields = {{"winston", "String!", "In winston, 10^-12 AR."}, {"ar", "String!", "In AR, with 12 places."}}},
        {.kind = Kind::object,
            .name = "MetaData",
            .description = "What the data is.",
            .fields = {{"size", "String!", "Bytes."}, {"type", "String", "The tag Content-Type."}}},
        {.kind = Kind::object,
            .name = "Tag",
            .description = "A tag; bytes that are not UTF-8 are replaced by U+FFFD.",
            .fields = {{"name", "String!"}, {"value", "String!"}}},
        {.kind = Kind::object, .name = "Bundle", .description = "A bundle of data items.", .fields = {{"id", "ID!"}}},
        {.kind = Kind::object, .name = "Parent", .description = "As `Bundle`.", .fields = {{"id", "ID!"}}},
        {.kind = Kind::input,
            .name = "TagFilter",
            .description = "A name and values; either may be left out.",
            .inputs = {{.name = "name", .type = "String", .description = "The tag's name; left out: any."},
                {.name = "values", .type = "[String!]", .description = "Any of these values; left out: any at all."},
                {.name = "op", .type = "TagOperator", .description = "Whether such a tag must be there.", .default_value = "EQ"},
                {.name = "match", .type = "TagMatch", .description = "How values are compared.", .default_value = "EXACT"}}},
        {.kind = Kind::input,
            .name = "BlockFilter",
            .description = "A range of heights, both ends in it.",
            .inputs = {{.name = "min", .type = "Int"}, {.name = "max", .type = "Int"}}},
        {.kind = Kind::input,
            .name = "RangeFilter",
            .description = "A range of numbers, both ends in it.",
            .inputs = {{.name = "min", .type = "Int"}, {.name = "max", .type = "Int"}}},
        {.kind = Kind::enumeration,
            .name = "SortOrder",
            .description = "Here an item lies in a block as soon as it is taken in, so height and ingestion give one order.",
            .values = {{"HEIGHT_ASC", "The oldest first."}, {"HEIGHT_DESC", "The newest first."},
                {"INGESTED_AT_ASC", "The oldest first."}, {"INGESTED_AT_DESC", "The newest first."}}},
        {.kind = Kind::enumeration,
            .name = "TagOperator",
            .description = "Whether such a tag must be there.",
            .values = {{"EQ", "It must be there."}, {"NEQ", "It must not be there."}}},
        {.kind = Kind::enumeration,
            .name = "TagMatch",
            .description = "How values are compared. Only EXACT uses the index; with another, add a filter that does.",
            .values = {{"EXACT", "Byte by byte."}, {"WILDCARD", "`*` stands for any text."},
                {"FUZZY_AND", "All words of the value occur, in any order and case."},
                {"FUZZY_OR", "One word of the value occurs, in any case."}}},
    };
}

}  // namespace

const graphql::Schema& arweave_schema()
{
    static const graphql::Schema schema(types(), "Query");
    return schema;
}

}  // namespace altiplano::gateway
