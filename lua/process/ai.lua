-- A process that answers questions with a language model. Spawn it from llama.wasm with the tags
--
--   Model     id of a GGUF file of the weave, which the process may open
--   On-Boot   Data
--
-- and the data `require("ai").start()`. Then send it
--
--   Action=Ask  Data=<question>  [Tokens=<at most so many>] [System=<who the model is>]
--   [Temperature=<0 is always the likeliest>] [Seed=<number>]
--
-- The answer goes to the sender as Action=Answer with the text as its data, and is the output of the message.
local ai = { context = 2048, tokens = 256 }

local loaded

local function number_tag(msg, name, lowest, highest)
  local text = msg.Tags[name]
  if text == nil then return nil end
  local number = tonumber(text)
  if not number or number < lowest or number > highest then
    error("ai.bad_tag: " .. name .. " is '" .. text .. "'; it must be a number from " .. lowest .. " to " .. highest, 0)
  end
  return number
end

-- Loads the model by the first question. It stays in memory for all later ones.
function ai.load(model)
  local fine, llama = pcall(require, "llama")
  if not fine then error("ai.no_llama: this module cannot run models; spawn the process from llama.wasm", 0) end
  if loaded == model then return llama end
  local done, reason = llama.load("/data/" .. model, { context = ai.context })
  if not done then error(reason, 0) end
  loaded = model
  return llama
end

function ai.ask(msg)
  local question = type(msg.Data) == "string" and msg.Data or ""
  if question == "" then error("ai.no_question: the question goes into the data of the message", 0) end
  if not ai.model then error("ai.no_model: the process has no tag Model with the id of a GGUF file", 0) end
  local tokens = number_tag(msg, "Tokens", 1, 1 << 20) or ai.tokens
  local llama = ai.load(ai.model)
  llama.set({
    temperature = number_tag(msg, "Temperature", 0, 10) or 0,
    seed = math.tointeger(number_tag(msg, "Seed", 0, 0x7fffffff) or 1234),
  })

  local text, stats = llama.chat(question, { tokens = math.tointeger(tokens) or ai.tokens, system = msg.Tags.System })
  local function tags(t)
    t["Prompt-Tokens"], t["Generated-Tokens"], t["Stop"] = stats.prompt_tokens, stats.generated_tokens, stats.stop
    t.Model = ai.model
    return t
  end
  msg.reply(tags({ Action = "Answer", Data = text }))
  ao.outbox.Output = { data = text, stats = {
    prompt_tokens = stats.prompt_tokens, generated_tokens = stats.generated_tokens, stop = stats.stop, model = ai.model } }
end

-- `model` is the id of a GGUF file; without it the process tag Model counts.
function ai.start(model)
  ai.model = model or ao.env.Process.Tags.Model
  Handlers.add("Ask", { Action = function(action) return action == "Ask" end }, ai.ask)
end

return ai
