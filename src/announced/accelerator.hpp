#pragma once

#include "announced/announcement.hpp"

#include "base/files.hpp"

#include <altiplano/extension.h>

#include <atomic>
#include <memory>
#include <optional>

namespace altiplano::announced {

/// Native code in place of a reference module (include/altiplano/extension.h), until it differs from it. Several threads may use
/// it.
class Accelerator {
public:
    /// Loads a shared library, for life. @return announced.bad_accelerator
    static Result<std::shared_ptr<Accelerator>> load(const std::string& path, const Announcement& of);
    /// @param given  of static lifetime. @param seed  says which of the later calls are compared
    static Result<std::shared_ptr<Accelerator>> of(
        const altiplano_accelerator* given, const Announcement& of, std::uint64_t seed);

    struct Write {
        std::uint64_t at;
        Buffer bytes;
    };
    struct Done {
        std::uint64_t result = 0;
        std::vector<Write> writes{};
    };
    /// Touches nothing of the guest. @return nothing, where the reference module must do it
    std::optional<Done> call(std::size_t function, Bytes memory, std::span<const std::uint64_t> arguments) const;

    /// Whether this call is to be done by both.
    bool compares() noexcept;

    /// Where all workers of a node note that it was wrong: a file with anything in it drops it for every one of them.
    /// @param alarm  open for writing before the sandbox closes
    void share_alarm(std::unique_ptr<File> alarm) noexcept { alarm_ = std::move(alarm); }
    /// @param why  noted in the shared file, for the operator
    void drop(std::string_view why);
    bool is_dropped() const;

    static constexpr std::uint64_t compared_first = 64;  ///< calls of a worker that are all compared: its self-test
    static constexpr std::uint64_t compared_later = 64;  ///< one call in so many, by chance
    static constexpr std::size_t writes_bytes_max = std::size_t{64} << 20;

private:
    std::vector<altiplano_call> calls_;  ///< per function of the announcement
    std::uint64_t seed_ = 0;
    std::atomic<std::uint64_t> count_{0};
    std::atomic<bool> dropped_{false};
    std::unique_ptr<File> alarm_;
};

}  // namespace altiplano::announced
