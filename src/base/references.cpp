#include "base/references.hpp"

#include "base/errors.hpp"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace altiplano {

Result<void> refer(const Path& name, const Path& target)
{
    if (symlink(target.c_str(), name.c_str()) != 0)
        return fail(errors::file_failed,
            fmt::format("could not make {} a name for {}: {}", name.string(), target.string(), std::strerror(errno)));
    return {};
}

std::optional<Path> referred(const Path& name)
{
    std::error_code code;
    auto target = std::filesystem::read_symlink(name, code);
    return code ? std::nullopt : std::optional(std::move(target));
}

std::int64_t changed_ns(const Path& path)
{
    struct stat found{};
    return stat(path.c_str(), &found) == 0 ? found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec : 0;
}

}  // namespace altiplano
