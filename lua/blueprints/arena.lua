-- The frame of a game in rounds, in which players put each other out (the known blueprint's names and wire).
--
-- A round: Waiting, in which players pay `PaymentQty` of `PaymentToken`; Playing, until one is left or the time is over; again. Who puts a
-- player out gets that player's stake; who is left at the end gets the own stake back and a share of `BonusQty`. Time passes with
-- messages: give the process a cron, or let players send Tick.
--
-- The game itself is another program, loaded after this one: it defines playerInitState() and, if it likes, onTick(), adds handlers for its
-- moves, and calls eliminatePlayer(eliminated, eliminator).
--
-- Messages: Register {Mode=Listen?}, Unregister, GetGameState, Tick; a Credit-Notice of the token pays, or adds to the bonus with X-Reason=AddBet.
-- What is sent: Announcement {Event}, Registered, Unregistered, Payment-Received, Ejected {Reason}, Eliminated {Eliminator}, GameState.
local json = require("json")
local bint = require(".bint")(256)

GameMode = GameMode or "Not-Started"
WaitTime = WaitTime or 2 * 60 * 1000
GameTime = GameTime or 20 * 60 * 1000
StateChangeTime = StateChangeTime or 0
Now = Now or 0
UNIT = UNIT or 1000000
PaymentToken = PaymentToken or ao.env.Process.Tags["Payment-Token"] or "ADDR"
PaymentQty = tostring(PaymentQty or UNIT)
BonusQty = tostring(BonusQty or 0)  -- shared by the winners of a round, as long as the arena has it
Pot = Pot or "0"  -- what was paid in and not paid out: the arena never promises more
Waiting = Waiting or {}  -- address -> whether it has paid for the next round
Players = Players or {}  -- address -> its state in the game
Listeners = Listeners or {}
Winners = Winners or 0
MinimumPlayers = MinimumPlayers or 2
LISTENERS_MAX = LISTENERS_MAX or 1000

playerInitState = playerInitState or function() return {} end

function announce(event, description)
  for _, address in ipairs(Listeners) do ao.send({ Target = address, Action = "Announcement", Event = event, Data = description }) end
  print(Colors.gray .. "Announcement: " .. Colors.red .. event .. " " .. Colors.blue .. description .. Colors.reset)
end

-- @param quantity  text of digits, or a number; not more than is in the pot
function sendReward(recipient, quantity, reason)
  quantity = bint(type(quantity) == "number" and string.format("%d", math.floor(quantity)) or quantity)
  if quantity > bint(Pot) then quantity = bint(Pot) end
  if quantity <= 0 then return end
  Pot = tostring(bint(Pot) - quantity)
  ao.send({ Target = PaymentToken, Action = "Transfer", Recipient = recipient, Quantity = tostring(quantity), Reason = reason, ["X-Reason"] = reason })
  print(Colors.gray .. "Sent Reward: " .. Colors.blue .. tostring(quantity) .. Colors.gray .. " tokens to " .. Colors.green .. recipient .. " "
    .. Colors.blue .. reason .. Colors.reset)
end

function removeListener(address)
  for place, listener in ipairs(Listeners) do
    if listener == address then return table.remove(Listeners, place) end
  end
end

local function count(map)
  local n = 0
  for _ in pairs(map) do n = n + 1 end
  return n
end

function startWaitingPeriod()
  GameMode, StateChangeTime = "Waiting", Now + WaitTime
  announce("Started-Waiting-Period", "The game is about to begin! Send your token to take part.")
end

function startGamePeriod()
  local paid = Utils.filter(function(player) return Waiting[player] end, Utils.keys(Waiting))
  if #paid < MinimumPlayers then
    announce("Not-Enough-Players", "Not enough players registered! Restarting...")
    for _, player in ipairs(paid) do
      Waiting[player] = false
      sendReward(player, PaymentQty, "Refund")
    end
    return startWaitingPeriod()
  end
  GameMode, StateChangeTime = "Playing", Now + GameTime
  announce("Started-Game", "The game has started. Good luck!")
  for _, player in ipairs(Utils.keys(Waiting)) do
    if Waiting[player] then
      Players[player] = playerInitState(player)
    else
      ao.send({ Target = player, Action = "Ejected", Reason = "Did-Not-Pay" })
      Waiting[player] = nil
      removeListener(player)
    end
  end
end

function endGame()
  local left = Utils.keys(Players)
  Winners = #left
  -- Whole units: what cannot be shared stays for the next round.
  local share = Winners > 0 and bint(BonusQty) // Winners or bint(0)
  for _, player in ipairs(left) do
    sendReward(player, tostring(bint(PaymentQty) + share), "Win")
    Waiting[player] = false
  end
  BonusQty = tostring(bint(BonusQty) - share * Winners)
  Players = {}
  announce("Game-Ended", "Congratulations! The game has ended. Remaining players at conclusion: " .. Winners .. ".")
  startWaitingPeriod()
end

function eliminatePlayer(eliminated, eliminator)
  if not Players[eliminated] then return end
  sendReward(eliminator, PaymentQty, "Eliminated-Player")
  Waiting[eliminated], Players[eliminated] = false, nil
  ao.send({ Target = eliminated, Action = "Eliminated", Eliminator = eliminator })
  announce("Player-Eliminated", eliminated .. " was eliminated by " .. eliminator .. "!")
  if count(Players) < MinimumPlayers then endGame() end
end

-- Before whatever the message is for.
Handlers.prepend("Game-State-Timers", function() return "continue" end, function(msg)
  Now = math.tointeger(tonumber(msg.Timestamp)) or Now
  if GameMode == "Not-Started" then return startWaitingPeriod() end
  if GameMode == "Playing" and type(onTick) == "function" then onTick() end
  if Now <= StateChangeTime then return end
  if GameMode == "Waiting" then startGamePeriod() elseif GameMode == "Playing" then endGame() end
end)

-- Money that arrives. Too little, or more than once for a round, goes back; what is above the price as well.
Handlers.add("Transfer", function(msg) return msg.Action == "Credit-Notice" and msg.From == PaymentToken end, function(msg)
  local sender, quantity = msg.Tags.Sender, bint(msg.Tags.Quantity)
  Pot = tostring(bint(Pot) + quantity)
  if msg.Tags["X-Reason"] == "AddBet" then
    BonusQty = tostring(bint(BonusQty) + quantity)
    return announce("Bet-Added", sender .. " has placed a bet. BonusQty amount increased by " .. tostring(quantity) .. "!")
  end
  local price = bint(PaymentQty)
  if quantity < price or Waiting[sender] then return sendReward(sender, tostring(quantity), "Refund") end
  Waiting[sender] = true
  sendReward(sender, tostring(quantity - price), "Change")
  ao.send({ Target = sender, Action = "Payment-Received" })
  announce("Player-Ready", sender .. " is ready to play!")
end)

Handlers.add("Register", Handlers.utils.hasMatchingTag("Action", "Register"), function(msg)
  removeListener(msg.From)
  if #Listeners >= LISTENERS_MAX then return msg.reply({ Action = "Register-Error", Error = "the arena is full" }) end
  if msg.Tags.Mode ~= "Listen" and Waiting[msg.From] == nil then Waiting[msg.From] = false end
  table.insert(Listeners, msg.From)
  ao.send({ Target = msg.From, Action = "Registered" })
  announce("New Player Registered", msg.From .. " has joined in waiting.")
end)

Handlers.add("Unregister", Handlers.utils.hasMatchingTag("Action", "Unregister"), function(msg)
  removeListener(msg.From)
  ao.send({ Target = msg.From, Action = "Unregistered" })
end)

Handlers.add("GetGameState", Handlers.utils.hasMatchingTag("Action", "GetGameState"), function(msg)
  ao.send({ Target = msg.From, Action = "GameState",
    Data = json.encode({ GameMode = GameMode, TimeRemaining = StateChangeTime - Now, Players = next(Players) and Players or nil }) })
end)

Handlers.add("AnnounceTick", Handlers.utils.hasMatchingTag("Action", "Tick"), function()
  local seconds = string.format("%g", (StateChangeTime - Now) / 1000)
  if GameMode == "Waiting" then announce("Tick", "The game will start in " .. seconds .. " seconds.") end
  if GameMode == "Playing" then announce("Tick", "The game will end in " .. seconds .. " seconds.") end
end)

return "Loaded Arena"
