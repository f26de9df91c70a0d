-- The token blueprint: the vectors of llama-land.md 5, through whole processes.
local t = require("testing")
local world = require("world")
local test, equal, contains = t.test, t.equal, t.contains

local text = world.read("blueprints/token.lua")
local alice, bob = world.id("alice"), world.id("bob")
local token = world.spawn("token", { Ticker = "TST", Denomination = "3", Supply = "1000", Name = "Test Coin" }, text)

local function balance(account) return world.eval(token, "Balances['" .. account .. "'] or '0'") end
local function sum() return world.eval(token, "local s = require('.bint')(256)(0) for _, b in pairs(Balances) do s = s + b end return tostring(s)") end
local function transfer(from, tags)
  tags.From, tags.Target, tags.Action = from, token, "Transfer"
  world.send(tags)
  return world.newest(from)
end

test("the process owns the supply at first, and Info shows what it is", function()
  equal(balance(token), "1000000")
  world.send({ From = alice, Target = token, Action = "Info" })
  local info = world.newest(alice).Tags
  equal({ info.Name, info.Ticker, info.Denomination, info["Total-Supply"] }, { "Test Coin", "TST", "3", "1000000" })
end)

test("the owner's process pays, both sides hear of it, tags X-* travel along", function()
  world.eval(token, ('Send({ Target = ao.id, Action = "Transfer", Recipient = "%s", Quantity = "500", ["X-Note"] = "hi", ["X-Empty"] = "" })'):format(alice))
  local credit = world.newest(alice)
  equal({ credit.Tags.Action, credit.Tags.Quantity, credit.Tags.Sender, credit.Tags["X-Note"], credit.Tags["X-Empty"] },
    { "Credit-Notice", "500", token, "hi", "" })
  equal(balance(alice), "500")
  transfer(alice, { Recipient = bob, Quantity = "120", ["X-Reason"] = "lunch" })
  local debit = world.newest(alice)
  equal({ debit.Tags.Action, debit.Tags.Recipient, debit.Tags.Quantity, debit.Tags["X-Reason"] }, { "Debit-Notice", bob, "120", "lunch" })
  equal({ balance(alice), balance(bob) }, { "380", "120" })
end)

test("a transfer to oneself changes nothing", function()
  transfer(alice, { Recipient = alice, Quantity = "100" })
  equal(balance(alice), "380")
end)

test("what is no quantity is refused with the message's id, and nothing moves", function()
  for _, bad in ipairs({ "0", "-1", "1.0", "1e3", "01", "", " 5", "0x10", ("9"):rep(78), "١٢" }) do
    local refused = transfer(alice, { Recipient = bob, Quantity = bad, Id = world.id("bad" .. #bad) })
    equal({ refused.Tags.Action, refused.Tags["Message-Id"] }, { "Transfer-Error", world.id("bad" .. #bad) })
  end
  equal(transfer(alice, { Recipient = bob }).Tags.Action, "Transfer-Error")
  equal(transfer(alice, { Quantity = "1" }).Tags.Error, "Recipient is required!")
  equal(transfer(alice, { Recipient = bob, Quantity = "381" }).Tags.Error, "Insufficient Balance!")
  equal({ balance(alice), balance(bob) }, { "380", "120" })
end)

test("Cast moves the money in silence", function()
  local before = #world.mail[alice]
  transfer(alice, { Recipient = bob, Quantity = "80", Cast = "true" })
  equal(#world.mail[alice], before)
  equal({ balance(alice), balance(bob) }, { "300", "200" })
end)

test("tags of the sender cannot stand in for fields of a notice", function()
  transfer(alice, { Recipient = bob, Quantity = "1", Sender = "somebody else", ["X-Action"] = "Mint" })
  local credit = world.newest(bob)
  equal({ credit.Tags.Action, credit.Tags.Sender, credit.Tags["X-Action"] }, { "Credit-Notice", alice, "Mint" })
end)

test("balances: of oneself, of another, of nobody, of all", function()
  world.send({ From = bob, Target = token, Action = "Balance" })
  equal({ world.newest(bob).Tags.Balance, world.newest(bob).Data, world.newest(bob).Tags.Account }, { "201", "201", bob })
  world.send({ From = bob, Target = token, Action = "Balance", Recipient = alice })
  equal(world.newest(bob).Tags.Balance, "299")
  world.send({ From = bob, Target = token, Action = "Balance", Recipient = "nobody" })
  equal(world.newest(bob).Tags.Balance, "0")
  world.send({ From = bob, Target = token, Action = "Balances" })
  equal(require("json").decode(world.newest(bob).Data)[alice], "299")
end)

test("only the process itself mints; whoever has tokens may burn them", function()
  world.send({ From = alice, Target = token, Action = "Mint", Quantity = "5" })
  equal(world.newest(alice).Tags.Action, "Mint-Error")
  world.eval(token, 'Send({ Target = ao.id, Action = "Mint", Quantity = "1000" })')
  equal(world.eval(token, "TotalSupply"), "1001000")
  world.send({ From = bob, Target = token, Action = "Burn", Quantity = "201" })
  equal(world.newest(bob).Tags.Action, "Burn-Notice")
  equal(balance(bob), "0")
  equal(world.eval(token, "TotalSupply"), "1000799")
  world.send({ From = bob, Target = token, Action = "Burn", Quantity = "1" })
  equal(world.newest(bob).Tags.Error, "Insufficient Balance!")
end)

test("the sum of balances is the supply after any sequence", function()
  math.randomseed(7)
  local people = { alice, bob, world.id("carol"), world.id("dave") }
  for _ = 1, 200 do
    local from, to = people[math.random(4)], people[math.random(4)]
    if math.random(8) == 1 then world.send({ From = from, Target = token, Action = "Burn", Quantity = tostring(math.random(5)) })
    else transfer(from, { Recipient = to, Quantity = tostring(math.random(120)) }) end
  end
  equal(sum(), world.eval(token, "TotalSupply"))
  equal(#world.errors, 0)
end)

test("loading the text again keeps the balances", function()
  local before = sum()
  contains(world.eval(token, text), "Loaded Token")
  equal(sum(), before)
end)

test("a token with a minter starts empty, is minted by nobody else, and answers Balance with an action", function()
  local minter = world.id("faucet")
  local war = world.spawn("war", { Ticker = "wAR", Denomination = "12", Minter = minter, Name = "Wrapped AR", Note = "test AR, no value" }, text)
  world.send({ From = alice, Target = war, Action = "Mint", Quantity = "5", Recipient = alice })
  equal(world.newest(alice).Tags.Action, "Mint-Error")
  world.send({ From = minter, Target = war, Action = "Mint", Quantity = "1000000000", Recipient = alice })
  equal({ world.newest(alice).Tags.Action, world.newest(alice).Tags.Quantity }, { "Credit-Notice", "1000000000" })
  world.send({ From = alice, Target = war, Action = "Balance" })
  equal({ world.newest(alice).Tags.Action, world.newest(alice).Data }, { "Balance-Notice", "1000000000" })
  world.send({ From = alice, Target = war, Action = "Info" })
  equal({ world.newest(alice).Tags.Minter, world.newest(alice).Tags.Note }, { minter, "test AR, no value" })
end)
