// arbundles: what its signers sign is stored, bundles are taken apart, and what is not signed is refused.
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { ArweaveSigner, DataItem, EthereumSigner, HexSolanaSigner, SolanaSigner, TypedEthereumSigner, bundleAndSignData, createData, unbundleData } from 'arbundles'
import Arweave from 'arweave'
import * as file from 'arbundles/file'
import * as stream from 'arbundles/stream'
import bs58 from 'bs58'
import { address_of, as_tags, eventually, mu, new_wallet, port, random_id, scheduler, module, cu, url, works } from './node.mjs'

const wallet = new_wallet()
const solana = bs58.encode(Buffer.concat(((seed) => [seed, crypto.createPublicKey(crypto.createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]), format: 'der', type: 'pkcs8' })).export({ format: 'der', type: 'spki' }).subarray(-32)])(crypto.randomBytes(32))))
const post = async (path, body) => {
  const answer = await fetch(url + path, { method: 'POST', body, headers: { 'Content-Type': 'application/octet-stream' } })
  return { status: answer.status, body: await answer.json() }
}
const read = async (id) => Buffer.from(await (await fetch(`${url}/${id}`)).arrayBuffer())

async function is_stored(signer) {
  const data = crypto.randomBytes(1000)
  const item = createData(data, signer, { target: random_id(), anchor: crypto.randomBytes(16).toString('hex'), tags: as_tags({ 'Content-Type': 'image/png', Käse: '🧀' }) })
  await item.sign(signer)
  const answer = await post('/tx', item.getRaw())
  assert.deepEqual([answer.status, answer.body.id], [200, item.id])
  assert.deepEqual(await read(item.id), data)
}

works("ArweaveSigner: an item is stored and read", () => is_stored(new ArweaveSigner(wallet)))
works("EthereumSigner: an item is stored and read", () => is_stored(new EthereumSigner('a'.repeat(64))))
works("SolanaSigner: an item signed by Ed25519 is stored and read", () => is_stored(new SolanaSigner(solana)))
works("HexSolanaSigner: an item signed over hexadecimal text is stored and read", () => is_stored(new HexSolanaSigner(solana)))

works("TypedEthereumSigner: is refused by the name of its type, since nobody on AO verifies it", async () => {
  const signer = new TypedEthereumSigner('a'.repeat(64))
  const item = createData('x', signer)
  await item.sign(signer)
  const answer = await post('/tx', item.getRaw())
  assert.equal(answer.status, 400)
  assert.match(JSON.stringify(answer.body), /typed|signature type 7|EIP-712/i)
})

works("DataItem.verify: agrees with the node about every changed part of an item", async () => {
  const signer = new EthereumSigner('b'.repeat(64))
  const item = createData('some data', signer, { tags: as_tags({ A: 'b' }), target: random_id() })
  await item.sign(signer)
  for (const at of [2, 70, 140, 180, item.getRaw().length - 20, item.getRaw().length - 1]) {
    const raw = Buffer.from(item.getRaw())
    raw[at] ^= 1
    assert.equal(await DataItem.verify(raw).catch(() => false), false, `byte ${at}`)
    assert.equal((await post('/tx', raw)).status, 400, `byte ${at}`)
  }
})

works("createData: a process spawned and a message sent by an Ethereum key are computed", async () => {
  const signer = new EthereumSigner('c'.repeat(64))
  const send = async (data, options) => {
    const item = createData(data, signer, options)
    await item.sign(signer)
    const answer = await fetch(mu, { method: 'POST', body: item.getRaw(), headers: { 'Content-Type': 'application/octet-stream' } })
    assert.equal(answer.status, 202, await answer.text())
    return item.id
  }
  const process = await send('1984', { tags: as_tags({ 'Data-Protocol': 'ao', Variant: 'ao.TN.1', Type: 'Process', Module: module, Scheduler: scheduler }) })
  const message = await send('return Owner', { target: process, tags: as_tags({ 'Data-Protocol': 'ao', Variant: 'ao.TN.1', Type: 'Message', Action: 'Eval' }) })
  const result = await (await fetch(`${cu}/result/${message}?process-id=${process}`)).json()
  assert.match(result.Output.data, /^0x[0-9a-fA-F]{40}$/)
})

works("bundleAndSignData: items of a bundle in a transaction are readable one by one, and know what they are in", async () => {
  const arweave = Arweave.init({ host: '127.0.0.1', port, protocol: 'http' })
  await arweave.api.get(`/mint/${address_of(wallet)}/1000000000000000`)
  const signer = new ArweaveSigner(wallet)
  const items = [...Array(5).keys()].map((i) => createData(`item ${i}`, signer, { tags: as_tags({ 'Content-Type': 'text/plain', Number: String(i) }) }))
  const bundle = await bundleAndSignData(items, signer)
  const transaction = await bundle.toTransaction({}, arweave, wallet)
  await arweave.transactions.sign(transaction, wallet)
  assert.equal((await arweave.transactions.post(transaction)).status, 200)
  for (const [i, item] of items.entries()) await eventually(async () => (await read(item.id)).toString() === `item ${i}`)
  const { data } = await (await fetch(`${url}/graphql`, { method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ query: `{ transactions(bundledIn: ["${transaction.id}"], sort: HEIGHT_ASC) { edges { node { id bundledIn { id } } } } }` }) })).json()
  assert.deepEqual(new Set(data.transactions.edges.map((edge) => edge.node.id)), new Set(items.map((item) => item.id)))
  assert.equal(data.transactions.edges[0].node.bundledIn.id, transaction.id)
  assert.deepEqual(unbundleData(await read(transaction.id)).items.map((item) => item.id), items.map((item) => item.id))
})

works("bundleAndSignData: a bundle inside a bundle, posted as an item, is taken apart to the innermost", async () => {
  const signer = new EthereumSigner('d'.repeat(64))
  const tags = as_tags({ 'Bundle-Format': 'binary', 'Bundle-Version': '2.0.0' })
  const wrap = async (items) => {
    const item = createData((await bundleAndSignData(items, signer)).getRaw(), signer, { tags })
    await item.sign(signer)
    return item
  }
  const inner = createData('innermost', signer)
  await inner.sign(signer)
  const outer = await wrap([await wrap([inner]), createData('beside', signer)])
  assert.equal((await post('/tx', outer.getRaw())).status, 200)
  await eventually(async () => (await read(inner.id)).toString() === 'innermost')
})

works("file createData, sendToBundler: a file is signed and sent without being read into memory", async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'altiplano-'))
  const name = path.join(folder, 'file')
  const bytes = crypto.randomBytes(2 << 20)
  fs.writeFileSync(name, bytes)
  const signer = new EthereumSigner('e'.repeat(64))
  const item = await file.createData(fs.createReadStream(name), signer, { tags: as_tags({ Name: 'file' }) })
  await item.sign(signer)
  const answer = await item.sendToBundler(url)
  assert.equal(answer.status, 200)
  assert.deepEqual(await read(item.id), bytes)
  fs.rmSync(folder, { recursive: true })
})

works("stream streamSigner, processStream: what is signed as a stream is stored", async () => {
  const signer = new EthereumSigner('7'.repeat(64))
  const { Readable } = await import('node:stream')
  const bytes = crypto.randomBytes(300_000)
  const signed = await stream.streamSigner(Readable.from([bytes]), Readable.from([bytes]), signer, {})
  const parts = []
  for await (const part of signed) parts.push(part)
  const raw = Buffer.concat(parts)
  const answer = await post('/tx', raw)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  assert.deepEqual(await read(new DataItem(raw).id), bytes)
})

works("sendToBundler: the paths of bundlers take items too, and answer with a time", async () => {
  const signer = new EthereumSigner('9'.repeat(64))
  for (const to of ['/tx/arweave', '/tx/ethereum', '/v1/tx']) {
    const item = createData(`for ${to}`, signer)
    await item.sign(signer)
    const answer = await post(to, item.getRaw())
    assert.deepEqual([answer.status, answer.body.id, typeof answer.body.timestamp], [200, item.id, 'number'])
  }
})
