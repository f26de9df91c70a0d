// A query and its variables, separated by a zero byte, on a weave of three items.
#include "base/json.hpp"
#include "base/utf8.hpp"
#include "gateway/gateway.hpp"
#include "item/ed25519.hpp"
#include "store/sqlite/sqlite.hpp"

#include <cstdlib>

using namespace altiplano;

namespace {

class StoppedClock final : public Clock {
public:
    std::int64_t wall_ms() const override { return 1'700'000'000'000; }
    std::int64_t monotonic_ns() const override { return 0; }
    void sleep_ms(std::int64_t) override { }
};

struct Place {
    Place()
    {
        std::string name = std::filesystem::temp_directory_path() / "altiplano-fuzz-XXXXXX";
        ENSURE(mkdtemp(name.data()), "a temporary folder can be made");
        folder = name;
        records = store::open_records(folder / "records.db", {.durable = false}).value();
        blobs = store::Blobs::open(system_files(), folder / "blobs").value();
        weave = weave::Weave::open(*records, *blobs, clock, system_random()).value();
        const item::Ed25519Signer signer(sha256(as_bytes("fuzz")).array());
        for (const auto* name_tag : {"a", "b", "c"}) {
            const auto one =
                item::build({.tags = {{"Name", name_tag}, {"Type", "Process"}}, .data = to_buffer("x")}, signer).value();
            ENSURE(weave->put({weave::stage_own(one, *blobs).value()}), "an item can be put");
        }
    }
    ~Place()
    {
        weave.reset();
        records.reset();
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
    }
    StoppedClock clock;
    Path folder;
    std::unique_ptr<store::Records> records;
    std::unique_ptr<store::Blobs> blobs;
    std::unique_ptr<weave::Weave> weave;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static Place place;
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
