-- The table `ao`: who this process is, and what it sends (ao-protocol.md 8.2).
local json = require("json")
local pretty = require("pretty")
local utils = require("utils")

-- A newer text of this file takes over the table that is there (runtime.update).
local ao = type(ao) == "table" and ao or {
  id = "", _module = "", _version = "0.0.6", authorities = {}, reference = 0, assignables = {},
  outbox = { Output = {}, Messages = {}, Spawns = {}, Assignments = {} },
  nonExtractableTags = { "Data-Protocol", "Variant", "From-Process", "From-Module", "Type", "From", "Owner", "Anchor", "Target", "Data", "Tags", "Read-Only" },
  nonForwardableTags = { "Data-Protocol", "Variant", "From-Process", "From-Module", "Type", "From", "Owner", "Anchor", "Target", "Tags", "TagArray", "Hash-Chain",
    "Timestamp", "Nonce", "Epoch", "Signature", "Forwarded-By", "Pushed-For", "Read-Only", "Cron", "Block-Height", "Reference", "Id", "Reply-To" },
}

local function contains(list, value)
  for i = 1, #list do
    if list[i] == value then return true end
  end
  return false
end

-- A message that is passed on: without what belonged to its journey here.
function ao.sanitize(msg)
  local result = ao.clone(msg)
  for _, name in ipairs(ao.nonForwardableTags) do result[name] = nil end
  return result
end

function ao.clone(value, seen)
  if type(value) ~= "table" then return value end
  seen = seen or {}
  if seen[value] then return seen[value] end
  local copy = {}
  seen[value] = copy
  for key, inner in next, value do copy[ao.clone(key, seen)] = ao.clone(inner, seen) end
  return copy
end

-- Copies tags to the root of the message, where handlers look for them.
-- In aos a tag named Timestamp or Id replaces the field that the scheduler signed; here the field wins.
function ao.normalize(msg)
  for _, tag in ipairs(msg.TagArray or msg.Tags) do
    if msg[tag.name] == nil and not contains(ao.nonExtractableTags, tag.name) then msg[tag.name] = tag.value end
  end
  return msg
end

function ao.init(env)
  local process = env.Process
  ao.id = process.Id
  ao._module = env.Module and env.Module.Id or ao._module
  for _, tag in ipairs(process.TagArray) do
    if tag.name == "Authority" then
      for address in tag.value:gmatch("[^,%s]+") do
        if not contains(ao.authorities, address) then table.insert(ao.authorities, address) end
      end
    elseif tag.name == "Module" and ao._module == "" then
      ao._module = tag.value
    end
  end
  ao.clearOutbox()
  ao.env = env
end

function ao.clearOutbox()
  ao.outbox = { Output = {}, Messages = {}, Spawns = {}, Assignments = {} }
end

function ao.log(text)
  if type(ao.outbox.Output) ~= "table" then ao.outbox.Output = { data = tostring(ao.outbox.Output) } end
  local data = ao.outbox.Output.data
  ao.outbox.Output.data = data and data .. "\n" .. pretty.text(text) or pretty.text(text)
end

local function tag(name, value) return { name = name, value = pretty.text(value) } end

-- Adds named values in the order of their names: what `pairs` gives follows the history of a table.
local function add_sorted(tags, values, left_out)
  for _, name in ipairs(utils.keys(values)) do
    if type(name) == "string" and not left_out[name] and type(values[name]) ~= "function" then
      tags[#tags + 1] = tag(name, values[name])
    end
  end
end

-- Tags may be a map or a list of {name, value}; a list keeps its order.
local function add_tags(tags, given)
  if type(given) ~= "table" then return end
  if given[1] == nil then return add_sorted(tags, given, {}) end
  for _, one in ipairs(given) do tags[#tags + 1] = tag(one.name, one.value) end
end

local function next_reference()
  ao.reference = ao.reference + 1
  return tostring(ao.reference)
end

local function anchor(reference) return ("0"):rep(32 - #reference) .. reference end

local function data_of(msg, tags)
  local data = msg.Data
  if type(data) == "table" then
    tags[#tags + 1] = tag("Content-Type", "application/json")
    return json.encode(data)
  end
  return data ~= nil and pretty.text(data) or nil
end

-- What Send and Spawn give back: a copy of what went into the outbox, with the ways to wait for an answer.
local function with_answers(message, match, any_sender)
  local sent = ao.clone(message)
  local function pattern(from)
    local spec = {}
    for key, value in pairs(match) do spec[key] = value end
    if from and any_sender then spec.From = from end
    return spec
  end
  -- receive([from] [, timeout_ms])
  function sent.receive(from, timeout_ms)
    if math.type(from) then from, timeout_ms = nil, from end
    return Handlers.receive(pattern(from), timeout_ms)
  end
  function sent.onReply(...)
    local from, fn = ...
    if select("#", ...) == 1 then from, fn = nil, from end
    Handlers.once(pattern(from), fn)
  end
  return sent
end

local not_tags = { Target = true, Data = true, Anchor = true, Tags = true, From = true }

function ao.send(msg)
  if type(msg) ~= "table" then error("ao.send takes a table", 2) end
  local reference = next_reference()
  local tags = { tag("Data-Protocol", "ao"), tag("Variant", "ao.TN.1"), tag("Type", "Message"), tag("Reference", reference) }
  local data = data_of(msg, tags)
  add_sorted(tags, msg, not_tags)
  add_tags(tags, msg.Tags)
  if not msg.Target then print("WARN: No target specified for message. Data will be stored, but no process will receive it.") end
  local message = { Target = msg.Target and pretty.text(msg.Target), Data = data, Anchor = anchor(reference), Tags = tags }
  table.insert(ao.outbox.Messages, message)
  return with_answers(message, { From = message.Target, ["X-Reference"] = reference }, true)
end

function ao.spawn(module, msg)
  if type(module) ~= "string" then error("ao.spawn takes the id of a module", 2) end
  if type(msg) ~= "table" then error("ao.spawn takes a table as its second argument", 2) end
  local reference = next_reference()
  local tags = { tag("Data-Protocol", "ao"), tag("Variant", "ao.TN.1"), tag("Type", "Process"), tag("From-Process", ao.id),
    tag("From-Module", ao._module), tag("Module", module), tag("Reference", reference) }
  local data = data_of(msg, tags) or "NODATA"
  add_sorted(tags, msg, not_tags)
  add_tags(tags, msg.Tags)
  local spawn = { Data = data, Anchor = anchor(reference), Tags = tags }
  table.insert(ao.outbox.Spawns, spawn)
  return with_answers(spawn, { Action = "Spawned", From = ao.id, Reference = reference })
end

function ao.assign(assignment)
  if type(assignment) ~= "table" then error("ao.assign takes a table", 2) end
  if type(assignment.Processes) ~= "table" then error("ao.assign: Processes must be a list", 2) end
  if type(assignment.Message) ~= "string" then error("ao.assign: Message must be the id of a message", 2) end
  table.insert(ao.outbox.Assignments, ao.clone(assignment))
end

-- Signed by its sender, or by somebody this process was told to trust (ao-protocol.md 8.1, step 6).
function ao.isTrusted(msg)
  return msg.From == msg.Owner or contains(ao.authorities, msg.From) or contains(ao.authorities, msg.Owner)
end

-- Slot 0 carries the process item itself, whose target says nothing.
function ao.isAssignment(msg) return msg.Target ~= ao.id and msg.Id ~= ao.id end

function ao.isAssignable(msg)
  for _, assignable in ipairs(ao.assignables) do
    local answer = utils.matchesSpec(msg, assignable.pattern)
    if answer and answer ~= 0 and answer ~= "skip" then return true end
  end
  return false
end

function ao.addAssignable(...)
  local name, pattern = ...
  if select("#", ...) == 1 then name, pattern = nil, name end
  if name ~= nil and type(name) ~= "string" then error("ao.addAssignable: MatchSpec name MUST be a string", 2) end
  if name then ao.removeAssignable(name) end
  table.insert(ao.assignables, { name = name, pattern = pattern })
end

function ao.removeAssignable(which)
  if type(which) ~= "string" and math.type(which) ~= "integer" then error("ao.removeAssignable: MatchSpec name MUST be a string, its index MUST be a number", 2) end
  if math.type(which) == "integer" then
    if ao.assignables[which] then table.remove(ao.assignables, which) end
    return
  end
  for i = #ao.assignables, 1, -1 do
    if ao.assignables[i].name == which then table.remove(ao.assignables, i) end
  end
end

-- What a language model generated in this message: its tokens, and what the numbers were that they were chosen from. `altiplano verify
-- --fast` reads the tokens at once instead of one by one, and must get the same.
local function generated()
  local engine = package.loaded.llama_engine
  local tokens, logits
  if engine then
    tokens, logits = engine.trail()
    engine.rest()
  end
  return tokens and { Tokens = tokens, Logits = logits } or nil
end

-- What the message yields. With an error nothing else counts, since nothing else happened.
function ao.result(result)
  result = result or {}
  local err = ao.outbox.Error or result.Error
  if err then return { Error = err } end
  return {
    Output = result.Output or ao.outbox.Output,
    Messages = result.Messages or ao.outbox.Messages,
    Spawns = result.Spawns or ao.outbox.Spawns,
    Assignments = result.Assignments or ao.outbox.Assignments,
    Generated = generated(),
  }
end

return ao
