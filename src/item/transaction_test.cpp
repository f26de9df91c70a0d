// What arweave-js and arbundles made (tests/vectors/make_transactions.js) is read, verified and spoiled here.
#include "item/transaction.hpp"

#include "base/base64url.hpp"
#include "base/files.hpp"
#include "base/json.hpp"
#include "item/bundle.hpp"
#include "item/data_root.hpp"
#include "item/ed25519.hpp"
#include "item/errors.hpp"
#include "item/rsa.hpp"

#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::item;

namespace {

const std::string& text()
{
    static const auto whole =
        to_string(read_file(system_files(), Path(ALTIPLANO_SOURCE_DIR) / "tests/vectors/transactions.json").value());
    return whole;
}
JsonView vectors()
{
    return JsonView::parse(text()).value();
}
std::vector<JsonView> transactions()
{
    return vectors().find("transactions")->elements();
}
std::string field(const JsonView& object, std::string_view name)
{
    return object.find(name)->string().value();
}
std::string name_of(const JsonView& vector)
{
    return field(vector, "name");
}

/// What the vectors' maker took as data.
Buffer pattern(std::size_t size)
{
    Buffer bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>(i * 7 + (i >> 8) * 13);
    return bytes;
}
Buffer data_of(const JsonView& vector)
{
    return pattern(static_cast<std::size_t>(*vector.find("size")->integer()));
}
PostedTransaction read(const JsonView& vector)
{
    return read_transaction(vector.find("transaction")->raw()).value();
}

/// The JSON with one of its members changed; an empty value takes it out.
std::string with(const JsonView& transaction, std::string_view name, std::string_view value)
{
    JsonWriter json;
    json.begin_object();
    for (const auto& [key, member] : transaction.members())
        if (key != name)
            json.key(key).raw(member.raw());
    if (!value.empty())
        json.key(name).raw(value);
    json.end_object();
    return std::move(json).text();
}

}  // namespace

TEST(Transaction, of_arweave_js_is_read_and_its_signature_and_data_verified)
{
    ASSERT_EQ(transactions().size(), 12U);
    for (const auto& vector : transactions()) {
        const auto json = *vector.find("transaction");
        const auto posted = read(vector);
        const auto& header = posted.header;
        EXPECT_EQ(header.id().text(), field(json, "id")) << name_of(vector);
        EXPECT_EQ(header.owner().text(), field(vector, "address")) << name_of(vector);
        EXPECT_EQ(base64url(header.owner_key()), field(json, "owner"));
        EXPECT_EQ(base64url(header.signature()), field(json, "signature"));
        EXPECT_EQ(base64url(header.anchor()), field(json, "last_tx")) << name_of(vector);
        EXPECT_EQ(header.target() ? header.target()->text() : "", field(json, "target"));
        EXPECT_EQ(header.layer1()->quantity.text(), field(json, "quantity"));
        EXPECT_EQ(header.layer1()->reward.text(), field(json, "reward"));
        EXPECT_EQ(header.tags().size(), json.find("tags")->elements().size());
        EXPECT_TRUE(verify_data(header, data_of(vector))) << name_of(vector);

        const auto again = Header::parse_stored(header.wire()).value();
        EXPECT_EQ(again.id(), header.id());
        EXPECT_TRUE(join(again, data_of(vector)).verify()) << name_of(vector);
        EXPECT_FALSE(Header::parse(header.wire())) << "no data item's header is ever one";
    }
}

TEST(Transaction, is_not_verified_with_any_field_changed)
{
    const auto vector = transactions()[2];
    const auto json = *vector.find("transaction");
    const auto other = "\"" + base64url(sha256(as_bytes("another")).bytes()) + "\"";
    const std::pair<std::string, std::string> changes[] = {
        {"last_tx", other}, {"target", other}, {"data_root", other}, {"quantity", "\"1\""}, {"reward", "\"1\""}, {"tags", "[]"}};
    for (const auto& [name, value] : changes) {
        const auto changed = read_transaction(with(json, name, value)).value();
        EXPECT_FALSE(verify_data(changed.header, data_of(vector))) << name;
    }
    EXPECT_EQ(read_transaction(with(json, "id", other)).error().code, errors::bad_transaction);
    EXPECT_EQ(read_transaction(with(json, "data_size", "\"6\"")).error().code, errors::bad_data_root);
    auto data = data_of(vector);
    data.back() ^= std::byte{1};
    EXPECT_EQ(verify_data(read(vector).header, data).error().code, errors::bad_data_root);
    data.pop_back();
    EXPECT_EQ(verify_data(read(vector).header, data).error().code, errors::bad_data_root);

    const auto old = transactions()[11];
    auto spoiled = data_of(old);
    spoiled[0] ^= std::byte{1};
    EXPECT_EQ(verify_data(read(old).header, spoiled).error().code, errors::bad_signature);
}

TEST(Transaction, is_refused_by_name_when_a_member_is_not_what_it_should_be)
{
    const auto json = *transactions()[2].find("transaction");
    const std::string many(3000, 'A');
    const std::tuple<std::string, std::string, std::string_view> changes[] = {
        {"format", "3", errors::bad_transaction},
        {"format", "\"x\"", errors::bad_transaction},
        {"denomination", "2", errors::bad_transaction},
        {"id", "", errors::bad_transaction},
        {"id", "7", errors::bad_transaction},
        {"owner", "\"AAAA\"", errors::bad_transaction},
        {"owner", "\"" + many + "\"", errors::bad_transaction},
        {"signature", "{}", errors::bad_transaction},
        {"signature", "\"!\"", errors::bad_transaction},
        {"target", "\"AAAA\"", errors::bad_transaction},
        {"last_tx", "\"AAAA\"", errors::bad_transaction},
        {"data", "\"A\"", errors::bad_transaction},
        {"data_size", "\"-1\"", errors::bad_transaction},
        {"data_size", "\"05\"", errors::bad_transaction},
        {"data_size", "\"99999999999999999999\"", errors::bad_transaction},
        {"data_size", "\"0\"", errors::bad_data_root},
        {"data_root", "\"\"", errors::bad_data_root},
        {"data_root", "\"AAAA\"", errors::bad_transaction},
        {"quantity", "\"01\"", errors::bad_amount},
        {"quantity", "\"-1\"", errors::bad_amount},
        {"quantity", "1.5", errors::bad_amount},
        {"reward", "\"" + many + "\"", errors::bad_amount},
        {"tags", R"([{"name":"!","value":""}])", errors::bad_transaction},
        {"tags", R"([{"name":"AA","value":")" + many + "\"}]", errors::tag_bytes_over_limit},
    };
    for (const auto& [name, value, code] : changes) {
        const auto read = read_transaction(with(json, name, value));
        ASSERT_FALSE(read) << name << value.substr(0, 30);
        EXPECT_EQ(read.error().code, code) << name << value.substr(0, 30);
    }
    for (const auto* const text : {"", "{", "[]", "null", "7", "{}", "{\"format\":2}"})
        EXPECT_EQ(read_transaction(text).error().code, errors::bad_transaction) << text;
}

TEST(Transaction, that_is_stored_and_cut_anywhere_is_refused)
{
    const auto wire = to_buffer(read(transactions()[2]).header.wire());
    for (std::size_t kept = 0; kept < wire.size(); ++kept)
        EXPECT_FALSE(Header::parse_stored(Bytes(wire).first(kept))) << kept;
}

TEST(Transaction, that_is_built_here_is_verified_and_always_the_same)
{
    const auto key = RsaSigner::generate();
    const auto data = pattern(1000);
    const TransactionFields fields{.target = sha256(as_bytes("bob")),
        .tags = {{"Content-Type", "text/plain"}},
        .quantity = Winston(3),
        .data_size = data.size(),
        .data_root = data_tree(data, Cut::balanced).root};
    const auto built = build_transaction(fields, key).value();
    EXPECT_TRUE(verify_data(built, data));
    EXPECT_EQ(build_transaction(fields, key).value().id(), built.id());
    const Ed25519Signer other{std::array<std::byte, 32>{std::byte{1}}};
    EXPECT_EQ(build_transaction(fields, other).error().code, errors::bad_field);
}

TEST(DataTree, has_arweave_js_s_root_chunks_and_paths)
{
    for (const auto& vector : transactions()) {
        const auto chunks = vector.find("chunks")->elements();
        if (chunks.empty())
            continue;
        const auto data = data_of(vector);
        const auto tree = data_tree(data, Cut::balanced);
        EXPECT_EQ(tree.root.text(), field(*vector.find("transaction"), "data_root")) << name_of(vector);
        ASSERT_EQ(tree.chunks.size(), chunks.size()) << name_of(vector);
        for (std::size_t i = 0; i < chunks.size(); ++i) {
            const auto& chunk = tree.chunks[i];
            EXPECT_EQ(chunk.begin, static_cast<std::uint64_t>(*chunks[i].find("begin")->integer())) << name_of(vector);
            EXPECT_EQ(chunk.end, static_cast<std::uint64_t>(*chunks[i].find("end")->integer())) << name_of(vector);
            EXPECT_EQ(base64url(chunk.path), field(chunks[i], "data_path")) << name_of(vector);
            for (const auto offset : {chunk.begin, chunk.end - 1}) {
                const auto proven = follow(chunk.path, tree.root, data.size(), offset).value();
                EXPECT_EQ(proven.begin, chunk.begin);
                EXPECT_EQ(proven.end, chunk.end);
                EXPECT_EQ(proven.data_hash, sha256(Bytes(data).subspan(chunk.begin, chunk.end - chunk.begin)));
            }
        }
    }
}

TEST(DataTree, proves_nothing_by_a_path_that_was_changed_or_is_another_chunk_s)
{
    const auto data = pattern(6 * chunk_bytes_max + 100);
    for (const auto cut : {Cut::balanced, Cut::even}) {
        const auto tree = data_tree(data, cut);
        const auto& chunk = tree.chunks[3];
        for (std::size_t i = 0; i < chunk.path.size(); ++i) {
            auto path = chunk.path;
            path[i] ^= std::byte{1};
            EXPECT_FALSE(follow(path, tree.root, data.size(), chunk.begin)) << i;
        }
        for (std::size_t kept = 0; kept < chunk.path.size(); ++kept)
            EXPECT_FALSE(follow(Bytes(chunk.path).first(kept), tree.root, data.size(), chunk.begin)) << kept;
        EXPECT_FALSE(follow(chunk.path, tree.root, data.size(), chunk.end));
        EXPECT_FALSE(follow(chunk.path, tree.root, data.size(), data.size()));
        EXPECT_FALSE(follow(chunk.path, tree.root, chunk.end - 1, chunk.begin)) << "of smaller data";
        EXPECT_FALSE(follow(tree.chunks.back().path, tree.root, data.size() + 1, data.size() - 1)) << "of larger data";
    }
    const auto one = data_tree(Bytes(data).first(chunk_bytes_max + 1), Cut::even);
    EXPECT_EQ(one.chunks.size(), 2U);
    EXPECT_NE(one.root, data_tree(Bytes(data).first(chunk_bytes_max + 1), Cut::balanced).root);
}

TEST(DataTree, is_the_same_however_the_data_comes)
{
    const auto data = pattern(2 * chunk_bytes_max + 5);
    for (const auto cut : {Cut::balanced, Cut::even})
        for (const std::size_t step : {std::size_t{1000}, std::size_t{chunk_bytes_max}, std::size_t{1} << 20}) {
            TreeBuilder builder(data.size(), cut);
            for (std::size_t at = 0; at < data.size(); at += step)
                builder.update(Bytes(data).subspan(at, std::min(step, data.size() - at)));
            EXPECT_EQ(builder.finish().root, data_tree(data, cut).root) << step;
        }
}

TEST(Bundle, of_arbundles_is_taken_apart_and_put_together_again)
{
    const auto bundles = *vectors().find("bundles");
    const auto check = [](const JsonView& bundle) {
        const auto raw = from_base64url(field(bundle, "raw")).value();
        const auto expected = bundle.find("members")->elements();
        const auto count = bundle_count(raw, raw.size()).value();
        ASSERT_EQ(count, expected.size());
        const auto table = bundle_count_bytes + count * bundle_entry_bytes;
        const auto members =
            bundle_members(Bytes(raw).subspan(bundle_count_bytes, count * bundle_entry_bytes), table, raw.size()).value();
        std::vector<BundlePart> parts;
        for (std::size_t i = 0; i < members.size(); ++i) {
            const auto wire = Bytes(raw).subspan(members[i].offset, members[i].size);
            const auto item = DataItem::parse(to_buffer(wire)).value();
            EXPECT_TRUE(item.verify());
            EXPECT_EQ(item.id().text(), field(expected[i], "id"));
            EXPECT_EQ(item.id(), members[i].id);
            EXPECT_EQ(base64url(item.data()), field(expected[i], "data"));
            parts.push_back({members[i].id, wire});
        }
        EXPECT_EQ(encode_bundle(parts), raw);
    };
    check(bundles);
    check(*bundles.find("inner"));
    const auto posted = read_transaction(bundles.find("transaction")->raw()).value();
    EXPECT_TRUE(is_bundle(posted.header.tags()));
    EXPECT_TRUE(verify_data(posted.header, posted.data));
    EXPECT_FALSE(is_bundle({{"Bundle-Format", "json"}, {"Bundle-Version", "1.0.0"}}));
}

TEST(Bundle, is_refused_when_its_table_says_more_than_is_there)
{
    Buffer raw(bundle_count_bytes);
    EXPECT_EQ(bundle_count(raw, raw.size()).value(), 0U);
    EXPECT_FALSE(bundle_count({}, 0));
    raw[0] = std::byte{1};
    EXPECT_FALSE(bundle_count(raw, raw.size()));
    EXPECT_FALSE(bundle_count(raw, bundle_count_bytes + bundle_entry_bytes - 1));
    raw[31] = std::byte{1};
    EXPECT_FALSE(bundle_count(raw, UINT64_MAX)) << "more than 64 bits";
    Buffer entry(bundle_entry_bytes);
    entry[0] = std::byte{5};
    EXPECT_TRUE(bundle_members(entry, 96, 101));
    EXPECT_FALSE(bundle_members(entry, 96, 100));
    entry[8] = std::byte{1};
    EXPECT_FALSE(bundle_members(entry, 96, UINT64_MAX));
}

TEST(Winston, amounts_are_exact_past_64_bits_and_never_wrap)
{
    const auto most = "170141183460469231731687303715884105727";
    EXPECT_EQ(Winston::parse(most).value().text(), most);
    EXPECT_FALSE(Winston::parse("170141183460469231731687303715884105728"));
    EXPECT_FALSE(Winston::parse("999999999999999999999999999999999999999"));
    EXPECT_FALSE(Winston::parse(most).value().plus(Winston(1)));
    EXPECT_FALSE(Winston(1).minus(Winston(2)));
    EXPECT_FALSE(Winston::parse(most).value().times(2));
    EXPECT_EQ(Winston(7).times(6)->text(), "42");
    EXPECT_EQ(Winston(7).times(0)->text(), "0");
    EXPECT_EQ(Winston::parse("18446744073709551616").value().minus(Winston(1))->text(), "18446744073709551615");
    for (const auto* const text : {"", "00", "01", "+1", "-1", " 1", "1 ", "0x1", "1e3"})
        EXPECT_FALSE(Winston::parse(text)) << text;
}
