// `bench simd`: the same kernels with vector instructions against without, on the host and inside the VM: tokens per second of a
// model, one thread. Inside the VM they are the reference module, and the same sources compiled without SIMD.
//   bench_simd LLAMA.wasm MODEL.gguf TENSOR_WITHOUT_SIMD.wasm MODULES_FOLDER host|guest|both [--json] [--smoke]
#include "base/hash.hpp"
#include "kernels/implementations.hpp"
#include "lib/inference.hpp"
#include "tensor/extension.hpp"
#include "tensor/graph.hpp"

#include <algorithm>

using namespace altiplano;
using bench::must;

namespace {

/// The import of the extension tensor, computed by another module of the same functions.
class Other final : public vm::Extension {
public:
    explicit Other(Buffer wasm)
        : like_(tensor::extension())
        , wasm_(std::move(wasm))
        , hash_(sha256(wasm_))
    {
    }
    std::string_view name() const override { return like_->name(); }
    std::string_view version() const override { return like_->version(); }
    Digest specification() const override { return hash_; }
    const std::vector<vm::Import>& imports() const override { return like_->imports(); }
    vm::Answer<vm::Value> call(vm::CallContext& context, std::size_t, std::span<const vm::Value> given) override
    {
        const auto scratch = context.write(given[2], given[3]);
        if (!scratch)
            return std::unexpected(scratch.error());
        const Buffer before(scratch->begin(), scratch->end());
        const vm::Value arguments[] = {given[0], given[1], given[2], given[3], context.memory_bytes()};
        const auto answer =
            context.run_reference(hash_, wasm_, "compute", given[2] + static_cast<std::uint64_t>(tensor::stack_bytes), arguments);
        if (!answer)
            return std::unexpected(answer.error());
        std::ranges::copy(before, scratch->begin());
        ENSURE(*answer == 0, "a graph that llama.cpp made is computed");
        return 0;
    }

private:
    std::shared_ptr<vm::Extension> like_;
    Buffer wasm_;
    Digest hash_;
};

}  // namespace

int main(int count, char** values)
{
    const auto given =
        bench::arguments(count, values, "LLAMA.wasm MODEL.gguf TENSOR_WITHOUT_SIMD.wasm MODULES_FOLDER host|guest|both");
    const auto& where = given.rest[4];
    const auto engine = must(vm::Engine::create(vm::Engine::small_reservation_bytes));
    const auto wasm = must(read_file(system_files(), given.rest[0]));
    const int words = given.smoke ? 16 : 128;
    const int tokens = given.smoke ? 2 : 16;
    std::vector<bench::Row> rows;
    bool equal = true;
    const auto compare = [&](const std::string& name, std::shared_ptr<vm::Extension> with,
                             std::shared_ptr<vm::Extension> without) {
        auto ours = bench::loaded(engine, wasm, given.rest[3], given.rest[1], std::move(with));
        auto plain = bench::loaded(engine, wasm, given.rest[3], given.rest[1], std::move(without));
        bench::Compared compared;
        for (int run = 0; run < (given.smoke ? 1 : 3); ++run) {
            const auto one = bench::inside(ours, words, tokens);
            compared.add(one, bench::inside(plain, words, tokens));
        }
        equal &= compared.equal();
        rows.push_back(compared.prefill(fmt::format("{}: prefill {}", name, words), "without SIMD"));
        rows.push_back(compared.decode(fmt::format("{}: decode", name), "without SIMD"));
    };
    for (const auto* implementation : kernels::implementations())
        if (where != "guest" && implementation != &kernels::portable_implementation()
            && (!given.smoke || implementation == &kernels::best_implementation()))
            compare(fmt::format("host, {}", implementation->name), tensor::extension({.implementation = implementation->name}),
                tensor::extension({.implementation = kernels::portable_implementation().name}));
    if (where != "host")
        compare("guest, wasm SIMD", tensor::extension({.by = tensor::Options::By::reference}),
            std::make_shared<Other>(must(read_file(system_files(), given.rest[2]))));
    bench::report(rows, given.json);
    return equal ? 0 : 1;
}
