-- The package @sam/Llama-Herder as the tutorial uses it (llama-land.md 1.5, 3.1), and its defects H14 to H18.
local t = require("testing")
local world = require("world")
local market = require("market")
local test, equal, contains = t.test, t.equal, t.contains

market.open({ workers = 1 })
local demo = market.client("ai-demo", 1000)
local function eval(code) return world.eval(demo, code) end
local function balance() return market.balance(demo) end
local function printed() return table.concat(world.processes[demo].printed, "\n") end
local ask = 'Llama.run(%s, %d, function(text, err) table.insert(Heard, text or ("! " .. tostring(err))) end%s)'

test("B10: Llama shows exactly thirteen fields with their values", function()
  equal(eval("local n = 0 for _ in pairs(Llama) do n = n + 1 end return n"), "13")
  equal(eval("Llama.feeBase, Llama.feeBump, Llama.Reference, Llama.printResponses, Llama.lastMultiplier, Llama.feeToken, Llama.queueLength"),
    "0\t1.005\t0\ttrue\t0\t0\t0")
  equal(eval("Llama.herder == '" .. market.herder .. "' and Llama.token == '" .. market.token .. "' and next(Llama.inferenceCallbacks) == nil"), "true")
  equal(eval("type(Llama.getPrices) .. type(Llama.calculateFee) .. type(Llama.run)"), "functionfunctionfunction")
end)

test("fees are unknown at first, and said so", function()
  contains(eval('Llama.calculateFee("x", 1)'), "Prices are not known yet")
end)

test("B12: run fetches the prices, pays 27 for the sample prompt, and the callback gets the text", function()
  eval(ask:format('"What is the meaning of life?"', 20, ""))
  equal(eval("#Heard"), "1")
  contains(eval("Heard[1]"), " w1 w2")
  equal(balance(), 1000 - 27)
  equal(eval('Llama.calculateFee("What is the meaning of life?", 20)'), "27")
  equal(eval("Llama.lastFeePaid"), "27")
end)

test("without a callback nothing is lost, and the reference names the job", function()
  equal(eval('Llama.run("no callback", 2)'), "2")
  equal(eval("Llama.inferenceCallbacks['2']"), "")
end)

test("B14, H17: with no money the words Transfer Error appear, and the error reaches the callback", function()
  local poor = market.client("poor")
  world.eval(poor, ask:format('"hello"', 3, ""))
  contains(table.concat(world.processes[poor].printed, "\n"), "Transfer Error: Insufficient Balance!")
  equal(world.eval(poor, "Heard[1]"), "! Transfer Error: Insufficient Balance!")
  equal(world.eval(poor, "next(Llama.inferenceCallbacks)"), "")
  -- A callback that expects a text does not end the message.
  world.eval(poor, 'Llama.run("hello", 3, function(text) return text:match("x") end)')
  contains(table.concat(world.processes[poor].printed, "\n"), "the callback does not expect an error")
  equal(world.errors[1], nil)
end)

test("H14: a fixed fee needs no prices", function()
  local fixed = market.client("fixed", 100)
  world.eval(fixed, ask:format('"a b"', 3, ", { Fee = 9 }"))
  contains(world.eval(fixed, "Heard[1]"), "w3")
  equal(market.balance(fixed), 91)
end)

test("an underpaid job is refunded, and the callback hears what was needed", function()
  eval(ask:format('"one two three"', 10, ", { Fee = 5 }"))
  contains(eval("Heard[#Heard]"), "! Refunded: Insufficient payment, needed 14")
end)

test("H15: prices older than a minute are asked for again", function()
  local function asked() return eval("#ao.outbox.Messages") end
  world.wait(61000)
  local before = balance()
  eval(ask:format('"fresh"', 2, ""))
  contains(eval("Heard[#Heard]"), "w2")
  equal(balance(), before - 4)
  equal(asked(), "0")
end)

test("H16: printing can be turned off", function()
  eval("Llama.printResponses = false")
  world.processes[demo].printed = {}
  eval('Llama.run("quiet", 2)')
  equal(printed():find("queued", 1, true), nil)
  eval("Llama.printResponses = true")
end)

test("H18: several runs that wait for prices are paid in their order", function()
  local many = market.client("many", 1000)
  world.eval(many, 'for i = 1, 3 do Llama.run("p" .. i, 1, function(text) table.insert(Heard, i) end) end')
  equal(world.eval(many, "table.concat(Heard, ' ')"), "1 2 3")
  world.eval(many, "Llama.getPrices(function() table.insert(Heard, 'a') end) Llama.getPrices(function() table.insert(Heard, 'b') end)")
  equal(world.eval(many, "table.concat(Heard, ' ')"), "1 2 3 a b")
end)

test("places in the queue and about how long are printed; Llama.cancel takes back what waits, and says why what runs goes on", function()
  local waits = market.client("waits", 1000)
  local function said() return table.concat(world.processes[waits].printed, "\n") end
  local held = {}
  world.lost = function(entry)
    local inference = entry.Target == market.workers[1] and world.tags(entry.Tags).Action == "Inference"
    if inference then held[#held + 1] = entry end
    return inference
  end
  world.eval(waits, ask:format('"first"', 3, ", { Fee = 50 }"))
  world.eval(waits, ask:format('"second"', 3, ", { Fee = 40 }"))
  world.eval(waits, ask:format('"third"', 3, ", { Fee = 30 }"))
  contains(said(), "Job 1: running, about ")
  contains(said(), "Job 2: queued, place 1 in the queue, about ")
  contains(said(), "Job 3: queued, place 2 in the queue, about ")
  world.processes[waits].printed = {}
  world.eval(waits, "Llama.cancel(2) Llama.cancel(1)")
  equal(world.eval(waits, "table.concat(Heard, ' ')"), "! Refunded: cancelled by its client")
  contains(said(), "Job 3: queued, place 1 in the queue")
  contains(said(), "Job 1 is not cancelled: the job is running")
  equal(market.balance(waits), 1000 - 50 - 30)
  world.lost = nil
  for _, entry in ipairs(held) do table.insert(world.queue, entry) end
  world.deliver()
  equal(world.eval(waits, "#Heard .. ' ' .. tostring(next(Llama.inferenceCallbacks))"), "3 nil")
  equal(market.balance(waits), 1000 - 50 - 30)
  equal(world.errors[1], nil)
end)

test("a quote by true tokens is paid", function()
  eval("Llama.lastMultiplier = 1")
  local before = balance()
  eval(ask:format('"one two three"', 5, ", { Quote = true }"))
  contains(eval("Heard[#Heard]"), "w5")
  equal(balance(), before - (1 + 4 + 5))
end)

test("B17: with others waiting the price rises by at least one unit", function()
  eval("Llama.getPrices()")
  eval("Llama.lastMultiplier, Llama.queueLength = 1, 3")
  local before = balance()
  eval(ask:format('"What is the meaning of life?"', 20, ""))
  equal(eval("Llama.lastFeePaid"), "28")
  equal(before - balance(), 28)
end)

test("strangers cannot answer, price, or refund", function()
  local stranger = world.id("stranger")
  world.lost = function(entry) return entry.Target == market.herder end
  eval(ask:format('"guarded"', 2, ", { Fee = 10 }"))
  world.lost = nil
  local reference, count = eval("Llama.Reference"), eval("#Heard")
  for _, action in ipairs({ "Inference-Response", "Inference-Error", "Transfer-Error", "Job-Status", "Quote-Response" }) do
    world.send({ From = stranger, Target = demo, Action = action, ["X-Reference"] = reference, Data = "forged", Error = "forged" })
  end
  world.send({ From = stranger, Target = demo, Action = "Info-Response", ["Base-Fee"] = "1000000" })
  world.send({ From = stranger, Target = demo, Action = "Credit-Notice", Sender = market.herder, Quantity = "1", ["X-Refund"] = "whole", ["X-Reference"] = reference })
  equal(eval("#Heard"), count)
  equal(eval("Llama.feeBase"), "1")
end)

test("B15: the Joker keeps a joke that has a newline, and says when there is none", function()
  local joker = market.client("joker", 1000)
  local code = [[
    JOKE_HISTORY = JOKE_HISTORY or {}
    Llama.run(PROMPT, 3, function(generated_text)
      local joke = generated_text:match("^(.-)\n")
      if joke == nil then return print("Could not find joke in: " .. generated_text) end
      print("Joke: " .. joke)
      table.insert(JOKE_HISTORY, joke)
    end)]]
  world.eval(joker, 'PROMPT = "cats"')
  world.eval(joker, code)
  contains(table.concat(world.processes[joker].printed, "\n"), "Could not find joke in:  w1 w2 w3")
  world.eval(market.workers[1], 'WORD = "\\nline"')
  world.eval(joker, code)
  contains(table.concat(world.processes[joker].printed, "\n"), "Joke: ")
  equal(world.eval(joker, "#JOKE_HISTORY"), "1")
  equal(world.errors[1], nil)
end)
