#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

/// Bytes with a descriptor beside them, over a socket pair between two processes of this program (unix(7), SCM_RIGHTS).
namespace altiplano {

/// Sends a first part of `bytes`; over SOCK_SEQPACKET all of them, as one packet.
/// @param descriptor  sent along when not -1; stays the caller's. @return bytes sent; base.peer_gone
Result<std::size_t> send_some(int socket, Bytes bytes, int descriptor = -1);

struct Received {
    std::size_t bytes = 0;
    int descriptor = -1;  ///< the caller's from now on
};
/// Waits for some bytes; over SOCK_SEQPACKET for one packet, of which what `into` has no room for is lost.
/// @return base.peer_gone at the end of the stream
Result<Received> receive_some(int socket, std::span<std::byte> into);

}  // namespace altiplano
