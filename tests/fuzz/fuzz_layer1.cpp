// The first layer: a transaction's JSON, proofs of chunks, and data cut into chunks. The first byte chooses.
#include "place.hpp"

#include "base/base64url.hpp"
#include "item/data_root.hpp"
#include "item/errors.hpp"
#include "item/transaction.hpp"
#include "weave/errors.hpp"
#include "weave/transactions.hpp"

#include <fmt/format.h>

using namespace altiplano;

namespace {

void check_transaction(std::string_view json)
{
    const auto posted = item::read_transaction(json);
    if (!posted) {
        ENSURE(posted.error().code.starts_with("item."), "a refusal says what is wrong with the transaction");
        return;
    }
    const auto& header = posted->header;
    ENSURE(header.layer1(), "a transaction is one of the first layer");
    const auto again = item::join_layer1(to_buffer(header.wire()));
    ENSURE(again && again->id() == header.id() && again->tags() == header.tags(), "a transaction is stored as it was read");
    ENSURE(again->layer1()->quantity == header.layer1()->quantity && again->layer1()->reward == header.layer1()->reward
            && again->layer1()->data_root == header.layer1()->data_root,
        "its amounts and its root too");
    for (std::size_t less = 1; less <= 64; ++less)
        ENSURE(!item::join_layer1(to_buffer(header.wire().first(header.wire().size() - less))), "one that is cut is none");
    (void)item::verify_data(header, posted->data).has_value();
}

/// A transaction out of lines, one for each member, with the id that its signature gives: nobody guesses that.
void check_lines(std::string_view text)
{
    static constexpr const char* names[] = {
        "format", "last_tx", "owner", "target", "quantity", "reward", "data_size", "data_root", "data", "signature", "tags"};
    std::string json = "{";
    for (const auto* name : names) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        json += fmt::format("\"{}\":{},", name, line.empty() ? "\"\"" : line);
        if (std::string_view(name) == "signature" && line.size() > 2)
            if (const auto signature = from_base64url(line.substr(1, line.size() - 2)))
                json += fmt::format("\"id\":\"{}\",", sha256(*signature).text());
    }
    json.back() = '}';
    check_transaction(json);
}

std::array<std::byte, 32> note(std::uint64_t number)
{
    std::array<std::byte, 32> wire{};
    for (std::size_t i = 0; i < 8; ++i)
        wire[31 - i] = static_cast<std::byte>(number >> (8 * i));
    return wire;
}

/// A path that hangs together, of branches that divide wherever they like: what a forger can make.
void check_path(fuzz::Input& input, weave::Transactions& transactions)
{
    const auto size = input.number(4);
    const auto offset = input.number(4);
    const auto branches = input.byte() % 70;
    Buffer path;
    Digest node = sha256(input.take(8));
    const auto join = [&](std::initializer_list<Bytes> parts) {
        Sha256Hasher hasher;
        for (const auto part : parts)
            hasher.update(sha256(part).bytes());
        return hasher.finish();
    };
    // From the leaf upwards.
    const auto leaf_note = note(input.number(4));
    append(path, node.bytes());
    append(path, leaf_note);
    node = join({node.bytes(), leaf_note});
    for (unsigned i = 0; i < branches; ++i) {
        const auto side = input.byte();
        auto middle = note(side & 2 ? size : input.number(4));
        if (side & 4)
            middle[input.byte() % 32] ^= std::byte{1};
        const auto other = sha256(input.take(4));
        const auto& left = side & 1 ? node : other;
        const auto& right = side & 1 ? other : node;
        Buffer branch = to_buffer(left.bytes());
        append(branch, right.bytes());
        append(branch, middle);
        node = join({left.bytes(), right.bytes(), middle});
        branch.insert(branch.end(), path.begin(), path.end());
        path = std::move(branch);
    }
    if (const auto changed = input.byte(); changed & 1)
        path[input.number(2) % path.size()] ^= static_cast<std::byte>(changed);
    const auto proven = item::follow(path, node, size, offset);
    if (!proven)
        ENSURE(proven.error().code == item::errors::bad_proof, "what does not prove is called so");
    else
        ENSURE(proven->begin <= offset && offset < proven->end && proven->end <= size
                && proven->end - proven->begin <= item::chunk_bytes_max,
            "a proven chunk has the byte that was asked about, and lies inside");
    const auto kept = transactions.put_chunk(
        {.data_root = node, .data_size = size, .offset = offset, .path = std::move(path), .bytes = to_buffer(input.rest())});
    ENSURE(!kept, "nobody waits for a root that was just made up");
}

/// Data as it is cut: each chunk's path proves that chunk, and none when it is changed.
void check_tree(fuzz::Input& input)
{
    const auto size = std::size_t{1} + input.number(3) % (std::size_t{5} * item::chunk_bytes_max / 2);
    const auto cut = input.byte() % 2 ? item::Cut::even : item::Cut::balanced;
    const auto where = input.number(2);
    const auto flip = static_cast<std::byte>(1U << input.byte() % 8);
    Buffer data(size, static_cast<std::byte>(input.byte()));
    const auto tree = item::data_tree(data, cut);
    std::uint64_t at = 0;
    for (auto chunk : tree.chunks) {
        ENSURE(chunk.begin == at && chunk.end > at, "chunks lie one after the other");
        at = chunk.end;
        const auto proven = item::follow(chunk.path, tree.root, size, chunk.begin);
        ENSURE(proven && proven->begin == chunk.begin && proven->end == chunk.end
                && proven->data_hash == sha256(Bytes(data).subspan(chunk.begin, chunk.end - chunk.begin)),
            "a path proves its chunk");
        chunk.path[where % chunk.path.size()] ^= flip;
        ENSURE(!item::follow(chunk.path, tree.root, size, chunk.begin), "a changed path proves nothing");
    }
    ENSURE(at == size, "chunks are all of the data");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static fuzz::Place place;
    static const auto transactions =
        weave::Transactions::open(*place.weave, *place.records, system_files(), place.clock, place.folder / "uploads", {})
            .value();
    fuzz::Input input(data, size);
    switch (input.byte() % 4) {
    case 0: check_transaction(as_text(input.rest())); break;
    case 1: check_lines(as_text(input.rest())); break;
    case 2: check_path(input, *transactions); break;
    case 3: check_tree(input); break;
    }
    return 0;
}
