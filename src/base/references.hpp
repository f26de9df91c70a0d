#pragma once

#include "base/files.hpp"

#include <optional>

/// Names in a folder of ours for files that lie elsewhere and stay there. Symbolic links of the machine's own file system; the
/// simulated one has none, and finds none.
namespace altiplano {

/// @param name  must be missing @param target  an absolute path @return base.file_failed
Result<void> refer(const Path& name, const Path& target);
/// Where a name made by refer() leads, whether the file is there or not; nothing for any other.
std::optional<Path> referred(const Path& name);
/// When the bytes of a file were changed last, in nanoseconds of some epoch: to be compared with itself only. 0: not known.
std::int64_t changed_ns(const Path& path);

}  // namespace altiplano
