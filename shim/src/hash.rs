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

const LANES: usize = 16; // of the widest instruction set
const CHUNK: usize = 1024;
const PAGE: usize = 4 * CHUNK;
const NODE: usize = 512;

// BLAKE3's flags of a block (its specification, 2.2).
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 2;
const PARENT: u8 = 4;
const ROOT: u8 = 8;
const KEYED: u8 = 16;

/// Where each of up to LANES inputs begins, as arrays of N bytes from `offset` on.
///
/// # Safety
/// Each input is valid for offset + N bytes.
unsafe fn parts<'a, const N: usize>(inputs: &[*const u8], offset: usize) -> [&'a [u8; N]; LANES] {
    std::array::from_fn(|i| unsafe { &*inputs[i.min(inputs.len() - 1)].add(offset).cast::<[u8; N]>() })
}

/// Hashes `count` inputs of one length, 4096 or 512 bytes, keyed, side by side: a page alone fills a quarter of the lanes of a wide
/// instruction, a node one of them. The same hashes as `altiplano_blake3` gives. The crate has no stable name for this; its version is
/// pinned, and src/memory/region_test.cpp compares.
///
/// # Safety
/// Each input is valid for `length` bytes, `key` for 32, `out` for 32 bytes per input.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn altiplano_blake3_many(inputs: *const *const u8, count: usize, length: usize, key: *const u8, out: *mut u8) {
    use blake3::{IncrementCounter::No, platform::Platform, platform::words_from_le_bytes_32};
    if count == 0 {
        return;
    }
    let inputs = unsafe { std::slice::from_raw_parts(inputs, count) };
    let out = unsafe { std::slice::from_raw_parts_mut(out, 32 * count) };
    let words = words_from_le_bytes_32(unsafe { &*key.cast::<[u8; 32]>() });
    let platform = Platform::detect();
    for (inputs, out) in inputs.chunks(LANES).zip(out.chunks_mut(32 * LANES)) {
        let n = inputs.len();
        match length {
            PAGE => {
                // A page is four chunks; above them stand two parents, and the root.
                let mut chunks = [[0u8; 32 * LANES]; 4];
                for (i, values) in chunks.iter_mut().enumerate() {
                    let part = unsafe { parts::<CHUNK>(inputs, i * CHUNK) };
                    platform.hash_many(&part[..n], &words, i as u64, No, KEYED, CHUNK_START, CHUNK_END, values);
                }
                let pairs = |left: &[u8], right: &[u8]| -> [[u8; 64]; LANES] {
                    std::array::from_fn(|i| {
                        let mut pair = [0u8; 64];
                        pair[..32].copy_from_slice(&left[32 * i..32 * i + 32]);
                        pair[32..].copy_from_slice(&right[32 * i..32 * i + 32]);
                        pair
                    })
                };
                let mut parents = [[0u8; 32 * LANES]; 2];
                for (i, values) in parents.iter_mut().enumerate() {
                    let blocks = pairs(&chunks[2 * i], &chunks[2 * i + 1]);
                    let blocks: [&[u8; 64]; LANES] = std::array::from_fn(|i| &blocks[i]);
                    platform.hash_many(&blocks[..n], &words, 0, No, KEYED | PARENT, 0, 0, values);
                }
                let blocks = pairs(&parents[0], &parents[1]);
                let blocks: [&[u8; 64]; LANES] = std::array::from_fn(|i| &blocks[i]);
                platform.hash_many(&blocks[..n], &words, 0, No, KEYED | PARENT | ROOT, 0, 0, out);
            }
            NODE => {
                let part = unsafe { parts::<NODE>(inputs, 0) };
                platform.hash_many(&part[..n], &words, 0, No, KEYED, CHUNK_START, CHUNK_END | ROOT, out);
            }
            _ => {
                for (i, input) in inputs.iter().enumerate() {
                    unsafe { altiplano_blake3(*input, length, key, out.as_mut_ptr().add(32 * i)) };
                }
            }
        }
    }
}
