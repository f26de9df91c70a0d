#include "base/json.hpp"
#include "base/test_folder.hpp"
#include "drive/errors.hpp"
#include "drive/files.hpp"
#include "item/ed25519.hpp"
#include "store/sqlite/sqlite.hpp"
#include "vm/errors.hpp"

#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::drive;

namespace {

class ADrive : public testing::Test {
protected:
    ADrive()
    {
        records = store::open_records(folder / "records.db", {.durable = false}).value();
        blobs = store::Blobs::open(system_files(), folder / "blobs").value();
        weave = weave::Weave::open(*records, *blobs, system_clock(), system_random()).value();
        file = put("the model", {});
    }
    ItemId put(std::string_view data, item::Tags tags, const item::Signer* by = nullptr)
    {
        const auto one = item::build({.tags = std::move(tags), .data = to_buffer(data)}, by ? *by : attestor).value();
        EXPECT_TRUE(weave->put({weave::stage(one, *blobs).value()}));
        return one.id();
    }
    std::string text(std::uint64_t height, const std::string& path)
    {
        const item::Tags tags;
        WeaveFiles files(*weave, Reader{tags, tags, height});
        const auto opened = files.open(path);
        if (!opened)
            return std::string(opened.error().code);
        EXPECT_FALSE((*opened)->is_item()) << "documents cannot be mapped";
        Buffer bytes((*opened)->size());
        EXPECT_TRUE((*opened)->read_at(0, bytes));
        return to_string(bytes);
    }
    void attest(const item::Signer& by)
    {
        put("", {{"Data-Protocol", "ao"}, {"Type", "Attestation"}, {"Message", file.text()}}, &by);
    }
    item::Tags process(std::string mode = "")
    {
        item::Tags tags{{"Extension", "WeaveDrive"}, {"Attestor", attestor.address().text()}, {"Scheduler", "somebody"}};
        if (!mode.empty())
            tags.add("Availability-Type", mode);
        return tags;
    }
    std::string open(const item::Tags& process, std::uint64_t height, const item::Tags& module = {})
    {
        WeaveFiles files(*weave, Reader{process, module, height});
        const auto opened = files.open("data/" + file.text());
        return opened ? "open" : std::string(opened.error().code);
    }
    std::uint64_t tip() { return weave->tip().value().height; }

    TestFolder folder;
    item::Ed25519Signer attestor = item::Ed25519Signer::generate(system_random());
    item::Ed25519Signer stranger = item::Ed25519Signer::generate(system_random());
    std::unique_ptr<store::Records> records;
    std::unique_ptr<store::Blobs> blobs;
    std::unique_ptr<weave::Weave> weave;
    ItemId file;
};

}  // namespace

TEST_F(ADrive, admits_what_an_attestor_attested_from_that_height_on)
{
    EXPECT_EQ(open(process(), tip()), vm::errors::file_not_admitted);
    attest(stranger);
    EXPECT_EQ(open(process(), tip()), vm::errors::file_not_admitted) << "a stranger's word";
    attest(attestor);
    EXPECT_EQ(open(process(), tip()), "open");
    EXPECT_EQ(open(process(), tip() - 1), vm::errors::file_not_admitted) << "not attested yet at that height";
    EXPECT_EQ(open(process(), 0), vm::errors::file_not_found) << "not stored yet at that height";
}

TEST_F(ADrive, needs_the_extension_on_process_or_module)
{
    attest(attestor);
    const item::Tags bare{{"Attestor", attestor.address().text()}};
    EXPECT_EQ(open(bare, tip()), vm::errors::file_not_admitted);
    EXPECT_EQ(open(bare, tip(), {{"Extension", "WeaveDrive"}}), "open");
}

TEST_F(ADrive, admits_what_boots_a_process)
{
    EXPECT_EQ(open({{"On-Boot", file.text()}}, tip()), "open");
    EXPECT_EQ(open({{"On-Boot", file.text()}, {"On-Boot", "Data"}}, tip()), vm::errors::file_not_admitted)
        << "the last one counts";
}

TEST_F(ADrive, admits_what_is_called_available_to_individual_readers)
{
    put("", {{"Data-Protocol", "WeaveDrive"}, {"Type", "Available"}, {"ID", file.text()}});
    EXPECT_EQ(open(process("Individual"), tip()), "open");
    EXPECT_EQ(open(process("Assignments"), tip()), vm::errors::file_not_admitted);
    EXPECT_EQ(open(process("Library"), tip()), vm::errors::file_not_admitted);
    EXPECT_EQ(open(process("Anything"), tip(), {{"Availability-Type", "Individual"}}), vm::errors::file_not_admitted)
        << "the process's own wins";
}

TEST_F(ADrive, reads_what_was_stored)
{
    attest(attestor);
    const auto tags = process();
    WeaveFiles files(*weave, Reader{tags, tags, tip()});
    const auto opened = files.open("data/" + file.text()).value();
    Buffer some(5);
    ASSERT_TRUE(opened->read_at(4, some));
    EXPECT_EQ(as_text(some), "model");
    EXPECT_EQ(opened->size(), 9U);
    EXPECT_EQ(opened->item(), file);
    for (const auto* path : {"data/", "data", "", "tx/abc", "data/../data/x", "data/short", "headers/1", "block/", "block/+1",
             "block/01", "block/1x", "block/99999999999999999999", "tx2/short"})
        EXPECT_EQ(files.open(path).error().code, vm::errors::file_not_found) << path;
}

TEST_F(ADrive, tells_of_items_as_gateways_do)
{
    const auto id = put("x", {{"Name", "value"}});
    const auto transaction = text(tip(), "tx/" + id.text());
    const auto view = JsonView::parse(transaction).value();
    EXPECT_EQ(view.find("id")->string(), id.text());
    EXPECT_EQ(view.find("ownerAddress")->string(), attestor.address().text());
    EXPECT_EQ(view.find("data_size")->string(), "1");
    const auto graphql = text(tip(), "tx2/" + id.text());
    const auto fields = JsonView::parse(graphql).value();
    EXPECT_EQ(fields.find("owner")->find("address")->string(), attestor.address().text());
    EXPECT_EQ(fields.find("block")->find("height")->integer(), static_cast<std::int64_t>(tip()));
    EXPECT_EQ(text(tip() - 1, "tx/" + id.text()), vm::errors::file_not_found) << "not stored yet at that height";
    EXPECT_EQ(text(tip() - 1, "tx2/" + id.text()), vm::errors::file_not_found);
    EXPECT_EQ(text(tip(), "tx/" + std::string(43, 'A')), vm::errors::file_not_found);
}

TEST_F(ADrive, tells_of_blocks_up_to_the_height_and_the_same_ever_after)
{
    const auto height = tip();
    const auto before = text(height, "block/" + std::to_string(height));
    EXPECT_EQ(JsonView::parse(before).value().find("height")->integer(), static_cast<std::int64_t>(height));
    EXPECT_NE(before.find(file.text()), std::string::npos);
    EXPECT_EQ(text(height, "block/" + std::to_string(height + 1)), vm::errors::file_not_found);
    put("later", {});
    EXPECT_EQ(text(height, "block/" + std::to_string(height)), before);
    EXPECT_EQ(text(height, "block/" + std::to_string(height + 1)), vm::errors::file_not_found) << "a replay sees no later block";
    EXPECT_NE(text(tip(), "block/" + std::to_string(height + 1)), vm::errors::file_not_found);
}

TEST_F(ADrive, says_neither_yes_nor_no_of_a_height_that_it_has_not_reached)
{
    EXPECT_EQ(open(process(), tip() + 1), errors::weave_behind);
    EXPECT_EQ(text(tip() + 1, "block/0"), errors::weave_behind);
}

TEST_F(ADrive, refuses_modes_that_nobody_defined_before_there_is_a_process)
{
    EXPECT_TRUE(check_mode(process("Individual"), {}));
    EXPECT_EQ(check_mode(process("Library"), {}).error().code, errors::unsupported_mode);
    EXPECT_EQ(check_mode(process(), {{"Availability-Type", "Library"}}).error().code, errors::unsupported_mode);
    EXPECT_TRUE(check_mode({{"Availability-Type", "Library"}}, {})) << "no drive, no question";
}
