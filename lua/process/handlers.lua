-- The table `Handlers`: who answers which message (ao-protocol.md 8.4).
--
-- Handlers.list is tried from the front. A pattern answers with "break" (or true, -1): run, then stop; "continue" (1):
-- run and go on; "skip" (false, 0, nil): no. When nothing broke, the handler named "_default" runs.
local pretty = require("pretty")
local utils = require("utils")

-- A newer text of this file takes over the handlers that are there (runtime.update).
local Handlers = type(Handlers) == "table" and Handlers or { list = {}, coroutines = {}, onceNonce = 0, _version = "0.0.5" }
Handlers.waits = Handlers.waits or {}  -- who waits until when: { name, thread, until_ms }

local verdicts = {
  [-1] = "break", [0] = "skip", [1] = "continue", [true] = "break", [false] = "skip",
  ["break"] = "break", skip = "skip", continue = "continue",
}

local function index_of(name)
  for i, handler in ipairs(Handlers.list) do
    if handler.name == name then return i end
  end
end

-- A table as handler maps specifications to functions; the first that matches, in the order of their text, answers.
function Handlers.generateResolver(spec)
  if type(spec) == "function" then return spec end
  return function(msg)
    local cases = {}
    for match, fn in pairs(spec) do cases[#cases + 1] = { match = match, fn = fn } end
    table.sort(cases, function(a, b)
      return pretty.format(a.match) < pretty.format(b.match)
    end)
    for _, case in ipairs(cases) do
      local verdict = utils.matchesSpec(msg, case.match)
      if verdict and verdict ~= 0 and verdict ~= "skip" then return case.fn(msg) end
    end
  end
end

-- Reads ([name,] pattern, handle [, maxRuns]) and complains about anything else.
local function entry(who, default_name, ...)
  local name, pattern, handle, runs = ...
  local count = select("#", ...)
  while count > 0 and (select(count, ...)) == nil do count = count - 1 end
  if count == 2 or (count == 3 and (type(handle) == "number" or handle == "inf")) then
    name, pattern, handle, runs = default_name or name, name, pattern, handle
    if type(name) ~= "string" then
      error(who .. ": a handler without a name needs a text as its pattern", 3)
    end
  end
  local fine = type(name) == "string"
    and (type(pattern) == "function" or type(pattern) == "table" or type(pattern) == "string")
    and (type(handle) == "function" or type(handle) == "table")
    and (runs == nil or runs == "inf" or type(runs) == "number")
  if not fine then
    error("Invalid arguments given. Expected: " .. who
      .. "(name : string, pattern : string | table | function(msg), handle : function(msg) | table, maxRuns? : number | \"inf\")", 3)
  end
  return { name = name, pattern = pattern, handle = Handlers.generateResolver(handle), maxRuns = runs }
end

local function put(handler, position)
  local at = index_of(handler.name)
  if at then Handlers.list[at] = handler
  else table.insert(Handlers.list, position or #Handlers.list + 1, handler) end
end

-- Each gives how many handlers there are then.
function Handlers.add(...)
  put(entry("Handlers.add", nil, ...))
  return #Handlers.list
end

function Handlers.append(...)
  put(entry("Handlers.append", nil, ...))
  return #Handlers.list
end

function Handlers.prepend(...)
  put(entry("Handlers.prepend", nil, ...), 1)
end

function Handlers.once(...)
  local handler = entry("Handlers.once", "_once_" .. Handlers.onceNonce, ...)
  if handler.name == "_once_" .. Handlers.onceNonce then Handlers.onceNonce = Handlers.onceNonce + 1 end
  handler.maxRuns = 1
  put(handler, 1)
end

function Handlers.before(name)
  local at = index_of(name)
  return { add = function(...) if at then put(entry("Handlers.before.add", nil, ...), index_of(name) or at) end end }
end

function Handlers.after(name)
  local at = index_of(name)
  return { add = function(...) if at then put(entry("Handlers.after.add", nil, ...), (index_of(name) or at - 1) + 1) end end }
end

function Handlers.remove(name)
  if type(name) ~= "string" then error("Handlers.remove takes the name of a handler", 2) end
  local at = index_of(name)
  if at then table.remove(Handlers.list, at) end
end

-- Goes on with a coroutine that waits in Handlers.receive. An error in it is the error of the message that woke it.
function Handlers.resume(co, ...)
  local fine, err = coroutine.resume(co, ...)
  if not fine then error(require("failure").from(err, co), 0) end
end

local function forget_wait(name)
  for i, wait in ipairs(Handlers.waits) do
    if wait.name == name then return table.remove(Handlers.waits, i) end
  end
end

-- Waits for a message. The rest of the program goes on when it comes, which may be many messages later.
-- With `timeout_ms` it goes on with nil, "timeout" before the first message that is so much younger: time passes by messages only,
-- a cron of the process's own among them.
function Handlers.receive(pattern, timeout_ms)
  local self, main = coroutine.running()
  if main then error("Handlers.receive works only while a message is handled", 2) end
  if timeout_ms ~= nil and not (math.type(timeout_ms) and timeout_ms >= 0) then error("Handlers.receive: the time-out is a number of milliseconds", 2) end
  local name = "_once_" .. Handlers.onceNonce
  if timeout_ms then table.insert(Handlers.waits, { name = name, thread = self, until_ms = os.time() + timeout_ms }) end
  Handlers.once(name, pattern, function(msg)
    if timeout_ms then forget_wait(name) end
    Handlers.resume(self, msg)
  end)
  return coroutine.yield({ From = ao.id, Output = "waiting" })
end

-- Goes on with those who have waited too long. What fails in one is no fault of the message at hand: it is told and no more.
function Handlers.expire(now, tell)
  local late = {}
  for _, wait in ipairs(Handlers.waits) do
    if wait.until_ms <= now then late[#late + 1] = wait end
  end
  for _, wait in ipairs(late) do
    forget_wait(wait.name)
    Handlers.remove(wait.name)
    local fine, err = coroutine.resume(wait.thread, nil, "timeout")
    if not fine then tell("After a time-out: " .. require("failure").from(err, wait.thread)) end
  end
end

local function judge(handler, msg)
  local answer = utils.matchesSpec(msg, handler.pattern)
  if answer == nil then return "skip" end
  local verdict = verdicts[answer]
  if verdict then return verdict end
  if type(answer) == "table" or type(answer) == "function" or type(answer) == "userdata" then
    error("Pattern result is not valid, it MUST be string, number, or boolean (handler '" .. handler.name .. "')", 0)
  end
  return "skip"
end

function Handlers.evaluate(msg, env)
  if type(msg) ~= "table" then error("Handlers.evaluate takes a message", 2) end
  local handled = false
  Handlers.running = nil
  -- Handlers may add and remove handlers while they run: what is tried is the list as it was, less what was removed.
  local tried, changed = {}, false
  for i, handler in ipairs(Handlers.list) do tried[i] = handler end
  for _, handler in ipairs(tried) do
    if handler.name ~= "_default" and (not changed or Handlers.list[index_of(handler.name) or 0] == handler) then
      local verdict = judge(handler, msg)
      if verdict ~= "skip" then
        -- Counted down before it runs, so that a handler which waits, or meets its own reply, is not met twice.
        if type(handler.maxRuns) == "number" then
          handler.maxRuns = handler.maxRuns - 1
          if handler.maxRuns <= 0 then
            local at = index_of(handler.name)
            if at and Handlers.list[at] == handler then table.remove(Handlers.list, at) end
          end
        end
        changed, Handlers.running = true, handler.name
        handler.handle(msg, env)
        Handlers.running = nil
        if verdict == "break" then handled = true break end
      end
    end
  end
  if handled then return end
  local at = index_of("_default")
  if at then Handlers.list[at].handle(msg, env) end
end

-- Sells something: a handler for money that arrives, which gives the money back when it cannot do what was paid for.
--   Handlers.payable { name = "shop", token = TOKEN, price = "100", refund = true, pattern = { ["X-Item"] = "_" },
--     handle = function(msg, payment) ... end }
-- The handler runs for a Credit-Notice of the token that matches `pattern`. When it raises an error, or returns false and a reason, or
-- the price (a text of digits) is not reached, what it sent in this message is taken back and the payment returned with X-Reason; changes
-- that it made to variables stay. Without `refund` an error is an error as in any handler: the message is undone, the money stays.
function Handlers.payable(options)
  if type(options) ~= "table" or type(options.name) ~= "string" or type(options.token) ~= "string" or type(options.handle) ~= "function" then
    error("Handlers.payable takes { name = text, token = id, handle = function(msg, payment), price?, pattern?, refund? }", 2)
  end
  local bint = require("bint")(256)
  local price = options.price and bint(options.price)
  local function give_back(msg, reason)
    -- A refund that comes back is nobody's purchase: it is kept, or two processes would send it to and fro.
    if msg.Tags["X-Refund"] or msg.Tags.Sender == ao.id then return end
    ao.send({ Target = options.token, Action = "Transfer", Recipient = msg.Tags.Sender, Quantity = msg.Tags.Quantity, ["X-Refund"] = "whole",
      ["X-Reason"] = reason, ["X-Reference"] = msg.Tags["X-Reference"], ["X-Needed"] = price and tostring(price) })
  end
  Handlers.add(options.name, function(msg)
    if msg.Action ~= "Credit-Notice" or msg.From ~= options.token then return false end
    return options.pattern == nil or utils.matchesSpec(msg, options.pattern)
  end, function(msg)
    local payment = { sender = msg.Tags.Sender, quantity = msg.Tags.Quantity, reference = msg.Tags["X-Reference"] or msg.Id }
    if price and bint(payment.quantity) < price then
      if options.refund then return give_back(msg, "Insufficient payment") end
      return
    end
    if not options.refund then return options.handle(msg, payment) end
    local outbox = ao.outbox
    local counts = { Messages = #outbox.Messages, Spawns = #outbox.Spawns, Assignments = #outbox.Assignments }
    local fine, answer, reason = pcall(options.handle, msg, payment)
    if fine and answer ~= false then return end
    -- After a wait the outbox is that of another message: what went out then is gone.
    if outbox == ao.outbox then
      for list, count in pairs(counts) do
        for i = #outbox[list], count + 1, -1 do outbox[list][i] = nil end
      end
    end
    give_back(msg, require("failure").text(fine and (reason or "refused") or answer))
  end)
end

Handlers.utils = {}

function Handlers.utils.hasMatchingTag(name, value)
  return function(msg) return msg.Tags[name] == value end
end

function Handlers.utils.hasMatchingTagOf(name, values)
  return function(msg)
    for _, value in pairs(values) do
      if msg.Tags[name] == value then return true end
    end
    return false
  end
end

function Handlers.utils.hasMatchingData(value)
  return function(msg) return msg.Data == value end
end

function Handlers.utils.reply(answer)
  if type(answer) ~= "string" and type(answer) ~= "table" then
    error("Handlers.utils.reply takes a text or a table", 2)
  end
  return function(msg)
    msg.reply(type(answer) == "string" and { Data = answer } or answer)
  end
end

function Handlers.utils.continue(pattern)
  return function(msg)
    local answer = utils.matchesSpec(msg, pattern)
    if not answer or answer == 0 or answer == "skip" then return answer end
    return "continue"
  end
end

return Handlers
