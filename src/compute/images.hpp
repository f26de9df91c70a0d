#pragma once

#include "base/executor.hpp"
#include "base/files.hpp"
#include "compute/common_images.hpp"
#include "memory/image.hpp"
#include "store/records.hpp"
#include "units/types.hpp"

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>

namespace altiplano::compute {

/// The checkpoints of processes on this node: image files and their records. All are caches of the log. Safe from any thread.
///
/// A large state is one whole image and overlays on it; when there are many, or much in them, they are merged in the
/// background. A small one is written as what it has besides its module's common image, where that is little; else a few overlays
/// lie on a whole image, then it is written whole again. What is kept: the newest two states, as many older ones as `history`
/// says, spread over the log, and what they lie on.
///
/// The records of images that need not be durable are written together. Until then the older ones stay with their files, so
/// that a crash takes the newest images only.
class Images {
public:
    /// A state on disk: a whole image, which may be a common one, then the overlays on it.
    struct Chain {
        std::vector<store::ImageRecord> records;  ///< oldest first; the last one is the state
        bool has_common = false;  ///< the first is one
        std::vector<std::unique_ptr<File>> layers;
        const store::ImageRecord& state() const { return records.back(); }
    };
    /// What an overlay may lie on: the newest image of the same process, or the common one.
    struct Base {
        Digest state;
        std::size_t overlays = 0;  ///< that it is itself, over a whole image
    };
    struct Bases {
        std::optional<Base> own{};
        std::shared_ptr<const CommonImages::One> common{};
    };
    /// Writes an image into the file, or if it can an overlay.
    using Save = std::function<Result<memory::SavedImage>(const File& file, const Bases& bases, bool durable)>;

    /// @param background  merges run there; null: at once, by whoever saves
    Images(store::Cache& cache, Files& files, Path folder, Executor* background, std::size_t history = 0)
        : cache_(cache)
        , files_(files)
        , folder_(std::move(folder))
        , background_(background)
        , history_(history)
        , common_(cache, files, folder_)
    {
    }
    ~Images();
    Images(const Images&) = delete;
    Images& operator=(const Images&) = delete;

    /// The newest state after an evaluation, `at` or one before it. What is broken, or of another history than the results, is
    /// dropped on the way.
    Result<std::optional<Chain>> up_to(const units::Slot& at);
    /// Forgets the images of a chain that proved broken.
    void drop(const Chain& chain);
    /// Keeps the state after an evaluation, unless there is an image of it.
    /// @param durable  without, a crash may leave less of it, which is found when it is used
    /// @param module  whose common image it may lie on, or become; none: neither
    Result<void> put(
        const units::Slot& at, const Digest& root, bool durable, const Save& save, const std::optional<Digest>& module = {});
    /// A state that there is an image of, and the files that it takes, oldest first.
    struct State {
        units::Slot slot;
        Digest root;
        std::vector<Path> layers;
    };
    /// Oldest first. What is broken is left out.
    Result<std::vector<State>> states(const ProcessId& process);
    /// A file to write a state into that nobody keeps: it has no name.
    Result<std::unique_ptr<File>> scratch(const units::Slot& at);
    /// The state root that was recorded after an evaluation, or taken in on trust; nothing where none was.
    Result<std::optional<Digest>> root_after(const units::Slot& slot);
    /// What the images of a process take on disk.
    Result<std::uint64_t> stored_bytes(const ProcessId& process);
    /// What all images take on disk, and how many files there are.
    struct Total {
        std::uint64_t files = 0;
        std::uint64_t bytes = 0;
    };
    Result<Total> total();
    /// Removes files without a record: what a crash left. Only before anybody saves.
    Result<void> sweep();

private:
    using Records = std::vector<store::ImageRecord>;  ///< of one process, newest first
    /// What a file is, as far as others lie on it.
    struct Front {
        Digest root;
        std::optional<Digest> base;
        bool packed = false;  ///< then the base is a common image
    };
    Result<Records> records(const ProcessId& process);
    void put_record(Records& all, const store::ImageRecord& image);
    Result<std::unique_ptr<File>> file_for(const std::string& name);
    Result<void> flush();
    using FrontOf = std::function<Result<Front>(const store::ImageRecord& image)>;
    /// Where a state and what it lies on stand among the records, newest first.
    struct Under {
        std::vector<std::size_t> places;
        std::optional<store::ImageRecord> common{};  ///< under them all
    };
    Result<Under> under(const Records& all, std::size_t state, const FrontOf& front_of);
    Result<Under> under(const Records& all, std::size_t state);
    Front& note(const store::ImageRecord& image, const Front& front);
    Result<Chain> chain(const Records& all, std::size_t state);
    Result<void> remove(const store::ImageRecord& image);
    Result<void> retire(const ProcessId& process);
    Result<void> merge(const units::Slot& at);
    bool much_in_overlays(const Chain& chain);

    store::Cache& cache_;
    Files& files_;
    Path folder_;
    Executor* background_;
    std::size_t history_;
    CommonImages common_;
    std::mutex mutex_;  ///< of the records, against a merge that ends, and of what follows
    std::vector<store::ImageChange> changes_;  ///< that are not written yet
    std::map<ProcessId, Records> changed_;  ///< as they will be then
    std::map<std::string, Front> fronts_;  ///< of files that were written or looked at lately
    std::set<std::string> going_;  ///< packed ones whose records go with the next `flush`
    std::deque<std::string> spare_;  ///< files that nobody needs any more, oldest first
};

}  // namespace altiplano::compute
