-- lua/process/llama.lua with an engine that says what it is told to.
local t = require("testing")
local test, equal, contains, failure = t.test, t.equal, t.contains, t.failure

-- Tokens are bytes. `script` is what it generates, a piece per entry; at its end the engine ends.
local calls, script, at, used = {}, {}, 0, 0
local expected = {}  -- byte -> logprob, for logprobs
local engine = {
  load = function(path, context, batch, compat)
    calls.load = { path, context, batch, compat }
    if path[1] == "/data/none" then return nil, "llama.model_missing: none" end
    return true
  end,
  unload = function() end,
  log = function() return calls.log or "" end,
  info = function() return { vocab = 256 } end,
  emit = function(piece) calls.emitted = (calls.emitted or "") .. piece end,
  sampling = function(...) calls.sampling = { ... } end,
  grammar = function(text) calls.grammar = text or "none" end,
  schema = function(text) return "grammar of " .. text end,
  tokenize = function(text, beginning, special)
    calls.tokenize = { text, beginning, special }
    return { text:byte(1, -1) }
  end,
  text = function(tokens) return string.char(table.unpack(tokens)) end,
  template = function(request)
    calls.template = request
    return "<" .. request .. ">", false
  end,
  start = function(tokens)
    calls.starts = (calls.starts or 0) + 1
    at, used = 0, #tokens
    return used
  end,
  feed = function(tokens)
    used = used + #tokens
    return used
  end,
  next = function()
    at = at + 1
    if not script[at] then return nil, "end" end
    used = used + 1
    return script[at], at
  end,
  logprobs = function(count, tokens)
    local likeliest, own = {}, {}
    for i = 1, count do likeliest[2 * i - 1], likeliest[2 * i] = 64 + i, -i end
    for i, token in ipairs(tokens) do own[i] = expected[token] or -10 end
    return likeliest, own
  end,
  ends = function() return 0 end,
  embed = function(tokens) return tokens end,
  save = function() return "state" end,
  restore = function(bytes)
    if bytes ~= "state" then error("llama.state_invalid: no", 0) end
    return 5
  end,
}
package.loaded.llama_engine = engine
local llama = require("llama")

local function says(...) script = { ... } end
local quiet = { stream = false }

test("the module is the global Llama until somebody else takes the name", function()
  equal(Llama == llama, true)
end)

test("load passes its options and gives the reason of a failure", function()
  equal(llama.load("/data/x"), true)
  equal(calls.load, { { "/data/x" }, 2048, 256, false })
  llama.load("/data/x", { context = 100, batch = 7, compat = true })
  equal(calls.load, { { "/data/x" }, 100, 7, true })
  equal({ llama.load("/data/none") }, { nil, "llama.model_missing: none" })
  llama.load("/data/x")
end)

test("a misspelt option, or one that is no number, is an error", function()
  contains(failure(llama.set, { temprature = 1 }), "llama.bad_option: there is no option 'temprature'")
  contains(failure(llama.set, { top_k = 1.5 }), "top_k is 1.5; it must be a whole number")
  contains(failure(llama.chat, "x", { tokens = 0 }), "tokens is 0")
  contains(failure(llama.chat, { "x" }), "message 1 is not a table")
  contains(failure(llama.set, { stop = { "" } }), "stop must be a text")
  contains(failure(llama.set, { grammar = "x", schema = "{}" }), "exclude each other")
end)

test("a seed without a temperature asks for chance", function()
  llama.set({ seed = 5 })
  equal({ calls.sampling[1], calls.sampling[9] }, { 0.8, 5 })
  llama.set({ temperature = 0, seed = 1234 })
  equal(calls.sampling[1], 0)
end)

test("an answer is its pieces, with what they cost and why they ended", function()
  says("Hel", "lo", "!")
  local text, stats = llama.chat("Hi", quiet)
  equal(text, "Hello!")
  equal(stats, { prompt_tokens = used - 3, generated_tokens = 3, stop = "end" })
  contains(calls.template, '"role":"user"')
  says("a", "b", "c")
  text, stats = llama.complete("Hi", { tokens = 2, stream = false })
  equal({ text, stats.stop, stats.prompt_tokens }, { "ab", "length", 2 })
end)

test("a stop text ends the answer and is not part of it, also when it comes in pieces", function()
  for _, pieces in ipairs({ { "one\n", "two" }, { "on", "e", "\n", "two" }, { "one\ntwo" } }) do
    says(table.unpack(pieces))
    local text, stats = llama.complete("", { stop = "\ntwo", stream = false })
    equal({ text, stats.stop }, { "one", "stop" })
  end
end)

test("what only began like a stop text is text", function()
  says("one", "\n", "three")
  equal((llama.complete("", { stop = { "\ntwo", "xx" }, stream = false })), "one\nthree")
  says("one", "\nt")
  equal((llama.complete("", { stop = "\ntwo", stream = false })), "one\nt")
  says("one", "\nt", "wo")
  equal((llama.complete("", { stop = "\ntwo", stream = false, tokens = 2 })), "one\nt")
end)

test("whoever listens gets each piece, and never the beginning of a stop text", function()
  says("a", "E", "N", "D", "b")
  local pieces = {}
  llama.complete("", { stop = "END", stream = function(piece) pieces[#pieces + 1] = piece end })
  equal(pieces, { "a" })
  says("a", "b")
  calls.emitted = nil
  llama.complete("")
  equal(calls.emitted, "ab")
  calls.emitted = nil
  llama.complete("", quiet)
  equal(calls.emitted, nil)
end)

test("options of one call do not stay", function()
  says("a")
  llama.complete("", { temperature = 1, top_k = 3, grammar = "root ::= x", stream = false })
  equal({ calls.sampling[1], calls.sampling[2], calls.grammar }, { 1, 3, "root ::= x" })
  says("a")
  llama.complete("", quiet)
  equal({ calls.sampling[1], calls.sampling[2], calls.grammar }, { 0, 40, "none" })
end)

test("a schema becomes a grammar", function()
  says("a")
  llama.complete("", { schema = { type = "boolean" }, stream = false })
  equal(calls.grammar, 'grammar of {"type":"boolean"}')
end)

test("next gives nil and why at the end, until something is added", function()
  says("a")
  llama.setPrompt("x")
  llama.set(quiet)
  equal(llama.next(), "a")
  equal({ llama.next() }, { nil, "end" })
  equal({ llama.next() }, { nil, "end" })
  script = { "a", "b", "c" }
  equal(llama.add("more"), 5)
  equal(llama.next(), "c")
end)

test("a decision is the likeliest choice, with one forward pass where they differ at once", function()
  expected = { [("y"):byte()] = math.log(0.3), [("n"):byte()] = math.log(0.1) }
  calls.starts = 0
  local best, probabilities = llama.decide("Is it?", { "no", "yes" })
  equal(best, "yes")
  equal({ math.floor(probabilities.yes * 100 + 0.5), math.floor(probabilities.no * 100 + 0.5) }, { 75, 25 })
  equal(calls.starts, 2)  -- the pass, and the context as it is left
end)

test("choices that begin alike are weighed where they part", function()
  expected = { [("a"):byte()] = math.log(0.5), [("b"):byte()] = math.log(0.5), [("x"):byte()] = math.log(0.9), [("y"):byte()] = math.log(0.1) }
  local best, probabilities = llama.decide("Is it?", { "bx", "a", "by" })
  equal(best, "a")
  equal(math.floor(probabilities.bx * 100 + 0.5), 45)
  equal(math.floor(probabilities.by * 100 + 0.5), 5)
end)

test("a choice that begins another one competes with the end of the text", function()
  expected = { [0] = math.log(0.75), [("s"):byte()] = math.log(0.25) }
  local best, probabilities = llama.decide("Is it?", { "yes", "ye" })
  equal({ best, probabilities.yes }, { "ye", 0.25 })
end)

test("decide refuses no choices and empty ones", function()
  contains(failure(llama.decide, "x", {}), "needs a list of choices")
  contains(failure(llama.decide, "x", { "" }), "choice 1 must be a text")
end)

test("logprobs come with their texts", function()
  equal(llama.logprobs(2), { { token = 65, text = "A", logprob = -1 }, { token = 66, text = "B", logprob = -2 } })
  says("a")
  local _, stats = llama.complete("", { logprobs = 1, stream = false })
  equal(#stats.logprobs, 1)
  equal(stats.logprobs[1].top[1].text, "A")
end)

test("a saved context comes back with what was held back, and bytes that are none do not", function()
  local state = llama.save()
  equal(llama.restore(state), 5)
  contains(failure(llama.restore, "nonsense"), "llama.state_invalid")
  contains(failure(llama.restore, state:sub(1, -2)), "llama.state_invalid")
end)

test("what llama.cpp writes goes to onLog, kept by level and bounded", function()
  calls.log = "warned\n"
  for _ = 1, 150 do llama.load("/data/x") end
  calls.log = nil
  equal(#llama.log.warn, 100)
  equal(llama.log.warn[1], "warned\n")
end)

test("with compat the likeliest comes whatever is set, prompts are raw and begin anew", function()
  llama.load("/data/x", { compat = true })
  llama.set({ temperature = 1, seed = 3 })
  says("a")
  llama.setPrompt("x")
  equal(calls.tokenize, { "x", true, false })
  llama.add("y")
  equal(calls.tokenize, { "y", true, false })
  llama.run(1)
  equal(calls.sampling[1], 0)
  contains(llama.info(), "llama.cpp")
  llama.stop()
end)
