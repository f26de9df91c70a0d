-- The faucet: who gets test money, how much, and that no loop drains it.
local t = require("testing")
local world = require("world")
local test, equal, contains = t.test, t.equal, t.contains

local owner, alice, bob = world.id("owner"), world.id("alice"), world.id("bob")
local faucet = world.spawn("faucet", { Amount = "10", ["Per-Day"] = "55" }, world.read("packages/faucet/faucet.lua"))

local function drip(from, recipient)
  world.send({ From = from, Target = faucet, Action = "Drip", Recipient = recipient })
  return world.newest(from).Tags
end

test("without a token there is nothing to give", function()
  contains(drip(alice).Error, "no token yet")
end)

local token = world.spawn("war", { Ticker = "wAR", Minter = faucet }, world.read("blueprints/token.lua"))
local function balance(account) return world.eval(token, "Balances['" .. account .. "'] or '0'") end

test("the token is set once, by the owner", function()
  world.send({ From = alice, Target = faucet, Action = "Set-Token", Token = alice })
  contains(world.newest(alice).Tags.Error, "by the owner")
  world.send({ From = owner, Target = faucet, Action = "Set-Token", Token = token })
  world.send({ From = owner, Target = faucet, Action = "Set-Token", Token = alice })
  equal(world.eval(faucet, "Faucet.token"), token)
end)

test("it is the one minter of the token, as Info shows", function()
  world.send({ From = bob, Target = token, Action = "Info" })
  equal(world.newest(bob).Tags.Minter, faucet)
  world.send({ From = owner, Target = token, Action = "Mint", Recipient = owner, Quantity = "1" })
  equal(world.newest(owner).Tags.Action, "Mint-Error")
end)

test("whoever asks gets the amount, and the words that it has no value; an inbox of the faucet's own stays empty", function()
  local credit = drip(alice)
  world.deliver()
  equal(balance(alice), "10")
  local notices = {}
  for _, mail in ipairs(world.mail[alice]) do notices[mail.Tags.Action or ""] = mail end
  equal({ notices["Faucet-Notice"].Tags.Quantity, notices["Credit-Notice"].Tags.Quantity }, { "10", "10" })
  contains(notices["Faucet-Notice"].Data, "test AR, no value")
  equal(world.eval(faucet, "#Inbox .. ''"), "1") -- what spawned it
end)

test("twice on one day is refused, for oneself and for others", function()
  contains(drip(alice).Error, "today's 10")
  contains(drip(bob, alice).Error, "today's 10")
  equal(balance(alice), "10")
end)

test("a loop that makes up addresses ends at the day's limit, which leaves nothing behind", function()
  for i = 1, 50 do drip(alice, world.id("made-up" .. i)) end
  contains(drip(bob).Error, "today's 55 are given")
  equal(world.eval(token, "TotalSupply"), "50")
  equal(world.eval(faucet, "local n = 0 for _ in pairs(Faucet.given) do n = n + 1 end return n .. ''"), "5")
  world.wait(86400000)
  drip(bob)
  equal({ balance(bob), world.eval(token, "TotalSupply") }, { "10", "60" })
  equal(world.eval(faucet, "local n = 0 for _ in pairs(Faucet.given) do n = n + 1 end return n .. ''"), "1")
end)

test("no address, no money; only the owner funds, as much as they like", function()
  contains(drip(alice, "x' or 1").Error, "no address")
  world.send({ From = alice, Target = faucet, Action = "Fund", Recipient = alice, Quantity = "1000" })
  contains(world.newest(alice).Tags.Error, "only the owner")
  world.send({ From = owner, Target = faucet, Action = "Fund", Recipient = alice, Quantity = "1000" })
  equal(balance(alice), "1010")
  world.send({ From = owner, Target = faucet, Action = "Fund", Recipient = alice, Quantity = "-1" })
  equal(balance(alice), "1010")
end)
