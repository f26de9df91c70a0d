-- A worker of a herd: one language model, one job at a time (llama-land.md 3.4, with the defects H6, H7, H12 and H19 mended).
--
-- Spawned from llama.wasm with the tags Model (the id of a GGUF file that the process may open) and Herder; it loads and registers
-- with the first message. Without the tags the owner sends Action=Init, Model-ID=<id>, and the herder asks by itself.
--
--   Inference {Tokens, Termination?, Seed?, Temperature?, Chat?, Grammar?}  Data = prompt   from the herder or the owner only
--     -> Inference-Response {Model, Model-Hash, Seed, Prompt-Tokens, Completion-Tokens, Stop-Reason}  Data = text
--     -> Inference-Error {Error}
--   Tokenize {}  Data = text -> Tokenize-Response {Count}
local tags = ao.env.Process.Tags

RouterID = RouterID or tags.Herder or Owner
ModelID = ModelID or tags.Model
MaxTokens = MaxTokens or math.tointeger(tonumber(tags["Max-Tokens"] or "2048")) or 2048
Context = Context or math.tointeger(tonumber(tags.Context or "2048")) or 2048

local llama = require("llama")
local default_seed = 1234

local function trusted(msg) return msg.From == RouterID or msg.From == Owner or msg.From == ao.id end

local function load_model(id)
  local done, reason = llama.load("/data/" .. id, { context = Context })
  if not done then error(tostring(reason), 0) end
  ModelID, Loaded = id, id
end

local function register()
  if not RouterID or RouterID == Owner then return end
  Send({ Target = RouterID, Action = "Worker-Register", Model = ModelID, Context = tostring(Context), Class = tags.Class or "cpu",
    Payee = tags.Payee })
end

local function number(msg, name, lowest, highest, default)
  local text = msg.Tags[name]
  if text == nil or text == "" then return default end
  local value = tonumber(text)
  if not value or value ~= value or value < lowest or value > highest then
    error(name .. " is '" .. tostring(text) .. "'; it must be a number from " .. lowest .. " to " .. highest, 0)
  end
  return math.tointeger(value) or value
end

-- One job. @return the text and what is known of it
local function infer(msg)
  local prompt = type(msg.Data) == "string" and msg.Data or ""
  if prompt == "" then error("the prompt goes into the data of the message", 0) end
  if not Loaded then
    if not ModelID then error("no model: send Action=Init, Model-ID=<id> first", 0) end
    load_model(ModelID)
  end
  local tokens = number(msg, "Tokens", 1, MaxTokens)
  if not tokens then error("the tag Tokens says how many to generate", 0) end
  local seed = number(msg, "Seed", 0, 0x7fffffff)
  local temperature = number(msg, "Temperature", 0, 10, seed and 0.8 or 0)
  llama.set({ temperature = temperature, seed = seed or default_seed, stream = false })
  -- Set for every job: the grammar of the one before must not bind this one.
  local grammar = msg.Tags.Grammar ~= "" and msg.Tags.Grammar or false
  local taken, reason = pcall(llama.set, { grammar = grammar })
  if not taken then
    pcall(llama.set, { grammar = false })
    error("the grammar is not taken: " .. tostring(reason), 0)
  end

  local stats = { seed = seed or default_seed }
  local termination = msg.Tags.Termination
  if termination == "" then termination = nil end
  if msg.Tags.Chat == "true" then
    local text, said = llama.chat(prompt, { tokens = tokens, stream = false })
    stats.prompt_tokens, stats.tokens, stats.stop = said.prompt_tokens, said.generated_tokens, said.stop
    local at = termination and text:find(termination, 1, true)
    if at then text, stats.stop = text:sub(1, at - 1), "termination" end
    return text, stats
  end

  stats.prompt_tokens, stats.tokens, stats.stop = llama.setPrompt(prompt), 0, "length"
  local text = ""
  while stats.tokens < tokens do
    local piece, why = llama.next()
    if not piece then
      stats.stop = why or "end"
      break
    end
    stats.tokens, text = stats.tokens + 1, text .. piece
    local at = termination and text:find(termination, 1, true)
    if at then
      text, stats.stop = text:sub(1, at - 1), "termination"
      break
    end
  end
  return text, stats
end

Handlers.add("Init", { Action = "Init" }, function(msg)
  if msg.From ~= Owner and msg.From ~= RouterID then
    return msg.reply({ Action = "Worker-Error", Error = "only the owner or the herder may choose the model" })
  end
  load_model(msg.Tags["Model-ID"] or msg.Tags["Model-Id"] or msg.Tags["Modelid"] or ModelID or error("the tag Model-ID names the model", 0))
  msg.reply({ Action = "Worker-Initialized", Model = ModelID })
  register()
end)

-- What goes wrong in a job is an answer: an error would undo the message, and the herder would wait.
Handlers.add("Inference", { Action = "Inference" }, function(msg)
  if not trusted(msg) then
    return msg.reply({ Action = "Inference-Error", Error = "this worker serves " .. tostring(RouterID) .. " only" })
  end
  local fine, text, stats = pcall(infer, msg)
  if not fine then
    return msg.reply({ Action = "Inference-Error", Job = msg.Tags.Job, Error = tostring(text), ["X-Reference"] = msg.Tags["X-Reference"] })
  end
  msg.reply({
    Action = "Inference-Response", Data = text, Job = msg.Tags.Job, Model = ModelID, Seed = tostring(stats.seed),
    ["Prompt-Tokens"] = tostring(stats.prompt_tokens), ["Completion-Tokens"] = tostring(stats.tokens), ["Stop-Reason"] = stats.stop,
  })
end)

-- What a herder asks for a quote. Counts what `setPrompt` would put into the context.
Handlers.add("Tokenize", { Action = "Tokenize" }, function(msg)
  if not trusted(msg) then return end
  local fine, count = pcall(function()
    if not Loaded then load_model(ModelID or error("no model", 0)) end
    return llama.setPrompt(type(msg.Data) == "string" and msg.Data or "")
  end)
  msg.reply({ Action = "Tokenize-Response", Quote = msg.Tags.Quote, Count = fine and tostring(count) or nil, Error = not fine and tostring(count) or nil })
end)

Handlers.add("Ping", { Action = "Ping" }, function(msg)
  if trusted(msg) then msg.reply({ Action = "Worker-Heartbeat", Model = ModelID }) end
end)

-- With both tags given, the first message finds the worker at work.
if ModelID and not Registered then
  Registered = true
  register()
end

return "Worker of " .. tostring(RouterID)
