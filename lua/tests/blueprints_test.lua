-- The blueprints chat, chatroom, staking, voting and arena: their wire, and what the known ones get wrong.
local json = require("json")
local t = require("testing")
local world = require("world")
local test, equal, contains = t.test, t.equal, t.contains

local alice, bob, carol = world.id("alice"), world.id("bob"), world.id("carol")
local function say(from, target, action, tags)
  tags = tags or {}
  tags.From, tags.Target, tags.Action = from, target, action
  return world.send(tags)
end
local function heard(who, action)
  local found = {}
  for _, message in ipairs(world.mail[who] or {}) do
    if message.Tags.Action == action then found[#found + 1] = message end
  end
  return found
end
local function newest(who) return world.newest(who) end
local function fine() equal(world.errors[1], nil) end

---------------------------------------------------------------------------------------------------- rooms

local room = world.spawn("room", {}, world.read("blueprints/chatroom.lua"))

test("chatroom: a member hears what members say, as data or with the speaker's nickname", function()
  say(alice, room, "Register")
  equal(newest(alice).Data, "registered")
  say(bob, room, "Register", { Nickname = "Bobby" })
  say(bob, room, "Broadcast", { Data = "hello" })
  equal(world.mail[alice][2].Data, "hello")
  local told = heard(bob, "Broadcasted")[1]
  equal({ told.Data, told.Tags.Broadcaster, told.Tags.Nickname }, { "hello", bob, "Bobby" })
  equal(newest(bob).Data, "Broadcasted.")
  fine()
end)

test("chatroom: who registers twice hears things once, who is no member is not passed on, who leaves hears nothing more", function()
  say(alice, room, "Register")
  local count = #world.mail[alice]
  say(bob, room, "Broadcast", { Data = "once" })
  equal(#world.mail[alice], count + 1)
  say(carol, room, "Broadcast", { Data = "spam" })
  equal({ newest(carol).Tags.Action, #world.mail[alice] }, { "Broadcast-Error", count + 1 })
  say(alice, room, "Unregister")
  say(bob, room, "Broadcast", { Data = "gone" })
  equal(newest(alice).Data, "unregistered")
  say(bob, room, "Broadcast", { Data = ("x"):rep(20000) })
  equal(newest(bob).Tags.Error, "at most 16384 bytes")
  fine()
end)

test("chatroom: the last messages come again when they are asked for", function()
  local count = #heard(bob, "Broadcasted")
  say(bob, room, "Replay", { Depth = "2" })
  local all = heard(bob, "Broadcasted")
  equal({ #all - count, all[#all - 1].Data, all[#all].Data }, { 2, "once", "gone" })
  fine()
end)

local talker = world.spawn("talker", { Name = "talker", ["DevChat-Router"] = carol, ["DevChat-Room"] = room }, world.read("blueprints/chat.lua"))
local function eval(code) return world.eval(talker, code) end
local function printed() return t.plain(table.concat(world.processes[talker].printed, "\n")) end

test("chat: the console joins, speaks, hears and leaves", function()
  contains(printed(), "You are registered with Getting-Started.")
  equal(eval('Say("hi all")'), "Broadcasting to Getting-Started...")
  contains(printed(), "[Received confirmation of your broadcast in Getting-Started.]")
  say(bob, room, "Broadcast", { Data = "hi talker\27[2J" })
  contains(printed(), "[Bobby#bob@Getting-Started]> hi talker[2J")
  equal(eval("Replay(1)"), "Requested replay of the last 1 messages from Getting-Started.")
  equal(eval("Tip()"), "Sent tip of 1 to " .. bob .. " in room Getting-Started.")
  equal(eval("DevChat.Confirmations = false return Say('quiet')"), "")
  say(world.id("stranger"), talker, "Broadcasted", { Broadcaster = bob, Nickname = "Bobby", Data = "forged" })
  equal(printed():find("forged", 1, true), nil)
  equal(eval('Leave("Getting-Started")'), "Leaving room Getting-Started...")
  fine()
end)

test("chat: the list of rooms comes from the router alone", function()
  equal(eval("List()"), "Getting the room list from the DevChat index...")
  equal(newest(carol).Tags.Action, "Get-List")
  say(bob, talker, "Room-List", { ["Room-Bad"] = bob })
  equal(eval("DevChat.findRoom('Bad')"), "")
  say(carol, talker, "Room-List", { ["Room-Weavers"] = alice })
  contains(printed(), "        Weavers")
  equal(eval("DevChat.findRoom('Weavers')"), alice)
  eval('Join("Weavers", "me")')
  equal({ newest(alice).Tags.Action, newest(alice).Tags.Nickname }, { "Register", "me" })
  fine()
end)

---------------------------------------------------------------------------------------------------- stakes and votes

local dao = world.spawn("dao", { Supply = "1000", Denomination = "0" }, world.read("blueprints/token.lua"):gsub("\nreturn [^\n]+\n$", "\n") .. "\ndo\n"
  .. world.read("blueprints/staking.lua"):gsub("\nreturn [^\n]+\n$", "\n") .. "\nend do\n" .. world.read("blueprints/voting.lua"):gsub("\nreturn [^\n]+\n$", "\n")
  .. "\nend\nBalances = { ['" .. alice .. "'] = '600', ['" .. bob .. "'] = '400' } Results = {} UnstakeDelay = 50"
  .. "\nfunction OnVote(target, accepted) Results[#Results + 1] = target .. tostring(accepted) end")
local function ask(code) return world.eval(dao, code) end
local function whole()
  equal(ask([[local s = 0 for _, b in pairs(Balances) do s = s + tonumber(b) end for _, b in pairs(Stakers) do s = s + tonumber(b.amount) end
    for _, l in pairs(Unstaking) do for _, b in ipairs(l) do s = s + tonumber(b.amount) end end return string.format("%d", s)]]), "1000")
end

test("staking: what is staked leaves the balance, and comes back after the delay", function()
  say(alice, dao, "Stake", { Quantity = "500" })
  equal(newest(alice).Data, "Successfully Staked 500")
  equal(ask("Balances['" .. alice .. "'] .. ' ' .. Stakers['" .. alice .. "'].amount"), "100 500")
  say(alice, dao, "Unstake", { Quantity = "200" })
  say(alice, dao, "Unstake", { Quantity = "100" })
  equal(newest(alice).Data, "Successfully unstaked 100")
  equal(ask("Balances['" .. alice .. "']"), "100")
  whole()
  world.height = world.height + 60
  equal(ask("Balances['" .. alice .. "'] .. ' ' .. Stakers['" .. alice .. "'].amount"), "400 200")
  whole()
  fine()
end)

test("staking: what cannot be staked or taken back is refused and changes nothing", function()
  for _, bad in ipairs({ { "Stake", "401" }, { "Stake", "0" }, { "Stake", "-5" }, { "Stake", "1.5" }, { "Stake", "" }, { "Unstake", "201" }, { "Unstake", "x" } }) do
    say(alice, dao, bad[1], { Quantity = bad[2] })
    equal(newest(alice).Tags.Action, bad[1] .. "-Error")
  end
  say(carol, dao, "Unstake", { Quantity = "1" })
  equal(newest(carol).Tags.Error, "Insufficient staked amount")
  equal(ask("Balances['" .. alice .. "'] .. ' ' .. Stakers['" .. alice .. "'].amount"), "400 200")
  whole()
  fine()
end)

test("voting: a stake counts once, on the side that was named last, until the deadline", function()
  say(bob, dao, "Stake", { Quantity = "150" })
  say(alice, dao, "Vote", { Side = "yay", Deadline = "100" })
  equal(newest(alice).Tags.Action, "Vote-Error")
  world.send({ From = alice, Target = dao, Action = "Vote", Side = "yay", Deadline = "100", ["X-Unused"] = "1" })
  equal(newest(alice).Tags.Error, "the tag Target says what is voted on")
end)

test("voting: the tag Target names what is voted on", function()
  local function vote(from, target, side, deadline)
    -- The message's own target is the process; the subject comes as a tag of that name.
    local tags = { { name = "Action", value = "Vote" }, { name = "Target", value = target }, { name = "Side", value = side } }
    if deadline then tags[#tags + 1] = { name = "Deadline", value = deadline } end
    return world.send_tags(from, dao, tags)
  end
  vote(alice, "subject", "yay", "100")
  equal({ newest(alice).Tags.Action, newest(alice).Tags.Yay }, { "Vote-Notice", "200" })
  vote(alice, "subject", "yay")
  equal(newest(alice).Tags.Yay, "200")
  vote(bob, "subject", "nay")
  equal({ newest(bob).Tags.Yay, newest(bob).Tags.Nay }, { "200", "150" })
  vote(alice, "subject", "nay")
  equal({ newest(alice).Tags.Yay, newest(alice).Tags.Nay }, { "0", "350" })
  vote(alice, "subject", "yay")
  vote(carol, "subject", "nay")
  equal(newest(carol).Tags.Error, "No staked tokens to vote")
  vote(alice, "other", "maybe", "5")
  equal(newest(alice).Tags.Error, "Side must be yay or nay")
  vote(alice, "other", "yay", "none")
  contains(newest(alice).Tags.Error, "Deadline must be a number of blocks")
  world.height = world.height + 101
  contains(ask("1"), "Vote on subject: accepted, 200 to 150")
  equal(ask("table.concat(Results, ' ') .. tostring(next(Votes))"), "subjecttruenil")
  whole()
  fine()
end)

---------------------------------------------------------------------------------------------------- arena

local token = world.spawn("points", { Ticker = "PT", Minter = world.id("mint"), Denomination = "0" }, world.read("blueprints/token.lua"))
local arena = world.spawn("arena", { ["Payment-Token"] = token }, "PaymentQty = '100' WaitTime = 1000 GameTime = 5000 "
  .. "function playerInitState() return { health = 3 } end\n" .. world.read("blueprints/arena.lua"))
local function balance(who) return tonumber(world.eval(token, "Balances['" .. who .. "'] or '0'")) end
local function pay(who, quantity, reason)
  world.send({ From = who, Target = token, Action = "Transfer", Recipient = arena, Quantity = tostring(quantity), ["X-Reason"] = reason })
end

test("arena: a round is paid for, played, and paid out to the last unit", function()
  for _, who in ipairs({ alice, bob, carol }) do
    world.send({ From = world.id("mint"), Target = token, Action = "Mint", Recipient = who, Quantity = "1000" })
    say(who, arena, "Register")
    local answers = heard(who, "Registered")
    equal(answers[#answers].From, arena)
  end
  pay(alice, 100)
  pay(bob, 130)
  equal({ balance(alice), balance(bob), #heard(bob, "Payment-Received") }, { 900, 900, 1 })
  pay(bob, 100)
  pay(alice, 99)
  equal({ balance(alice), balance(bob), balance(arena) }, { 900, 900, 200 })
  pay(carol, 51, "AddBet")
  world.wait(2000)
  say(alice, arena, "Tick")
  equal(world.eval(arena, "GameMode .. Players['" .. alice .. "'].health"), "Playing3")
  equal(heard(carol, "Ejected")[1].Tags.Reason, "Did-Not-Pay")
  say(alice, arena, "GetGameState")
  local state = json.decode(heard(alice, "GameState")[1].Data)
  equal({ state.GameMode, state.Players[bob].health }, { "Playing", 3 })
  world.eval(arena, "eliminatePlayer('" .. bob .. "', '" .. alice .. "') eliminatePlayer('" .. bob .. "', '" .. alice .. "')")
  equal(heard(bob, "Eliminated")[1].Tags.Eliminator, alice)
  equal({ balance(alice), balance(bob), balance(carol), balance(arena) }, { 900 + 100 + 100 + 51, 900, 949, 0 })
  equal(world.eval(arena, "GameMode .. Pot .. BonusQty"), "Waiting00")
  fine()
end)

test("arena: with too few players the stakes come back, and strangers' notices pay for nothing", function()
  pay(bob, 100)
  say(carol, arena, "Credit-Notice", { Sender = carol, Quantity = "1000" })
  equal(world.eval(arena, "Waiting['" .. carol .. "']"), "")
  world.wait(2000)
  say(alice, arena, "Tick")
  equal({ balance(bob), balance(arena), world.eval(arena, "GameMode") }, { 900, 0, "Waiting" })
  say(bob, arena, "Unregister")
  equal(#heard(bob, "Unregistered"), 1)
  fine()
end)

test("arena: when the time is over, whoever is left shares the bonus; the rest of a division stays", function()
  for _, who in ipairs({ alice, bob, carol }) do
    say(who, arena, "Register")
    pay(who, 100)
  end
  pay(alice, 50, "AddBet")
  world.wait(2000)
  say(alice, arena, "Tick")
  world.wait(6000)
  say(alice, arena, "Tick")
  equal({ balance(bob), balance(carol), balance(arena) }, { 900 + 16, 949 + 16, 2 })
  equal(world.eval(arena, "BonusQty .. ' ' .. Pot"), "2 2")
  fine()
end)
