// What the aos console (2.0.16, published as a repository only) asks of its units, asked through aoconnect as it does: find
// or spawn by name, connect, evaluate, load, listen, cron, list.
import assert from 'node:assert/strict'
import { connect, createDataItemSigner } from '@permaweb/aoconnect'
import { address_of, as_tags, authority, cu, eventually, module, mu, new_wallet, random_id, scheduler, tag, url, works } from './node.mjs'

const ao = connect({ MU_URL: mu, CU_URL: cu, GATEWAY_URL: url, noLog: true })
const wallet = new_wallet()
const signer = createDataItemSigner(wallet)
const own = address_of(wallet)
const other_network = 'fcoN_xJeisVsPXA-trzVAuIiqO3ydLQxM-L4XbrQKzY' // the authority that the console writes into every process

async function graphql(query, variables) {
  const answer = await fetch(`${url}/graphql`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ query, variables }) })
  return (await answer.json()).data
}
const by_name = (name) => graphql(
  `query ($owners: [String!]!) { transactions(first: 10, owners: $owners, tags: [{ name: "Data-Protocol", values: ["ao"] }, { name: "Type", values: ["Process"] }, { name: "Name", values: ["${name}"] }]) { edges { node { id tags { name value } } } } }`,
  { owners: [own, ''] })
const open = (name, more = [], data) => ao.spawn({ module, scheduler, signer, data,
  tags: [...as_tags({ 'App-Name': 'aos', Name: name }), ...more, ...as_tags({ Authority: other_network, 'aos-Version': '2.0.16' })] })
const evaluate = async (process, data) => ao.result({ process, message: await ao.message({ process, signer, data, tags: as_tags({ Action: 'Eval' }) }) })
/** The lines that the console shows by itself: what was printed while nobody had typed. */
const live = async (process, cursor) => {
  const { edges } = await ao.results({ process, ...(cursor ? { from: cursor, limit: 1000 } : { limit: 5, sort: 'DESC' }) })
  return edges.filter((edge) => edge.node.Output?.print === true)
}

works("spawn by name: no process of that name yet, then exactly one, at once", async () => {
  const name = `aos-${random_id()}`
  assert.deepEqual((await by_name(name)).transactions.edges, [])
  const process = await open(name)
  const { edges } = (await by_name(name)).transactions
  assert.deepEqual(edges.map((edge) => [edge.node.id, tag(edge.node.tags, 'Name'), tag(edge.node.tags, 'Variant')]), [[process, name, 'ao.TN.1']])
})

works("connect: the first Eval asks for the version of the runtime, and finds a prompt with the name and the inbox", async () => {
  const process = await open('friend')
  const { Output, Error } = await evaluate(process, "require('.process')._version")
  assert.equal(Error, undefined)
  assert.match(Output.data, /^\d+\.\d+\.\d+$|^dev$/)
  assert.match(Output.prompt.replace(/\x1b\[\d+m/g, ''), /^friend@.*\[Inbox:\d+\]> $/)
})

works("eval: values, prints, tables, statements and what a line leaves behind", async () => {
  const process = await open('eval')
  const line = async (text) => (await evaluate(process, text)).Output.data.replace(/\x1b\[\d+m/g, '')
  assert.equal(await line('1 + 1'), '2')
  assert.equal(await line("print('a') print('b')"), 'a\nb')
  assert.match(await line('{ a = 1 }'), /a\s*=\s*1/)
  assert.equal(await line('x = 41'), '')
  assert.equal(await line('x + 1'), '42')
  assert.equal(await line('ao.id'), process)
  assert.equal(await line('Owner'), own)
})

works("errors: of syntax and at run time stand in Error, and the next line works", async () => {
  const process = await open('errors')
  for (const [text, reason] of [['return ((', /unexpected|expected|near/], ["error('told so')", /told so/], ['return nothing.at.all', /nil/]]) {
    const { Error } = await evaluate(process, text)
    assert.match(String(Error), reason)
  }
  assert.equal((await evaluate(process, "return 'still here'")).Output.data, 'still here')
})

works(".load, .editor: many lines in one Eval, modules put into package.loaded", async () => {
  const process = await open('load')
  const program = `
    local function load_part()
      local part = {}
      function part.greet(name) return 'hello, ' .. name end
      return part
    end
    package.loaded['part'] = load_part()
    local part = require('part')
    Handlers.add('Greet', Handlers.utils.hasMatchingTag('Action', 'Greet'), function(msg)
      Handlers.utils.reply(part.greet(msg.Data))(msg)
    end)
    return #Handlers.list > 0`
  assert.equal((await evaluate(process, program)).Output.data.replace(/\x1b\[\d+m/g, ''), 'true')
  const { Messages } = await ao.result({ process, message: await ao.message({ process, signer, data: 'you', tags: as_tags({ Action: 'Greet' }) }) })
  assert.equal(Messages[0].Data, 'hello, you')
})

works("inbox: a message that nobody handles is in Inbox, in the prompt, and in the live lines", async () => {
  const process = await open('inbox')
  await evaluate(process, 'return 1')
  const before = (await ao.results({ process, sort: 'DESC', limit: 1 })).edges[0].cursor
  await ao.message({ process, signer, data: 'hello there', tags: as_tags({ Action: 'Greeting' }) })
  const { Output } = await evaluate(process, 'return Inbox[#Inbox].Data')
  assert.equal(Output.data, 'hello there')
  assert.match(Output.prompt.replace(/\x1b\[\d+m/g, ''), /\[Inbox:[12]\]/)
  const lines = await eventually(async () => { const found = await live(process, before); return found.length ? found : undefined })
  assert.equal(lines.length, 1)
  assert.match(lines[0].node.Output.data.replace(/\x1b\[\d+m/g, ''), /New Message From .*Greeting/)
  assert.equal(JSON.parse(atob(lines[0].cursor)).ordinate, '2')
})

works("live: an answer of another process arrives while nobody types", async () => {
  const first = await open('first', as_tags({ Authority: authority }))
  const second = await open('second', as_tags({ Authority: authority }))
  await evaluate(second, "Handlers.add('Ping', 'Ping', function(msg) msg.reply({ Data = 'pong' }) end)")
  const before = (await ao.results({ process: first, sort: 'DESC', limit: 1 })).edges[0].cursor
  await evaluate(first, `Send({ Target = '${second}', Action = 'Ping' })`)
  const lines = await eventually(async () => { const found = await live(first, before); return found.length ? found : undefined })
  assert.match(lines[0].node.Output.data, /pong/)
})

works("list: all processes of the wallet with their names", async () => {
  const names = [random_id(), random_id()]
  const ids = []
  for (const name of names) ids.push(await open(name))
  const { edges } = (await graphql('query ($owners: [String!]!) { transactions(first: 100, owners: $owners, tags: [{ name: "Data-Protocol", values: ["ao"] }, { name: "Type", values: ["Process"] }]) { edges { node { id owner { address } tags { name value } } } } }', { owners: [own] })).transactions
  for (const [i, id] of ids.entries())
    assert.deepEqual(edges.filter((edge) => edge.node.id === id).map((edge) => [tag(edge.node.tags, 'Name'), edge.node.owner.address]), [[names[i], own]])
})

works("module by name: is found by its tags, with the time of its block in seconds", async () => {
  const { edges } = (await graphql('query Modules($name: String!) { transactions(tags: [{ name: "Type", values: ["Module"] }, { name: "Data-Protocol", values: ["ao"] }, { name: "Name", values: [$name] }], sort: HEIGHT_DESC, first: 100) { edges { node { id tags { name value } block { timestamp } } } } }', { name: 'altiplano-lua' })).transactions
  assert.equal(edges[0].node.id, module)
  assert.ok(Math.abs(edges[0].node.block.timestamp - Date.now() / 1000) < 3600)
})

works("cron, monitor: a process spawned with --cron ticks once it is monitored", async () => {
  const process = await open('cron', as_tags({ 'Cron-Interval': '1-second', 'Cron-Tag-Action': 'Cron' }))
  await evaluate(process, "Handlers.add('Cron', 'Cron', function() print('tick') end)")
  await ao.monitor({ process, signer })
  await eventually(async () => (await live(process)).some((edge) => /tick/.test(edge.node.Output.data)))
  await ao.unmonitor({ process, signer })
})

works("dryrun mode: a line is evaluated for the owner and leaves nothing", async () => {
  const process = await open('dry')
  const dry = (data) => ao.dryrun({ process, Owner: own, data, tags: as_tags({ Action: 'Eval' }) })
  assert.equal((await dry('y = 1 return y')).Output.data, '1')
  assert.equal((await evaluate(process, 'return tostring(y)')).Output.data, 'nil')
})
