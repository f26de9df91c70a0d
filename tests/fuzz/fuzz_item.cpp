// A data item: what is read is what was written.
#include "item/data_item.hpp"

using namespace altiplano;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const Bytes wire(reinterpret_cast<const std::byte*>(data), size);
    const auto item = item::DataItem::parse(wire);
    if (!item)
        return 0;
    ENSURE(equal(item->wire(), wire), "an item is written as it was read");
    const auto header = item::Header::parse(wire);
    ENSURE(header && header->id() == item->id(), "the header alone reads as the whole");
    for (std::size_t less = 1; less <= 64 && less <= header->size(); ++less)
        ENSURE(!item::Header::parse(wire.first(header->size() - less)), "a header that is cut is none");
    (void)item->verify().has_value();
    return 0;
}
