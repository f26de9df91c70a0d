#pragma once

#include "weave/weave.hpp"

namespace altiplano::weave {

/// What came of taking a bundle apart.
struct Unbundled {
    std::uint64_t members = 0;  ///< that are in the weave now, those of bundles inside it too
    std::uint64_t refused = 0;
    struct Refusal {
        ItemId id;
        Error error;
    };
    static constexpr std::size_t refusals_max = 16;
    std::vector<Refusal> refusals{};  ///< the first of them
};

/// Bundles lie in bundles at most so deep; deeper ones are items like others.
inline constexpr int bundle_depth_max = 8;

/// Puts every member of a bundle into the weave, members of members too: read piece by piece, verified, large data to blobs of
/// their own. To be called before the bundle itself is sealed, so that a bundle which is in the weave is there whole; what was
/// put before a crash is passed over the second time. A member that cannot be verified is left out and named.
/// @return item.bad_bundle when the table of members cannot be read; store.*, base.*
/// Cost: reads the bundle once, and each inner bundle once more; in memory a few MiB.
Result<Unbundled> unbundle(Weave& weave, const ItemId& bundle, const ItemData& data);

/// Takes in a data item, and its members first when it is a bundle. @return what became of them, when it is one; as `Weave::put`
struct Taken {
    Block block;
    std::optional<Unbundled> bundle{};
    std::optional<Error> no_bundle{};  ///< why it could not be taken apart, though its tags say that it is one
};
Result<Taken> take(Weave& weave, NewItem item);

/// The data of an item that is not in the weave yet. @return base.*
Result<std::unique_ptr<ItemData>> data_of(Weave& weave, const NewItem& item);

}  // namespace altiplano::weave
