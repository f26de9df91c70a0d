#include "weave/adopt.hpp"

#include "base/base64url.hpp"
#include "item/deep_hash.hpp"
#include "weave/errors.hpp"

#include <fmt/format.h>

namespace altiplano::weave {

Result<NewItem> adopt(const item::Header& header, const Digest& blob, store::Blobs& blobs)
{
    TRY(const auto file, blobs.read(blob));
    TRY(const auto size, file->size());
    Sha256Hasher stored;
    Sha384Hasher signed_data;
    Buffer step(1 << 20);
    for (std::uint64_t at = 0; at < size;) {
        TRY(const auto got, file->read_at(at, step));
        if (got == 0)
            return fail(errors::broken_item, "the file became shorter while it was read");
        stored.update(Bytes(step).first(got));
        signed_data.update(Bytes(step).first(got));
        at += got;
    }
    if (const auto found = stored.finish(); found != blob)
        return fail(errors::broken_item, fmt::format("the file of blob {} hashes to {}", hex(blob.bytes()), hex(found.bytes())),
            "it changed: add it again");
    TRY_OK(header.verify(item::deep_hash_blob(size, signed_data.finish())));
    return NewItem{.header = header, .blob = blob, .data_size = size};
}

}  // namespace altiplano::weave
