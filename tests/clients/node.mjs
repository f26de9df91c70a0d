// What the tests of all clients share: the node under test, wallets, and the two kinds of test that page.py lists.
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { test } from 'node:test'

export const { ALTIPLANO_NODE: url, ALTIPLANO_MODULE: module, ALTIPLANO_SCHEDULER: scheduler, ALTIPLANO_AUTHORITY: authority } = process.env
export const port = Number(process.env.ALTIPLANO_PORT)
export const mu = `${url}/mu`
export const su = `${url}/su`
export const cu = `${url}/cu`

/** The client gets what its documentation says. */
export const works = (title, body) => test(title, { timeout: 300_000 }, body)
/** The client gets something else, for a reason that its user can read in docs/compatibility.md. */
export const differs = (title, why, body) => test(title, { timeout: 300_000 }, body)

/** A wallet file as people have them: an RSA key of 4096 bits. */
export function new_wallet() {
  return crypto.generateKeyPairSync('rsa', { modulusLength: 4096, publicExponent: 65537 }).privateKey.export({ format: 'jwk' })
}

export const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest('base64url')
export const address_of = (wallet) => sha256(Buffer.from(wallet.n, 'base64url'))
export const random_id = () => crypto.randomBytes(32).toString('base64url')

export const tag = (tags, name) => tags.find((one) => one.name === name)?.value
export const as_tags = (object) => Object.entries(object).map(([name, value]) => ({ name, value }))

/** Asks again until the answer is one; then gives it. For what happens after an acknowledgement. */
export async function eventually(ask, seconds = 60) {
  for (const end = Date.now() + seconds * 1000; ; ) {
    const answer = await ask()
    if (answer) return answer
    if (Date.now() > end) assert.fail(`waited in vain: ${ask}`)
    await new Promise((done) => setTimeout(done, 50))
  }
}
