// GraphQL as people ask it: ar-gql, graphql-request, the tools that ask for the schema first, and bare requests.
import assert from 'node:assert/strict'
import { EthereumSigner, createData } from 'arbundles'
import { arGql } from 'ar-gql'
import { buildClientSchema, getIntrospectionQuery, parse, validate } from 'graphql'
import { GraphQLClient, gql } from 'graphql-request'
import { as_tags, random_id, url, works } from './node.mjs'

const endpoint = `${url}/graphql`
const ar = arGql({ endpointUrl: endpoint })
const client = new GraphQLClient(endpoint)


// Twenty-five items that only these tests have, by two signers, in order.
const mark = random_id()
const signers = ['1', '2'].map((digit) => new EthereumSigner(digit.repeat(64)))
async function put(signer, data, tags, options = {}) {
  const item = createData(data, signer, { tags: as_tags(tags), ...options })
  await item.sign(signer)
  const answer = await fetch(`${url}/tx`, { method: 'POST', body: item.getRaw(), headers: { 'Content-Type': 'application/octet-stream' } })
  assert.equal(answer.status, 200, await answer.text())
  return item
}
const items = []
const recipient = random_id()
for (let i = 0; i < 25; ++i)
  items.push(await put(signers[i % 2], `data ${i}`, { Mark: mark, Number: String(i), Parity: i % 2 ? 'odd' : 'even', 'Content-Type': 'text/plain' }, i == 7 ? { target: recipient, anchor: 'anchor of thirty-two characters!' } : {}))
const ids = items.map((item) => item.id)
const marked = `tags: [{ name: "Mark", values: ["${mark}"] }]`
const numbers = (edges) => edges.map((edge) => Number(edge.node.tags.find((tag) => tag.name === 'Number').value))

works("ar-gql run: finds by tag, newest first, ten at a time", async () => {
  const { data } = await ar.run(`query { transactions(${marked}) { pageInfo { hasNextPage } edges { cursor node { id tags { name value } } } } }`)
  assert.deepEqual(numbers(data.transactions.edges), [24, 23, 22, 21, 20, 19, 18, 17, 16, 15])
  assert.equal(data.transactions.pageInfo.hasNextPage, true)
})

works("ar-gql all: follows cursors to the end, and gives each once", async () => {
  const edges = await ar.all(`query($cursor: String) { transactions(${marked}, first: 4, after: $cursor) { pageInfo { hasNextPage } edges { cursor node { id } } } }`)
  assert.deepEqual(edges.map((edge) => edge.node.id), [...ids].reverse())
  const pages = []
  await ar.all(`query($cursor: String) { transactions(${marked}, first: 5, after: $cursor, sort: HEIGHT_ASC) { pageInfo { hasNextPage } edges { cursor node { id } } } }`, {}, async (edges) => { pages.push(edges.length) })
  assert.deepEqual(pages, [5, 5, 5, 5, 5])
})

works("ar-gql tx: has every field of an item", async () => {
  const tx = await ar.tx(ids[7])
  const [address, size] = [tx.owner.address, Buffer.byteLength('data 7')]
  assert.equal(tx.id, ids[7])
  assert.equal(tx.recipient, recipient)
  assert.equal(tx.owner.key, Buffer.from(signers[1].publicKey).toString('base64url'))
  assert.match(address, /^[\w-]{42,43}$/)
  assert.equal(tx.signature, Buffer.from(items[7].rawSignature).toString('base64url'))
  assert.deepEqual([String(tx.data.size), tx.data.type], [String(size), 'text/plain'])
  assert.deepEqual(tx.tags, items[7].tags)
  assert.deepEqual([tx.fee.winston, tx.quantity.winston], ['0', '0'])
  assert.ok(tx.block.height > 0 && Math.abs(tx.block.timestamp - Date.now() / 1000) < 3600, 'seconds')
  assert.match(tx.block.previous, /^[\w-]{43,64}$/)
})

works("ar-gql tx: of an id that does not exist is null", async () => assert.equal(await ar.tx(random_id()), null))

works("ar-gql fetchTxTag: gives the value of a tag", async () => assert.equal(await ar.fetchTxTag(ids[3], 'Number'), '3'))

works("ar-gql run: an error in the query is refused, with its line and column", async () => {
  await assert.rejects(ar.run('query {\n  transactions(frist: 1) { edges { node { id } } } }'), (error) => {
    const { errors } = JSON.parse(error.cause.gqlError)
    assert.match(errors[0].message, /frist/)
    assert.deepEqual(errors[0].locations[0].line, 2)
    return true
  })
})

works("graphql-request: variables, defaults and aliases", async () => {
  const query = gql`
    query Wanted($tags: [TagFilter!], $first: Int = 2) {
      newest: transactions(tags: $tags, first: $first) { edges { node { id } } }
      oldest: transactions(tags: $tags, first: $first, sort: HEIGHT_ASC) { edges { node { number: id } } }
    }`
  const answer = await client.request(query, { tags: [{ name: 'Mark', values: [mark] }] })
  assert.deepEqual(answer.newest.edges.map((edge) => edge.node.id), [ids[24], ids[23]])
  assert.deepEqual(answer.oldest.edges.map((edge) => edge.node.number), [ids[0], ids[1]])
})

works("graphql-request: fragments, inline fragments, __typename, @include and @skip", async () => {
  const query = gql`
    query ($yes: Boolean!, $no: Boolean!, $ids: [ID!]!) {
      transactions(ids: $ids) { edges { node { __typename ...Both ... on Transaction @include(if: $no) { signature } } } }
    }
    fragment Both on Transaction { id tags @include(if: $yes) { name value } anchor @skip(if: $yes) }`
  const { transactions } = await client.request(query, { yes: true, no: false, ids: [ids[0]] })
  assert.deepEqual(transactions.edges.map((edge) => edge.node), [{ __typename: 'Transaction', id: ids[0], tags: items[0].tags }])
})

works("graphql-request: filters are all of them together", async () => {
  const ask = async (filter) => numbers((await client.request(`{ transactions(first: 100, sort: HEIGHT_ASC, ${filter}) { edges { node { tags { name value } } } } }`)).transactions.edges)
  const owner = (await ar.tx(ids[0])).owner.address
  const both = (second) => `tags: [{ name: "Mark", values: ["${mark}"] }, ${second}]`
  assert.deepEqual(await ask(both('{ name: "Number", values: ["3", "5", "x"] }')), [3, 5])
  assert.deepEqual(await ask(`${both('{ name: "Number", values: ["2", "3"] }')}, owners: ["${owner}", ""]`), [2])
  assert.deepEqual(await ask(`recipients: ["${recipient}"]`), [7])
  assert.deepEqual(await ask(`ids: ["${ids[1]}", "${ids[4]}"]`), [1, 4])
  assert.deepEqual(await ask(`ids: ["${ids[1]}"], owners: ["${owner}"]`), [])
  assert.equal((await ask(both('{ name: "Parity", values: ["even"], op: NEQ }'))).length, 12)
  const height = (await ar.tx(ids[9])).block.height
  assert.deepEqual(await ask(`${marked}, block: { min: ${height}, max: ${height} }`), [9])
  assert.equal((await ask(`${marked}, block: { max: ${height} }`)).length, 10)
})

works("graphql-request: no filter at all is a page of everything", async () => {
  const { transactions } = await client.request('{ transactions { edges { cursor node { id } } pageInfo { hasNextPage } } }')
  assert.equal(transactions.edges.length, 10)
})

works("graphql-request: a page after a cursor does not move when new items come", async () => {
  const page = async (after) => (await client.request(`query($after: String) { transactions(${marked}, first: 3, after: $after) { edges { cursor node { id } } } }`, { after })).transactions.edges
  const first = await page()
  await put(signers[0], 'later', { Mark: mark, Number: '99' })
  assert.deepEqual((await page(first[2].cursor)).map((edge) => edge.node.id), [ids[21], ids[20], ids[19]])
})

works("graphql-request: blocks by height, by id and by page", async () => {
  const { blocks } = await client.request('{ blocks(first: 3, sort: HEIGHT_ASC, height: { min: 2, max: 3 }) { edges { cursor node { id height timestamp previous } } pageInfo { hasNextPage } } }')
  assert.deepEqual(blocks.edges.map((edge) => edge.node.height), [2, 3])
  assert.equal(blocks.edges[1].node.previous, blocks.edges[0].node.id)
  const { block } = await client.request('query($id: String) { block(id: $id) { height } }', { id: blocks.edges[0].node.id })
  assert.equal(block.height, 2)
})

works("graphql buildClientSchema: the schema that introspection gives is whole, and gateways' queries are valid in it", async () => {
  const { data } = await (await fetch(endpoint, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ query: getIntrospectionQuery() }) })).json()
  const schema = buildClientSchema(data)
  const query = parse(`query ($ids: [ID!], $owners: [String!], $recipients: [String!], $tags: [TagFilter!], $block: BlockFilter, $first: Int, $after: String, $bundledIn: [ID!]) {
    transactions(ids: $ids, owners: $owners, recipients: $recipients, tags: $tags, block: $block, first: $first, after: $after, bundledIn: $bundledIn, sort: HEIGHT_DESC) {
      pageInfo { hasNextPage } edges { cursor node { id anchor signature recipient owner { address key } fee { winston ar } quantity { winston ar }
        data { size type } tags { name value } block { id timestamp height previous } parent { id } bundledIn { id } } } }
    transaction(id: "x") { id } block(id: "x") { id timestamp height previous }
    blocks(ids: ["x"], height: { min: 1, max: 2 }, first: 1, after: "", sort: HEIGHT_ASC) { pageInfo { hasNextPage } edges { cursor node { id timestamp height previous } } } }`)
  assert.deepEqual(validate(schema, query).map(String), [])
})

works("fetch: the operation that operationName names is done", async () => {
  const query = `query One { transaction(id: "${ids[0]}") { id } } query Other { transaction(id: "${ids[1]}") { id } }`
  const answer = await fetch(endpoint, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ query, operationName: 'Other' }) })
  assert.deepEqual((await answer.json()).data, { transaction: { id: ids[1] } })
})

works("fetch: GET with the query in the address, and comments and commas in it, are answered", async () => {
  const query = `# a comment\nquery { transactions(ids: ["${ids[0]}"],,, first: 1) { edges { node { id } } } }`
  const answer = await fetch(`${endpoint}?query=${encodeURIComponent(query)}`)
  assert.deepEqual((await answer.json()).data.transactions.edges, [{ node: { id: ids[0] } }])
})

works("fetch: the queries of AO's own units and of aos are answered", async () => {
  const post = async (query, variables) => (await (await fetch(endpoint, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ query, variables }) })).json())
  const compute = await post(`query GetProcesses ($processIds: [ID!]! $skipTags: Boolean! $skipSignature: Boolean! $skipAnchor: Boolean!) {
    transactions(ids: $processIds) { edges { node { id signature @skip (if: $skipSignature) anchor @skip (if: $skipAnchor)
    owner { address key } tags @skip (if: $skipTags) { name value } recipient } } } }`, { processIds: [ids[0]], skipTags: false, skipSignature: true, skipAnchor: true })
  assert.deepEqual(Object.keys(compute.data.transactions.edges[0].node).sort(), ['id', 'owner', 'recipient', 'tags'])
  const blocks = await post('query GetBlocks($min: Int!, $limit: Int!) { blocks(height: {min: $min}, first: $limit, sort: HEIGHT_ASC) { pageInfo { hasNextPage } edges { node { timestamp height } } } }', { min: 1, limit: 2 })
  assert.deepEqual(blocks.data.blocks.edges.map((edge) => edge.node.height), [1, 2])
  const names = await post(`query ($owners: [String!]!) { transactions(first: 10, owners: $owners, tags: [{ name: "Mark", values: ["${mark}"] }, { name: "Number", values: ["4"]}]) { edges { node { id tags { name value } } } } }`,
    { owners: [(await ar.tx(ids[0])).owner.address, ''] })
  assert.deepEqual(names.data.transactions.edges.map((edge) => edge.node.id), [ids[4]])
})
