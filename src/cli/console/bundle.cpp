#include "cli/console/bundle.hpp"

#include "base/bytes.hpp"
#include "cli/errors.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <regex>

namespace altiplano::cli {

namespace {

class Bundler {
public:
    Bundler(Files& files, Path root)
        : files_(files)
        , root_(std::move(root))
    {
    }

    Result<std::string> text(const Path& path)
    {
        TRY(const auto bytes, read_file(files_, path));
        std::string source = to_string(bytes);
        // A shebang is for shells.
        if (source.starts_with('#'))
            source.insert(0, "--");
        static const std::regex asking(R"(require\s*\(?\s*["']([\w./\-]+)["']\s*\)?)");
        for (std::sregex_iterator found(source.begin(), source.end(), asking), end; found != end; ++found) {
            const std::string name = (*found)[1];
            const auto file = file_of(name, path);
            if (file.empty() || done_.contains(name))
                continue;
            if (std::ranges::find(open_, name) != open_.end())
                return fail(errors::bad_argument, fmt::format("{} and what it requires require each other in a circle", name));
            open_.push_back(name);
            TRY(auto module, text(file));
            open_.pop_back();
            done_[name] = true;
            // Loaded again when the file is: package.loaded forgets it.
            modules_ += fmt::format("package.loaded[\"{0}\"] = nil\npackage.preload[\"{0}\"] = assert(load({1}, \"@{2}\"))\n",
                name, lua_quoted(module), file.filename().string());
        }
        return source;
    }

    const std::string& modules() const { return modules_; }

private:
    Path file_of(const std::string& name, const Path& asking) const
    {
        if (name.starts_with('.') && !name.starts_with("./"))
            return {};  // ".utils" and its like are the process's own
        std::string relative = name.starts_with("./") ? name.substr(2) : name;
        if (!relative.ends_with(".lua")) {
            std::ranges::replace(relative, '.', '/');
            relative += ".lua";
        }
        for (const auto& base : {asking.parent_path(), root_})
            if (const auto path = (base / relative).lexically_normal(); files_.exists(path))
                return path;
        return {};
    }

    Files& files_;
    Path root_;
    std::map<std::string, bool> done_;
    std::vector<std::string> open_;
    std::string modules_;
};

}  // namespace

std::string lua_quoted(const std::string& text)
{
    // A level of [=[ ... ]=] that the text does not close.
    std::string equals;
    while (text.find("]" + equals + "]") != text.npos || text.ends_with("]" + equals))
        equals += '=';
    return fmt::format("[{}[\n{}]{}]", equals, text, equals);
}

Result<std::string> bundle(Files& files, const Path& path)
{
    if (path.extension() != ".lua")
        return fail(errors::no_lua_file, ".load function requires a *.lua file");
    if (!files.exists(path))
        return fail(errors::no_lua_file, fmt::format("file not found: {}", path.string()));
    Bundler bundler(files, path.parent_path());
    TRY(const auto text, bundler.text(path));
    // A chunk of its own: what goes wrong in it is told with its name and its own lines.
    return bundler.modules() + fmt::format("return assert(load({}, \"@{}\"))()", lua_quoted(text), path.filename().string());
}

}  // namespace altiplano::cli
