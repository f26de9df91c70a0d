#pragma once

#include "base/files.hpp"
#include "memory/image.hpp"
#include "store/records.hpp"

#include <functional>
#include <map>
#include <memory>
#include <mutex>

namespace altiplano::compute {

/// For each module, the image of one young state of it: processes of a module resemble each other, so their images hold what they
/// have besides it. Caches of the log as all images are, and durable before anything lies on them. Safe from any thread.
///
/// Their records stand with those of processes' images, once under the module's hash and once under the state root, with which
/// the file's name begins.
class CommonImages {
public:
    struct One {
        store::ImageRecord record;  ///< `process` is the root
        std::unique_ptr<File> file;  ///< stays open: there are as many as modules in use
    };
    using Write = std::function<Result<memory::SavedImage>(const File& file)>;

    CommonImages(store::Cache& cache, Files& files, const Path& folder)
        : cache_(cache)
        , files_(files)
        , folder_(folder)
    {
    }

    /// That of a module. @return nullptr where there is none
    std::shared_ptr<const One> of(const Digest& module);
    /// Makes the state that of the module, unless there is one or somebody makes one, or it cannot be one.
    /// @param write  writes it whole, durable
    Result<void> make(const Digest& module, const Digest& root, const Write& write);
    /// The record of the one with that root.
    Result<std::optional<store::ImageRecord>> with(const Digest& root);
    /// What lies on it proved broken: if that is its fault, it goes.
    void doubt(const store::ImageRecord& record);

private:
    std::shared_ptr<const One> find(const Digest& module);

    store::Cache& cache_;
    Files& files_;
    const Path& folder_;
    std::mutex mutex_;
    std::map<Digest, std::shared_ptr<const One>> by_module_;  ///< nullptr: there is none, or it is being made
};

}  // namespace altiplano::compute
