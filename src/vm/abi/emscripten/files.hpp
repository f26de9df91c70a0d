#pragma once

#include "vm/abi/ask.hpp"

/// Files of AO's modules: what WeaveDrive opens (ao-protocol.md 7.1) and emscripten's own calls. Errors of the syscalls are
/// negative errno values, those of the fd_ functions positive ones.
namespace altiplano::vm::abi::emscripten {

Answer<Value> weavedrive_open(Guest& guest, Arguments a);
Answer<Value> weavedrive_read(Guest& guest, Arguments a);
Answer<Value> weavedrive_close(Guest& guest, Arguments a);

Answer<Value> openat(Guest& guest, Arguments a);
Answer<Value> fcntl(Guest& guest, Arguments a);
Answer<Value> ioctl(Guest& guest, Arguments a);
Answer<Value> no_file(Guest& guest, Arguments a);  ///< a call on a path or descriptor that is not there
Answer<Value> getcwd(Guest& guest, Arguments a);
Answer<Value> munmap(Guest& guest, Arguments a);

Answer<Value> fd_close(Guest& guest, Arguments a);
Answer<Value> fd_read(Guest& guest, Arguments a);
Answer<Value> fd_write(Guest& guest, Arguments a);
Answer<Value> fd_seek(Guest& guest, Arguments a);
Answer<Value> fd_seek_split(Guest& guest, Arguments a);  ///< (fd, low, high, whence, where)
Answer<Value> fd_sync(Guest& guest, Arguments a);
Answer<Value> fd_fdstat_get(Guest& guest, Arguments a);

}  // namespace altiplano::vm::abi::emscripten
