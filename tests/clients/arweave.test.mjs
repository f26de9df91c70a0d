// arweave (arweave-js) against the gateway: every function that talks to a node.
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import Arweave from 'arweave'
import { address_of, new_wallet, port, random_id, url, works } from './node.mjs'

const arweave = Arweave.init({ host: '127.0.0.1', port, protocol: 'http' })
const wallet = new_wallet()
const own = address_of(wallet)
const poor = new_wallet()
const kib = 1024

// The client prints what it then puts right by itself.
console.warn = () => {}

await arweave.api.get(`/mint/${own}/${arweave.ar.arToWinston('1000')}`)

async function signed(fields, tags = {}, by = wallet) {
  const transaction = await arweave.createTransaction(fields, by)
  for (const [name, value] of Object.entries(tags)) transaction.addTag(name, value)
  await arweave.transactions.sign(transaction, by)
  return transaction
}

async function posted(fields, tags = {}) {
  const transaction = await signed(fields, tags)
  assert.equal((await arweave.transactions.post(transaction)).status, 200)
  return transaction
}

const data_of = async (id) => Buffer.from(await arweave.transactions.getData(id, { decode: true }))

works("network.getInfo: says network, height and newest block", async () => {
  const info = await arweave.network.getInfo()
  assert.equal(typeof info.height, 'number')
  assert.match(info.current, /^[\w-]{43,64}$/)
  assert.equal(typeof info.network, 'string')
})

works("network.getPeers: is a list", async () => assert.ok(Array.isArray(await arweave.network.getPeers())))

works("wallets.getBalance: is 0 for a new wallet, and what was minted after /mint", async () => {
  const address = random_id()
  assert.equal(await arweave.wallets.getBalance(address), '0')
  await arweave.api.get(`/mint/${address}/${arweave.ar.arToWinston('1.5')}`)
  assert.equal(await arweave.wallets.getBalance(address), '1500000000000')
})

works("wallets.getLastTransactionID: is empty, then the newest transaction of the wallet", async () => {
  const address = address_of(poor)
  assert.equal(await arweave.wallets.getLastTransactionID(address), '')
  await arweave.api.get(`/mint/${address}/${arweave.ar.arToWinston('1')}`)
  const transaction = await signed({ data: 'mine' }, {}, poor)
  assert.equal((await arweave.transactions.post(transaction)).status, 200)
  assert.equal(await arweave.wallets.getLastTransactionID(address), transaction.id)
})

works("wallets.jwkToAddress: is the address that the node gives as owner", async () => {
  assert.equal(await arweave.wallets.jwkToAddress(wallet), own)
})

works("transactions.getPrice: is a number of winston that grows with the size", async () => {
  const [small, large] = [await arweave.transactions.getPrice(1), await arweave.transactions.getPrice(1 << 30, own)]
  assert.ok(BigInt(large) >= BigInt(small))
})

works("transactions.getTransactionAnchor: is 43 characters or more", async () => {
  assert.match(await arweave.transactions.getTransactionAnchor(), /^[\w-]{43,}$/)
})

works("transactions.post: stores data in the body, readable at once with its content type", async () => {
  const transaction = await posted({ data: '<p>hello</p>' }, { 'Content-Type': 'text/html', 'X-Käse': 'größer' })
  const answer = await fetch(`${url}/${transaction.id}`)
  assert.deepEqual([answer.status, answer.headers.get('content-type'), await answer.text()], [200, 'text/html', '<p>hello</p>'])
})

works("transactions.post: refuses a changed signature, owner, tag and data root", async () => {
  for (const spoil of [
    (t) => { t.signature = crypto.randomBytes(512).toString('base64url') },
    (t) => { t.owner = crypto.randomBytes(512).toString('base64url') },
    (t) => { t.tags[0].value = Buffer.from('other').toString('base64url') },
    (t) => { t.data_root = random_id() },
  ]) {
    const transaction = await signed({ data: 'x' }, { A: 'b' })
    const json = JSON.parse(JSON.stringify(transaction))
    json.data = Buffer.from('x').toString('base64url')
    spoil(json)
    const answer = await arweave.api.post('tx', json)
    assert.equal(answer.status, 400)
    assert.equal((await fetch(`${url}/${transaction.id}`)).status, 404)
  }
})

works("transactions.post: the same transaction twice is stored once and accepted twice", async () => {
  const transaction = await signed({ data: 'twice' })
  assert.equal((await arweave.transactions.post(transaction)).status, 200)
  assert.ok([200, 208].includes((await arweave.transactions.post(transaction)).status))
})

works("transactions.post: a transfer moves AR and takes the fee", async () => {
  const target = random_id()
  const before = BigInt(await arweave.wallets.getBalance(own))
  const transaction = await posted({ target, quantity: arweave.ar.arToWinston('2') })
  assert.equal(await arweave.wallets.getBalance(target), '2000000000000')
  assert.equal(BigInt(await arweave.wallets.getBalance(own)), before - 2000000000000n - BigInt(transaction.reward))
})

works("transactions.post: more than the wallet has is refused", async () => {
  const answer = await arweave.transactions.post(await signed({ target: own, quantity: arweave.ar.arToWinston('100'), reward: '1' }, {}, poor))
  assert.notEqual(answer.status, 200)
})

works("transactions.get: gives back every field, and the signature verifies", async () => {
  const transaction = await posted({ data: Buffer.from([0, 255, 1, 254]) }, { Name: 'Wert 🧀' })
  const found = await arweave.transactions.get(transaction.id)
  for (const field of ['id', 'owner', 'last_tx', 'target', 'quantity', 'reward', 'data_root', 'data_size', 'signature', 'format'])
    assert.equal(String(found[field]), String(transaction[field]), field)
  assert.deepEqual(found.tags.map((tag) => [tag.get('name', { decode: true, string: true }), tag.get('value', { decode: true, string: true })]), [['Name', 'Wert 🧀']])
  assert.deepEqual(Buffer.from(found.data), Buffer.from([0, 255, 1, 254]))
  assert.ok(await arweave.transactions.verify(found))
})

works("transactions.get: of one that does not exist is TX_NOT_FOUND", async () => {
  await assert.rejects(arweave.transactions.get(random_id()), { type: 'TX_NOT_FOUND' })
})

works("transactions.getStatus: names the block that a transaction is in", async () => {
  const transaction = await posted({ data: 'x' })
  const { status, confirmed } = await arweave.transactions.getStatus(transaction.id)
  assert.equal(status, 200)
  assert.equal((await arweave.blocks.getByHeight(confirmed.block_height)).indep_hash, confirmed.block_indep_hash)
  assert.ok(confirmed.number_of_confirmations >= 0)
  assert.deepEqual(await arweave.transactions.getStatus(random_id()), { status: 404, confirmed: null })
})

works("transactions.getUploader: uploads by chunks what transactions.getData gives back, at every size around a chunk", async () => {
  for (const size of [1, 32 * kib, 256 * kib, 256 * kib + 1, 700 * kib, 3 * 1024 * kib + 17]) {
    const bytes = crypto.randomBytes(size)
    const transaction = await signed({ data: bytes })
    const uploader = await arweave.transactions.getUploader(transaction)
    while (!uploader.isComplete) {
      await uploader.uploadChunk()
      assert.equal(uploader.lastResponseStatus, 200, `${size}: ${uploader.lastResponseError}`)
    }
    assert.equal(uploader.pctComplete, 100)
    assert.deepEqual(await data_of(transaction.id), bytes, `${size} bytes`)
    assert.deepEqual(Buffer.from(await (await fetch(`${url}/${transaction.id}`)).arrayBuffer()), bytes)
  }
})

works("transactions.getUploader: goes on from a saved state, and from the id alone", async () => {
  const bytes = crypto.randomBytes(800 * kib)
  for (const saved of [(uploader) => JSON.parse(JSON.stringify(uploader)), (_, id) => id]) {
    const transaction = await signed({ data: bytes })
    const first = await arweave.transactions.getUploader(transaction)
    await first.uploadChunk()
    await first.uploadChunk()
    const second = await arweave.transactions.getUploader(saved(first, transaction.id), bytes)
    while (!second.isComplete) await second.uploadChunk()
    assert.deepEqual(await data_of(transaction.id), bytes)
  }
})

works("transactions.getUploader: chunks in any order, and one twice, make the same data", async () => {
  const bytes = crypto.randomBytes(1000 * kib)
  const transaction = await signed({ data: bytes })
  await arweave.api.post('tx', { ...JSON.parse(JSON.stringify(transaction)), data: '' })
  const count = transaction.chunks.chunks.length
  for (const index of [...Array(count).keys(), 0].reverse())
    assert.equal((await arweave.api.post('chunk', transaction.getChunk(index, bytes))).status, 200)
  assert.deepEqual(await data_of(transaction.id), bytes)
})

works("transactions.getUploader: a chunk that is not of the transaction ends the upload, with the word that the client knows", async () => {
  const bytes = crypto.randomBytes(600 * kib)
  const transaction = await signed({ data: bytes })
  await arweave.api.post('tx', { ...JSON.parse(JSON.stringify(transaction)), data: '' })
  const chunk = transaction.getChunk(0, bytes)
  const answer = await arweave.api.post('chunk', { ...chunk, chunk: crypto.randomBytes(256 * kib).toString('base64url') })
  assert.deepEqual([answer.status, answer.data.error], [400, 'invalid_proof'])
})

works("transactions.upload: the generator does the same", async () => {
  const bytes = crypto.randomBytes(600 * kib)
  const transaction = await signed({ data: bytes })
  const steps = []
  for await (const uploader of arweave.transactions.upload(transaction)) steps.push(uploader.pctComplete)
  assert.equal(steps.at(-1), 100)
  assert.deepEqual(await data_of(transaction.id), bytes)
})

works("transactions.getData: decodes to bytes, text or base64url", async () => {
  const { id } = await posted({ data: 'grüße' })
  assert.equal(await arweave.transactions.getData(id, { decode: true, string: true }), 'grüße')
  assert.equal(await arweave.transactions.getData(id), Buffer.from('grüße').toString('base64url'))
})

works("chunks.getTransactionOffset, chunks.getChunk, chunks.downloadChunkedData: read what was uploaded", async () => {
  const bytes = crypto.randomBytes(300 * kib)
  const { id } = await posted({ data: bytes })
  const place = await arweave.chunks.getTransactionOffset(id)
  assert.equal(Number(place.size), bytes.length)
  const first = await arweave.chunks.getChunk(arweave.chunks.firstChunkOffset(place))
  const chunk = Buffer.from(first.chunk, 'base64url')
  assert.deepEqual(chunk, bytes.subarray(0, chunk.length))
  assert.deepEqual(Buffer.from(await arweave.chunks.downloadChunkedData(id)), bytes)
})

works("blocks.getCurrent, blocks.get, blocks.getByHeight: are one chain", async () => {
  await posted({ data: 'a block' })
  const current = await arweave.blocks.getCurrent()
  assert.deepEqual((await arweave.blocks.getByHeight(current.height)).indep_hash, current.indep_hash)
  const previous = await arweave.blocks.get(current.previous_block)
  assert.equal(previous.height, current.height - 1)
  assert.ok(Math.abs(current.timestamp - Date.now() / 1000) < 3600, 'in seconds')
  assert.ok(Array.isArray(current.txs))
})

works("blocks.get: of a block that does not exist is BLOCK_NOT_FOUND", async () => {
  await assert.rejects(arweave.blocks.get(random_id()), { type: 'BLOCK_NOT_FOUND' })
  await assert.rejects(arweave.blocks.getByHeight(10 ** 9), { type: 'BLOCK_NOT_FOUND' })
})

works("api.get: of /mine makes a block", async () => {
  const before = (await arweave.network.getInfo()).height
  assert.equal((await arweave.api.get('/mine')).status, 200)
  assert.ok((await arweave.network.getInfo()).height >= before)
})
