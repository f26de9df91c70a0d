-- Tests of the runtime. They run in altiplano_process_test (guest/process/native), which has the module's own C: `json`, and
-- `native.handle(message, env)`, the door that the node calls.
local json = require("json")
local pretty = require("pretty")

local testing = { owner = ("O"):rep(43), id = ("P"):rep(43), module = ("M"):rep(43), alice = ("A"):rep(43) }

-- A test is a sentence and a function. The first failure ends the program, which CTest reports with its words.
function testing.test(sentence, body)
  local fine, reason = xpcall(body, debug.traceback)
  if not fine then error("\n" .. sentence .. "\n" .. tostring(reason), 0) end
  io.write("ok  ", sentence, "\n")
end

function testing.equal(found, expected)
  local left, right = pretty.format(found), pretty.format(expected)
  if type(found) ~= type(expected) or left ~= right then
    error("found    " .. left .. "\nexpected " .. right, 2)
  end
end

function testing.contains(text, part)
  if type(text) ~= "string" or not text:find(part, 1, true) then
    error("found    " .. pretty.format(text) .. "\nexpected a text with " .. part, 2)
  end
end

-- Calls `fn`, which must fail, and gives the reason.
function testing.failure(fn, ...)
  local fine, reason = pcall(fn, ...)
  if fine then error("it did not fail", 2) end
  return tostring(reason)
end

-- A text without its colours.
function testing.plain(text) return (text:gsub("\27%[%d+m", "")) end

local function list(tags)
  local result = {}
  for _, name in ipairs(pretty.sorted_keys(tags or {})) do result[#result + 1] = { name = name, value = tags[name] } end
  return result
end

local slot, process_tags, waited = -1, {}, 0

-- Time passes before the next message.
function testing.wait(ms) waited = waited + ms end

-- Sends one message to the process of this program, whole as the node would. Fields: Data, From, Owner, Tags as a map...
function testing.send(msg)
  slot = slot + 1
  msg.From = msg.From or testing.owner
  msg.Owner = msg.Owner or msg.From
  msg.Id = msg.Id or ("m" .. slot .. "_"):rep(43):sub(1, 43)
  msg.Target = msg.Target or testing.id
  msg.Tags = list(msg.Tags)
  msg.Timestamp, msg["Block-Height"], msg.Nonce, msg.Module = 1700000000000 + slot + waited, 100 + slot, slot, testing.module
  local env = {
    Process = { Id = testing.id, Owner = testing.owner, Tags = list(process_tags) },
    Module = { Id = testing.module, Owner = testing.owner, Tags = {} },
  }
  local answer = json.decode(native.handle(json.encode(msg), json.encode(env)))
  if not answer.ok then return { Error = "not ok: " .. tostring(answer.response) } end
  local output = answer.response.Output
  if output and type(output.data) == "string" then output.coloured, output.data = output.data, testing.plain(output.data) end
  return answer.response
end

-- Slot 0: the item that makes the process.
function testing.spawn(tags, data)
  process_tags = tags or {}
  process_tags.Type = "Process"
  return testing.send({ Id = testing.id, Target = "", Data = data or "", Tags = process_tags })
end

-- What the owner types, and what a console without colours shows.
function testing.eval(code)
  local response = testing.send({ Data = code, Tags = { Action = "Eval" } })
  return response.Error and "error: " .. response.Error or response.Output.data, response
end

function testing.tag(message, name)
  for _, tag in ipairs(message.Tags) do
    if tag.name == name then return tag.value end
  end
end

return testing
