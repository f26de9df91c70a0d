-- A process that answers questions with a language model. Spawned from llama.wasm with the tag `Model`, the id of a GGUF
-- file that the process may open, it does so from the start; `require("ai").start(id)` does the same later. Then send it
--
--   Action=Ask  Data=<question>  [Max-Tokens=<at most so many>] [System=<who the model is>]
--   [Temperature=<0 is always the likeliest>] [Seed=<number, asks for chance>]
--
-- The answer goes to the sender as Action=Answer with the text as its data, and is the output of the message. Each piece
-- is written to stdout as it is generated, where the node shows it to whoever watches.
local ai = { context = 2048, tokens = 256 }

local loaded

local function number_tag(msg, name, lowest, highest)
  local text = msg.Tags[name]
  if text == nil then return nil end
  local number = tonumber(text)
  if not number or not (number >= lowest and number <= highest) then
    error("ai.bad_tag: " .. name .. " is '" .. text .. "'; it must be a number from " .. lowest .. " to " .. highest, 0)
  end
  return number
end

local function integer_tag(msg, name, lowest, highest)
  local number = number_tag(msg, name, lowest, highest)
  local integer = math.tointeger(number or 0)
  if not integer then error("ai.bad_tag: " .. name .. " is '" .. msg.Tags[name] .. "'; it must be a whole number", 0) end
  return number and integer
end

-- Loads the model by the first question. It stays in memory for all later ones.
function ai.load(model)
  local fine, llama = pcall(require, "llama")
  if not fine then error("ai.no_llama: this module cannot run models; spawn the process from llama.wasm", 0) end
  if loaded == model then return llama end
  loaded = nil
  local done, reason = llama.load("/data/" .. model, { context = ai.context })
  if not done then error(reason, 0) end
  loaded = model
  return llama
end

function ai.ask(msg)
  local question = type(msg.Data) == "string" and msg.Data or ""
  if question == "" then error("ai.no_question: the question goes into the data of the message", 0) end
  if not ai.model then error("ai.no_model: the process has no tag Model with the id of a GGUF file", 0) end
  local tokens = integer_tag(msg, "Max-Tokens", 1, 1 << 20) or ai.tokens
  local seed = integer_tag(msg, "Seed", 0, 0x7fffffff)
  local temperature = number_tag(msg, "Temperature", 0, 10) or (seed and 0.8 or 0)

  local llama = ai.load(ai.model)
  llama.set({ temperature = temperature, seed = seed or 1234 })
  local text, stats = llama.chat(question, { tokens = tokens, system = msg.Tags.System })

  msg.reply({
    Action = "Answer", Data = text, Model = ai.model, Stop = stats.stop,
    ["Prompt-Tokens"] = stats.prompt_tokens, ["Generated-Tokens"] = stats.generated_tokens,
  })
  ao.outbox.Output = { data = text, stats = {
    prompt_tokens = stats.prompt_tokens, generated_tokens = stats.generated_tokens, stop = stats.stop, model = ai.model } }
end

-- `model` is the id of a GGUF file; without it the process tag Model counts.
function ai.start(model)
  ai.model = model or ao.env.Process.Tags.Model
  Handlers.add("Ask", { Action = function(action) return action == "Ask" end }, ai.ask)
end

return ai
