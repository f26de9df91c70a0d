-- A token of the ao standard (llama-land.md 5): Info, Balance, Balances, Transfer, Mint, Burn, Total-Supply.
--
-- What it is follows from the tags of the process, so that the same text serves every token:
--   Ticker, Denomination, Logo, Name    as Info shows them
--   Supply                              whole units that the process owns at first (default 10000, none with a Minter)
--   Minter                              an address that alone may mint, to anybody; Balance then answers with an action
-- Quantities are whole numbers of the smallest unit, as decimal text.
local bint = require(".bint")(256)
local json = require("json")

local tags = ao.env.Process.Tags
Denomination = Denomination or math.tointeger(tonumber(tags.Denomination or "12")) or 12
Ticker = Ticker or tags.Ticker or "PNTS"
Logo = Logo or tags.Logo or ""
Minter = Minter or tags.Minter
TokenName = TokenName or (Name ~= "aos" and Name) or "Points Coin"
if not Balances then
  Balances = {}
  if not Minter then
    Balances[ao.id] = tostring(bint(tags.Supply or "10000") * bint(10) ^ Denomination)
  end
end
if not TotalSupply then
  local total = bint(0)
  for _, balance in pairs(Balances) do total = total + bint(balance) end
  TotalSupply = tostring(total)
end

local function balance_of(account) return bint(Balances[account] or "0") end

local function set_balance(account, value)
  Balances[account] = value:iszero() and account ~= ao.id and nil or tostring(value)
end

-- A quantity is digits and nothing else: no sign, no point, no exponent, no zero in front, and small enough that sums of
-- two fit into 256 bits.
local function quantity_of(text)
  text = tostring(text or "")
  if not text:match("^[1-9]%d*$") then return nil, "Quantity must be a whole number greater than 0, in decimal digits" end
  if #text > 76 then return nil, "Quantity is too large" end
  return bint(text)
end

local function answer(msg, reply)
  if msg.reply then return msg.reply(reply) end
  reply.Target = msg.From
  return Send(reply)
end

local function refuse(msg, action, reason)
  return answer(msg, { Action = action, ["Message-Id"] = msg.Id, Error = reason, Data = reason })
end

-- Tags with this prefix travel with the money to both sides. They cannot stand in for a field of the notice.
local function copy_extra(msg, notice)
  for name, value in pairs(msg.Tags) do
    if name:sub(1, 2) == "X-" and notice[name] == nil then notice[name] = value end
  end
  return notice
end

Handlers.add("token.info", Handlers.utils.hasMatchingTag("Action", "Info"), function(msg)
  answer(msg, {
    Name = TokenName, Ticker = Ticker, Logo = Logo, Denomination = tostring(Denomination), ["Total-Supply"] = TotalSupply,
    Minter = Minter, Data = json.encode({ name = TokenName, ticker = Ticker, logo = Logo, denomination = tostring(Denomination),
      supply = TotalSupply, minter = Minter, note = tags.Note }), Note = tags.Note,
  })
end)

Handlers.add("token.balance", Handlers.utils.hasMatchingTag("Action", "Balance"), function(msg)
  -- The target of the message is this token itself; only a tag of that name says whose balance is meant.
  local account = msg.Tags.Recipient or msg.Tags.Target or msg.From
  local balance = Balances[account] or "0"
  answer(msg, { Action = Minter and "Balance-Notice" or nil, Balance = balance, Ticker = Ticker, Account = account, Data = balance })
end)

Handlers.add("token.balances", Handlers.utils.hasMatchingTag("Action", "Balances"), function(msg)
  answer(msg, { Ticker = Ticker, Data = next(Balances) and json.encode(Balances) or "{}" })
end)

Handlers.add("token.total-supply", Handlers.utils.hasMatchingTag("Action", "Total-Supply"), function(msg)
  if msg.From == ao.id then return refuse(msg, "Total-Supply-Error", "Cannot call Total-Supply from the same process!") end
  answer(msg, { Action = "Total-Supply", Ticker = Ticker, ["Total-Supply"] = TotalSupply, Data = TotalSupply })
end)

Handlers.add("token.transfer", Handlers.utils.hasMatchingTag("Action", "Transfer"), function(msg)
  local recipient = msg.Tags.Recipient
  if type(recipient) ~= "string" or recipient == "" then
    return refuse(msg, "Transfer-Error", "Recipient is required!")
  end
  local quantity, reason = quantity_of(msg.Tags.Quantity)
  if not quantity then return refuse(msg, "Transfer-Error", reason) end
  if balance_of(msg.From) < quantity then return refuse(msg, "Transfer-Error", "Insufficient Balance!") end

  set_balance(msg.From, balance_of(msg.From) - quantity)
  set_balance(recipient, balance_of(recipient) + quantity)
  if msg.Tags.Cast then return end

  local text = tostring(quantity)
  local debit = { Action = "Debit-Notice", Recipient = recipient, Quantity = text,
    Data = Colors.gray .. "You transferred " .. Colors.blue .. text .. Colors.gray .. " to " .. Colors.green .. recipient .. Colors.reset }
  local credit = { Target = recipient, Action = "Credit-Notice", Sender = msg.From, Quantity = text,
    Data = Colors.gray .. "You received " .. Colors.blue .. text .. Colors.gray .. " from " .. Colors.green .. msg.From .. Colors.reset }
  answer(msg, copy_extra(msg, debit))
  Send(copy_extra(msg, credit))
end)

Handlers.add("token.mint", Handlers.utils.hasMatchingTag("Action", "Mint"), function(msg)
  if msg.From ~= (Minter or ao.id) then
    return refuse(msg, "Mint-Error", "Only the " .. (Minter and "minter " .. Minter or "process itself") .. " can mint new " .. Ticker .. " tokens!")
  end
  local quantity, reason = quantity_of(msg.Tags.Quantity)
  if not quantity then return refuse(msg, "Mint-Error", reason) end
  local recipient = Minter and msg.Tags.Recipient or msg.From
  local total = bint(TotalSupply) + quantity
  if total:isneg() or #tostring(total) > 76 then return refuse(msg, "Mint-Error", "the supply would be too large") end
  set_balance(recipient, balance_of(recipient) + quantity)
  TotalSupply = tostring(total)
  answer(msg, { Action = "Mint-Notice", Recipient = recipient, Quantity = tostring(quantity), ["Total-Supply"] = TotalSupply,
    Data = "Successfully minted " .. tostring(quantity) })
  if recipient ~= msg.From then
    Send(copy_extra(msg, { Target = recipient, Action = "Credit-Notice", Sender = ao.id, Quantity = tostring(quantity),
      Data = "You received " .. tostring(quantity) .. " newly minted " .. Ticker }))
  end
end)

-- Tokens leave for good. A bridge reads Recipient, where what they stand for goes.
Handlers.add("token.burn", Handlers.utils.hasMatchingTag("Action", "Burn"), function(msg)
  local quantity, reason = quantity_of(msg.Tags.Quantity)
  if not quantity then return refuse(msg, "Burn-Error", reason) end
  if balance_of(msg.From) < quantity then return refuse(msg, "Burn-Error", "Insufficient Balance!") end
  set_balance(msg.From, balance_of(msg.From) - quantity)
  TotalSupply = tostring(bint(TotalSupply) - quantity)
  answer(msg, copy_extra(msg, { Action = "Burn-Notice", Quantity = tostring(quantity), Recipient = msg.Tags.Recipient,
    ["Total-Supply"] = TotalSupply, Data = "Successfully burned " .. tostring(quantity) }))
end)

return "Loaded Token: " .. Ticker
