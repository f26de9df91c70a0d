// `bench runtime`: messages per second of processor time through the Lua runtime of a process, ours and AO's published aos2_0_6,
// both on our virtual machine, committed after each message as a node does.
//   ping-pong        a handler replies to each message
//   token transfers  lua/blueprints/token.lua, the same text in both, moves one unit from one of eight accounts to the next
//   bench_runtime PROCESS.wasm AOS.wasm TOKEN.lua [--json] [--smoke]
#include "base/files.hpp"
#include "base/json.hpp"
#include "base/random.hpp"
#include "lib/bench.hpp"
#include "vm/machine.hpp"

#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

using namespace altiplano;
using bench::must;

namespace {

const std::string id(43, 'P'), owner(43, 'O'), module_id(43, 'M');

/// A process of one module, spoken to as a compute unit does.
class Process {
public:
    Process(std::shared_ptr<const vm::Module> module, std::string_view program)
        : machine_(must(vm::Machine::create(std::move(module), {})))
    {
        send(id, owner, {{"Type", "Process"}}, "");
        send("", owner, {{"Action", "Eval"}}, program);
    }

    /// @return how many messages the process sent
    std::uint64_t send(std::string_view message_id, std::string_view from,
        const std::vector<std::pair<std::string, std::string>>& tags, std::string_view data)
    {
        const auto own_id = message_id.empty() ? fmt::format("{:043}", slot_) : std::string(message_id);
        JsonWriter json;
        json.begin_object()
            .member("Id", std::string_view(own_id))
            .member("From", from)
            .member("Owner", from)
            .member("Target", std::string_view(id));
        json.member("Module", std::string_view(module_id))
            .member("Data", data)
            .member("Block-Height", "100")
            .member("Nonce", slot_);
        json.member("Timestamp", 1'700'000'000'000 + slot_).key("Tags").begin_array();
        for (const auto& [name, value] : tags)
            json.begin_object().member("name", std::string_view(name)).member("value", std::string_view(value)).end_object();
        json.end_array().end_object();
        ++slot_;
        static const auto env = fmt::format(
            R"({{"Process":{{"Id":"{}","Owner":"{}","Tags":[{{"name":"Data-Protocol","value":"ao"}},{{"name":"Name","value":"bench"}}]}},)"
            R"("Module":{{"Id":"{}","Owner":"{}","Tags":[]}}}})",
            id, owner, module_id, owner);
        const auto done = must(machine_->handle({.message_json = json.text(),
            .env_json = env,
            .timestamp_ms = static_cast<std::int64_t>(1'700'000'000'000 + slot_),
            .gas_limit = UINT64_C(1) << 50}));
        const auto text = as_text(done.bytes);
        const auto answer = JsonView::parse(text);
        const auto response = answer ? answer->find("response") : std::nullopt;
        if (done.kind != vm::Run::Kind::result || !response || response->find("Error"))
            bench::give_up(
                {"bench.refused", fmt::format("a message failed: {}{}", done.fault_sentence, text.substr(0, 500)), {}});
        must(machine_->commit());
        const auto messages = response->find("Messages");
        return messages ? messages->elements().size() : 0;
    }

private:
    std::unique_ptr<vm::Machine> machine_;
    std::uint64_t slot_ = 0;
};

constexpr std::string_view ping =
    R"(Handlers.add("Ping", "Ping", function(msg) msg.reply({ Action = "Pong", Data = msg.Data }) end))";

bench::Sample ping_pong(Process& process, std::uint64_t count)
{
    std::uint64_t answers = 0;
    const auto seconds = bench::thread_seconds([&] {
        for (std::uint64_t i = 0; i < count; ++i)
            answers += process.send("", owner, {{"Action", "Ping"}, {"Reference", std::to_string(i)}}, "hello");
    });
    return {.figure = static_cast<double>(count) / seconds, .work = answers};
}

std::string account(std::uint64_t number)
{
    return std::string(42, 'A') + static_cast<char>('a' + number % 8);
}

bench::Sample transfers(Process& process, std::uint64_t count)
{
    std::uint64_t notices = 0;
    const auto seconds = bench::thread_seconds([&] {
        for (std::uint64_t i = 0; i < count; ++i)
            notices +=
                process.send("", account(i), {{"Action", "Transfer"}, {"Recipient", account(i + 1)}, {"Quantity", "1"}}, "");
    });
    return {.figure = static_cast<double>(count) / seconds, .work = notices};
}

}  // namespace

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values, "PROCESS.wasm AOS.wasm TOKEN.lua");
    const auto folder = std::filesystem::temp_directory_path() / fmt::format("altiplano-runtime-{}", getpid());
    const auto engine = must(vm::Engine::create());
    const auto cache = must(vm::ModuleCache::open(engine, system_files(), system_random(), {.folder = folder}));
    const auto compile = [&](const std::string& path, std::string_view format) {
        return must(cache->compile(must(read_file(system_files(), path)), *vm::format_named(format)));
    };
    const auto own = compile(given.rest[0], "wasm64-wasi-altiplano_1");
    const auto aos = compile(given.rest[1], "wasm64-unknown-emscripten-draft_2024_02_15");
    std::string token = "Balances = {}\n";
    for (std::uint64_t i = 0; i < 8; ++i)
        token += fmt::format("Balances['{}'] = '1000000000000'\n", account(i));
    token += to_string(must(read_file(system_files(), given.rest[2])));

    const std::uint64_t messages = given.smoke ? 20 : 2000;
    const int runs = given.smoke ? 1 : 5;
    std::vector<bench::Row> rows;
    {
        Process ours(own, ping), theirs(aos, ping);
        rows.push_back(bench::in_turn(
            "ping-pong", "aos2_0_6", "messages/cpu-s", bench::Better::more, runs, [&] { return ping_pong(ours, messages); },
            [&] { return ping_pong(theirs, messages); }));
    }
    {
        Process ours(own, token), theirs(aos, token);
        rows.push_back(bench::in_turn(
            "token transfers", "aos2_0_6", "messages/cpu-s", bench::Better::more, runs, [&] { return transfers(ours, messages); },
            [&] { return transfers(theirs, messages); }));
    }
    bench::report(rows, given.json);
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
}
