#include "item/transaction_json.hpp"

#include "base/base64url.hpp"

namespace altiplano::item {

void write_transaction(JsonWriter& json, const Header& header, std::uint64_t data_size)
{
    const auto* const layer1 = header.layer1();
    json.member("format", std::uint64_t{layer1 ? layer1->format : 2})
        .member("id", std::string_view(header.id().text()))
        .member("last_tx", std::string_view(base64url(header.anchor())))
        .member("owner", std::string_view(base64url(header.owner_key())));
    json.key("tags").begin_array();
    for (const auto& tag : header.tags())
        json.begin_object()
            .member("name", std::string_view(base64url(as_bytes(tag.name))))
            .member("value", std::string_view(base64url(as_bytes(tag.value))))
            .end_object();
    json.end_array();
    json.member("target", std::string_view(header.target() ? header.target()->text() : ""))
        .member("quantity", std::string_view(layer1 ? layer1->quantity.text() : "0"))
        .member("data", "")
        .member("data_size", std::string_view(std::to_string(data_size)))
        .member("data_root", std::string_view(layer1 && layer1->data_root ? layer1->data_root->text() : ""))
        .member("reward", std::string_view(layer1 ? layer1->reward.text() : "0"))
        .member("signature", std::string_view(base64url(header.signature())));
    if (!layer1)
        json.member("data_item", true).member("signature_type", std::uint64_t{header.signature_type().number});
}

}  // namespace altiplano::item
