-- One message of a process: from the JSON object that the node hands in to the result that it records.
--
-- What of a program is global lives here: ao, Handlers, Send, Receive, Inbox, Owner, print... The order of the steps is that
-- of aos (ao-protocol.md 8.1).
local json = require("json")
local pretty = require("pretty")
local utils = require("utils")
local failure = require("failure")
local eval = require("eval")
local chance = require("chance")
local stringify = require("stringify")
pcall(require, "files")  -- not in modules older than this text

ao = require("ao")
Handlers = require("handlers")
Utils = utils
Dump = require("dump")
Inbox = Inbox or {}
OUTPUTS = OUTPUTS or {}
Errors = Errors or {}
Colors = { red = "\27[31m", green = "\27[32m", blue = "\27[34m", gray = "\27[90m", reset = "\27[0m" }
Bell = "\7"
HANDLER_PRINT_LOGS = {}
MAX_INBOX = 10000

local version = "2.0.4"  -- of aos: what programs and consoles take us for
local runtime = { _version = version }
local seeded = Seeded or false
local evaluated = false  -- whether the message at hand was an Eval; "of 2023" when that console sent it
local now = 0

-- Milliseconds, as in aos, of the message at hand.
local calendar = os.time
os.time = function(when)
  if when == nil then return now end
  return calendar(when)
end

-- What aos calls these modules.
package.preload["handlers-utils"] = function() return Handlers.utils end
package.preload["process"] = function() return runtime end
package.preload["crypto.init"] = function() return require("crypto") end
for part, names in pairs({ util = { "array", "hex", "stream" }, cipher = { "aes", "issac", "morus", "norx" },
  digest = { "md2", "md4", "md5", "sha1", "sha2_256", "sha2_512", "sha3_256", "sha3_512", "keccak256", "keccak512", "blake2b" } }) do
  local function whole() return require("crypto")[part == "util" and "utils" or part] end
  package.preload["crypto." .. part], package.preload["crypto." .. part .. ".init"] = whole, whole
  for _, name in ipairs(names) do
    package.preload["crypto." .. part .. "." .. name] = function() return whole()[name] end
  end
end

---------------------------------------------------------------------------------------------------- what programs call

-- What goes out is told; what comes back is waited for through what these give.
function Send(msg)
  local sent = ao.send(msg)
  return { output = "Message added to outbox", receive = sent.receive, onReply = sent.onReply }
end

function Spawn(...)
  local module, msg = ...
  if select("#", ...) == 1 then module, msg = ao._module, module end
  local spawned = ao.spawn(module, msg)
  return { output = "Spawn process request added to outbox", receive = spawned.receive, onReply = spawned.onReply }
end

function Assign(assignment)
  ao.assign(assignment)
  print("Assignment added to outbox.")
end
function Receive(pattern, timeout_ms) return Handlers.receive(pattern, timeout_ms) end
function Version() print("version: " .. version) end

function Tab(msg)
  local tags = {}
  for _, tag in ipairs(msg.Tags) do
    if tags[tag.name] == nil then tags[tag.name] = tag.value end
  end
  return tags
end

function Prompt()
  return Colors.green .. tostring(Name or "aos") .. Colors.gray .. "@" .. Colors.blue .. "aos-" .. version .. Colors.gray
    .. "[Inbox:" .. Colors.red .. #Inbox .. Colors.gray .. "]" .. Colors.reset .. "> "
end

-- Lines go into the result, and at once to whoever watches the node: the stream is no part of the result.
local function show(line)
  table.insert(HANDLER_PRINT_LOGS, line)
  io.stdout:write(line, "\n")
  io.stdout:flush()
end
eval.show = show

function print(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = stringify.printed(parts[i]) end
  show(table.concat(parts, "\t"))
end

---------------------------------------------------------------------------------------------------- the message

-- Names that came over HTTP are in lower case. A name with any capital is somebody's own and stays: builds of aos differ
-- there, and a tag ModelID must be found as it was sent.
local function tag_name(name)
  if name:find("%u") then return name end
  return utils.normalize(name)
end

-- Leaves tags as a list in TagArray and as a map in Tags, where the first value of a name wins.
local function read_tags(object)
  local list, map = {}, {}
  for i, tag in ipairs(object.Tags or {}) do
    local name, value = tag_name(tostring(tag.name)), tostring(tag.value)
    list[i] = { name = name, value = value }
    if map[name] == nil then map[name] = value end
  end
  object.TagArray, object.Tags = list, map
  return object
end

-- Functions that every message offers. They stand in a metatable, so that they are neither in JSON nor in listings.
local methods = {}

function methods.reply(msg)
  return function(answer)
    local reply = type(answer) == "table" and ao.clone(answer) or { Data = answer }
    reply.Target = msg["Reply-To"] or reply.Target or msg.From
    reply["X-Reference"] = msg["X-Reference"] or msg.Reference
    reply["X-Origin"] = msg["X-Origin"]
    return ao.send(reply)
  end
end

function methods.forward(msg)
  return function(target, changes)
    local forwarded = ao.sanitize(msg)
    for key, value in pairs(changes or {}) do forwarded[key] = value end
    forwarded.Target = target
    forwarded["Reply-To"] = msg["Reply-To"] or msg.From
    forwarded["X-Reference"] = msg["X-Reference"] or msg.Reference
    forwarded["X-Origin"] = msg["X-Origin"] or msg.From
    return ao.send(forwarded)
  end
end

local message_meta = {
  __index = function(msg, key)
    local method = methods[key]
    return method and method(msg)
  end,
}

-- The generator of a process follows from its id and the block it began in: other processes draw other numbers, and a node
-- that recomputes draws the same.
local function seed(msg, env)
  local number = math.tointeger(tonumber(msg["Block-Height"])) or 0
  for i = 1, #env.Process.Id do number = (number * 31 + env.Process.Id:byte(i)) & 0x7fffffff end
  chance.seed(number)
  math.random = chance.random
  math.randomseed = chance.seed
  seeded, Seeded = true, true
end

---------------------------------------------------------------------------------------------------- handlers of every process

local function put_into_inbox(msg)
  table.insert(Inbox, msg)
  while #Inbox > MAX_INBOX do table.remove(Inbox, 1) end
  -- The item that made the process is the first in its inbox, and no news.
  if msg.Id == ao.id then return end
  local name, what = "Action = ", msg.Action and tostring(msg.Action):sub(1, 40)
  if not what then
    name, what = "Data = ", (type(msg.Data) == "table" and json.encode(msg.Data) or tostring(msg.Data or "")):sub(1, 20)
  end
  local from = tostring(msg.From or "")
  show(Colors.gray .. "New Message From " .. Colors.green .. from:sub(1, 3) .. "..." .. from:sub(-3) .. Colors.gray .. ": " .. Colors.gray .. name
    .. Colors.blue .. what .. Colors.reset)
end

-- npm's console, @permaweb/aos 1.2 of 2023, puts its line into a tag, and looks for text and prompt one level deeper.
local function is_eval_of_2023(m) return m.Action == nil and m.Tags.Function == "eval" and m.Tags.Expression ~= nil end
local function shown_of_2023(text) return { output = text, prompt = (Prompt():gsub("> $", "")) } end

-- Set anew for every message, so that a program cannot shut its owner out by removing them. Adding replaces in place.
local function set_standard_handlers(msg)
  Handlers.add("_eval", function(m)
    return (m.Action == "Eval" or is_eval_of_2023(m)) and Owner ~= nil and Owner == m.From
  end, function(m)
    evaluated = is_eval_of_2023(m) and "of 2023" or true
    eval.run(evaluated == "of 2023" and m.Tags.Expression or m.Data or "", "aos")
  end)
  if msg.Id == ao.id then
    Handlers.once("_boot", function(m)
      return m.Tags.Type == "Process" and Owner == m.From and "continue" or false
    end, eval.boot)
  end
  Handlers.append("_default", function() return true end, put_into_inbox)
end

---------------------------------------------------------------------------------------------------- one message

local function output()
  local written = ao.outbox.Output
  local data = table.concat(HANDLER_PRINT_LOGS, "\n")
  local result = {}
  if type(written) == "table" then
    for key, value in next, written do result[key] = value end
    if written.data ~= nil then data = (data == "" and "" or data .. "\n") .. pretty.text(written.data) end
  end
  if evaluated == "of 2023" then
    result.data = shown_of_2023(data)
    return result
  end
  result.data, result.prompt = data, Prompt()
  -- The mark by which consoles tell what was printed along the way from the answer to an Eval (ao-protocol.md 8.5).
  if not evaluated then result.print = true end
  return result
end

local function handle(msg, env)
  -- Who we are, and what was sent.
  if type(env.Process) ~= "table" then error("env.Process is missing: not called by a compute unit", 0) end
  read_tags(env.Process)
  if env.Module then read_tags(env.Module) end
  ao.init(env)
  read_tags(msg)
  ao.normalize(msg)
  setmetatable(msg, message_meta)
  HANDLER_PRINT_LOGS = {}
  evaluated = false

  -- Time and chance come from the message.
  now = msg.Timestamp or now
  if not seeded then seed(msg, env) end

  -- The owner is set once, by the item that made the process.
  if not Owner and msg.Id == env.Process.Id then
    Owner = env.Process.Tags["From-Process"] or msg.From
  end
  if not Name then Name = env.Process.Tags.Name or "aos" end
  if msg.Id == ao.id and env.Process.Tags.Model and package.preload.llama_engine then require("ai").start() end

  -- Who may speak.
  if not ao.isTrusted(msg) then
    show("Message is not trusted! From: " .. tostring(msg.From) .. " - Owner: " .. tostring(msg.Owner))
    return ao.result({ Output = output(), Messages = {} })
  end
  if ao.isAssignment(msg) and not ao.isAssignable(msg) then
    Send({ Target = msg.From, Data = "Assignment is not trusted by this process!" })
    show("Assignment is not trusted! From: " .. tostring(msg.From) .. " - Owner: " .. tostring(msg.Owner))
    return ao.result({ Output = output() })
  end
  if msg.Tags["Content-Type"] == "application/json" and type(msg.Data) == "string" then
    local fine, value = pcall(json.decode, msg.Data)
    if fine then msg.Data = value end
  end

  -- Handlers run in a coroutine: one that waits for an answer stays behind and goes on with a later message.
  set_standard_handlers(msg)
  Handlers.expire(now, show)
  local co = coroutine.create(Handlers.evaluate)
  local fine, err = coroutine.resume(co, msg, env)
  if not fine then
    local text = failure.from(err, co)
    local handler = Handlers.running
    if handler and handler:sub(1, 1) ~= "_" then
      text = text .. "\n  in the handler '" .. handler .. "'\n  of the message " .. tostring(msg.Id) .. " from " .. tostring(msg.From)
    end
    local logs = table.concat(HANDLER_PRINT_LOGS, "\n")
    text = logs == "" and text or text .. "\n\nprinted before:\n" .. logs
    -- That console ends when no prompt comes with the error.
    return { Error = text, Output = evaluated == "of 2023" and { data = shown_of_2023(text) } or nil }
  end
  Handlers.coroutines = utils.filter(function(one) return coroutine.status(one) ~= "dead" end, Handlers.coroutines)
  if coroutine.status(co) == "suspended" then table.insert(Handlers.coroutines, co) end

  return ao.result({ Output = output() })
end

-- The node's C holds this door; behind it is the newest runtime.
function runtime.handle(msg, env) return package.loaded.runtime.evaluate(msg, env) end
runtime.evaluate = handle

---------------------------------------------------------------------------------------------------- newer texts

-- Files of the runtime that may be replaced while the process lives, those that others require first. Not `chance`, whose
-- numbers go on.
local replaceable = { "utils", "pretty", "stringify", "dump", "failure", "base64", "isaac", "crypto", "eval", "handlers", "ao", "ai", "runtime" }

-- Replaces the runtime by newer texts: handlers, inbox, owner, references and open coroutines stay. Everything is compiled before
-- anything is replaced. @param texts  name -> text, as in lua/process
function runtime.update(texts, to)
  local compiled = {}
  for name, text in pairs(texts or {}) do
    local program, reason = load(text, "=" .. name .. ".lua")
    if not program then error("the new " .. name .. ".lua does not compile: " .. reason, 0) end
    compiled[name] = program
  end
  for _, name in ipairs(replaceable) do
    if compiled[name] then
      package.loaded[name] = nil
      package.preload[name] = compiled[name]
    end
  end
  for _, name in ipairs(replaceable) do
    if compiled[name] and name ~= "ai" then require(name) end
  end
  return "Updated AOS to version " .. tostring(to or version)
end

return runtime
