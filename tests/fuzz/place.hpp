#pragma once

#include "item/ed25519.hpp"
#include "store/sqlite/sqlite.hpp"
#include "weave/weave.hpp"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>

/// What fuzzers share: a weave in a folder that goes with the program, and input read piece by piece.
namespace altiplano::fuzz {

class StoppedClock final : public Clock {
public:
    std::int64_t wall_ms() const override { return 1'700'000'000'000; }
    std::int64_t monotonic_ns() const override { return 0; }
    void sleep_ms(std::int64_t) override { }
};

struct Place {
    Place()
    {
        // In memory where that is possible: blobs are synced.
        const Path shared = "/dev/shm";
        std::string name =
            (std::filesystem::exists(shared) ? shared : std::filesystem::temp_directory_path()) / "altiplano-fuzz-XXXXXX";
        ENSURE(mkdtemp(name.data()), "a temporary folder can be made");
        folder = name;
        records = store::open_records(folder / "records.db", {.durable = false}).value();
        blobs = store::Blobs::open(system_files(), folder / "blobs").value();
        weave = weave::Weave::open(*records, *blobs, clock, system_random()).value();
    }
    ~Place()
    {
        weave.reset();
        records.reset();
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    const item::Ed25519Signer signer{sha256(as_bytes("fuzz")).array()};
    StoppedClock clock;
    Path folder;
    std::unique_ptr<store::Records> records;
    std::unique_ptr<store::Blobs> blobs;
    std::unique_ptr<weave::Weave> weave;
};

/// Input as a list of small decisions: what is asked of its end is zero and empty.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size)
        : left_(reinterpret_cast<const std::byte*>(data), size)
    {
    }
    unsigned byte()
    {
        const auto one = take(1);
        return one.empty() ? 0U : std::to_integer<unsigned>(one[0]);
    }
    std::uint64_t number(std::size_t bytes)
    {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < bytes; ++i)
            sum = sum << 8 | byte();
        return sum;
    }
    Bytes take(std::size_t most)
    {
        const auto taken = left_.first(std::min(most, left_.size()));
        left_ = left_.subspan(taken.size());
        return taken;
    }
    Bytes rest() { return take(left_.size()); }
    bool empty() const { return left_.empty(); }

private:
    Bytes left_;
};

}  // namespace altiplano::fuzz
