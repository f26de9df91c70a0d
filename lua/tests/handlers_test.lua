-- Handlers alone: order, verdicts, how often.
ao = require("ao")
Handlers = require("handlers")
local t = require("testing")
local test, equal, contains, failure = t.test, t.equal, t.contains, t.failure

local log
local function clean()
  Handlers.list, Handlers.onceNonce, log = {}, 0, {}
end
local function note(text) return function() log[#log + 1] = text end end
local function ran(msg)
  log = {}
  msg.Tags = msg.Tags or {}
  Handlers.evaluate(msg, {})
  return table.concat(log, " ")
end
local function names()
  local result = {}
  for i, handler in ipairs(Handlers.list) do result[i] = handler.name end
  return table.concat(result, " ")
end

test("verdicts: break stops, continue goes on, skip passes, and only break counts as handled", function()
  clean()
  Handlers.add("one", function() return 1 end, note("one"))
  Handlers.add("skip", function() return false end, note("skip"))
  Handlers.add("nothing", function() end, note("nothing"))
  Handlers.add("two", function() return "continue" end, note("two"))
  Handlers.add("_default", function() return true end, note("default"))
  equal(ran({}), "one two default")
  Handlers.add("three", function() return -1 end, note("three"))
  Handlers.add("four", function() return true end, note("four"))
  equal(ran({}), "one two three")
  Handlers.add("bad", function() return {} end, note("bad"))
  Handlers.prepend("bad2", function() return {} end, note("bad"))
  contains(failure(ran, {}), "Pattern result is not valid")
end)

test("add, prepend, append, before, after and remove place a handler; the same name replaces it", function()
  clean()
  Handlers.add("b", "B", note("b"))
  Handlers.append("c", "C", note("c"))
  Handlers.prepend("a", "A", note("a"))
  Handlers.before("c").add("b2", "B2", note("b2"))
  Handlers.after("c").add("d", "D", note("d"))
  Handlers.before("nobody").add("x", "X", note("x"))
  equal(names(), "a b b2 c d")
  Handlers.add("b", "B", note("new"))
  equal(names(), "a b b2 c d")
  equal(ran({ Action = "B" }), "new")
  Handlers.remove("b2")
  Handlers.remove("nobody")
  equal(names(), "a b c d")
end)

test("two arguments: the name is the action", function()
  clean()
  Handlers.add("Ping", note("ping"))
  equal(ran({ Action = "Ping" }), "ping")
  equal(ran({ Action = "Pong" }), "")
end)

test("once runs once, maxRuns as often as it says", function()
  clean()
  Handlers.once("o", "A", note("once"))
  Handlers.add("m", "A", note("some"), 2)
  equal({ ran({ Action = "A" }), ran({ Action = "A" }), ran({ Action = "A" }), ran({ Action = "A" }) }, { "once", "some", "some", "" })
  equal(names(), "")
  Handlers.once({ Action = "A" }, note("unnamed"))
  Handlers.once({ Action = "B" }, note("unnamed too"))
  equal(names(), "_once_1 _once_0")
end)

test("a handler that another one removed does not run, one that it added waits for the next message", function()
  clean()
  Handlers.add("first", function() return 1 end, function()
    Handlers.remove("second")
    if #Handlers.list == 1 then Handlers.add("third", function() return 1 end, note("third")) end
  end)
  Handlers.add("second", function() return 1 end, note("second"))
  equal(ran({}), "")
  equal(ran({}), "third")
end)

test("patterns: tables of texts, functions and lists, and the helpers", function()
  clean()
  Handlers.add("table", { Action = { "Buy", "Sell" }, Quantity = function(q) return tonumber(q) ~= nil end }, note("table"))
  Handlers.add("tag", Handlers.utils.hasMatchingTag("Colour", "red"), note("tag"))
  Handlers.add("tags", Handlers.utils.hasMatchingTagOf("Colour", { "blue", "green" }), note("tags"))
  Handlers.add("data", Handlers.utils.hasMatchingData("hello"), note("data"))
  equal(ran({ Action = "Sell", Quantity = "5" }), "table")
  equal(ran({ Action = "Sell", Quantity = "x" }), "")
  equal(ran({ Action = "Sell" }), "")
  equal(ran({ Tags = { Colour = "red" } }), "tag")
  equal(ran({ Tags = { Colour = "green" } }), "tags")
  equal(ran({ Data = "hello" }), "data")
  Handlers.prepend("all", Handlers.utils.continue({ Data = "_" }), note("all"))
  equal(ran({ Data = "hello" }), "all data")
end)

test("a table as handler picks by specification", function()
  clean()
  Handlers.add("cases", "A", {
    [{ Status = "ok" }] = note("ok"),
    [function(msg) return msg.Status == "bad" end] = note("bad"),
  })
  equal(ran({ Action = "A", Status = "ok" }), "ok")
  equal(ran({ Action = "A", Status = "bad" }), "bad")
  equal(ran({ Action = "A" }), "")
end)

test("wrong arguments are refused where they are written", function()
  for _, arguments in ipairs({ {}, { "x" }, { "x", "y", "z" }, { {}, print }, { "x", "y", print, "often" } }) do
    failure(Handlers.add, table.unpack(arguments))
  end
  contains(failure(Handlers.add, "x", "y", 7), "Handlers.add")
  contains(failure(Handlers.remove, 7), "takes the name")
  contains(failure(Handlers.receive, {}), "only while a message is handled")
end)
