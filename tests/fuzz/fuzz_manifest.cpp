// A path manifest, and after a zero byte the path that is asked of it.
#include "weave/errors.hpp"
#include "weave/manifest.hpp"

using namespace altiplano;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto cut = text.find('\0');
    const auto manifest = text.substr(0, cut);
    const auto path = cut == text.npos ? std::string_view() : text.substr(cut + 1);
    const auto found = weave::resolve_path(manifest, path);
    if (!found) {
        const auto code = found.error().code;
        ENSURE(code == weave::errors::bad_manifest || code == weave::errors::unknown_path, "what is wrong has one of two names");
        ENSURE(found.error().sentence.size() < 2048, "a sentence stays one");
        return 0;
    }
    ENSURE(manifest.find("arweave") != manifest.npos || manifest.find('\\') != manifest.npos, "only a manifest leads anywhere");
    // With and without a slash at its end a path leads somewhere, if one of both does.
    if (!path.empty() && !path.ends_with('/'))
        ENSURE(weave::resolve_path(manifest, std::string(path) + "/"), "a slash at the end changes nothing");
    return 0;
}
