// The client of OpenAI's API, against the node's door: /v1.
import assert from 'node:assert/strict'
import OpenAI from 'openai'
import { differs, url, works } from './node.mjs'

const client = new OpenAI({ apiKey: 'none is needed', baseURL: `${url}/v1`, maxRetries: 0 })
const model = 'smollm2'
const ask = (more) => client.chat.completions.create({ model, messages: [{ role: 'user', content: 'Name three colours.' }], temperature: 0, max_tokens: 24, ...more })

/** All pieces of a stream, and the text that they make. */
async function collected(stream) {
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  const text = chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? chunk.choices[0]?.text ?? '').join('')
  return { chunks, text, last: chunks.findLast((chunk) => chunk.choices.length) }
}

/** What of an error its users look at. */
async function refused(promise) {
  const error = await promise.then(() => assert.fail('it was not refused'), (error) => error)
  assert.ok(error instanceof OpenAI.APIError, String(error))
  return { status: error.status, code: error.code, param: error.param, type: error.type, message: error.message }
}

works("models: lists the attested models with name and item, and gives one by either", async () => {
  const { data } = await client.models.list()
  assert.deepEqual(data.map(({ id, object }) => ({ id, object })), [{ id: model, object: 'model' }])
  assert.equal((await client.models.retrieve(model)).altiplano.item, data[0].altiplano.item)
  assert.equal((await client.models.retrieve(data[0].altiplano.item)).id, model)
  assert.equal((await refused(client.models.retrieve('gpt-4'))).status, 404)
})

works("chat.completions: the answer says by which process, slot and state root it came, which the node's own paths confirm", async () => {
  const { data: answer, response } = await ask().withResponse()
  assert.equal(answer.object, 'chat.completion')
  assert.equal(answer.choices[0].message.role, 'assistant')
  assert.ok(answer.choices[0].message.content.length > 0)
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
  assert.ok(answer.usage.prompt_tokens > 5 && answer.usage.completion_tokens <= 24)
  const { process, slot, state_root, message } = answer.altiplano
  assert.equal(response.headers.get('x-altiplano-process'), process)
  assert.equal(response.headers.get('x-altiplano-slot'), String(slot))
  assert.equal(response.headers.get('x-altiplano-state-root'), state_root)
  const result = await (await fetch(`${url}/~altiplano/result/${process}/${slot}`)).json()
  assert.equal(result.state_root, state_root)
  assert.equal(result.result.response.Output.data, answer.choices[0].message.content)
  const log = await (await fetch(`${url}/~altiplano/log/${process}/${slot}`)).json()
  assert.equal(log.message, message)
})

works("chat.completions: a conversation is read as a whole, parts of text as one text, and developer as system", async () => {
  const said = async (role, content) => {
    const messages = [{ role, content: 'You are short of words.' }, { role: 'user', content }, { role: 'assistant', content: 'Hello Ada.' }, { role: 'user', content: 'Who am I?' }]
    const { choices, usage } = await client.chat.completions.create({ model, messages, temperature: 0, max_completion_tokens: 12 })
    return { text: choices[0].message.content, usage }
  }
  const one = await said('system', 'My name is Ada.')
  assert.deepEqual(await said('developer', [{ type: 'text', text: 'My name ' }, { type: 'text', text: 'is Ada.' }]), one)
  const last = await client.chat.completions.create({ model, messages: [{ role: 'user', content: 'Who am I?' }], temperature: 0, max_completion_tokens: 12 })
  assert.ok(one.usage.prompt_tokens > last.usage.prompt_tokens + 8)
  assert.equal((await refused(said('tool', 'x'))).param, 'messages[0].role')
})

works("chat.completions: a stream is the same answer in pieces, its last one with slot and state root, then the usage", async () => {
  const whole = await ask()
  const { chunks, text, last } = await collected(await ask({ stream: true, stream_options: { include_usage: true } }))
  assert.equal(text, whole.choices[0].message.content)
  assert.ok(chunks.length > 4, 'it came in pieces')
  assert.equal(chunks[0].choices[0].delta.role, 'assistant')
  assert.equal(last.choices[0].finish_reason, whole.choices[0].finish_reason)
  assert.equal(last.altiplano.process, whole.altiplano.process)
  assert.equal(last.altiplano.slot, whole.altiplano.slot + 1)
  assert.match(last.altiplano.state_root, /^[\w-]{43}$/)
  assert.deepEqual(chunks.at(-1).usage, whole.usage)
})

works("chat.completions: max_tokens ends an answer with the reason length", async () => {
  const answer = await ask({ max_tokens: 3 })
  assert.equal(answer.choices[0].finish_reason, 'length')
  assert.equal(answer.usage.completion_tokens, 3)
})

works("chat.completions: stop ends an answer before the text, streamed or whole", async () => {
  const text = (await ask()).choices[0].message.content
  const stop = text.slice(8, 12)
  const wanted = text.slice(0, text.indexOf(stop))
  const whole = await ask({ stop: ['never said', stop] })
  assert.equal(whole.choices[0].message.content, wanted)
  assert.equal(whole.choices[0].finish_reason, 'stop')
  assert.equal((await collected(await ask({ stop, stream: true }))).text, wanted)
})

works("chat.completions: the same seed gives the same answer, another seed another one", async () => {
  const texts = []
  for (const seed of [7, 7, 8]) texts.push((await ask({ temperature: 1.5, seed, max_tokens: 32 })).choices[0].message.content)
  assert.equal(texts[0], texts[1])
  assert.notEqual(texts[0], texts[2])
})

works("chat.completions: several users at once get their own answers", async () => {
  const words = ['red', 'blue', 'green', 'black']
  const answers = await Promise.all(words.map((word) => client.chat.completions.create({ model, temperature: 0, max_tokens: 16,
    messages: [{ role: 'user', content: `Repeat this word: ${word}` }] })))
  assert.equal(new Set(answers.map((answer) => answer.altiplano.message)).size, words.length)
  for (const [i, word] of words.entries()) assert.match(answers[i].choices[0].message.content.toLowerCase(), new RegExp(word))
})

works("completions: goes on with a raw text, whole and streamed", async () => {
  const more = { model, prompt: 'The capital of France is', temperature: 0, max_tokens: 8 }
  const whole = await client.completions.create(more)
  assert.equal(whole.object, 'text_completion')
  assert.match(whole.choices[0].text, /Paris/)
  assert.equal((await collected(await client.completions.create({ ...more, stream: true }))).text, whole.choices[0].text)
})

works("errors: are of the client's own classes, name the parameter, and say what is possible", async () => {
  const unknown = await refused(ask({ model: 'gpt-4' }))
  assert.deepEqual([unknown.status, unknown.code], [404, 'model_not_found'])
  assert.match(unknown.message, /smollm2/)
  const hot = await refused(ask({ temperature: 3 }))
  assert.deepEqual([hot.status, hot.param, hot.type], [400, 'temperature', 'invalid_request_error'])
  assert.deepEqual([(await refused(ask({ messages: [] }))).param], ['messages'])
  assert.deepEqual([(await refused(ask({ max_tokens: 0 }))).param], ['max_tokens'])
  const long = await refused(ask({ messages: [{ role: 'user', content: 'word '.repeat(5000) }] }))
  assert.deepEqual([long.status, long.code], [400, 'context_length_exceeded'])
})

works("chat.completions: response_format json_object gives an object, json_schema one of that shape", async () => {
  const messages = [{ role: 'user', content: 'Describe a cat named Tom as JSON.' }]
  const free = await ask({ messages, response_format: { type: 'json_object' }, max_tokens: 200, frequency_penalty: 0.5 })
  if (free.choices[0].finish_reason === 'stop') assert.equal(typeof JSON.parse(free.choices[0].message.content), 'object')
  else assert.match(free.choices[0].message.content, /^\{/)
  const schema = { type: 'object', properties: { name: { type: 'string', maxLength: 12 }, legs: { type: 'integer', minimum: 0, maximum: 9 } }, required: ['name', 'legs'], additionalProperties: false }
  const shaped = await ask({ messages, response_format: { type: 'json_schema', json_schema: { name: 'animal', schema } }, max_tokens: 100 })
  const { name, legs } = JSON.parse(shaped.choices[0].message.content)
  assert.ok(typeof name === 'string' && Number.isInteger(legs), shaped.choices[0].message.content)
  const wrong = await refused(ask({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'nonsense' } } } }))
  assert.deepEqual([wrong.status, wrong.param], [400, 'response_format'])
})

differs("chat.completions: n, logit_bias, logprobs and tools", "refused by name; an answer that ignores them would be another one", async () => {
  for (const [param, value] of Object.entries({ n: 2, logit_bias: { 1: 1 }, logprobs: true, tools: [{ type: 'function', function: { name: 'f' } }] })) {
    const error = await refused(ask({ [param]: value }))
    assert.deepEqual([error.status, error.param, error.code], [400, param, 'door.not_offered'])
  }
})
