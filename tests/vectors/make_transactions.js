// Makes transactions.json: transactions of Arweave's first layer, their chunks and proofs by arweave-js, bundles by arbundles.
//   npm ci && node make_transactions.js > transactions.json
// The keys are new in every run, so all ids are others then.
import { createData, ArweaveSigner, EthereumSigner, bundleAndSignData } from 'arbundles'
import Arweave from 'arweave'
import { createHash } from 'node:crypto'

const arweave = (Arweave.default ?? Arweave).init({})
const b64 = bytes => Buffer.from(bytes).toString('base64url')
const digest = text => createHash('sha256').update(text).digest()
const jwk = await arweave.wallets.generate()

// Large data is not written down: byte i of it is this.
const pattern = size => Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >>> 8) * 13) & 255)
const KiB = 1024

const cases = [
  { name: 'transfer', fields: { target: b64(digest('bob')), quantity: '1000000000000', reward: '5' }, size: 0 },
  { name: 'past 64 bits', fields: { target: b64(digest('bob')), quantity: '66000000000000000000', reward: '0' }, size: 0 },
  { name: 'small', fields: { reward: '0' }, size: 5, tags: [['Content-Type', 'text/plain'], ['Größe', '高原'], ['Content-Type', 'x']] },
  { name: 'anchor of 48 bytes', fields: { reward: '1', last_tx: b64(Buffer.concat([digest('a'), digest('b')]).subarray(0, 48)) }, size: 1 },
  { name: 'one chunk', fields: { reward: '0' }, size: 256 * KiB - 1 },
  { name: 'a whole chunk', fields: { reward: '0' }, size: 256 * KiB },
  { name: 'two whole chunks', fields: { reward: '0' }, size: 512 * KiB },
  { name: 'a small rest', fields: { reward: '0' }, size: 256 * KiB + 1 },
  { name: 'a rest at the limit', fields: { reward: '0' }, size: 256 * KiB + 32 * KiB },
  { name: 'a small rest behind two', fields: { reward: '0' }, size: 512 * KiB + 31 * KiB },
  // A wallet's first has no anchor, so any weave takes it.
  { name: 'seven chunks', fields: { reward: '0', last_tx: '' }, size: 6 * 256 * KiB + 100 * KiB },
  { name: 'format 1', fields: { format: 1, target: b64(digest('bob')), quantity: '7', reward: '3' }, size: 11, tags: [['App-Name', 'old']] }
]

const transactions = []
for (const { name, fields, size, tags = [] } of cases) {
  const data = pattern(size)
  const tx = await arweave.createTransaction({ last_tx: b64(digest('anchor')), ...(size ? { data } : {}), ...fields }, jwk)
  for (const [key, value] of tags) tx.addTag(key, value)
  await arweave.transactions.sign(tx, jwk)
  if (!(await arweave.transactions.verify(tx))) throw new Error(`${name} is not valid`)
  const json = tx.toJSON()
  delete json.data_tree
  const chunks = []
  if (fields.format !== 1 && size) {
    for (let i = 0; i < tx.chunks.chunks.length; i++) {
      const chunk = tx.getChunk(i, data)
      chunks.push({ begin: tx.chunks.chunks[i].minByteRange, end: tx.chunks.chunks[i].maxByteRange, offset: chunk.offset, data_path: chunk.data_path })
    }
  }
  if (size > 100) json.data = ''
  transactions.push({ name, size, address: await arweave.wallets.jwkToAddress(jwk), transaction: json, chunks })
}

const seed = digest('altiplano vectors')
const signer = new ArweaveSigner(jwk)
const ethereum = new EthereumSigner(seed.toString('hex'))
const members = [
  createData('first', signer, { tags: [{ name: 'Content-Type', value: 'text/plain' }] }),
  createData(pattern(1000), signer, { target: b64(digest('bob')) })
]
const inner = await bundleAndSignData([createData('deep', ethereum), createData('deeper', ethereum)], ethereum)
const bundleTags = [{ name: 'Bundle-Format', value: 'binary' }, { name: 'Bundle-Version', value: '2.0.0' }]
const nested = createData(inner.getRaw(), signer, { tags: bundleTags })
const bundle = await bundleAndSignData([...members, nested], signer)
const tx = await bundle.toTransaction({ last_tx: '', reward: '0' }, arweave, jwk)
await arweave.transactions.sign(tx, jwk)
const item = createData(bundle.getRaw(), ethereum, { tags: bundleTags })
await item.sign(ethereum)
const of = one => ({ id: one.id, data: b64(one.rawData) })
const bundles = {
  raw: b64(bundle.getRaw()), members: bundle.items.map(of), inner: { raw: b64(inner.getRaw()), members: inner.items.map(of) },
  transaction: { ...tx.toJSON(), data_tree: undefined }, item: b64(item.getRaw())
}

console.log(JSON.stringify({ transactions, bundles }, null, 1))
