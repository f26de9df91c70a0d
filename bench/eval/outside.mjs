// The outside of `bench eval`: AO's published module aos2_0_6 in AO's own loader. One process, trivial Evals, in memory.
//   node --experimental-wasm-memory64 outside.mjs FOLDER MESSAGES.jsonl
// A line of MESSAGES is {"message": {...}, "env": {...}}: what ours read of its messages, first the process itself, or Owner would
// stay unset and every Eval land in the inbox. Prints {"messages_per_second": n, "work": sum of the answers}.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const [folder, path] = process.argv.slice(2)
const [spawn, ...messages] = readFileSync(path, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line))

const AoLoader = createRequire(folder + '/')('@permaweb/ao-loader')
const handle = await AoLoader(readFileSync(folder + '/aos2_0_6.wasm'), { format: 'wasm64-unknown-emscripten-draft_2024_02_15' })
let state = await handle(null, spawn.message, spawn.env)

const began = process.hrtime.bigint()
let work = 0
for (const { message, env } of messages) {
  state = await handle(state.Memory, message, env)
  if (state.Error) throw new Error(JSON.stringify(state.Error))
  const data = state.Output.data
  work += Number(data.output ?? data)
}
const seconds = Number(process.hrtime.bigint() - began) / 1e9
console.log(JSON.stringify({ messages_per_second: messages.length / seconds, work }))
