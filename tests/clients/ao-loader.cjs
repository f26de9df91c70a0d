// What @permaweb/ao-loader is to its users, done by Altiplano's virtual machine: `loader(wasm, options)` gives
// `handle(memory, message, env)`, which gives what the guest returned, and its memory. ALTIPLANO_EVALUATOR names the program.
//
// Memory is a name for a state that lies in a file: to be handed back, not to be looked into.
const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const readline = require('node:readline')

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'altiplano-loader-'))
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }))

let files = 0
const new_file = (kind) => path.join(folder, `${kind}-${files++}`)

// One program for all modules; answers come in the order of the questions.
let program
function ask(question) {
  if (!program) {
    program = spawn(process.env.ALTIPLANO_EVALUATOR, [path.join(folder, 'modules')], { stdio: ['pipe', 'pipe', 'inherit'] })
    program.waiting = []
    readline.createInterface({ input: program.stdout }).on('line', (line) => {
      program.waiting.shift().resolve(JSON.parse(line))
      if (program.waiting.length === 0) hold(false)
    })
    program.on('exit', (status) => { for (const one of program.waiting) one.reject(new Error(`the evaluator ended: ${status}`)) })
  }
  return new Promise((resolve, reject) => {
    program.waiting.push({ resolve, reject })
    hold(true)
    program.stdin.write(JSON.stringify(question) + '\n')
  })
}

// A test that is done must not be kept from ending by a program that waits for questions.
function hold(wanted) {
  for (const one of [program, program.stdin, program.stdout]) wanted ? one.ref?.() : one.unref?.()
}

// A caller may compile by itself and hand in a function that instantiates: what it compiles then is bytes for us.
class Bytes { constructor(bytes) { this.bytes = bytes } }
for (const name of ['compile', 'compileStreaming'])
  WebAssembly[name] = async (source) => new Bytes(Buffer.from(source.arrayBuffer ? await source.arrayBuffer() : source))
const instantiate = WebAssembly.instantiate
WebAssembly.instantiate = async (source, ...more) => source instanceof Bytes ? source : instantiate(source, ...more)

module.exports = async function loader(binary, options) {
  const { format = 'wasm32-unknown-emscripten', computeLimit = 9_000_000_000_000 } = options ?? {}
  if (typeof binary === 'function') binary = (await new Promise((receive) => binary({}, receive))).bytes
  const file = new_file('module')
  fs.writeFileSync(file, Buffer.from(binary))
  const loaded = await ask({ load: file, format })
  if (loaded.error) throw new Error(loaded.error)

  let last = ''
  return async function handle(memory, message, env) {
    const into = new_file('state')
    const done = await ask({ module: loaded.module, state: memory ? Buffer.from(memory).toString() : last, into, gas: computeLimit,
      timestamp: Number(message.Timestamp) || 0, message: JSON.stringify(message), env: JSON.stringify(env) })
    if (done.error) throw new Error(done.error)
    if (done.fault) throw new Error(done.fault === 'trap.out_of_gas' ? 'out of gas!' : done.sentence)
    last = into
    const { ok, response } = JSON.parse(done.output)
    if (!ok) throw response
    return { Memory: Buffer.from(into), Error: response.Error, Output: response.Output, Messages: response.Messages, Spawns: response.Spawns,
      Assignments: response.Assignments, Patches: response.Patches ?? [], GasUsed: done.metered }
  }
}
module.exports.default = module.exports
