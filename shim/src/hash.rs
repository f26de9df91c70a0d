//! BLAKE3 for the page tree and the state root.

/// Hashes `length` bytes at `bytes` into the 32 bytes at `out`, keyed with the 32 bytes at `key` when that is not null.
///
/// # Safety
/// The pointers are valid for the lengths given.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn altiplano_blake3(bytes: *const u8, length: usize, key: *const u8, out: *mut u8) {
    let input = if length == 0 { &[][..] } else { unsafe { std::slice::from_raw_parts(bytes, length) } };
    let hash = if key.is_null() {
        blake3::hash(input)
    } else {
        blake3::keyed_hash(unsafe { &*key.cast::<[u8; 32]>() }, input)
    };
    unsafe { out.copy_from_nonoverlapping(hash.as_bytes().as_ptr(), 32) };
}
