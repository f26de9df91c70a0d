// Our evaluator for programs of other languages: a JSON object a line in, one a line out, in order. ao-loader.cjs speaks it, so
// that whatever was written for @permaweb/ao-loader runs on our virtual machine.
//
//   {"load": FILE, "format": NAME}                                    -> {"module": N}
//   {"module": N, "state": FILE or "", "message": TEXT, "env": TEXT, "timestamp": MS, "gas": N, "into": FILE}
//                                                                     -> {"output": TEXT, "gas", "metered"} or {"fault": CODE,
//                                                                     "sentence"}
// A state is a file that a run before wrote; "" is a new process. `into` is written when the run ended with a result.
#include "base/files.hpp"
#include "base/json.hpp"
#include "base/random.hpp"
#include "vm/machine.hpp"

#include <iostream>
#include <vector>

using namespace altiplano;

namespace {

class Evaluator {
public:
    explicit Evaluator(std::unique_ptr<vm::ModuleCache> cache)
        : cache_(std::move(cache))
    {
    }

    Result<std::string> answer(const JsonView& asked) { return asked.find("load") ? load(asked) : run(asked); }

private:
    static std::string text(const JsonView& object, std::string_view name)
    {
        const auto value = object.find(name);
        return value ? value->text().value_or("") : std::string();
    }
    static std::int64_t number(const JsonView& object, std::string_view name, std::int64_t otherwise)
    {
        const auto value = object.find(name);
        return value ? value->integer().value_or(otherwise) : otherwise;
    }

    Result<std::string> load(const JsonView& asked)
    {
        TRY(const auto wasm, read_file(system_files(), text(asked, "load")));
        const auto* const format = vm::format_named(text(asked, "format"));
        if (format == nullptr)
            return fail("evaluator.unknown_format", "there is no format " + text(asked, "format"));
        TRY(auto module, cache_->compile(wasm, *format));
        modules_.push_back(std::move(module));
        JsonWriter json;
        json.begin_object().member("module", static_cast<std::uint64_t>(modules_.size() - 1)).end_object();
        return std::move(json).text();
    }

    Result<std::string> run(const JsonView& asked)
    {
        const auto which = static_cast<std::size_t>(number(asked, "module", -1));
        if (which >= modules_.size())
            return fail("evaluator.unknown_module", "load it first");
        const vm::Machine::Limits limits{.memory_bytes = std::uint64_t{16} << 30};
        const auto state = text(asked, "state");
        std::unique_ptr<vm::Machine> machine;
        if (state.empty()) {
            TRY(machine, vm::Machine::create(modules_[which], limits));
        } else {
            TRY(auto image, system_files().open(state, Files::Mode::read));
            TRY(machine, vm::Machine::restore(modules_[which], limits, std::move(image), vm::no_files()));
        }
        const auto message = text(asked, "message");
        const auto env = text(asked, "env");
        TRY(const auto done,
            machine->handle({.message_json = message,
                .env_json = env,
                .timestamp_ms = number(asked, "timestamp", 0),
                .gas_limit = static_cast<std::uint64_t>(number(asked, "gas", INT64_MAX))}));
        JsonWriter json;
        json.begin_object();
        if (done.kind == vm::Run::Kind::guest_fault) {
            json.member("fault", done.fault_code).member("sentence", std::string_view(done.fault_sentence));
        } else {
            TRY_OK(machine->commit());
            TRY_OK(machine->save(system_files(), text(asked, "into")));
            json.member("output", as_text(done.bytes)).member("metered", done.metered.value_or(0));
        }
        json.member("gas", done.gas_used).end_object();
        return std::move(json).text();
    }

    std::unique_ptr<vm::ModuleCache> cache_;
    std::vector<std::shared_ptr<const vm::Module>> modules_;
};

Result<void> serve(const char* folder)
{
    TRY(const auto engine, vm::Engine::create(vm::Engine::small_reservation_bytes));
    TRY(auto cache, vm::ModuleCache::open(engine, system_files(), system_random(), {.folder = folder}));
    Evaluator evaluator(std::move(cache));
    for (std::string line; std::getline(std::cin, line);) {
        const auto asked = JsonView::parse(line);
        const auto said = asked ? evaluator.answer(*asked) : Result<std::string>(std::unexpected(asked.error()));
        std::cout << (said ? *said : error_json(said.error())) << '\n' << std::flush;
    }
    return {};
}

}  // namespace

int main(int count, char** arguments)
{
    const auto served = serve(count > 1 ? arguments[1] : "");
    if (!served)
        std::cerr << error_json(served.error()) << '\n';
    return served ? 0 : 1;
}
