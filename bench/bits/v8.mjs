// The guest and the reference module in V8: the hash over the logits that bench_bits prints, from an engine that shares nothing with
// ours but the two wasm files.   node v8.mjs LLAMA.wasm TENSOR.wasm MODEL.gguf CHUNK TOKENS PROMPT
import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { readFileSync } from 'node:fs'

const [guestFile, referenceFile, modelFile, chunk, tokens, prompt] = process.argv.slice(2)
const model = openSync(modelFile, 'r')
const modelBytes = BigInt(fstatSync(model).size)
const guest = new WebAssembly.Module(readFileSync(guestFile))
const reference = new WebAssembly.Module(readFileSync(referenceFile))

let exports
let compute
const view = () => new DataView(exports.memory.buffer)
const bytes = (at, length) => new Uint8Array(exports.memory.buffer, Number(at), Number(length))
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()

// ---- the hash: of each graph's last row of results; chained from the first token on
let latest = Buffer.alloc(32)
let chained = Buffer.alloc(32)
let chaining = false
const chain = () => { chained = sha256(chained, latest) }

const tensorAt = (at) => ({ address: view().getBigUint64(at, true), extent: (d) => view().getBigUint64(at + 8 + 8 * d, true), stride: (d) => view().getBigUint64(at + 40 + 8 * d, true) })
function computed(graph, length, scratch, scratchBytes) {
  compute.__stack_pointer.value = scratch + 262144n
  const before = bytes(scratch, scratchBytes).slice()
  const answer = compute.compute(graph, length, scratch, scratchBytes, BigInt(exports.memory.buffer.byteLength))
  bytes(scratch, scratchBytes).set(before)
  if (answer !== 0n) throw new Error(`the reference module answered ${answer}`)
  const result = tensorAt(Number(graph + length) - 552 + 72)
  const row = result.address + (result.extent(1) - 1n) * result.stride(1)
  latest = sha256(bytes(row, 4n * result.extent(0)))
  if (chaining) chain()
  return 0
}

// ---- as much of WASI as the guest needs: the model is the only file
const [success, badf, inval, noent, nosys, notsup] = [0, 8, 28, 44, 52, 58]
const opened = new Map()
let next = 4
const iovs = (at, count) => Array.from({ length: Number(count) }, (_, i) => {
  const one = Number(at) + 16 * i
  return [view().getBigUint64(one, true), view().getBigUint64(one + 8, true)]
})
function read(file, list, offset) {
  let total = 0n
  for (const [at, length] of list) {
    let left = offset + total >= modelBytes ? 0n : length < modelBytes - offset - total ? length : modelBytes - offset - total
    let into = at
    while (left > 0n) {
      const piece = left < 0x40000000n ? left : 0x40000000n
      const got = readSync(model, bytes(into, piece), 0, Number(piece), offset + total)
      if (got === 0) throw new Error('the model became shorter')
      total += BigInt(got), left -= BigInt(got), into += BigInt(got)
    }
  }
  return total
}
const stat = (at, type, size) => {
  bytes(at, 64).fill(0)
  view().setBigUint64(Number(at) + 16, BigInt(type), true)
  view().setBigUint64(Number(at) + 24, 1n, true)
  view().setBigUint64(Number(at) + 32, size, true)
  return success
}
let now = 1_000_000n
const wasi = {
  environ_get: () => success,
  environ_sizes_get: (count, size) => (view().setBigUint64(Number(count), 0n, true), view().setBigUint64(Number(size), 0n, true), success),
  clock_time_get: (_, __, at) => (view().setBigUint64(Number(at), (now += 1000n), true), success),
  random_get: (at, length) => (bytes(at, length).fill(7), success),
  fd_close: (fd) => (opened.delete(fd) ? success : badf),
  fd_fdstat_get(fd, at) {
    bytes(at, 24).fill(255)
    bytes(at, 8).fill(0)
    view().setUint8(Number(at), fd === 3 ? 3 : fd < 3 ? 2 : 4)
    return opened.has(fd) || fd <= 3 ? success : badf
  },
  fd_fdstat_set_flags: () => success,
  fd_filestat_get: (fd, at) => (opened.has(fd) ? stat(at, 4, modelBytes) : stat(at, fd === 3 ? 3 : 2, 0n)),
  fd_prestat_get(fd, at) {
    if (fd !== 3) return badf
    bytes(at, 16).fill(0)
    view().setBigUint64(Number(at) + 8, 1n, true)
    return success
  },
  fd_prestat_dir_name: (_, at) => (bytes(at, 1).set([47]), success),
  fd_read(fd, at, count, got) {
    const file = opened.get(fd)
    if (!file) return fd === 0 ? (view().setBigUint64(Number(got), 0n, true), success) : badf
    const total = read(file, iovs(at, count), file.offset)
    file.offset += total
    view().setBigUint64(Number(got), total, true)
    return success
  },
  fd_pread(fd, at, count, offset, got) {
    if (!opened.has(fd)) return badf
    view().setBigUint64(Number(got), read(opened.get(fd), iovs(at, count), offset), true)
    return success
  },
  fd_seek(fd, by, whence, at) {
    const file = opened.get(fd)
    if (!file) return badf
    const to = (whence === 0 ? 0n : whence === 1 ? file.offset : modelBytes) + by
    if (to < 0n) return inval
    file.offset = to
    view().setBigUint64(Number(at), to, true)
    return success
  },
  fd_write(fd, at, count, written) {
    let total = 0n
    for (const [, length] of iovs(at, count)) total += length
    view().setBigUint64(Number(written), total, true)
    return success
  },
  path_open(_, __, at, length, ___, ____, _____, ______, fd) {
    if (!Buffer.from(bytes(at, length)).toString().startsWith('data/')) return noent
    opened.set(next, { offset: 0n })
    view().setUint32(Number(fd), next++, true)
    return success
  },
  path_filestat_get: (_, __, at, length, into) => (Buffer.from(bytes(at, length)).toString().startsWith('data/') ? stat(into, 4, modelBytes) : noent),
  proc_exit: (code) => { throw new Error(`exit ${code}`) },
}
const imports = { altiplano: { compute: computed, map: () => notsup, unmap: () => notsup }, wasi_snapshot_preview1: {} }
for (const { module, name } of WebAssembly.Module.imports(guest)) imports[module][name] ??= wasi[name] ?? (() => nosys)

exports = new WebAssembly.Instance(guest, imports).exports
compute = new WebAssembly.Instance(reference, { env: { memory: exports.memory } }).exports
exports._initialize()

// ---- messages, as bench/lib/llama_process.hpp writes them
const id = 'p'.repeat(43)
const part = { Id: id, Owner: 'o', Tags: [] }
const env = JSON.stringify({ Process: part, Module: part })
let nonce = 0
const put = (text) => {
  const data = Buffer.from(text + '\0')
  const at = exports.malloc(BigInt(data.length))
  bytes(at, data.length).set(data)
  return at
}
function send(type, data) {
  const message = { Id: id, Target: id, Owner: 'o', From: 'o', Data: data, Tags: [{ name: 'Type', value: type }, { name: 'Action', value: 'Eval' }], Timestamp: 1_700_000_000_000, 'Block-Height': 1, Nonce: nonce++ }
  const at = Number(exports.handle(put(JSON.stringify(message)), put(env)))
  const all = Buffer.from(exports.memory.buffer)
  const answer = JSON.parse(all.toString('utf8', at, all.indexOf(0, at)))
  if (!answer.ok || answer.response?.Error) throw new Error(JSON.stringify(answer))
}
send('Process', '')
send('Message', `llama = require('llama') assert(llama.load('/data/${'A'.repeat(43)}', {batch = ${chunk}})) llama.set({stream = false}) llama.setPrompt('${prompt}') return 1`)
chaining = true
chain()
send('Message', `for i = 1, ${tokens} do llama.next() end return 1`)
closeSync(model)
writeSync(1, chained.toString('base64url').slice(0, 16) + '\n')
