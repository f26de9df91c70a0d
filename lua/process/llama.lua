-- Language models: `require("llama")`, also as ".Llama", the name that AO's own module has (ao-protocol.md 7.3). Only llama.wasm can
-- run models; there the engine is in C++ (guest/llama).
--
--   llama.load("/data/<id>" or {the parts of a split model} [, {context=2048, batch=256, compat=false, words_only=false}])   true, or nil and why
--   llama.chat(text or {{role=, content=}...} [, options])                   answer, stats
--   llama.complete(prompt [, options])                                       text, stats; without a template
--   llama.decide(question, {"yes", "no"} [, options])                        the likeliest, {yes=0.8, no=0.2}
--   llama.setPrompt(text)  llama.add(text)     tokens in the context; add goes on behind what was said
--   llama.next()  llama.run(n [, options])     a piece (at the end nil and "end", "stop" or "length"); text of up to n tokens
--   llama.set{...}  llama.setSeed(n)  llama.setTemp(t)                       options from now on
--   llama.logprobs(n)  llama.score(text)  llama.embed(text)                  what the model expects, what it thinks of a text
--   llama.tokenize(text)  llama.detokenize(tokens)  llama.save()  llama.restore(state)  llama.info()  llama.stop()
--
-- Options: tokens, system, stop (texts that end an answer), stream (false, or a function that gets each piece), logprobs (how many
-- per token), temperature, top_k, top_p, min_p, seed, repeat_penalty, frequency_penalty, presence_penalty, repeat_last, grammar (GBNF),
-- schema (a JSON schema, as text or table). stats: prompt_tokens, generated_tokens, stop, logprobs. Errors are "llama.CODE: a sentence".
local fine, engine = pcall(require, "llama_engine")
if not fine then error("llama.not_here: this module cannot run models; spawn the process from llama.wasm", 0) end
local json = require("json")

local llama = { engine = engine }

local numbers = {  -- options in the order in which the engine takes them: name, default, lowest, highest, whole
  { "temperature", 0, 0, 100 }, { "top_k", 40, 0, 1 << 24, true }, { "top_p", 0.95, 0, 1 }, { "min_p", 0, 0, 1 },
  { "repeat_penalty", 1, 0.01, 100 }, { "frequency_penalty", 0, -100, 100 }, { "presence_penalty", 0, -100, 100 },
  { "repeat_last", 64, 0, 1 << 24, true }, { "seed", 1234, math.mininteger, math.maxinteger, true },
}
local others = { "stop", "stream", "grammar", "schema", "logprobs", "tokens", "system", "template", "chat" }
local temperature_with_seed = 0.8

local settings, compat = { stream = true }, false
for _, option in ipairs(numbers) do settings[option[1]] = option[2] end

local held = ""         -- text that may become a stop text
local stopped           -- why the generation ended, if not by the engine
local prompt_tokens, generated_tokens = 0, 0

local known = { context = true, batch = true, compat = true, words_only = true }
for _, option in ipairs(numbers) do known[option[1]] = option end
for _, name in ipairs(others) do known[name] = true end

local function fail(code, sentence, ...) error("llama." .. code .. ": " .. sentence:format(...), 0) end

local function check_number(name, value, lowest, highest, whole)
  local number = tonumber(value)
  if whole and number then number = math.tointeger(number) end
  if not number or number ~= number or number < lowest or number > highest then
    fail("bad_option", "%s is %s; it must be a %s from %s to %s", name, tostring(value), whole and "whole number" or "number", lowest, highest)
  end
  return number
end

-- The settings with `options` over them. A misspelt option is an error: it would silently change nothing.
local function merged(options)
  if options == nil then return settings end
  if type(options) ~= "table" then fail("bad_option", "the options must be a table, not a %s", type(options)) end
  local result = {}
  for name, value in pairs(settings) do result[name] = value end
  for name in pairs(options) do
    if not known[name] then fail("bad_option", "there is no option '%s'", tostring(name)) end
  end
  for _, option in ipairs(numbers) do
    local name, _, lowest, highest, whole = table.unpack(option)
    if options[name] ~= nil then result[name] = check_number(name, options[name], lowest, highest, whole) end
  end
  for _, name in ipairs(others) do
    if options[name] ~= nil then result[name] = options[name] end
  end
  -- Who sets a seed wants chance: without a temperature the seed would change nothing.
  if options.seed ~= nil and options.temperature == nil and result.temperature == 0 then result.temperature = temperature_with_seed end
  if options.schema ~= nil then
    if options.grammar then fail("bad_option", "grammar and schema exclude each other") end
    result.grammar = options.schema and engine.schema(type(options.schema) == "string" and options.schema or json.encode(options.schema)) or nil
    result.schema = nil
  end
  if result.grammar == false or result.grammar == "" then result.grammar = nil end
  if type(result.stop) == "string" then result.stop = { result.stop } end
  for _, text in ipairs(result.stop or {}) do
    if type(text) ~= "string" or text == "" then fail("bad_option", "stop must be a text, or a list of texts, none of them empty") end
  end
  return result
end

local applied  -- the settings that the engine has

-- With `compat` AO's llama chooses: the likeliest token, always.
local function apply(wanted)
  if applied == wanted then return end
  applied = nil
  local values = {}
  for i, option in ipairs(numbers) do values[i] = wanted[option[1]] end
  if compat then values[1], values[5], values[6], values[7] = 0, 1, 0, 0 end
  engine.sampling(table.unpack(values))
  engine.grammar(not compat and wanted.grammar or nil)
  applied = wanted
end

-- What llama.cpp wrote, for scripts that look at it as with AO's llama.
local function pass_log()
  local text = engine.log()
  if text ~= "" and llama.onLog then llama.onLog(3, text) end
end

-- ------------------------------------------------------------------------------------------------ load

function llama.load(path, options)
  local paths = type(path) == "table" and path or { path }
  for _, one in ipairs(paths) do
    if type(one) ~= "string" then fail("bad_option", "the path must be a text like /data/<id>, not a %s", type(one)) end
  end
  if #paths == 0 then fail("bad_option", "no path was given") end
  options = options or {}
  merged(options)
  compat = options.compat == true
  held, stopped, applied, prompt_tokens, generated_tokens = "", nil, nil, 0, 0
  settings.grammar = nil  -- it belongs to a vocabulary
  local done, why = engine.load(paths, check_number("context", options.context or 2048, 1, 1 << 24, true),
    check_number("batch", options.batch or 256, 1, 1 << 24, true), compat, options.words_only == true)
  pass_log()
  if not done then return nil, why end
  apply(settings)
  return true
end

function llama.info()
  if compat then return "A language model inside a process, run by llama.cpp." end
  local info = engine.info()
  if not info then return nil, "llama.not_loaded: no model is loaded" end
  return info
end

function llama.stop()
  engine.unload()
  held, stopped, applied, compat = "", nil, nil, false
end

function llama.set(options)
  local before = settings
  settings = merged(options)
  if engine.info() then
    local done, why = pcall(apply, settings)
    if not done then
      settings = before
      error(why, 0)
    end
  end
end

function llama.setSeed(seed) llama.set({ seed = seed }) end
function llama.setTemp(temperature) llama.set({ temperature = temperature }) end

-- ------------------------------------------------------------------------------------------------ text into the context

local function begin(tokens)
  held, stopped, generated_tokens = "", nil, 0
  prompt_tokens = 0
  prompt_tokens = engine.start(tokens)
  return prompt_tokens
end

function llama.setPrompt(text)
  if type(text) ~= "string" then fail("bad_option", "the prompt must be a text, not a %s", type(text)) end
  return begin(engine.tokenize(text, true, not compat))
end

function llama.add(text)
  if type(text) ~= "string" then fail("bad_option", "what is added must be a text, not a %s", type(text)) end
  local empty = prompt_tokens == 0
  local all = engine.feed(engine.tokenize(text, compat or empty, not compat))
  held, stopped = "", nil
  prompt_tokens = all - generated_tokens
  return prompt_tokens
end

local function messages_of(what, options)
  local messages = {}
  if options.system and options.system ~= "" then messages[1] = { role = "system", content = options.system } end
  if type(what) == "string" then what = { { role = "user", content = what } } end
  if type(what) ~= "table" then fail("bad_option", "chat takes a text or a list of messages, not a %s", type(what)) end
  for i, message in ipairs(what) do
    if type(message) ~= "table" then fail("bad_option", "message %d is not a table {role=, content=}", i) end
    if type(message.role) ~= "string" or type(message.content) ~= "string" then fail("bad_option", "message %d needs role and content", i) end
    messages[#messages + 1] = message
  end
  return messages
end

local function chat_tokens(what, options)
  local messages = messages_of(what, options)
  if compat then
    local texts = {}
    for i, message in ipairs(messages) do texts[i] = message.content end
    return engine.tokenize(table.concat(texts, "\n"), true, false)
  end
  local request = {}
  for name, value in pairs(type(options.template) == "table" and options.template or {}) do request[name] = value end
  request.messages = messages
  local prompt, begins = engine.template(json.encode(request))
  return engine.tokenize(prompt, not begins, true)
end

-- ------------------------------------------------------------------------------------------------ generating

-- Where the first stop text begins, or how many bytes at the end may become one.
local function find_stop(text, stops)
  local first
  for _, stop in ipairs(stops) do
    local at = text:find(stop, 1, true)
    if at and (not first or at < first) then first = at end
  end
  if first then return first end
  local waiting = 0
  for _, stop in ipairs(stops) do
    for length = math.min(#stop - 1, #text), waiting + 1, -1 do
      if text:sub(-length) == stop:sub(1, length) then
        waiting = length
        break
      end
    end
  end
  return nil, waiting
end

-- One token. @return its text, as far as it is certain that no stop text begins in it, and the token; nil and why at the end
local function generate(options)
  if stopped then return nil, stopped end
  apply(options)
  local piece, token = engine.next()
  if piece and math.type(token) then generated_tokens = generated_tokens + 1 end
  local stops = options.stop
  if not stops or #stops == 0 then
    if not piece then stopped = token end
    return piece, token
  end
  if not piece then
    stopped = token
    if held == "" then return nil, token end
    local rest = held
    held = ""
    return rest
  end
  local text = held .. piece
  local at, waiting = find_stop(text, stops)
  if at then
    held, stopped = "", "stop"
    if at == 1 then return nil, "stop" end
    return text:sub(1, at - 1), token
  end
  held = text:sub(#text - waiting + 1)
  return text:sub(1, #text - waiting), token
end

local function show(piece, stream)
  if piece == "" or stream == false then return end
  if type(stream) == "function" then stream(piece) else engine.emit(piece) end
end

local function expectation(list)
  local result = {}
  for i = 1, #list, 2 do result[#result + 1] = { token = list[i], text = engine.text({ list[i] }, true), logprob = list[i + 1] } end
  return result
end

function llama.next()
  local piece, token = generate(settings)
  if not piece then return nil, token end
  show(piece, settings.stream)
  return piece
end

-- @return text and stats
local function collect(limit, options)
  local pieces, logprobs, stop = {}, options.logprobs and {} or nil, "length"
  local first = generated_tokens
  while generated_tokens - first < limit do
    local piece, token = generate(options)
    if logprobs and math.type(token) then
      local top, own = engine.logprobs(check_number("logprobs", options.logprobs, 0, 1000, true), { token }, true)
      logprobs[#logprobs + 1] = { token = token, text = engine.text({ token }, true), logprob = own[1], top = expectation(top) }
    end
    if not piece then
      stop = token
      break
    end
    pieces[#pieces + 1] = piece
    show(piece, options.stream)
  end
  if not stopped and held ~= "" then
    -- The limit came first: what might have become a stop text is text.
    pieces[#pieces + 1], held = held, ""
    show(pieces[#pieces], options.stream)
  end
  return table.concat(pieces), {
    prompt_tokens = prompt_tokens, generated_tokens = generated_tokens - first, stop = stopped or stop, logprobs = logprobs }
end

local function limit_of(options) return check_number("tokens", options.tokens or 256, 1, 1 << 24, true) end

function llama.run(count, options) return (collect(check_number("the number of tokens", count, 0, 1 << 24, true), merged(options))) end

function llama.complete(prompt, options)
  options = merged(options)
  apply(options)
  llama.setPrompt(prompt)
  return collect(limit_of(options), options)
end

function llama.chat(what, options)
  options = merged(options)
  local limit = limit_of(options)
  apply(options)
  begin(chat_tokens(what, options))
  return collect(limit, options)
end

-- ------------------------------------------------------------------------------------------------ probabilities

-- The `count` likeliest next tokens: {{token=, text=, logprob=}...}.
function llama.logprobs(count)
  return expectation((engine.logprobs(check_number("the number of tokens", count or 10, 0, 1 << 24, true), {})))
end

local function joined(list, more, count)
  local result = table.move(list, 1, #list, 1, {})
  return table.move(more, 1, count, #result + 1, result)
end

-- The softmax of these alone.
local function parts(logprobs)
  local largest, sum, result = math.max(table.unpack(logprobs)), 0, {}
  for i, logprob in ipairs(logprobs) do
    result[i] = math.exp(logprob - largest)
    sum = sum + result[i]
  end
  for i, part in ipairs(result) do result[i] = part / sum end
  return result
end

-- Gives each choice of `group` its part of `share`. All of them begin with the same `depth` tokens. Where they part, the model says how
-- likely each way is: one forward pass, if they part at once.
local function weigh(context, group, depth, share, probabilities)
  if #group == 1 then
    probabilities[group[1].text] = share
    return
  end
  local ways, order, ended = {}, {}, nil
  for _, choice in ipairs(group) do
    local token = choice.tokens[depth + 1]
    if not token then
      if ended then fail("bad_option", "'%s' and '%s' are the same tokens", ended.text, choice.text) end
      ended, token = choice, engine.ends()
      if token < 0 then fail("bad_option", "'%s' begins another choice, and the model has no token for the end", choice.text) end
    end
    if not ways[token] then
      ways[token] = {}
      order[#order + 1] = token
    end
    table.insert(ways[token], choice)
  end
  if #order == 1 then return weigh(context, group, depth + 1, share, probabilities) end

  engine.start(joined(context, group[1].tokens, depth))
  local _, logprobs = engine.logprobs(0, order)
  for i, part in ipairs(parts(logprobs)) do weigh(context, ways[order[i]], depth + 1, share * part, probabilities) end
end

-- One of the choices, as an answer to the question, and the probability of each. The context holds the question afterwards.
function llama.decide(question, choices, options)
  options = merged(options)
  if type(choices) ~= "table" or #choices == 0 then fail("bad_option", "decide needs a list of choices, each a text") end
  local context = options.chat == false and engine.tokenize(question, true, true) or chat_tokens(question, options)
  local group, seen = {}, {}
  for i, text in ipairs(choices) do
    if type(text) ~= "string" or text == "" then fail("bad_option", "choice %d must be a text that is not empty", i) end
    if not seen[text] then group[#group + 1] = { text = text, tokens = engine.tokenize(text, false, false) } end
    seen[text] = true
  end
  local probabilities = {}
  weigh(context, group, 0, 1, probabilities)
  begin(context)
  local best = group[1].text
  for _, choice in ipairs(group) do
    if probabilities[choice.text] > probabilities[best] then best = choice.text end
  end
  return best, probabilities
end

-- How much the model expects a text: the sum of the logprobs of its tokens after the first, and {{token=, text=, logprob=}...}.
function llama.score(text)
  local tokens = type(text) == "table" and text or engine.tokenize(text, true, true)
  local sum, list = 0, {}
  for i, token in ipairs(tokens) do
    if i == 1 then
      begin({ token })
    else
      local _, own = engine.logprobs(0, { token })
      list[#list + 1] = { token = token, text = engine.text({ token }, true), logprob = own[1] }
      sum = sum + own[1]
      if i < #tokens then engine.feed({ token }) end
    end
  end
  return sum, list
end

-- A list of numbers, a vector of length 1.
function llama.embed(text) return engine.embed(engine.tokenize(text, true, true)) end

function llama.tokenize(text, beginning) return engine.tokenize(text, beginning == true, true) end
function llama.detokenize(tokens) return engine.text(tokens, true) end

-- ------------------------------------------------------------------------------------------------ a context to come back to

-- What was read and generated, as bytes; restore goes on there. The model and the options are not part of it.
function llama.save() return string.pack("<s4s4jjs8", held, stopped or "", prompt_tokens, generated_tokens, engine.save()) end

function llama.restore(state)
  if type(state) ~= "string" then fail("state_invalid", "a saved context is a text, not a %s", type(state)) end
  local fine, text, why, prompt, generated, bytes = pcall(string.unpack, "<s4s4jjs8", state)
  if not fine then fail("state_invalid", "these bytes are no saved context") end
  local count = engine.restore(bytes)
  held, stopped, prompt_tokens, generated_tokens = text, why ~= "" and why or nil, prompt, generated
  return count
end

-- ------------------------------------------------------------------------------------------------ as AO's module has it

llama.set_prompt = llama.setPrompt
llama.logLevels = { [2] = "error", [3] = "warn", [4] = "info", [5] = "debug" }
llama.logLevel, llama.logToStderr, llama.log = 5, false, {}
local log_lines_max = 100  -- of one level: a log is part of the state

function llama.onLog(level, text)
  local name = llama.logLevels[level]
  if not name or level > llama.logLevel then return end
  if llama.logToStderr then io.stderr:write(name .. ": " .. text) end
  local lines = llama.log[name] or {}
  llama.log[name] = lines
  lines[#lines + 1] = text
  if #lines > log_lines_max then table.remove(lines, 1) end
end

function llama.onProgress() if llama.logToStderr then io.stderr:write(".") end end

if Llama == nil then Llama = llama end

return llama
