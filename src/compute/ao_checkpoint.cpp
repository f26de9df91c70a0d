#include "compute/ao_checkpoint.hpp"

#include "base/base64url.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "compute/errors.hpp"
#include "memory/errors.hpp"
#include "memory/image.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
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

/// Takes gzip apart, in pieces.
class Gunzip {
public:
    Gunzip()
    {
        constexpr int gzip_window = 15 + 16;
        ENSURE(inflateInit2(&stream_, gzip_window) == Z_OK, "the parameters are zlib's own");
    }
    ~Gunzip() { inflateEnd(&stream_); }
    Gunzip(const Gunzip&) = delete;
    Gunzip& operator=(const Gunzip&) = delete;

    /// @return what `take` returns; compute.bad_ao_checkpoint
    Result<void> add(Bytes bytes, const std::function<Result<void>(Bytes)>& take)
    {
        stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
        stream_.avail_in = static_cast<uInt>(bytes.size());
        do {
            if (ended_)
                return fail(errors::bad_ao_checkpoint, "something follows its gzip");
            stream_.next_out = reinterpret_cast<Bytef*>(room_.data());
            stream_.avail_out = static_cast<uInt>(room_.size());
            const int status = inflate(&stream_, Z_NO_FLUSH);
            if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
                return fail(errors::bad_ao_checkpoint, fmt::format("it is no gzip: {}", stream_.msg ? stream_.msg : "damaged"));
            TRY_OK(take(Bytes(room_).first(room_.size() - stream_.avail_out)));
            ended_ = status == Z_STREAM_END;
        } while (stream_.avail_in > 0 || (stream_.avail_out == 0 && !ended_));
        return {};
    }
    bool ended() const noexcept { return ended_; }

private:
    z_stream stream_{};
    Buffer room_ = Buffer(std::size_t{64} << 10);
    bool ended_ = false;
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
    checkpoint.sha256 = hex(hash.finish().bytes());
    return checkpoint;
}

item::Tags ao_checkpoint_tags(
    const units::LogEntry& entry, const ModuleId& module, const AoCheckpoint& checkpoint, const Digest& root)
{
    const auto& assignment = entry.assignment;
    return {{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Checkpoint"}, {"Module", module.text()},
        {"Process", assignment.slot.process.text()}, {"Epoch", "0"}, {"Nonce", std::to_string(assignment.slot.nonce)},
        {"Timestamp", std::to_string(assignment.timestamp_ms)}, {"Block-Height", std::to_string(assignment.height)},
        {"Hash-Chain", assignment.hash_chain.text()}, {"Content-Type", "application/octet-stream"},
        {"SHA-256", checkpoint.sha256}, {"Content-Encoding", "gzip"}, {"State-Root", root.text()}};
}

Result<AoClaim> ao_claim_of(const item::Tags& tags)
{
    const auto bad = [](std::string sentence, std::string hint = {}) {
        return fail(errors::bad_ao_checkpoint, std::move(sentence), std::move(hint));
    };
    for (const auto& [name, value] : {std::pair{"Type", "Checkpoint"}, {"Data-Protocol", "ao"}, {"Content-Encoding", "gzip"}})
        if (!tags.has(name, value))
            return bad(
                fmt::format("the item has no tag {}: {}", name, value), "`altiplano checkpoint export --publish` makes one");
    if (tags.first("Cron-Interval"))
        return bad("it is of a state after a cron evaluation, whose place in the log other units count in another way");
    AoClaim claim{.slot = {}, .sha256 = std::string(tags.first("SHA-256").value_or("")), .module = {}};
    const auto process = ProcessId::parse(tags.first("Process").value_or(""));
    const auto module = ModuleId::parse(tags.first("Module").value_or(""));
    const auto nonce = whole_number(tags.first("Nonce").value_or(""));
    if (!process || !module || !nonce)
        return bad("its tags Process, Module and Nonce do not name a slot");
    if (claim.sha256.size() != 64)
        return bad(fmt::format("its tag SHA-256 has {} characters; 64 hexadecimal digits were expected", claim.sha256.size()));
    claim.slot = {*process, *nonce};
    claim.module = *module;
    if (const auto text = tags.first("State-Root")) {
        TRY(claim.root, Digest::parse(*text));
    }
    return claim;
}

Result<void> check_against(const item::Tags& tags, const units::Assignment& assignment)
{
    const std::pair<std::string_view, std::string> log[] = {{"Timestamp", std::to_string(assignment.timestamp_ms)},
        {"Block-Height", std::to_string(assignment.height)}, {"Hash-Chain", assignment.hash_chain.text()}};
    for (const auto& [name, ours] : log)
        if (const auto theirs = tags.first(name); theirs && *theirs != ours)
            return fail(errors::bad_ao_checkpoint,
                fmt::format("it says {} {} of slot {}; the log says {}", name, *theirs, assignment.slot.nonce, ours),
                "it is of another log of this process");
    return {};
}

Result<std::uint64_t> unpack_ao_checkpoint(
    const weave::ItemData& data, const AoClaim& claim, std::uint64_t memory_bytes_max, File& into)
{
    const auto bad = [](std::string sentence) { return fail(errors::bad_ao_checkpoint, std::move(sentence)); };
    if (data.size() > ao_checkpoint_bytes_max)
        return bad(fmt::format("it has {} bytes; at most {} are taken", data.size(), ao_checkpoint_bytes_max));
    Gunzip gunzip;
    Sha256Hasher hash;
    std::uint64_t at = 0;
    Buffer packed(piece_bytes);
    const auto take = [&](Bytes piece) -> Result<void> {
        if (piece.size() > memory_bytes_max - at)
            return bad(fmt::format("it unpacks to more than the {} bytes of memory that the process may have", memory_bytes_max));
        hash.update(piece);
        if (!std::ranges::all_of(piece, [](std::byte byte) { return byte == std::byte{}; }))
            TRY_OK(into.write_at(at, piece));
        at += piece.size();
        return {};
    };
    for (std::uint64_t read = 0; read < data.size();) {
        const auto part = std::span(packed).first(std::min<std::uint64_t>(packed.size(), data.size() - read));
        TRY_OK(data.read_at(read, part));
        read += part.size();
        TRY_OK(gunzip.add(part, take));
    }
    if (!gunzip.ended())
        return bad("its gzip ends too early");
    if (const auto found = hex(hash.finish().bytes()); found != claim.sha256)
        return bad(fmt::format("its memory has the SHA-256 {}, not {} as it says", found, claim.sha256));
    TRY_OK(into.truncate(at));
    return at;
}

}  // namespace altiplano::compute
