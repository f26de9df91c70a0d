-- The faucet: the one minter of a development node's wAR. What it gives is test AR and has no value; a bridge's mint would stand
-- in its place on a network.
--
-- Messages (quantities in the smallest unit):
--   Info                 what it gives, and how much of today's it has left
--   Drip                 once a day for each address: Amount to Recipient, or to whoever asks
--   Fund                 from the owner: Quantity to Recipient
--   Set-Token            from the owner, once: the token, whose own tags name this process as its minter
-- A loop that makes up addresses ends at Per-Day, and what is remembered of a day is no more than that allows.
local day_ms = 86400000
local tags = ao.env.Process.Tags
Faucet = Faucet or {
  amount = math.tointeger(tonumber(tags.Amount or "")) or 10000000000000, -- 10 wAR
  per_day = math.tointeger(tonumber(tags["Per-Day"] or "")) or 1000000000000000, -- 1000 wAR
  day = -1, given_today = 0, given = {},
}
local note = "test AR, no value"

local function answer(msg, action, fields)
  fields.Action, fields.Note = action, note
  return msg.reply(fields)
end

local function refuse(msg, reason)
  return answer(msg, "Faucet-Error", { Error = reason, Data = "Faucet Error: " .. reason })
end

-- A day of everybody's begins at midnight UTC, by the time that the scheduler gave the message.
local function today(msg)
  local day = math.tointeger(tonumber(msg.Timestamp)) // day_ms
  if day > Faucet.day then Faucet.day, Faucet.given_today, Faucet.given = day, 0, {} end
end

local function mint(recipient, quantity)
  Send({ Target = Faucet.token, Action = "Mint", Recipient = recipient, Quantity = quantity })
end

local function recipient_of(msg)
  local recipient = msg.Tags.Recipient or msg.From
  return #recipient == 43 and recipient:match("^[%w_-]+$") and recipient
end

Handlers.add("faucet.info", "Info", function(msg)
  today(msg)
  answer(msg, "Info-Response", { Name = "Faucet", Token = Faucet.token, Amount = tostring(Faucet.amount),
    ["Per-Day"] = tostring(Faucet.per_day), Left = tostring(Faucet.per_day - Faucet.given_today), Data = note })
end)

Handlers.add("faucet.drip", "Drip", function(msg)
  if not Faucet.token then return refuse(msg, "it has no token yet") end
  local recipient = recipient_of(msg)
  if not recipient then return refuse(msg, "Recipient is no address") end
  today(msg)
  if Faucet.given[recipient] then return refuse(msg, recipient .. " has had today's " .. Faucet.amount .. "; more at midnight UTC") end
  if Faucet.given_today + Faucet.amount > Faucet.per_day then return refuse(msg, "today's " .. Faucet.per_day .. " are given; more at midnight UTC") end
  Faucet.given[recipient], Faucet.given_today = true, Faucet.given_today + Faucet.amount
  mint(recipient, tostring(Faucet.amount))
  answer(msg, "Faucet-Notice", { Recipient = recipient, Quantity = tostring(Faucet.amount),
    Data = Faucet.amount .. " units of " .. note .. ", for " .. recipient })
end)

Handlers.add("faucet.fund", "Fund", function(msg)
  if msg.From ~= Owner then return refuse(msg, "only the owner funds") end
  if not Faucet.token then return refuse(msg, "it has no token yet") end
  local recipient = recipient_of(msg)
  if not recipient then return refuse(msg, "Recipient is no address") end
  mint(recipient, msg.Tags.Quantity)
end)

Handlers.add("faucet.set-token", "Set-Token", function(msg)
  if msg.From ~= Owner or Faucet.token then return refuse(msg, "the token is set once, by the owner") end
  Faucet.token = msg.Tags.Token
end)

-- What the token says of a mint is between the two of us.
Handlers.add("faucet.minted", "Mint-Notice", function() end)
Handlers.add("faucet.not-minted", "Mint-Error", function(msg) print("not minted: " .. tostring(msg.Tags.Error)) end)

return "Loaded Faucet"
