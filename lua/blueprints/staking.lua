-- Staking for a token: load it after token.lua, whose `Balances` it uses (the known blueprint's names and wire).
--
--   Stake {Quantity}, Unstake {Quantity}, Stakers
-- What is staked may be taken back at once, but is paid out only `UnstakeDelay` blocks after the last Stake: with the first message that
-- comes then. Balances + what is staked + what waits to be paid out = the supply, at every moment.
local bint = require(".bint")(256)
local json = require("json")

Balances = Balances or {}
Stakers = Stakers or {}  -- address -> { amount = text, unstake_at = height }
Unstaking = Unstaking or {}  -- address -> list of { amount = text, release_at = height }
UnstakeDelay = UnstakeDelay or 670

local function quantity_of(msg)
  local text = tostring(msg.Tags.Quantity or "")
  if not text:match("^[1-9]%d*$") or #text > 76 then return nil, "Quantity must be a whole number greater than 0, in decimal digits" end
  return bint(text)
end

local function refuse(msg, action, reason) return msg.reply({ Action = action, ["Message-Id"] = msg.Id, Error = reason, Data = reason }) end
local function height_of(msg) return math.tointeger(tonumber(msg["Block-Height"])) or 0 end

Handlers.add("staking.balances", "Stakers", function(msg) msg.reply({ Data = next(Stakers) and json.encode(Stakers) or "{}" }) end)

Handlers.stake = function(msg)
  local quantity, reason = quantity_of(msg)
  if not quantity then return refuse(msg, "Stake-Error", reason) end
  local balance = bint(Balances[msg.From] or "0")
  if balance < quantity then return refuse(msg, "Stake-Error", "Insufficient balance to stake") end
  Balances[msg.From] = tostring(balance - quantity)
  local staker = Stakers[msg.From] or { amount = "0" }
  staker.amount, staker.unstake_at = tostring(bint(staker.amount) + quantity), height_of(msg) + UnstakeDelay
  Stakers[msg.From] = staker
  print("Successfully Staked " .. tostring(quantity))
  msg.reply({ Data = "Successfully Staked " .. tostring(quantity) })
end

Handlers.unstake = function(msg)
  local quantity, reason = quantity_of(msg)
  if not quantity then return refuse(msg, "Unstake-Error", reason) end
  local staker = Stakers[msg.From]
  if not staker or bint(staker.amount) < quantity then return refuse(msg, "Unstake-Error", "Insufficient staked amount") end
  staker.amount = tostring(bint(staker.amount) - quantity)
  Unstaking[msg.From] = Unstaking[msg.From] or {}
  table.insert(Unstaking[msg.From], { amount = tostring(quantity), release_at = staker.unstake_at })
  if staker.amount == "0" then Stakers[msg.From] = nil end
  msg.reply({ Data = "Successfully unstaked " .. tostring(quantity) })
end

local function pay_out(msg)
  local height = height_of(msg)
  for _, address in ipairs(Utils.keys(Unstaking)) do
    local waiting = {}
    for _, one in ipairs(Unstaking[address]) do
      if height >= one.release_at then Balances[address] = tostring(bint(Balances[address] or "0") + bint(one.amount))
      else waiting[#waiting + 1] = one end
    end
    Unstaking[address] = #waiting > 0 and waiting or nil
  end
end

Handlers.add("staking.stake", Handlers.utils.continue(Handlers.utils.hasMatchingTag("Action", "Stake")), Handlers.stake)
Handlers.add("staking.unstake", Handlers.utils.continue(Handlers.utils.hasMatchingTag("Action", "Unstake")), Handlers.unstake)
-- With every message, before anything else.
Handlers.prepend("staking.finalize", function() return "continue" end, pay_out)

return "Loaded Staking"
