-- The Llama-Herder market: the defects H1 to H21 of the published one (llama-land.md 3.5), and what a herder needs (3.7).
local t = require("testing")
local world = require("world")
local market = require("market")
local test, equal, contains = t.test, t.equal, t.contains

market.open({ workers = 1 })
local alice, bob = world.id("alice"), world.id("bob")
market.fund(alice, 100000)
market.fund(bob, 100000)

local function herder(code) return world.eval(market.herder, code) end
local function answers(who) return market.received(who, "Inference-Response") end
local function credits(who) return market.received(who, "Credit-Notice") end
local function newest(list) return list[#list] end
local function balanced() equal(market.balance(market.herder), market.owed()) end
local function nothing_went_wrong() equal(world.errors[1], nil) balanced() end

test("a paid job is answered with what is known of it, and costs 1 + words + tokens", function()
  market.pay(alice, 27, { ["X-Prompt"] = "What is the meaning of life?", ["X-Tokens"] = "20", ["X-Reference"] = "ref 1" })
  local answer = newest(answers(alice))
  equal({ answer.Tags["X-Reference"], answer.Tags["Completion-Tokens"], answer.Tags["Stop-Reason"], answer.Tags["Fee-Charged"], answer.Tags.Model },
    { "ref 1", "20", "length", "27", world.id("model") })
  contains(answer.Data, " w1 w2")
  equal(market.balance(alice), 100000 - 27)
  nothing_went_wrong()
end)

test("H1: what was paid too little comes back to who paid, with what is needed", function()
  local before = market.balance(alice)
  market.pay(alice, 26, { ["X-Prompt"] = "What is the meaning of life?", ["X-Tokens"] = "20", ["X-Reference"] = "ref 2" })
  local refund = newest(credits(alice))
  equal({ refund.Tags["X-Reason"], refund.Tags["X-Needed"], refund.Tags["X-Reference"] }, { "Insufficient payment", "27", "ref 2" })
  equal(market.balance(alice), before)
  nothing_went_wrong()
end)

test("H3: a job without prompt or tokens, or with wrong ones, is refunded with the reason", function()
  local before = market.balance(alice)
  for _, bad in ipairs({ {}, { ["X-Prompt"] = "hi" }, { ["X-Tokens"] = "5" }, { ["X-Prompt"] = "hi", ["X-Tokens"] = "0" },
    { ["X-Prompt"] = "hi", ["X-Tokens"] = "five" }, { ["X-Prompt"] = "hi", ["X-Tokens"] = "1e3" }, { ["X-Prompt"] = "hi", ["X-Tokens"] = "99999" },
    { ["X-Prompt"] = ("x"):rep(20000), ["X-Tokens"] = "5" }, { ["X-Prompt"] = "hi", ["X-Tokens"] = "5", ["X-Seed"] = "-1" },
    { ["X-Prompt"] = "hi", ["X-Tokens"] = "5", ["X-Temperature"] = "hot" }, { ["X-Prompt"] = "hi", ["X-Tokens"] = "5", ["X-Redundancy"] = "9" },
    { ["X-Prompt"] = "hi", ["X-Tokens"] = "5", ["X-Model"] = "none" }, { ["X-Prompt"] = "hi", ["X-Tokens"] = "5", ["X-Max-Fee"] = "3" } }) do
    local count = #credits(alice)
    market.pay(alice, 100, bad)
    equal(#credits(alice), count + 1)
    equal(newest(credits(alice)).Tags["X-Refund"], "whole")
  end
  equal(market.balance(alice), before)
  nothing_went_wrong()
end)

test("H4: without X-Reference the id of the credit notice stands for it", function()
  local count = #answers(bob)
  market.pay(bob, 50, { ["X-Prompt"] = "no reference", ["X-Tokens"] = "3" })
  equal(#answers(bob), count + 1)
  equal(#newest(answers(bob)).Tags["X-Reference"], 43)
  nothing_went_wrong()
end)

test("H6: a prompt whose answer ends early is answered, and the unused tokens come back", function()
  local before = market.balance(bob)
  market.pay(bob, 12, { ["X-Prompt"] = "END", ["X-Tokens"] = "10", ["X-Reference"] = "early" })
  local answer = newest(answers(bob))
  equal({ answer.Data, answer.Tags["Stop-Reason"], answer.Tags["Completion-Tokens"], answer.Tags["Fee-Charged"] }, { " w1 w2 w3", "end", "3", "5" })
  equal(market.balance(bob), before - 5)
  equal(newest(credits(bob)).Tags["X-Reason"], "Unused tokens")
  nothing_went_wrong()
end)

test("H7: Termination stops the answer", function()
  market.pay(bob, 100, { ["X-Prompt"] = "stop it", ["X-Tokens"] = "20", ["X-Termination"] = "w3" })
  equal({ newest(answers(bob)).Data, newest(answers(bob)).Tags["Stop-Reason"] }, { " w1 w2 ", "termination" })
end)

test("seed, temperature and chat reach the model", function()
  market.pay(bob, 100, { ["X-Prompt"] = "x", ["X-Tokens"] = "2", ["X-Seed"] = "7", ["X-Temperature"] = "0.5" })
  equal(newest(answers(bob)).Tags.Seed, "7")
  equal(world.eval(market.workers[1], "Settings.temperature .. ' ' .. Settings.seed"), "0.5 7")
  market.pay(bob, 100, { ["X-Prompt"] = "x", ["X-Tokens"] = "2", ["X-Chat"] = "true" })
  equal(newest(answers(bob)).Tags["Prompt-Tokens"], "9")
end)

test("X-Grammar reaches the model for its job alone, and what the model does not take is refunded", function()
  market.pay(bob, 100, { ["X-Prompt"] = "x", ["X-Tokens"] = "2", ["X-Grammar"] = 'root ::= "yes"' })
  equal(world.eval(market.workers[1], "Grammar"), 'root ::= "yes"')
  market.pay(bob, 100, { ["X-Prompt"] = "x", ["X-Tokens"] = "2" })
  equal(world.eval(market.workers[1], "tostring(Grammar)"), "false")
  local before = market.balance(bob)
  market.pay(bob, 100, { ["X-Prompt"] = "x", ["X-Tokens"] = "2", ["X-Grammar"] = "nonsense" })
  contains(newest(credits(bob)).Tags["X-Reason"], "the grammar is not taken")
  equal({ market.balance(bob), world.eval(market.workers[1], "tostring(Grammar)") }, { before, "false" })
  nothing_went_wrong()
end)

test("H5: a job that fails in the worker is refunded with its words, and the worker stays", function()
  local before = market.balance(bob)
  market.pay(bob, 50, { ["X-Prompt"] = "FAIL now", ["X-Tokens"] = "5", ["X-Reference"] = "f" })
  contains(newest(credits(bob)).Tags["X-Reason"], "llama.decode_failed: as asked")
  equal(market.balance(bob), before)
  market.pay(bob, 50, { ["X-Prompt"] = "again", ["X-Tokens"] = "2" })
  equal(newest(answers(bob)).Data, " w1 w2")
  nothing_went_wrong()
end)

test("H11: characters of scripts without spaces count like words", function()
  local before = #credits(alice)
  market.pay(alice, 21, { ["X-Prompt"] = "生命的意义是什么?", ["X-Tokens"] = "20" })
  equal(#credits(alice), before + 1)
  equal(newest(credits(alice)).Tags["X-Needed"], tostring(1 + 8 + 20))
end)

test("H12, H13: only allowed workers join, only owner or herder choose the model, only the herder gives work", function()
  local stranger = world.id("stranger")
  world.send({ From = stranger, Target = market.herder, Action = "Worker-Register", Model = "x" })
  equal(newest(world.mail[stranger]).Tags.Action, "Worker-Refused")
  world.send({ From = stranger, Target = market.workers[1], Action = "Init", ["Model-ID"] = "other" })
  equal(newest(world.mail[stranger]).Tags.Action, "Worker-Error")
  world.send({ From = stranger, Target = market.workers[1], Action = "Inference", Tokens = "5", Data = "free?" })
  equal(newest(world.mail[stranger]).Tags.Action, "Inference-Error")
  equal(world.eval(market.workers[1], "ModelID"), world.id("model"))
  world.send({ From = stranger, Target = market.herder, Action = "Inference-Response", Data = "forged" })
  world.send({ From = stranger, Target = market.herder, Action = "Credit-Notice", Sender = stranger, Quantity = "100", ["X-Prompt"] = "x", ["X-Tokens"] = "1" })
  equal(herder("next(Herder.jobs) == nil"), "true")
  nothing_went_wrong()
end)

test("H2: eight jobs and eight idle workers: all eight start", function()
  for i = 2, 8 do market.workers[i] = market.worker(i) end
  local hold = {}
  world.lost = function(entry)
    local inference = false
    for _, tag in ipairs(entry.Tags or {}) do inference = inference or (tag.name == "Action" and tag.value == "Inference") end
    if inference then table.insert(hold, entry) end
    return inference
  end
  for i = 1, 8 do market.pay(alice, 40, { ["X-Prompt"] = "job " .. i, ["X-Tokens"] = "4", ["X-Reference"] = "par " .. i }) end
  equal(#hold, 8)
  local seen = {}
  for _, entry in ipairs(hold) do seen[entry.Target] = true end
  local different = 0
  for _ in pairs(seen) do different = different + 1 end
  equal(different, 8)

  -- The ninth waits and says where; H10: it can be taken back, and only by its client.
  market.pay(bob, 40, { ["X-Prompt"] = "waits", ["X-Tokens"] = "4", ["X-Reference"] = "ninth", ["X-Status"] = "true" })
  local status = newest(market.received(bob, "Job-Status"))
  equal({ status.Tags.State, status.Tags.Place, status.Tags["X-Reference"] }, { "queued", "1", "ninth" })
  world.send({ From = alice, Target = market.herder, Action = "Cancel", ["X-Reference"] = "ninth" })
  equal(newest(world.mail[alice]).Tags.Action, "Cancel-Error")
  local before = market.balance(bob)
  world.send({ From = bob, Target = market.herder, Action = "Cancel", ["X-Reference"] = "ninth" })
  equal(market.balance(bob), before + 40)
  balanced()

  -- Higher offers first, equal ones in the order of their arrival.
  market.pay(bob, 20, { ["X-Prompt"] = "low", ["X-Tokens"] = "4", ["X-Reference"] = "low" })
  market.pay(bob, 60, { ["X-Prompt"] = "high", ["X-Tokens"] = "4", ["X-Reference"] = "high" })
  market.pay(bob, 60, { ["X-Prompt"] = "high too", ["X-Tokens"] = "4", ["X-Reference"] = "same" })
  equal(herder("local s = {} for i, id in ipairs(Herder.queue) do s[i] = Herder.jobs[id].reference end return table.concat(s, ' ')"), "high same low")

  -- The held work goes on: everything is answered once.
  world.lost = nil
  for _, entry in ipairs(hold) do table.insert(world.queue, entry) end
  world.deliver()
  local count = {}
  for _, answer in ipairs(answers(alice)) do count[answer.Tags["X-Reference"]] = (count[answer.Tags["X-Reference"]] or 0) + 1 end
  for i = 1, 8 do equal(count["par " .. i], 1) end
  equal(newest(answers(bob)).Tags["X-Reference"], "low")
  nothing_went_wrong()
end)

test("H5: a worker that hangs loses the job by its deadline, another does it, the late answer is dropped", function()
  local held
  world.lost = function(entry)
    if held == nil then
      for _, tag in ipairs(entry.Tags or {}) do
        if tag.name == "Action" and tag.value == "Inference" then
          held = entry
          return true
        end
      end
    end
    return false
  end
  local count = #answers(bob)
  market.pay(bob, 40, { ["X-Prompt"] = "slow", ["X-Tokens"] = "4", ["X-Reference"] = "slow" })
  world.lost = nil
  equal(#answers(bob), count)
  world.wait(60000 + 4 * 2000 + 100)
  world.send({ From = market.owner, Target = market.herder, Action = "Cron" })
  equal(#answers(bob), count + 1)
  table.insert(world.queue, held)
  world.deliver()
  equal(#answers(bob), count + 1)
  equal(herder("Herder.count.late"), "1")
  nothing_went_wrong()
end)

test("a job that no worker takes is refunded when its time is over", function()
  local before = market.balance(bob)
  world.lost = function(entry) return entry.Target ~= nil and entry.Target:find("^worker") ~= nil end
  market.pay(bob, 40, { ["X-Prompt"] = "lost", ["X-Tokens"] = "4", ["X-Reference"] = "lost" })
  for _ = 1, 5 do
    world.wait(100000)
    world.send({ From = market.owner, Target = market.herder, Action = "Cron" })
  end
  world.lost = nil
  equal(market.balance(bob), before)
  equal(newest(credits(bob)).Tags["X-Refund"], "whole")
  nothing_went_wrong()
end)

test("a worker that was removed comes back when the owner allows it again", function()
  for i = 1, 8 do world.send({ From = market.owner, Target = market.herder, Action = "Worker-Allow", Worker = market.workers[i] }) end
  equal(herder("#Herder.worker_order"), "8")
end)

-- Keeps what the herder sends to its workers, until `go_on` gives it to them.
local function hold_work()
  local held = {}
  world.lost = function(entry)
    for _, tag in ipairs(entry.Tags or {}) do
      if tag.name == "Action" and tag.value == "Inference" then
        table.insert(held, entry)
        return true
      end
    end
    return false
  end
  return function()
    world.lost = nil
    for _, entry in ipairs(held) do table.insert(world.queue, entry) end
    world.deliver()
  end
end

test("H8: tokens, prompt and queue have bounds, and what is above comes back", function()
  local before = market.balance(bob)
  market.pay(bob, 5000, { ["X-Prompt"] = "x", ["X-Tokens"] = "2049" })
  contains(newest(credits(bob)).Tags["X-Reason"], "from 1 to 2048")
  market.pay(bob, 5000, { ["X-Prompt"] = ("x"):rep(16385), ["X-Tokens"] = "1" })
  contains(newest(credits(bob)).Tags["X-Reason"], "longer than 16384 bytes")
  equal(market.balance(bob), before)
  local go_on = hold_work()
  herder("Herder.queue_max = 2")
  local count = #answers(bob)
  for i = 1, 11 do market.pay(bob, 10, { ["X-Prompt"] = "x", ["X-Tokens"] = "2", ["X-Reference"] = "bound " .. i }) end
  equal(herder("#Herder.queue"), "2")
  contains(newest(credits(bob)).Tags["X-Reason"], "the queue is full: 2 jobs wait")
  equal(newest(credits(bob)).Tags["X-Reference"], "bound 11")
  herder("Herder.queue_max = 500")
  go_on()
  equal(#answers(bob), count + 10)
  nothing_went_wrong()
end)

test("H10: who pays the plain price is not overtaken for ever", function()
  local go_on = hold_work()
  herder("Herder.deadline_base_ms = 1000000")
  for i = 1, 8 do market.pay(alice, 6, { ["X-Prompt"] = "fill", ["X-Tokens"] = "4", ["X-Reference"] = "fill " .. i }) end
  market.pay(bob, 6, { ["X-Prompt"] = "poor", ["X-Tokens"] = "4", ["X-Reference"] = "poor" })
  market.pay(alice, 12, { ["X-Prompt"] = "rich", ["X-Tokens"] = "4", ["X-Reference"] = "rich" })
  local function order() return herder("local s = {} for i, id in ipairs(Herder.queue) do s[i] = Herder.jobs[id].reference end return table.concat(s, ' ')") end
  equal(order(), "rich poor")
  -- 1000 per mille behind, 10 per mille gained per second: after a hundred seconds it is the turn of the poor one.
  world.wait(101000)
  market.pay(alice, 12, { ["X-Prompt"] = "rich", ["X-Tokens"] = "4", ["X-Reference"] = "richer" })
  equal(order(), "rich poor richer")
  herder("Herder.deadline_base_ms = 60000")
  go_on()
  nothing_went_wrong()
end)

test("a place in the queue is pushed when it changes, and only then", function()
  local go_on = hold_work()
  for i = 1, 8 do market.pay(alice, 60, { ["X-Prompt"] = "fill", ["X-Tokens"] = "4", ["X-Reference"] = "fill " .. i }) end
  local count = #market.received(bob, "Job-Status")
  local function heard() return #market.received(bob, "Job-Status") - count end
  market.pay(bob, 6, { ["X-Prompt"] = "mine", ["X-Tokens"] = "4", ["X-Reference"] = "mine", ["X-Status"] = "true" })
  equal({ heard(), newest(market.received(bob, "Job-Status")).Tags.Place }, { 1, "1" })
  equal(tonumber(newest(market.received(bob, "Job-Status")).Tags["Eta-Ms"]) > 0, true)
  world.send({ From = alice, Target = market.herder, Action = "Tick" })
  equal(heard(), 1)
  market.pay(alice, 60, { ["X-Prompt"] = "before", ["X-Tokens"] = "4", ["X-Reference"] = "before" })
  equal({ heard(), newest(market.received(bob, "Job-Status")).Tags.Place }, { 2, "2" })
  go_on()
  equal(newest(market.received(bob, "Job-Status")).Tags.State, "running")
  nothing_went_wrong()
end)

test("Cancel gives a waiting job's money back, once, and others move up; a job that runs goes on and is paid for", function()
  local go_on = hold_work()
  for i = 1, 8 do market.pay(alice, 60, { ["X-Prompt"] = "fill", ["X-Tokens"] = "4", ["X-Reference"] = "held " .. i }) end
  market.pay(bob, 12, { ["X-Prompt"] = "first", ["X-Tokens"] = "4", ["X-Reference"] = "taken back" })
  market.pay(bob, 6, { ["X-Prompt"] = "second", ["X-Tokens"] = "4", ["X-Reference"] = "moves up", ["X-Status"] = "true" })
  equal(newest(market.received(bob, "Job-Status")).Tags.Place, "2")
  local before, count = market.balance(bob), #credits(bob)
  local function cancel(who, reference) world.send({ From = who, Target = market.herder, Action = "Cancel", ["X-Reference"] = reference }) end
  cancel(bob, "taken back")
  equal({ market.balance(bob), #credits(bob) }, { before + 12, count + 1 })
  local notice = newest(credits(bob)).Tags
  equal({ notice["X-Refund"], notice["X-Reason"], notice["X-Reference"] }, { "whole", "cancelled by its client", "taken back" })
  local status = newest(market.received(bob, "Job-Status")).Tags
  equal({ status["X-Reference"], status.State, status.Place }, { "moves up", "queued", "1" })
  cancel(bob, "taken back")
  equal({ newest(market.received(bob, "Cancel-Error")).Tags.Error, market.balance(bob) }, { "no such job of yours is open", before + 12 })

  -- Running: the worker is at it.
  local paid = market.balance(alice)
  cancel(alice, "held 1")
  equal({ newest(market.received(alice, "Cancel-Error")).Tags.Error, market.balance(alice) }, { "the job is running", paid })
  go_on()
  local seen = {}
  for _, answer in ipairs(answers(alice)) do seen[answer.Tags["X-Reference"]] = true end
  equal({ seen["held 1"], newest(answers(bob)).Tags["X-Reference"] }, { true, "moves up" })
  nothing_went_wrong()
end)

test("H21: whatever goes wrong while a payment is looked at, the money comes back", function()
  herder("Herder.prompt_bytes_max = nil")
  local before = market.balance(bob)
  market.pay(bob, 50, { ["X-Prompt"] = "x", ["X-Tokens"] = "2", ["X-Reference"] = "broken" })
  contains(newest(credits(bob)).Tags["X-Reason"], "the job could not be read")
  equal({ newest(credits(bob)).Tags["X-Reference"], market.balance(bob) }, { "broken", before })
  herder("Herder.prompt_bytes_max = 16384")
  nothing_went_wrong()
end)

test("a worker that left a job behind is known by its heartbeat, and works again", function()
  local id = market.workers[1]
  herder("Herder.workers['" .. id .. "'].hanging = true")
  world.send({ From = market.owner, Target = id, Action = "Eval", Data = "Send({ Target = RouterID, Action = 'Worker-Heartbeat' })" })
  equal(herder("Herder.workers['" .. id .. "'].hanging == nil"), "true")
end)

test("H9: one huge payment moves the price a little, and it fades", function()
  herder("Herder.multiplier = 1000")
  market.pay(bob, 20000, { ["X-Prompt"] = "rich", ["X-Tokens"] = "4" })
  world.send({ From = bob, Target = market.herder, Action = "Info" })
  equal(newest(market.received(bob, "Info-Response")).Tags["Last-Multiplier"], "1.750")
  world.wait(60 * 60000)
  world.send({ From = bob, Target = market.herder, Action = "Info" })
  local faded = tonumber(newest(market.received(bob, "Info-Response")).Tags["Last-Multiplier"])
  equal(faded < 1.01, true)
end)

test("X-Max-Fee: what is above comes back", function()
  local before = market.balance(bob)
  market.pay(bob, 500, { ["X-Prompt"] = "cap", ["X-Tokens"] = "4", ["X-Max-Fee"] = "10" })
  equal(market.balance(bob), before - 10)
  nothing_went_wrong()
end)

test("X-Redundancy: three workers agree; one that differs is outvoted and marked", function()
  market.pay(bob, 100, { ["X-Prompt"] = "thrice", ["X-Tokens"] = "4", ["X-Redundancy"] = "3", ["X-Reference"] = "three" })
  local answer = newest(answers(bob))
  equal({ answer.Tags["X-Reference"], answer.Tags.Redundancy }, { "three", "3" })
  world.eval(market.workers[3], 'WORD = "lie"')
  for i = 1, 6 do market.pay(bob, 100, { ["X-Prompt"] = "thrice", ["X-Tokens"] = "4", ["X-Redundancy"] = "3", ["X-Reference"] = "again " .. i }) end
  equal(newest(answers(bob)).Data, " w1 w2 w3 w4")
  world.eval(market.workers[3], "WORD = nil")
  nothing_went_wrong()
end)

test("H13: earnings are split and withdrawn, by who earned them, once", function()
  local earned = tonumber(herder("Herder.earned['" .. market.owner .. "']"))
  equal(earned > 0, true)
  local before = market.balance(market.owner)
  world.send({ From = market.owner, Target = market.herder, Action = "Withdraw" })
  equal(market.balance(market.owner), before + earned)
  world.send({ From = market.owner, Target = market.herder, Action = "Withdraw" })
  equal(newest(world.mail[market.owner]).Tags.Action, "Withdraw-Error")
  equal(market.balance(market.owner), before + earned)
  nothing_went_wrong()
end)

test("H20: Info says which models there are", function()
  world.send({ From = bob, Target = market.herder, Action = "Info" })
  local info = newest(market.received(bob, "Info-Response")).Tags
  equal({ info.Models, info["Base-Fee"], info["Token-Fee"], info["Queue-Length"] }, { world.id("model"), "1", "1", "0" })
end)

test("a quote counts the tokens of the model", function()
  world.send({ From = bob, Target = market.herder, Action = "Quote", Tokens = "20", Data = "one two three", ["X-Reference"] = "q" })
  local quote = newest(market.received(bob, "Quote-Response")).Tags
  equal({ quote["Prompt-Tokens"], quote.Words, quote.Fee, quote["Fee-By-Words"], quote["X-Reference"] }, { "4", "3", "25", "24", "q" })
  local before = market.balance(bob)
  market.pay(bob, 25, { ["X-Prompt"] = "one two three", ["X-Tokens"] = "20", ["X-Quote"] = quote["X-Quote"], ["X-Reference"] = "quoted" })
  equal({ newest(answers(bob)).Tags["X-Reference"], newest(answers(bob)).Tags["Fee-Charged"] }, { "quoted", "25" })
  equal(market.balance(bob), before - 25)
  -- It prices what was quoted, for whom it was quoted.
  market.pay(bob, 24, { ["X-Prompt"] = "one two three", ["X-Tokens"] = "20", ["X-Quote"] = quote["X-Quote"] })
  equal(newest(credits(bob)).Tags["X-Needed"], "25")
  market.pay(bob, 24, { ["X-Prompt"] = "one two four", ["X-Tokens"] = "20", ["X-Quote"] = quote["X-Quote"], ["X-Reference"] = "words" })
  equal(newest(answers(bob)).Tags["X-Reference"], "words")
  market.pay(alice, 24, { ["X-Prompt"] = "one two three", ["X-Tokens"] = "20", ["X-Quote"] = quote["X-Quote"], ["X-Reference"] = "hers" })
  equal({ newest(answers(alice)).Tags["X-Reference"], newest(answers(alice)).Tags["Fee-Charged"] }, { "hers", "24" })
  nothing_went_wrong()
end)

test("a herder that prices true tokens takes no job without its quote", function()
  herder("Herder.by_tokens = true")
  local before = market.balance(bob)
  market.pay(bob, 100, { ["X-Prompt"] = "one two three", ["X-Tokens"] = "20" })
  contains(newest(credits(bob)).Tags["X-Reason"], "ask for a Quote")
  equal(market.balance(bob), before)
  herder("Herder.by_tokens = false")
  nothing_went_wrong()
end)

test("jobs that nobody can do cost the herd no worker; one that refuses what others do is removed", function()
  local function size() return herder("#Herder.worker_order") end
  local before = size()
  for _ = 1, 5 do market.pay(bob, 50, { ["X-Prompt"] = "FAIL now", ["X-Tokens"] = "5" }) end
  equal(size(), before)
  local broken = market.workers[1]
  world.eval(broken, "Kept = Handlers.list[1] Handlers.prepend('Broken', { Action = 'Inference' }, function(m) m.reply({ Action = 'Inference-Error', Job = m.Tags.Job, Error = 'no' }) end)")
  for i = 1, 40 do market.pay(bob, 50, { ["X-Prompt"] = "do it", ["X-Tokens"] = "2", ["X-Reference"] = "broken " .. i }) end
  equal(newest(answers(bob)).Tags["X-Reference"], "broken 40")
  equal({ herder("Herder.workers['" .. broken .. "'] == nil"), size() }, { "true", tostring(tonumber(before) - 1) })
  nothing_went_wrong()
end)

test("a payment that is larger than a herder counts comes back", function()
  market.fund(bob, "1000000000000000000000")
  local before = world.eval(market.token, "Balances['" .. bob .. "']")
  market.pay(bob, "900000000000000000000", { ["X-Prompt"] = "x", ["X-Tokens"] = "1" })
  equal(world.eval(market.token, "Balances['" .. bob .. "']"), before)
  nothing_went_wrong()
end)

test("every job ended once: answered or refunded", function()
  equal(herder("next(Herder.jobs) == nil and #Herder.queue"), "0")
end)
