// Avro tags, their number in the first byte: what was read can be written and read again to the same.
#include "item/tags.hpp"

using namespace altiplano;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0)
        return 0;
    const auto tags = item::decode_tags({reinterpret_cast<const std::byte*>(data) + 1, size - 1}, data[0]);
    if (!tags)
        return 0;
    ENSURE(tags->size() == data[0], "the tags are as many as was declared");
    const auto again = item::decode_tags(item::encode_tags(*tags), tags->size());
    ENSURE(again && *again == *tags, "tags that are written read the same");
    return 0;
}
