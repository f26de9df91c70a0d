-- Talking in rooms from the console, as DevChat has it: List(), Join(room), Say(text, room), Replay(count, room), Tip(recipient, room,
-- quantity), Leave(room). Rooms speak the wire of chatroom.lua. An index of rooms, the router, answers Get-List with tags Room-<name>.
--
-- Tags of the process: DevChat-Router and DevChat-Room, ids; by default those of the public DevChat.
local tags = ao.env.Process.Tags

DevChat = DevChat or {}
DevChat.Router = DevChat.Router or tags["DevChat-Router"] or "8MGp9kOU4JYxAlPT1AyL7O3cedd97y-w8X4ciBsf_Xo"
DevChat.InitRoom = DevChat.InitRoom or tags["DevChat-Room"] or "6I1JBBc9SOMtqFxlX7OoYgsMh7QeZk2fFwUCHTUqshg"
DevChat.InitRooms = DevChat.InitRooms or { [DevChat.InitRoom] = "Getting-Started" }
DevChat.Rooms = DevChat.Rooms or { [DevChat.InitRoom] = "Getting-Started" }  -- id -> name
DevChat.LastSend = DevChat.LastSend or DevChat.InitRoom
DevChat.LastReceive = DevChat.LastReceive or { Room = DevChat.InitRoom }
if DevChat.Confirmations == nil then DevChat.Confirmations = true end

local function gray(...) return Colors.gray .. table.concat({ ... }) .. Colors.reset end
local function blue(text) return Colors.blue .. tostring(text) .. Colors.gray end
local function name_of(room) return DevChat.Rooms[room] or room end

-- What others wrote must not move our cursor or paint our screen.
local function harmless(text) return (tostring(text or ""):gsub("[\0-\8\11-\31\127]", "")) end

-- By name; of two rooms with one name the first by id. What is no name is an id.
function DevChat.findRoom(name)
  for _, id in ipairs(Utils.keys(DevChat.Rooms)) do
    if DevChat.Rooms[id] == name then return id end
  end
end
local function room_of(name) return DevChat.findRoom(name) or name end

function DevChat.add(name, address)
  Send({ Target = DevChat.Router, Action = "Register", Name = name or Name, Address = address or ao.id })
end

function List()
  Send({ Target = DevChat.Router, Action = "Get-List" })
  return gray("Getting the room list from the DevChat index...")
end

function Join(room, nickname)
  Send({ Target = room_of(room), Action = "Register", Nickname = nickname or Name or ao.id })
  return gray("Registering with room ", blue(room), "...")
end

-- The room is remembered for the next time.
function Say(text, room)
  if room then DevChat.LastSend = room_of(room) end
  Send({ Target = DevChat.LastSend, Action = "Broadcast", Data = tostring(text) })
  return DevChat.Confirmations and gray("Broadcasting to ", blue(name_of(DevChat.LastSend)), "...") or ""
end

-- A token of the room's own, from us to who spoke last.
function Tip(recipient, room, quantity)
  recipient, room, quantity = recipient or DevChat.LastReceive.Sender, room and room_of(room) or DevChat.LastReceive.Room, tostring(quantity or 1)
  if not recipient then return "Nobody has spoken yet: name a recipient" end
  Send({ Target = room, Action = "Transfer", Recipient = recipient, Quantity = quantity })
  return gray("Sent tip of ", Colors.green, quantity, Colors.gray, " to ", Colors.red, recipient, Colors.gray, " in room ", blue(name_of(room)), ".")
end

function Replay(count, room)
  room = room and room_of(room) or DevChat.LastReceive.Room
  Send({ Target = room, Action = "Replay", Depth = tostring(count or 3) })
  return gray("Requested replay of the last ", Colors.green, tostring(count or 3), Colors.gray, " messages from ", blue(name_of(room)), ".")
end

function Leave(room)
  Send({ Target = room_of(room), Action = "Unregister" })
  return gray("Leaving room ", blue(room), "...")
end

-- Only rooms that we know may speak to us here; from others it is a message like any.
local function joined(id) return DevChat.Rooms[id] ~= nil or DevChat.LastSend == id end

Handlers.add("DevChat-Broadcasted", function(msg) return msg.Action == "Broadcasted" and joined(msg.From) end, function(msg)
  local room, broadcaster = harmless(DevChat.Rooms[msg.From] or msg.From:sub(1, 6)), tostring(msg.Tags.Broadcaster or "")
  if broadcaster == ao.id then
    if DevChat.Confirmations then print(gray("[Received confirmation of your broadcast in ", blue(room), ".]")) end
    return
  end
  local nick = harmless(msg.Tags.Nickname or broadcaster):sub(1, 10)
  if broadcaster ~= msg.Tags.Nickname then nick = nick .. Colors.gray .. "#" .. broadcaster:sub(1, 3) end
  print("[" .. Colors.red .. nick .. Colors.reset .. "@" .. Colors.blue .. room .. Colors.reset .. "]> " .. Colors.green .. harmless(msg.Data) .. Colors.reset)
  DevChat.LastReceive = { Room = msg.From, Sender = broadcaster }
end)

Handlers.add("DevChat-List", function(msg) return msg.Action == "Room-List" and msg.From == DevChat.Router end, function(msg)
  local lines = {}
  DevChat.Rooms = ao.clone(DevChat.InitRooms)
  for _, tag in ipairs(msg.TagArray) do
    local name = tag.name:match("^Room%-(.+)$")
    if name then
      DevChat.Rooms[tag.value] = name
      lines[#lines + 1] = "        " .. Colors.blue .. harmless(name) .. Colors.reset
    end
  end
  print("👋 The following rooms are currently available on DevChat:\n\n" .. table.concat(lines, "\n")
    .. '\n\nJoin a chat by running `Join("chatName"[, "yourNickname"])`! You can leave chats with `Leave("name")`.')
end)

if DevChatRegistered == nil then
  DevChatRegistered = true
  Join(DevChat.InitRoom)
end

local function row(call, what) return "    " .. Colors.green .. call .. Colors.reset .. "  " .. what end
function help()
  return table.concat({
    "Rooms to talk in:", row("List()", "the rooms of the index"), row('Join("room"[, "nickname"])', "hear a room"),
    row('Say("text"[, "room"])', "speak there; the room is remembered"), row("Replay([count][, \"room\"])", "the last messages again"),
    row('Tip(["recipient"])', "a token of the room to who spoke last"), row('Leave("room")', "hear it no more"),
    "You are registered with " .. Colors.blue .. name_of(DevChat.InitRoom) .. Colors.reset .. "." }, "\n")
end

return help()
