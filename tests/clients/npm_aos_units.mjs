// Loaded before npm's @permaweb/aos, which knows no setting for its units: its SDK takes them from these globals, and asks
// a router by a fixed name where a process's scheduler is.
const node = process.env.ALTIPLANO_NODE
Object.assign(globalThis, { GATEWAY_URL: node, MU_URL: `${node}/mu`, CU_URL: `${node}/cu` })

const fetch_as_it_is = globalThis.fetch
globalThis.fetch = (address, options) => fetch_as_it_is(String(address).replace('https://su-router.ao-testnet.xyz', `${node}/su`), options)
