-- What answers for a node's OpenAI-compatible door: one language model, one request at a time, each by itself.
--
-- The door spawns it from llama.wasm with the tag Door-Model (the id of a GGUF file); only the door, its owner, is heard.
--
--   Action=Complete  Data = JSON { messages = [{role, content}...] or prompt = text, and options of llama.chat }
--
-- The text is the output of the message; beside it stand prompt_tokens, completion_tokens and finish: "stop" or "length". Pieces go to
-- stdout as they are generated, where the node shows them to whoever watches.
local tags = ao.env.Process.Tags
local llama = require("llama")
local loaded = false

local function load_model()
  if loaded then return end
  local done, reason = llama.load("/data/" .. tags["Door-Model"], { context = math.tointeger(tonumber(tags.Context or "4096")) })
  if not done then error(reason, 0) end
  loaded = true
end

Handlers.add("Complete", function(msg) return msg.Action == "Complete" and msg.From == Owner end, function(msg)
  local job = msg.Data
  if type(job) ~= "table" then error("door.bad_job: the data is a JSON object", 0) end
  load_model()
  local messages, prompt = job.messages, job.prompt
  job.messages, job.prompt = nil, nil
  local text, stats
  if messages then text, stats = llama.chat(messages, job) else text, stats = llama.complete(prompt, job) end
  ao.outbox.Output = { data = text, prompt_tokens = stats.prompt_tokens, completion_tokens = stats.generated_tokens,
    finish = stats.stop == "length" and "length" or "stop" }
end)
