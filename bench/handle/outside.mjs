// The outside of `bench handle` and `bench cpu`: AO's aos2_0_6 in AO's own loader, of which only the time inside the module's
// `handle` is counted: neither the loader's copies of the memory nor its JSON.
//   node --experimental-wasm-memory64 outside.mjs FOLDER MESSAGES.jsonl
// A line of MESSAGES is {"case": name, "counted": 0 or 1, "message": {...}, "env": {...}}. Prints one line for each case,
// `name microseconds work`: processor time, since other programs run beside it, and the sum of what its messages answered.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const [folder, path] = process.argv.slice(2)

let inside = 0 // microseconds in `handle` since it was last asked
const timed = (handle) => (...given) => {
  const began = process.cpuUsage()
  try {
    return handle(...given)
  } finally {
    const used = process.cpuUsage(began)
    inside += used.user + used.system
  }
}
// The loader makes its instance from bytes: what it gets back has a `handle` that counts.
const instantiate = WebAssembly.instantiate
WebAssembly.instantiate = async (...given) => {
  const made = await instantiate(...given)
  const instance = made.instance ?? made
  const exports = { ...instance.exports, handle: timed(instance.exports.handle) }
  return made.instance ? { module: made.module, instance: { exports } } : { exports }
}

const AoLoader = createRequire(folder + '/')('@permaweb/ao-loader')
const handle = await AoLoader(readFileSync(folder + '/aos2_0_6.wasm'), { format: 'wasm64-unknown-emscripten-draft_2024_02_15' })
const cases = new Map()
let memory = null
for (const line of readFileSync(path, 'utf8').trimEnd().split('\n')) {
  const { case: name, counted, message, env } = JSON.parse(line)
  inside = 0
  const state = await handle(memory, message, env)
  if (state.Error) throw new Error(JSON.stringify(state.Error))
  memory = state.Memory
  if (!counted) continue
  if (inside === 0) throw new Error('the time inside `handle` was not seen')
  const sum = cases.get(name) ?? { took: 0, work: 0 }
  sum.took += inside
  sum.work += Number(state.Output.data.output ?? state.Output.data)
  cases.set(name, sum)
}
for (const [name, { took, work }] of cases) console.log(`${name} ${took} ${work}`)
