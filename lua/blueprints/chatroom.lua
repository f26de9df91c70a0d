-- A room that passes on what its members say, for programs and people (the known blueprint's names and wire, and what DevChat's
-- rooms add to it: nicknames, Unregister, Replay, Broadcasted).
--
--   Register {Nickname?}, Unregister, Broadcast Data=text, Replay {Depth?}
-- Members are in `Weavers`. A member who registered with a nickname hears `Action=Broadcasted` with Broadcaster and Nickname; one
-- without, as in the known blueprint, hears the bare data.
Weavers = Weavers or {}
Nicknames = Nicknames or {}
History = History or {}
WEAVERS_MAX = WEAVERS_MAX or 1000
HISTORY_MAX = HISTORY_MAX or 100

local bytes_max = 16384  -- of one message: a room multiplies it by its members

local function place_of(address)
  for place, weaver in ipairs(Weavers) do
    if weaver == address then return place end
  end
end

local function tell(address, said)
  if not Nicknames[address] then return ao.send({ Target = address, Data = said.text }) end
  ao.send({ Target = address, Action = "Broadcasted", Broadcaster = said.from, Nickname = said.nickname, Data = said.text })
end

-- Registering again changes the nickname; nobody hears things twice.
Handlers.add("register", Handlers.utils.hasMatchingTag("Action", "Register"), function(msg)
  if not place_of(msg.From) then
    if #Weavers >= WEAVERS_MAX then return msg.reply({ Action = "Register-Error", Error = "the room is full", Data = "the room is full" }) end
    table.insert(Weavers, msg.From)
  end
  Nicknames[msg.From] = msg.Tags.Nickname and msg.Tags.Nickname:sub(1, 40)
  msg.reply({ Action = "Registered", Data = "registered" })
end)

Handlers.add("unregister", Handlers.utils.hasMatchingTag("Action", "Unregister"), function(msg)
  local place = place_of(msg.From)
  if place then table.remove(Weavers, place) end
  Nicknames[msg.From] = nil
  msg.reply({ Action = "Unregistered", Data = "unregistered" })
end)

Handlers.add("broadcast", Handlers.utils.hasMatchingTag("Action", "Broadcast"), function(msg)
  local text = type(msg.Data) == "table" and require("json").encode(msg.Data) or tostring(msg.Data or "")
  local reason = not place_of(msg.From) and "only members speak here: register first" or #text > bytes_max and "at most " .. bytes_max .. " bytes" or nil
  if reason then return msg.reply({ Action = "Broadcast-Error", Error = reason, Data = reason }) end
  local said = { from = msg.From, nickname = Nicknames[msg.From] or msg.From, text = text }
  table.insert(History, said)
  while #History > HISTORY_MAX do table.remove(History, 1) end
  for _, weaver in ipairs(Weavers) do tell(weaver, said) end
  msg.reply({ Data = "Broadcasted." })
end)

Handlers.add("replay", Handlers.utils.hasMatchingTag("Action", "Replay"), function(msg)
  local depth = math.tointeger(tonumber(msg.Tags.Depth or "3")) or 3
  for i = math.max(1, #History - math.min(depth, 20) + 1), #History do tell(msg.From, History[i]) end
end)

return "Loaded Chatroom"
