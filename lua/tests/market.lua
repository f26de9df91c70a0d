-- A market for tests: token, herder, workers with a model that is a few lines of Lua, and clients.
local world = require("world")

local market = { owner = world.id("owner"), minter = world.id("faucet") }

-- Stands for llama.cpp: as many pieces as asked, one word each, so that texts and counts are known. A prompt with END stops
-- after three pieces, one with FAIL raises.
local model = [[
package.loaded.llama = nil
package.preload.llama = function()
  local llama, prompt, made = {}, "", 0
  function llama.load(path) if path:find("broken") then return nil, "llama.model_invalid: no GGUF" end return true end
  function llama.set(options) if options.grammar == nil then Settings = options return end
    if options.grammar == "nonsense" then error("llama.grammar_invalid: as asked") end Grammar = options.grammar end
  function llama.setPrompt(text) if text:find("FAIL") then error("llama.decode_failed: as asked") end
    prompt, made = text, 0 local n = 0 for _ in text:gmatch("%S+") do n = n + 1 end return n + 1 end
  function llama.next() made = made + 1 if prompt:find("END") and made > 3 then return nil, "end" end
    return " " .. (WORD or "w") .. made end
  function llama.chat(text, options) llama.setPrompt(text) local said = "" for _ = 1, options.tokens do said = said .. llama.next() end
    return said, { prompt_tokens = 9, generated_tokens = options.tokens, stop = "length" } end
  return llama
end
]]

function market.open(options)
  options = options or {}
  market.token = world.spawn("war", { Ticker = "wAR", Minter = market.minter, Name = "Wrapped AR" }, world.read("blueprints/token.lua"))
  local tags = { Token = market.token, Name = "herd" }
  for name, value in pairs(options.herder or {}) do tags[name] = value end
  market.herder = world.spawn("herder", tags, world.read("packages/llama-herder/herder.lua"))
  market.workers = {}
  for i = 1, options.workers or 1 do market.workers[i] = market.worker(i) end
end

function market.worker(number)
  local id = world.id("worker" .. number)
  world.send({ From = market.owner, Target = market.herder, Action = "Worker-Allow", Worker = id })
  world.spawn("worker" .. number, { Herder = market.herder, Model = world.id("model") }, model .. world.read("packages/llama-herder/worker.lua"))
  world.deliver()
  return id
end

-- A process with the client package and some money.
function market.client(name, money)
  local id = world.spawn(name, { Name = name, ["Llama-Herder"] = market.herder, ["Llama-Token"] = market.token },
    'Heard = Heard or {}\npackage.loaded["@sam/Llama-Herder"] = (function()\n' .. world.read("packages/llama-herder/client.lua")
      .. '\nend)()\nLlama = require("@sam/Llama-Herder")')
  if (money or 0) > 0 then market.fund(id, money) end
  return id
end

function market.fund(account, money)
  world.send({ From = market.minter, Target = market.token, Action = "Mint", Recipient = account, Quantity = tostring(money) })
end

-- A wallet pays as the README of the original shows it, without our client.
function market.pay(from, quantity, tags)
  tags = tags or {}
  tags.From, tags.Target, tags.Action, tags.Recipient, tags.Quantity = from, market.token, "Transfer", market.herder, tostring(quantity)
  return world.send(tags)
end

function market.balance(account) return tonumber(world.eval(market.token, "Balances['" .. account .. "'] or '0'")) end

-- What the herder holds: earnings and what open jobs paid.
function market.owed()
  return tonumber(world.eval(market.herder,
    "local s = 0 for _, e in pairs(Herder.earned) do s = s + e end for _, j in pairs(Herder.jobs) do s = s + j.paid end"
      .. " for _, w in pairs(Herder.withdrawals) do s = s + w.amount end return s"))
end

-- Messages of an action that an address received.
function market.received(address, action)
  local found = {}
  for _, message in ipairs(world.mail[address] or {}) do
    if message.Tags.Action == action then found[#found + 1] = message end
  end
  return found
end

return market
