// The outside of `bench eval`: AO's published module aos2_0_6 in AO's own loader. One process, N trivial Evals, in memory.
//   node --experimental-wasm-memory64 outside.mjs MODULE.wasm N
// Prints {"messages_per_second": n, "work": sum of the answers}.
import { readFileSync } from 'node:fs'
import AoLoader from '@permaweb/ao-loader'

const [path, count] = [process.argv[2], Number(process.argv[3])]
const id = 'p'.repeat(43)
const owner = 'o'.repeat(43)
const env = {
  Process: { Id: id, Owner: owner, Tags: [{ name: 'Data-Protocol', value: 'ao' }, { name: 'Variant', value: 'ao.TN.1' }, { name: 'Type', value: 'Process' }] },
  Module: { Id: 'm'.repeat(43), Owner: owner, Tags: [] }
}
const message = (nonce, tags, data) => ({
  Id: nonce === 0 ? id : String(nonce).padStart(43, '0'), Target: id, Owner: owner, From: owner, Data: data, Tags: tags,
  Module: env.Module.Id, 'Block-Height': 1, Timestamp: 1700000000000 + nonce, Nonce: nonce, Cron: false, 'Read-Only': false
})

const handle = await AoLoader(readFileSync(path), { format: 'wasm64-unknown-emscripten-draft_2024_02_15' })
// The first message must be the process itself, or Owner stays unset and every Eval lands in the Inbox.
let state = await handle(null, message(0, [{ name: 'Type', value: 'Process' }], ''), env)

const began = process.hrtime.bigint()
let work = 0
for (let nonce = 1; nonce <= count; nonce++) {
  state = await handle(state.Memory, message(nonce, [{ name: 'Action', value: 'Eval' }], `return ${nonce} + 1`), env)
  if (state.Error) throw new Error(JSON.stringify(state.Error))
  const data = state.Output.data
  work += Number(data.output ?? data)
}
const seconds = Number(process.hrtime.bigint() - began) / 1e9
console.log(JSON.stringify({ messages_per_second: count / seconds, work }))
