#include "vm/abi/wasi/path.hpp"

namespace altiplano::vm::abi::wasi {

std::expected<std::string, Errno> normal_path(std::string_view path)
{
    constexpr std::size_t path_bytes_max = 4096;
    if (path.size() > path_bytes_max)
        return std::unexpected(Errno::nametoolong);
    if (path.find('\0') != std::string_view::npos)
        return std::unexpected(Errno::inval);
    std::string normal;
    while (!path.empty()) {
        const auto part = path.substr(0, path.find('/'));
        path.remove_prefix(part.size() == path.size() ? part.size() : part.size() + 1);
        if (part.empty() || part == ".")
            continue;
        if (part == "..")
            return std::unexpected(Errno::notcapable);
        if (!normal.empty())
            normal += '/';
        normal += part;
    }
    return normal;
}

}  // namespace altiplano::vm::abi::wasi
