// Generated modules on V8: the other side of the second differential test.
//   node --experimental-wasm-memory64 generated.mjs FOLDER RUN_GENERATED FIRST COUNT
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const [folder, program, first, count] = [process.argv[2], process.argv[3], Number(process.argv[4]), Number(process.argv[5])]

/** What an engine says of a trap, by our names for it. */
const traps = [
  [/unreachable/, 'trap.unreachable'],
  [/memory access out of bounds|data segment/, 'trap.out_of_bounds'],
  [/divide by zero|remainder by zero/, 'trap.division_by_zero'],
  [/divide result unrepresentable|float unrepresentable/, 'trap.integer_overflow'],
  [/null function|signature mismatch|dereferencing a null/, 'trap.indirect_call'],
  [/table index is out of bounds/, 'trap.table_out_of_bounds'],
  [/call stack/, 'trap.depth'],
]
const trap_of = (thrown) => traps.find(([words]) => words.test(thrown.message))?.[1] ?? `unknown: ${thrown.message}`

/** Messages and answers as `abi/wasi` passes them. */
function answers(wasm) {
  const module = new WebAssembly.Module(wasm)
  let instance
  try {
    instance = new WebAssembly.Instance(module)
  } catch (thrown) {
    return ['start']
  }
  const { memory, malloc, free, handle } = instance.exports
  let wide = true
  try { malloc(0n); free(0n) } catch (thrown) { wide = false }
  const number = (value) => (wide ? BigInt(value) : value)
  const put = (text) => {
    const at = malloc(number(text.length + 1))
    new Uint8Array(memory.buffer).set(Buffer.from(text + '\0'), Number(BigInt.asUintN(wide ? 64 : 32, BigInt(at))))
    return at
  }
  const said = []
  for (let message = 0; message < 6; message++) {
    try {
      const [text, env] = [put(String(message).padStart(8, '0') + ' message'), put('{}')]
      const at = Number(handle(text, env))
      const bytes = Buffer.from(memory.buffer)
      said.push(bytes.toString('latin1', at, bytes.indexOf(0, at)))
      free(text)
      free(env)
    } catch (thrown) {
      said.push(trap_of(thrown))
      break
    }
  }
  return said
}

const lines = execFileSync(program, [folder, first, count], { maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'inherit'] }).toString().trimEnd().split('\n')
const ours = new Map(lines.map((line) => [line.split(' ')[0], line.split(' ').slice(1).join(' ')]))
let [equal, refused, trapped, messages] = [0, 0, 0, 0]
const wrong = []
for (let seed = first; seed < first + count; seed++) {
  const path = join(folder, `${seed}.wasm`)
  if (!existsSync(path)) continue
  // V8 has one sentence for a NaN and for a number that is too large.
  const mine = (ours.get(String(seed)) ?? 'nothing').replace('trap.bad_conversion', 'trap.integer_overflow')
  if (mine.startsWith('refused module.')) {
    refused++
    continue
  }
  const theirs = answers(readFileSync(path))
  messages += theirs.length
  if (theirs.at(-1).startsWith('trap')) trapped++
  if (mine === theirs.join(' ')) equal++
  else wrong.push(`module ${seed} differs\n  here ${mine}\n  V8   ${theirs.join(' ')}`)
}
console.log(`${equal} of ${equal + wrong.length} modules equal (${messages} messages, ${trapped} modules end in a trap), ${refused} refused by the rewriting pass`)
for (const one of wrong.slice(0, 10)) console.log(one)
if (wrong.length || equal < count / 3) process.exit(1)
