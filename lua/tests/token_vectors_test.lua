-- The token's test vectors (llama-land.md 5), each by its name. What holds after every one: the sum of balances is the supply, and an error
-- changes nothing.
local t = require("testing")
local world = require("world")
local test, equal, contains = t.test, t.equal, t.contains

local alice, bob = world.id("alice"), world.id("bob")
local token = world.spawn("token", { Supply = "1000", Denomination = "0", Ticker = "T" }, world.read("blueprints/token.lua"))
world.eval(token, "Balances = { ['" .. alice .. "'] = '600', ['" .. bob .. "'] = '400' }")

local function balances() return world.eval(token, "(Balances['" .. alice .. "'] or '0') .. ' ' .. (Balances['" .. bob .. "'] or '0')") end
local function whole()
  equal(world.eval(token, "local s = require('.bint')(256)(0) for _, b in pairs(Balances) do s = s + b end return tostring(s) == TotalSupply"), "true")
  equal(world.errors[1], nil)
end
local function transfer(tags)
  tags.From, tags.Target, tags.Action = tags.From or alice, token, "Transfer"
  world.send(tags)
  return world.newest(tags.From)
end
local function vector(name, body)
  test("vector: " .. name, function()
    body()
    whole()
  end)
end

for name, quantity in pairs({ ["zero"] = "0", ["negative"] = "-1", ["1.0"] = "1.0", ["1e3"] = "1e3", ["01"] = "01", ["empty"] = "",
  ["78 digits"] = ("9"):rep(78), ["white space"] = " 1", ["hexadecimal"] = "0x10", ["a plus sign"] = "+1", ["a number with words"] = "10 units" }) do
  vector("a quantity that is " .. name .. " is refused", function()
    local before = balances()
    local answer = transfer({ Recipient = bob, Quantity = quantity })
    equal(answer.Tags.Action, "Transfer-Error")
    equal(#answer.Tags["Message-Id"], 43)
    equal(balances(), before)
  end)
end

vector("a missing quantity is refused", function() equal(transfer({ Recipient = bob }).Tags.Action, "Transfer-Error") end)
vector("a missing recipient is refused", function() equal(transfer({ Quantity = "1" }).Tags.Error, "Recipient is required!") end)
vector("a transfer to oneself changes nothing", function()
  transfer({ Recipient = alice, Quantity = "600" })
  equal(balances(), "600 400")
end)
vector("more than one has is refused", function() equal(transfer({ Recipient = bob, Quantity = "601" }).Tags.Error, "Insufficient Balance!") end)
vector("Cast moves the money and tells nobody", function()
  local count = #(world.mail[bob] or {})
  transfer({ Recipient = bob, Quantity = "1", Cast = "true" })
  equal({ balances(), #(world.mail[bob] or {}) }, { "599 401", count })
end)
vector("an X- tag with an empty value travels", function()
  transfer({ Recipient = bob, Quantity = "1", ["X-Empty"] = "" })
  equal(world.newest(bob).Tags["X-Empty"], "")
end)
vector("an X- tag cannot stand in for Action, Sender or Quantity", function()
  transfer({ Recipient = bob, Quantity = "1", ["X-Action"] = "Evil", ["X-Sender"] = "evil", Sender = "evil", ["X-Quantity"] = "9" })
  local notice = world.newest(bob).Tags
  equal({ notice.Action, notice.Sender, notice.Quantity }, { "Credit-Notice", alice, "1" })
end)
vector("the balance of an unknown account is 0", function()
  world.send({ From = alice, Target = token, Action = "Balance", Recipient = world.id("nobody") })
  equal({ world.newest(alice).Data, world.newest(alice).Tags.Balance, world.newest(alice).Tags.Account }, { "0", "0", world.id("nobody") })
end)
vector("an error keeps the state", function()
  local before = balances()
  transfer({ From = world.id("stranger"), Recipient = bob, Quantity = "1" })
  equal(balances(), before)
end)
vector("the sum of balances is the supply after any sequence", function()
  local chance = 12345
  for _ = 1, 100 do
    chance = (chance * 1103515245 + 12345) & 0x7fffffff
    local from, to = chance % 2 == 0 and alice or bob, chance % 3 == 0 and alice or bob
    transfer({ From = from, Recipient = to, Quantity = tostring(chance % 500) })
  end
  world.send({ From = alice, Target = token, Action = "Burn", Quantity = "1" })
end)
