-- The package @sam/Llama-Herder: asks a herd of AI workers, and pays them (llama-land.md 3.1, with the defects H14-H18 mended).
--
--   Llama = require("@sam/Llama-Herder")
--   Llama.run("What is the meaning of life?", 20, function(text, err) ... end)
--
-- `run` gives the reference of the job. The callback gets the text, or nil and the reason: no money, a refund, a job that failed.
-- The fourth argument: Fee (pay just this), Multiplier (pay so many times the price), MaxFee, and for the model Model, Seed,
-- Temperature, Termination, Chat, Grammar, Redundancy; Quote = true asks the herder to count true tokens first.
local tags = ao.env.Process.Tags

-- The thirteen fields that users see; what else is known stays out of sight.
local Llama = {
  herder = tags["Llama-Herder"] or "wh5vB2IbqmIBUqgodOaTvByNFDPr73gbUq1bVOUtCrw",
  token = tags["Llama-Token"] or "xU9zFkq3X2ZQ6olwNVvr1vUWIjc3kXTWr7xKQD6dh10",
  feeBase = 0,
  feeToken = 0,
  lastMultiplier = 0,
  queueLength = 0,
  feeBump = 1.005,
  Reference = 0,
  printResponses = true,
  inferenceCallbacks = {},
}
-- A package that is loaded again goes on where it was: open jobs keep their callbacks.
local old = package.loaded["@sam/Llama-Herder"]
if type(old) == "table" and type(old.inferenceCallbacks) == "table" then
  Llama.Reference, Llama.inferenceCallbacks = old.Reference or 0, old.inferenceCallbacks
end

local fresh_ms = 60000  -- prices older than this are asked for again
local prices_at  -- when they came
local waiting = {}  -- for prices, in the order in which they asked
local quotes = {}  -- by reference: what to do with the quote

-- Every word, and every character of scripts that write without spaces: the herder counts the same.
local function words_of(text)
  local count = 0
  for _ in text:gmatch("%w+") do count = count + 1 end
  for _ in text:gmatch("[\xC2-\xF4][\x80-\xBF]+") do count = count + 1 end
  return count
end

local function show(...)
  if Llama.printResponses ~= false then print(...) end
end

-- A callback of the user may not expect nil: what it raises is shown and ends nothing.
local function finish(reference, text, reason)
  local callback = Llama.inferenceCallbacks[reference]
  Llama.inferenceCallbacks[reference] = nil
  if type(callback) ~= "function" then return end
  if reason then
    local fine, err = pcall(callback, nil, reason)
    if not fine then show("the callback does not expect an error: " .. tostring(err)) end
  else
    callback(text)
  end
end

function Llama.getPrices(callback)
  waiting[#waiting + 1] = callback or function() end
  if #waiting == 1 then Send({ Target = Llama.herder, Action = "Info" }) end
end

function Llama.calculateFee(prompt, tokens)
  if Llama.feeBase == 0 then
    show("Prices are not known yet: call Llama.getPrices() first, then wait for the answer.")
    return nil
  end
  return Llama.feeBase + Llama.feeToken * (tokens + words_of(prompt))
end

-- What a job costs now: at least one unit more than the plain price when others wait.
local function fee_now(prompt, tokens, options)
  local fee = Llama.calculateFee(prompt, tokens) * math.max(Llama.lastMultiplier, 1) * (options.Multiplier or 1) * (options.Redundancy or 1)
  local whole = math.floor(fee)
  if Llama.queueLength > 0 then whole = math.max(math.floor(fee * Llama.feeBump), whole + 1) end
  return whole
end

local function pay(reference, prompt, tokens, options, quantity, quote)
  Llama.lastFeePaid = quantity
  Send({
    Target = Llama.token, Action = "Transfer", Recipient = Llama.herder, Quantity = string.format("%d", quantity),
    ["X-Reference"] = reference, ["X-Prompt"] = prompt, ["X-Tokens"] = tostring(tokens), ["X-Status"] = "true",
    ["X-Model"] = options.Model, ["X-Seed"] = options.Seed and tostring(options.Seed),
    ["X-Temperature"] = options.Temperature and tostring(options.Temperature), ["X-Termination"] = options.Termination,
    ["X-Chat"] = options.Chat and "true" or nil, ["X-Grammar"] = options.Grammar,
    ["X-Max-Fee"] = options.MaxFee and string.format("%d", options.MaxFee),
    ["X-Redundancy"] = options.Redundancy and tostring(options.Redundancy), ["X-Quote"] = quote,
  })
end

local function known() return prices_at and Llama.feeBase > 0 and os.time() - prices_at < fresh_ms end

function Llama.run(prompt, tokens, callback, fees)
  if type(prompt) ~= "string" or prompt == "" then error("Llama.run: the first argument is the prompt, a text", 2) end
  tokens = math.tointeger(tonumber(tokens))
  if not tokens or tokens < 1 then error("Llama.run: the second argument is how many tokens to generate, at least 1", 2) end
  if callback ~= nil and type(callback) ~= "function" then error("Llama.run: the third argument is a function, or nil", 2) end
  local options = fees or {}
  Llama.Reference = Llama.Reference + 1
  local reference = tostring(Llama.Reference)
  Llama.inferenceCallbacks[reference] = callback or function() end

  if options.Fee then
    pay(reference, prompt, tokens, options, math.floor(options.Fee * (options.Multiplier or 1)))
  elseif options.Quote then
    quotes[reference] = function(quoted, quote)
      local fee = quoted * math.max(Llama.lastMultiplier, 1) * (options.Multiplier or 1) * (options.Redundancy or 1)
      pay(reference, prompt, tokens, options, math.floor(fee), quote)
    end
    Send({ Target = Llama.herder, Action = "Quote", ["X-Reference"] = reference, Tokens = tostring(tokens), ["X-Model"] = options.Model,
      Data = prompt })
  elseif known() then
    pay(reference, prompt, tokens, options, fee_now(prompt, tokens, options))
  else
    Llama.getPrices(function() pay(reference, prompt, tokens, options, fee_now(prompt, tokens, options)) end)
  end
  return reference
end

-- Takes a job back that waits in the herder's queue: the money comes back, and the callback hears why. One that runs goes on.
-- Found, but not among the fields that are listed.
local more = {}
setmetatable(Llama, { __index = more })
function more.cancel(reference) Send({ Target = Llama.herder, Action = "Cancel", ["X-Reference"] = tostring(reference) }) end

local function from_herder(action)
  return function(msg) return msg.From == Llama.herder and msg.Action == action end
end

local function known_job(msg) return Llama.inferenceCallbacks[msg.Tags["X-Reference"] or ""] ~= nil end

Handlers.add("LlamaHerder.Info-Response", from_herder("Info-Response"), function(msg)
  Llama.feeBase = tonumber(msg.Tags["Base-Fee"]) or Llama.feeBase
  Llama.feeToken = tonumber(msg.Tags["Token-Fee"]) or Llama.feeToken
  Llama.lastMultiplier = tonumber(msg.Tags["Last-Multiplier"]) or Llama.lastMultiplier
  Llama.queueLength = math.tointeger(tonumber(msg.Tags["Queue-Length"])) or Llama.queueLength
  prices_at = os.time()
  local callbacks = waiting
  waiting = {}
  for _, callback in ipairs(callbacks) do callback(msg) end
end)

Handlers.add("LlamaHerder.Quote-Response", from_herder("Quote-Response"), function(msg)
  local reference = msg.Tags["X-Reference"] or ""
  local go_on, fee = quotes[reference], tonumber(msg.Tags.Fee)
  quotes[reference] = nil
  if go_on and fee then return go_on(fee, msg.Tags["X-Quote"]) end
  if go_on then
    show("No quote: " .. tostring(msg.Tags.Error))
    finish(reference, nil, "No quote: " .. tostring(msg.Tags.Error))
  end
end)

Handlers.add("LlamaHerder.Inference-Response", from_herder("Inference-Response"), function(msg)
  local reference = msg.Tags["X-Reference"] or ""
  -- A tag Content-Type may have made a table of a text that looks like JSON.
  local text = type(msg.Data) == "table" and require("json").encode(msg.Data) or msg.Data
  if not Llama.inferenceCallbacks[reference] then return show("A late answer of the herder: " .. tostring(text)) end
  finish(reference, text)
end)

Handlers.add("LlamaHerder.Inference-Error", from_herder("Inference-Error"), function(msg)
  if not known_job(msg) then return end
  show("Inference Error: " .. tostring(msg.Tags.Error))
  finish(msg.Tags["X-Reference"], nil, "Inference Error: " .. tostring(msg.Tags.Error))
end)

Handlers.add("LlamaHerder.Job-Status", from_herder("Job-Status"), function(msg)
  if not known_job(msg) then return end
  local line = "Job " .. msg.Tags["X-Reference"] .. ": " .. tostring(msg.Tags.State)
  if msg.Tags.Place then line = line .. ", place " .. msg.Tags.Place .. " in the queue" end
  if msg.Tags["Eta-Ms"] then line = line .. string.format(", about %.0f s", (tonumber(msg.Tags["Eta-Ms"]) or 0) / 1000) end
  show(line)
end)

Handlers.add("LlamaHerder.Cancel-Error", from_herder("Cancel-Error"), function(msg)
  show("Job " .. tostring(msg.Tags["X-Reference"]) .. " is not cancelled: " .. tostring(msg.Tags.Error))
end)

-- The token refuses: not enough money, most of the time. The job never reached the herder.
Handlers.add("LlamaHerder.Transfer-Error", function(msg)
  return msg.From == Llama.token and msg.Action == "Transfer-Error" and known_job(msg)
end, function(msg)
  local reason = "Transfer Error: " .. tostring(msg.Tags.Error or msg.Data)
  print(reason)
  finish(msg.Tags["X-Reference"], nil, reason)
end)

-- Money that comes back. "continue": the notice goes on to the inbox, as every other one.
Handlers.add("LlamaHerder.Refund", function(msg)
  local ours = msg.From == Llama.token and msg.Action == "Credit-Notice" and msg.Tags.Sender == Llama.herder
    and msg.Tags["X-Refund"] == "whole" and known_job(msg)
  return ours and "continue" or false
end, function(msg)
  prices_at = nil
  local reason = "Refunded: " .. tostring(msg.Tags["X-Reason"] or "the herder gave no reason")
  if msg.Tags["X-Needed"] then reason = reason .. ", needed " .. msg.Tags["X-Needed"] end
  show(reason)
  finish(msg.Tags["X-Reference"], nil, reason)
end)

return Llama
