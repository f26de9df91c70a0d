// JSON from outside: what parses can be walked, and written again to something that parses.
#include "base/json.hpp"
#include "base/utf8.hpp"

using namespace altiplano;

namespace {

void walk(const JsonView& value, JsonWriter& json)
{
    switch (value.kind()) {
    case JsonView::Kind::null: json.null(); break;
    case JsonView::Kind::boolean: json.boolean(value.boolean().value()); break;
    case JsonView::Kind::number:
        ENSURE(value.number(), "a number has a value");
        json.raw(value.raw());
        break;
    case JsonView::Kind::string: json.string(value.string().value()); break;
    case JsonView::Kind::array:
        json.begin_array();
        for (const auto& element : value.elements())
            walk(element, json);
        json.end_array();
        break;
    case JsonView::Kind::object:
        json.begin_object();
        for (const auto& [name, member] : value.members()) {
            ENSURE(value.find(name), "a member is found by its name");
            json.key(name);
            walk(member, json);
        }
        json.end_object();
        break;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    // Looking every member up by its name is quadratic, which is the fuzzer's own doing.
    if (size > 4096)
        return 0;
    const std::string text(reinterpret_cast<const char*>(data), size);
    const auto value = JsonView::parse(text);
    if (!value)
        return 0;
    JsonWriter json;
    walk(*value, json);
    ENSURE(JsonView::parse(json.text()), "JSON that is written parses");
    ENSURE(is_utf8(json.text()), "JSON for clients is UTF-8");
    return 0;
}
