// graphql-js over what the node says of its schema: tools can build on it, and both agree about which queries are right.
import assert from 'node:assert/strict'
import { buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, parse, printSchema, validate, validateSchema } from 'graphql'
import { url, works } from './node.mjs'

const ask = async (query, variables) => {
  const answer = await fetch(`${url}/graphql`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ query, variables, operationName: query.includes('query A ') && query.includes('query B ') ? 'A' : undefined }) })
  return { status: answer.status, ...(await answer.json()) }
}
const schema = async () => buildClientSchema((await ask(getIntrospectionQuery())).data)

works("buildClientSchema: makes a valid schema of the node's introspection, with every option of it", async () => {
  const options = { descriptions: true, inputValueDeprecation: true, directiveIsRepeatable: true, schemaDescription: true, specifiedByUrl: true }
  const made = buildClientSchema((await ask(getIntrospectionQuery(options))).data)
  assert.deepEqual(validateSchema(made), [])
  // What is printed of it is itself a schema, and the same.
  assert.equal(printSchema(lexicographicSortSchema(buildSchema(printSchema(made)))), printSchema(lexicographicSortSchema(made)))
  assert.match(printSchema(made), /transactions\([^)]*tags: \[TagFilter!\]/s)
})

// Right and wrong queries; of each, both must say the same, and the wrong ones at the same place first.
const queries = [
  '{ transactions { edges { node { id } } } }',
  'query ($ids: [ID!]!) { transactions(ids: $ids) { edges { node { id tags { name value } } } } }',
  'query ($o: [String!], $b: BlockFilter, $t: [TagFilter!], $n: Int = 3, $s: SortOrder) { transactions(owners: $o, block: $b, tags: $t, first: $n, sort: $s) { count } }',
  'query ($v: String!) { transactions(tags: [{ name: "A", values: [$v] }, { name: "B", values: "x", op: NEQ, match: WILDCARD }]) { count } }',
  'query ($v: String) { transactions(tags: [{ name: "A", values: [$v] }]) { count } }',
  'query ($id: ID) { transaction(id: $id) { id } }',
  'query ($id: ID = "x") { transaction(id: $id) { id } }',
  'query ($ids: ID) { transactions(ids: $ids) { count } }',
  'query ($x: Int) { blocks { edges { cursor } } }',
  'query ($x: Nothing) { blocks(first: $x) { edges { cursor } } }',
  'query A { ...F } query B { ...F } fragment F on Query { block { id } }',
  'query A { block { id } } query A { block { id } }',
  '{ block { id } } { block { id } }',
  '{ block { ...F } } fragment F on Block { id ...F }',
  '{ block { ...F } }',
  '{ block { ...F } } fragment F on Transaction { id }',
  '{ block { ... on Transaction { id } } }',
  '{ block { ... on String { id } } }',
  '{ block { id } } fragment F on Block { id }',
  '{ block }',
  '{ block { id { x } } }',
  '{ block { id @skip } }',
  '{ block { id @skip(if: "yes") } }',
  '{ block { id @skip(if: true) @skip(if: true) } }',
  '{ block { id @nothing } }',
  '{ block(id: 5) { id } }',
  '{ block(id: "x", id: "y") { id } }',
  '{ block(idd: "x") { id } }',
  '{ transaction { id } }',
  '{ transaction(id: 5) { id } }',
  '{ transaction(id: null) { id } }',
  '{ transactions(first: "5") { count } }',
  '{ transactions(first: 5.5) { count } }',
  '{ transactions(first: 3000000000) { count } }',
  '{ transactions(sort: HEIGHT) { count } }',
  '{ transactions(sort: "HEIGHT_ASC") { count } }',
  '{ transactions(block: { min: 1, min: 2 }) { count } }',
  '{ transactions(block: { mini: 1 }) { count } }',
  '{ transactions(block: 5) { count } }',
  '{ transactions(owners: [null]) { count } }',
  '{ transactions(owners: ["a", 5]) { count } }',
  '{ transactions(tags: { name: "A", values: "b" }) { count } }',
  '{ a: block { id } a: block { id height } }',
  '{ a: block { id } a: block(id: "x") { id } }',
  '{ block { x: id x: height } }',
  '{ __type(name: "Block") { fields { name type { ofType { name } } } } __typename }',
  '{ __schema { nothing } }',
]

works("validate: agrees with the node about every rule that a query may break, and about the place", async () => {
  const made = await schema()
  for (const query of queries) {
    const theirs = validate(made, parse(query))
    const ours = await ask(query, { ids: [], id: 'x', v: 'x' })
    const refused = ours.status === 400 && ours.errors[0].extensions.code === 'gateway.bad_query'
    assert.equal(refused, theirs.length > 0, `${query}\n${JSON.stringify(ours)}\n${theirs.join('\n')}`)
    if (!refused) continue
    const places = theirs.flatMap((one) => one.locations.map(({ line, column }) => `${line}:${column}`))
    assert.ok(places.includes(`${ours.errors[0].locations[0].line}:${ours.errors[0].locations[0].column}`), `${query}\n${JSON.stringify(ours)}\n${places}`)
  }
})

works("parse: agrees with the node about what is GraphQL at all, and about the place", async () => {
  const texts = ['', '{', '{ }', '}', '{ a', '{ a( }', '{ a() }', '{ a(b) }', '{ a(b:) }', '{ a(b: [1 }', '{ a(b: {c 1}) }', '{ a: }', '{ ...}', '{ ... on }', '{ a @ }',
    'query', 'query (', 'query ($a) { b }', 'query ($a: [Int) { b }', 'query ($a: Int = $b) { c }', 'fragment on on A { b }', 'fragment A { b }', '{ a } x', 
    '{ a(b: 01) }', '{ a(b: 1.) }', '{ a(b: 1e) }', '{ a(b: 1x) }', '{ a(b: -) }', '{ a(b: "x) }', '{ a(b: "\\q") }', '{ a(b: "\\u00g0") }', '{ a(b: """x) }', "{ a(b: 'x') }", '{ % }', '{ a .. b }', '\n\n  { a(\n\tb: ) }']
  for (const text of texts) {
    let theirs
    try { parse(text) } catch (error) { theirs = error.locations[0] }
    const ours = await ask(text)
    assert.ok(theirs, `graphql-js takes ${text}`)
    assert.equal(ours.errors[0].extensions.code, 'gateway.syntax', text)
    assert.deepEqual(ours.errors[0].locations[0], { ...theirs }, `${text}\n${ours.errors[0].message}`)
  }
})
