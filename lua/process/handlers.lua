-- The table `Handlers`: who answers which message (ao-protocol.md 8.4).
--
-- Handlers.list is tried from the front. A pattern answers with "break" (or true, -1): run, then stop; "continue" (1):
-- run and go on; "skip" (false, 0, nil): no. When nothing broke, the handler named "_default" runs.
local pretty = require("pretty")
local utils = require("utils")

-- A newer text of this file takes over the handlers that are there (runtime.update).
local Handlers = type(Handlers) == "table" and Handlers or { list = {}, coroutines = {}, onceNonce = 0, _version = "0.0.5" }

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
  return #Handlers.list
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

-- Waits for a message. The rest of the program goes on when it comes, which may be many messages later.
function Handlers.receive(pattern)
  local self, main = coroutine.running()
  if main then error("Handlers.receive works only while a message is handled", 2) end
  Handlers.once(pattern, function(msg) Handlers.resume(self, msg) end)
  return coroutine.yield({ From = ao.id, Output = "waiting" })
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
