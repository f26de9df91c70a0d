#pragma once

#include "base/files.hpp"
#include "base/id.hpp"
#include "compute/compile_limits.hpp"

#include <optional>
#include <string_view>

namespace altiplano::compute {

/// What the compiler was stopped at before (`CompilingWithin`), a small file for each beside the compiled modules: else every
/// message to such a process would spend minutes again. It is this node's cache: other limits or another compiler make other
/// names, so that changing either forgets it, and so does removing the file. Safe from any thread.
class RefusedCompiles {
public:
    RefusedCompiles(Files& files, Path folder, const CompileLimits& limits)
        : files_(files)
        , folder_(std::move(folder))
        , limits_(limits)
    {
    }
    /// @param kind  whatever a compilation depends on
    /// @return compute.compilation_over_limit, as it was remembered
    std::optional<Error> find(std::string_view kind) const;
    /// Failing to costs time alone.
    void remember(std::string_view kind, const Error& error);

private:
    Path path_of(std::string_view kind) const;

    Files& files_;
    Path folder_;
    CompileLimits limits_;
};

}  // namespace altiplano::compute
