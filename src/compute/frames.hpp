#pragma once

#include "base/bytes.hpp"
#include "base/id.hpp"
#include "base/result.hpp"

#include <optional>

/// What a node and its worker processes say to each other: frames over a socket pair, with descriptors beside them.
namespace altiplano::compute {

/// First the node's, then the worker's.
enum class FrameType : std::uint8_t {
    load,  ///< memory limit, tracker, threads for graphs, modules folder, format, wasm; the descriptor of TensorThreads -> loaded
    start,  ///< memory limit -> started
    layer,  ///< the descriptor of an image, then of each overlay on it; answered by nothing
    restore,  ///< memory limit: from those -> started
    fill,  ///< the descriptor of a linear memory, and its length: in place of the machine's -> started
    forget,  ///< the machine and its memory; answered by nothing
    evaluate,  ///< a Work -> evaluated
    save,  ///< a descriptor to write the image to, whether it must be durable, the state that an overlay may lie on, how many lie
           ///< under that one, and the root of a common image, which may have come as a layer -> saved
    describe,  ///< nothing -> described
    mark,  ///< nothing: remembers the state -> marked
    changes,  ///< nothing: since the mark -> changed
    item_reply,  ///< a file, or why not
    card_reply,  ///< the descriptor of a way to the graphics card, if there is one
    loaded,
    started,  ///< state root
    evaluated,  ///< an Evaluated
    saved,  ///< the state that it lies on, pages, whether the state is small, whether it is packed
    described,  ///< a MachineState
    marked,
    changed,  ///< ranges of pages
    item,  ///< an item's id, and whether it was mapped before -> item_reply
    card,  ///< nothing -> card_reply
    console,  ///< descriptor number, text; answered by nothing
    failed,  ///< an Error, instead of any answer
};
inline constexpr std::uint8_t frame_types = 24;

struct Frame {
    FrameType type;
    Buffer payload{};
    int descriptor = -1;  ///< owned; close it or hand it on
};

/// One end. One thread at a time.
class Channel {
public:
    explicit Channel(int socket)
        : socket_(socket)
    {
    }
    ~Channel();
    Channel(Channel&& other) noexcept
        : socket_(std::exchange(other.socket_, -1))
    {
    }
    Channel& operator=(Channel&&) = delete;

    /// A frame as it travels, for who cannot call `send` when it is needed.
    static Buffer bytes_of(FrameType type, Bytes payload);
    /// @param descriptor  sent along when not -1; stays the caller's. @return compute.worker_died
    Result<void> send(FrameType type, Bytes payload, int descriptor = -1);
    /// @return compute.worker_died at the end of the stream; compute.worker_protocol
    Result<Frame> receive();
    /// Waits until something can be received. @return false when nothing came in that time
    bool wait(int timeout_ms);
    /// Whether the other end is there, as far as one can tell without speaking to it.
    bool is_open() const;

private:
    int socket_;
};

/// Puts fields together; numbers take eight bytes, texts have their length before them.
class Packer {
public:
    Packer& number(std::uint64_t value)
    {
        append_u64(bytes_, value);
        return *this;
    }
    Packer& text(Bytes value)
    {
        append_u64(bytes_, value.size());
        append(bytes_, value);
        return *this;
    }
    Packer& text(std::string_view value) { return text(as_bytes(value)); }
    const Buffer& bytes() const noexcept { return bytes_; }

private:
    Buffer bytes_;
};

/// Takes them apart. A worker may be hostile: too short is an error, never a crash.
class Unpacker {
public:
    explicit Unpacker(Bytes bytes)
        : rest_(bytes)
    {
    }
    /// @return compute.worker_protocol
    Result<std::uint64_t> number();
    Result<Bytes> text();
    template <class IdType> Result<IdType> id()
    {
        TRY(const auto bytes, text());
        return IdType::from_bytes(bytes);
    }

private:
    Bytes rest_;
};

/// An Error across processes: its code is made static again on arrival.
Buffer pack_error(const Error& error);
Error unpack_error(Bytes payload);

}  // namespace altiplano::compute
