#include "weave/index.hpp"

#include "weave/errors.hpp"

#include <charconv>
#include <fmt/format.h>

namespace altiplano::weave {

namespace {

// A change of what `terms_of` gives must change this, so that indexes are made anew.
constexpr std::string_view index_kind = "1";
constexpr std::string_view kind_key = "index";  ///< the finished index's kind
constexpr std::string_view place_key = "index_place";  ///< "KIND PLACE": how far one under way has come
constexpr std::size_t batch_items = 1000;

Result<std::vector<store::Term>> terms_of_record(const store::ItemRecord& item)
{
    const auto header = item::Header::parse_stored(item.header);
    if (!header)
        return fail(errors::broken_item,
            fmt::format("the stored header of {} cannot be read: {}", item.id.text(), header.error().sentence));
    return terms_of(*header, item.bundle);
}

}  // namespace

std::vector<store::Term> terms_of(const item::Header& header, const std::optional<ItemId>& bundle)
{
    std::vector<store::Term> terms;
    terms.reserve(header.tags().size() + 3);
    for (const auto& tag : header.tags())
        terms.push_back(store::Term::tag(tag.name, tag.value));
    terms.push_back(store::Term::owner(header.owner().text()));
    if (header.target())
        terms.push_back(store::Term::recipient(header.target()->text()));
    if (bundle)
        terms.push_back(store::Term::bundle(*bundle));
    return terms;
}

Result<void> check_index(store::Records& records)
{
    TRY(const auto kind, records.meta(kind_key));
    if (kind == index_kind)
        return {};
    return fail(errors::no_index, "the index of this weave's items is missing or of another kind",
        "start the node on it once: it makes it");
}

Result<void> bring_index_up_to_date(store::Records& records)
{
    TRY(const auto kind, records.meta(kind_key));
    if (kind == index_kind)
        return {};
    for (bool more = true; more;) {
        TRY_OK(records.write([&](store::RecordsWriter& writer) -> Result<void> {
            std::uint64_t place = 0;
            TRY(const auto begun, writer.meta(place_key));
            const auto prefix = std::string(index_kind) + " ";
            if (begun && begun->starts_with(prefix))
                std::from_chars(begun->data() + prefix.size(), begun->data() + begun->size(), place);
            else
                TRY_OK(writer.forget_index());
            TRY(const auto next, writer.index_items(place, batch_items, terms_of_record));
            more = next.has_value();
            if (more)
                return writer.put_meta(place_key, prefix + std::to_string(*next));
            return writer.put_meta(kind_key, index_kind);
        }));
    }
    return {};
}

}  // namespace altiplano::weave
