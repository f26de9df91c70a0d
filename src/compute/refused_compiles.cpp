#include "compute/refused_compiles.hpp"

#include "base/hash.hpp"
#include "base/log.hpp"
#include "compute/errors.hpp"
#include "vm/engine.hpp"

#include <fmt/format.h>

namespace altiplano::compute {

Path RefusedCompiles::path_of(std::string_view kind) const
{
    const auto all = fmt::format("{} limits {} {} {}", vm::Engine::compiler(), limits_.seconds, limits_.bytes, kind);
    return folder_ / (sha256(as_bytes(all)).text() + ".refused");
}

std::optional<Error> RefusedCompiles::find(std::string_view kind) const
{
    const auto path = path_of(kind);
    if (!files_.exists(path))
        return std::nullopt;
    const auto sentence = read_file(files_, path);
    if (!sentence || sentence->empty())
        return std::nullopt;
    return Error{errors::compilation_over_limit, to_string(*sentence) + ", so it is not tried again",
        fmt::format("the module is not refused by its bytes: a node that allows more may run it. This one tries again when {} is "
                    "removed",
            path.string())};
}

void RefusedCompiles::remember(std::string_view kind, const Error& error)
{
    if (const auto written = write_file(files_, path_of(kind), as_bytes(error.sentence)); !written)
        log::warning("a refused compilation is not remembered: {}", written.error().sentence);
}

}  // namespace altiplano::compute
