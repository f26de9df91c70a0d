#pragma once

// What tests of images share.

#include "memory/common_image.hpp"
#include "memory/image.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace altiplano::memory {

inline constexpr auto page = page_bytes;
inline constexpr SaveRule always{.small_state_pages = 0};
inline const auto globals = to_buffer("globals");

inline Result<void> no_items(Region&, const MappedRange&)
{
    return fail("unused", "no items here");
}

inline void write(Region& region, std::uint64_t at, char value)
{
    ASSERT_TRUE(region.prepare_write(at, 1));
    region.bytes()[at] = static_cast<std::byte>(value);
}

/// Images that lie on one another, open.
struct Layers {
    explicit Layers(const std::vector<Path>& paths)
    {
        for (const auto& path : paths) {
            files.push_back(system_files().open(path, Files::Mode::read).value());
            layers.push_back(files.back().get());
        }
    }
    std::vector<std::unique_ptr<File>> files{};
    std::vector<const File*> layers{};
};

/// A region with its tree, which must not move apart.
struct State {
    PageTree tree;
    Region region;
    Digest root;
    KeptImage common{};

    static std::unique_ptr<State> fresh(std::uint64_t reserved, Tracker tracker = Tracker::automatic)
    {
        return std::unique_ptr<State>(new State{{}, Region::fresh(reserved, tracker).value(), {}, {}});
    }
    Result<void> load(const std::vector<Path>& paths, const MapItem& map_item = no_items)
    {
        const Layers opened(paths);
        TRY(const auto image, load_image(opened.layers, region, tree, map_item));
        root = image.root;
        return {};
    }
    /// Puts what the files hold over what is here. @return false: it is none for that
    Result<bool> overwrite(const std::vector<Path>& paths)
    {
        const Layers opened(paths);
        TRY(const auto image, overwrite_with_image(opened.layers, region, tree, common));
        if (!image)
            return false;
        TRY(root, tree.commit(region, image->globals));
        return root == image->root;
    }
    void commit() { root = tree.commit(region, globals).value(); }
    Result<SavedImage> save(
        const Path& path, std::optional<Digest> base = {}, const SaveRule& rule = always, const CommonImage* over = nullptr)
    {
        return save_image(system_files(), path, region, tree, globals, root, base, rule, over);
    }
    Digest oracle() const { return state_root_of(region.bytes(), globals, region.mapped_ranges()); }
};

inline void flip(const Path& path, std::uint64_t at)
{
    const int file = ::open(path.c_str(), O_RDWR);
    std::byte byte{};
    EXPECT_EQ(pread(file, &byte, 1, static_cast<off_t>(at)), 1);
    byte ^= std::byte{64};
    EXPECT_EQ(pwrite(file, &byte, 1, static_cast<off_t>(at)), 1);
    close(file);
}

}  // namespace altiplano::memory
