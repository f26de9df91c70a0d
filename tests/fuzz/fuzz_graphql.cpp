// A query and its variables, separated by a zero byte, on a weave of three items.
#include "place.hpp"

#include "base/json.hpp"
#include "base/utf8.hpp"
#include "gateway/gateway.hpp"

using namespace altiplano;

namespace {

struct ThreeItems : fuzz::Place {
    ThreeItems()
    {
        for (const auto* name_tag : {"a", "b", "c"}) {
            const auto one =
                item::build({.tags = {{"Name", name_tag}, {"Type", "Process"}}, .data = to_buffer("x")}, signer).value();
            ENSURE(weave->put({weave::stage_own(one, *blobs).value()}), "an item can be put");
        }
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static ThreeItems place;
    // Small limits, so that a costly input is one that breaks them, not one that takes long.
    static const gateway::Gateway gateway(*place.weave, *place.records,
        {.limits = {.planned_fields = 500, .values = 5'000, .answer_bytes = 1 << 18}, .work = 10'000});
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto cut = text.find('\0');
    gateway::graphql::Request request{.query = std::string(text.substr(0, cut))};
    if (cut != text.npos)
        request.variables = text.substr(cut + 1);
    const auto answer = gateway.query(request);
    ENSURE(JsonView::parse(answer.json), "an answer is JSON");
    ENSURE(is_utf8(answer.json), "an answer is UTF-8");
    ENSURE(answer.json.size() < (std::size_t{1} << 20), "an answer stays within its limits");
    return 0;
}
