// Makes vectors.json: data items by arbundles, deep hashes by arweave-js.   npm ci && node make.js > vectors.json
// RSA signatures are salted, so a new run gives other ones; Ed25519 items come out the same.
import { createData, Curve25519, ArweaveSigner, EthereumSigner, HexSolanaSigner } from 'arbundles'
import Arweave from 'arweave'
import { createHash } from 'node:crypto'

const arweave = (Arweave.default ?? Arweave).init({})
const deepHash = (await import('arweave/node/lib/deepHash.js')).default
const hash = deepHash.default ?? deepHash
const b64 = bytes => Buffer.from(bytes).toString('base64url')

const seed = createHash('sha256').update('altiplano vectors').digest()
const ed25519 = await import('@noble/ed25519')
const publicKey = Buffer.from(await ed25519.getPublicKey(seed))
const jwk = await arweave.wallets.generate()
class Ed25519Signer extends Curve25519 {
  get publicKey () { return publicKey }
  get key () { return seed }
}
const bs58 = (await import('bs58')).default
const solanaKey = bs58.encode(Buffer.concat([seed, publicKey]))
const ethers = await import('ethers')
const signers = {
  ed25519: new Ed25519Signer(),
  arweave: new ArweaveSigner(jwk),
  ethereum: new EthereumSigner(seed.toString('hex')),
  solana: new HexSolanaSigner(solanaKey)
}
// The checksummed address is computed by ethers, not by what is tested.
const address = (kind, item) => kind === 'ethereum'
  ? ethers.computeAddress('0x' + seed.toString('hex'))
  : b64(createHash('sha256').update(item.rawOwner).digest())

const contents = [
  { name: 'empty', data: '', opts: {} },
  { name: 'data', data: 'hello', opts: {} },
  { name: 'tags', data: 'hello', opts: { tags: [{ name: 'Action', value: 'Eval' }, { name: 'Content-Type', value: 'text/plain' }] } },
  { name: 'unicode', data: 'Größe 山 🦙', opts: { tags: [{ name: 'Ärger', value: '高原 🦙' }, { name: 'Action', value: 'x' }, { name: 'Action', value: 'y' }] } },
  { name: 'target', data: 'x', opts: { target: b64(createHash('sha256').update('target').digest()) } },
  { name: 'anchor', data: 'x', opts: { anchor: 'abcdefghijklmnopqrstuvwxyz012345' } },
  {
    name: 'everything', data: Buffer.from(Uint8Array.from({ length: 1000 }, (_, i) => i & 255)),
    opts: {
      target: b64(createHash('sha256').update('target').digest()), anchor: 'abcdefghijklmnopqrstuvwxyz012345',
      tags: Array.from({ length: 60 }, (_, i) => ({ name: `Name-${i}`, value: 'v'.repeat(i + 1) }))
    }
  }
]

const items = []
for (const [kind, signer] of Object.entries(signers)) {
  for (const { name, data, opts } of contents) {
    const item = createData(data, signer, opts)
    await item.sign(signer)
    if (!(await item.isValid())) throw new Error(`${kind} ${name} is not valid`)
    items.push({
      name: `${kind} ${name}`, wire: b64(item.getRaw()), id: item.id, owner: b64(item.rawOwner), type: item.signatureType,
      address: address(kind, item), target: item.target, anchor: b64(item.rawAnchor), tags: item.tags, data: b64(item.rawData)
    })
  }
}

const encode = value => Array.isArray(value) ? value.map(encode) : b64(value)
const deepHashes = []
for (const value of [Buffer.from(''), Buffer.from('hello'), [], [Buffer.from('a')], [Buffer.from('a'), Buffer.from('')], [[], [Buffer.from('deep'), [Buffer.from('er')]]]])
  deepHashes.push({ value: encode(value), hash: b64(await hash(value)) })
const large = { repeat: 70000, byte: 7 }
deepHashes.push({ value: large, hash: b64(await hash(Buffer.alloc(large.repeat, large.byte))) })

console.log(JSON.stringify({ seed: b64(seed), items, deep_hashes: deepHashes }, null, 1))
