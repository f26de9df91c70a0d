// Locks the data folder, for which the kernel is asked directly.
#include "node/data_folder.hpp"

#include "item/wallet.hpp"
#include "node/errors.hpp"

#include <fmt/format.h>
#include <sys/file.h>

namespace altiplano::node {

namespace {
constexpr std::string_view version = "altiplano data folder 1\n";
}

Result<void> DataFolder::check(Files& files) const
{
    if (!files.exists(root / "VERSION"))
        return fail(errors::no_folder, fmt::format("{} is no data folder of a node", root.string()),
            "`altiplano node --data DIR` makes one");
    TRY(const auto found, read_file(files, root / "VERSION"));
    if (as_text(found) != version)
        return fail(errors::newer_folder,
            fmt::format("{} says '{}', this program reads '{}'", (root / "VERSION").string(), as_text(found).substr(0, 60),
                version.substr(0, version.size() - 1)),
            "use the program that wrote it, or a newer one");
    return {};
}

Result<std::shared_ptr<void>> DataFolder::claim(Files& files) const
{
    TRY_OK(files.make_directories(root));
    TRY(auto lock, files.open(root / "LOCK", Files::Mode::create));
    if (flock(lock->descriptor(), LOCK_EX | LOCK_NB) != 0)
        return fail(errors::folder_in_use, fmt::format("another node is using {}", root.string()),
            "stop it, or name another folder with --data");
    if (files.exists(root / "VERSION")) {
        TRY_OK(check(files));
    } else {
        TRY_OK(write_file(files, root / "VERSION", as_bytes(version)));
    }
    TRY_OK(files.make_directories(root / "keys"));
    TRY_OK(files.set_private(root / "keys"));
    return std::shared_ptr<void>(std::move(lock));
}

Result<std::unique_ptr<item::Signer>> load_or_make_key(Files& files, Random& random, const Path& path, std::string_view kind)
{
    if (files.exists(path)) {
        TRY(const auto text, read_file(files, path));
        auto key = item::read_wallet(as_text(text));
        if (!key)
            return fail_while(path.string(), key.error());
        return key;
    }
    TRY(auto made, item::make_wallet(kind, random));
    if (!path.parent_path().empty())
        TRY_OK(files.make_directories(path.parent_path()));
    // Nobody may read the file between its making and its protection: it is protected while it is empty.
    const auto temporary = Path(path.string() + ".tmp");
    {
        TRY_OK(files.remove(temporary));
        TRY(const auto file, files.open(temporary, Files::Mode::create_new));
        TRY_OK(files.set_private(temporary));
        TRY_OK(file->write_at(0, as_bytes(made.text)));
        TRY_OK(file->sync());
    }
    TRY_OK(files.rename(temporary, path));
    TRY_OK(files.sync_directory(path.parent_path().empty() ? Path(".") : path.parent_path()));
    return std::move(made.signer);
}

}  // namespace altiplano::node
