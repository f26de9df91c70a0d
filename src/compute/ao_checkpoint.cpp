#include "compute/ao_checkpoint.hpp"

#include "base/hash.hpp"
#include "compute/errors.hpp"
#include "memory/errors.hpp"
#include "memory/image.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <zlib.h>

namespace altiplano::compute {

namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 20;

/// gzip, in pieces.
class Gzip {
public:
    Gzip()
    {
        constexpr int gzip_window = 15 + 16;
        ENSURE(deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) == Z_OK,
            "the parameters are zlib's own defaults");
    }
    ~Gzip() { deflateEnd(&stream_); }
    Gzip(const Gzip&) = delete;
    Gzip& operator=(const Gzip&) = delete;

    void add(Bytes bytes, int flush, Buffer& into)
    {
        // zlib reads what it calls non-const.
        stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
        stream_.avail_in = static_cast<uInt>(bytes.size());
        do {
            stream_.next_out = reinterpret_cast<Bytef*>(room_.data());
            stream_.avail_out = static_cast<uInt>(room_.size());
            deflate(&stream_, flush);
            append(into, Bytes(room_).first(room_.size() - stream_.avail_out));
        } while (stream_.avail_out == 0);
    }

private:
    z_stream stream_{};
    Buffer room_ = Buffer(std::size_t{64} << 10);
};

}  // namespace

Result<AoCheckpoint> ao_checkpoint_of(const File& file)
{
    TRY(const auto image, memory::read_image(file));
    if (!image.mapped.empty())
        return fail(errors::no_ao_checkpoint, "items are mapped into this memory, which AO's format cannot say");
    AoCheckpoint checkpoint{.gzip = {}, .memory_bytes = image.length_bytes, .sha256 = {}};
    Gzip gzip;
    Sha256Hasher hash;
    Buffer piece(piece_bytes);
    const auto add = [&](Bytes bytes) -> Result<void> {
        hash.update(bytes);
        gzip.add(bytes, Z_NO_FLUSH, checkpoint.gzip);
        if (checkpoint.gzip.size() > ao_checkpoint_bytes_max)
            return fail(errors::no_ao_checkpoint,
                fmt::format("the memory takes more than {} bytes when gzipped", ao_checkpoint_bytes_max));
        return {};
    };
    // Between the runs, and behind them, are zeros.
    const auto zeros_until = [&](std::uint64_t& at, std::uint64_t end) -> Result<void> {
        if (at < end)
            std::ranges::fill(piece, std::byte{});
        for (std::uint64_t count; at < end; at += count) {
            count = std::min<std::uint64_t>(piece.size(), end - at);
            TRY_OK(add(Bytes(piece).first(count)));
        }
        return {};
    };
    std::uint64_t at = 0;
    auto in_file = image.front_bytes;
    for (const auto& run : image.runs) {
        TRY_OK(zeros_until(at, run.first * memory::page_bytes));
        for (const auto end = at + run.count * memory::page_bytes; at < end;) {
            const auto room = std::span(piece).first(std::min<std::uint64_t>(piece.size(), end - at));
            TRY(const auto got, file.read_at(in_file, room));
            if (got != room.size())
                return fail(memory::errors::bad_image, "the image is shorter than it says");
            TRY_OK(add(room));
            at += room.size();
            in_file += room.size();
        }
    }
    TRY_OK(zeros_until(at, image.length_bytes));
    gzip.add({}, Z_FINISH, checkpoint.gzip);
    const auto digest = hash.finish();
    for (const auto byte : digest.bytes())
        checkpoint.sha256 += fmt::format("{:02x}", static_cast<unsigned>(byte));
    return checkpoint;
}

item::Tags ao_checkpoint_tags(const units::LogEntry& entry, const ModuleId& module, const AoCheckpoint& checkpoint)
{
    const auto& assignment = entry.assignment;
    return {{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Checkpoint"}, {"Module", module.text()},
        {"Process", assignment.slot.process.text()}, {"Epoch", "0"}, {"Nonce", std::to_string(assignment.slot.nonce)},
        {"Timestamp", std::to_string(assignment.timestamp_ms)}, {"Block-Height", std::to_string(assignment.height)},
        {"Hash-Chain", assignment.hash_chain.text()}, {"Content-Type", "application/octet-stream"},
        {"SHA-256", checkpoint.sha256}, {"Content-Encoding", "gzip"}};
}

}  // namespace altiplano::compute
