-- Several processes and wallets that send to each other, for tests of what crosses processes: the node's part (signing for
-- processes, slots, times, spawns, assignments) in a few lines, the processes themselves through the door that the node calls.
local json = require("json")

local world = {
  authority = ("U"):rep(43), module = ("M"):rep(43), scheduler = ("S"):rep(43),
  now = 1700000000000, height = 100, count = 0,
  processes = {},  -- by id: tags, owner, slots, printed
  items = {},  -- every message by its id, for assignments
  mail = {},  -- what wallets and unknown targets received, by address
  queue = {},
  errors = {},
}

-- An id that a person can read in a failure.
function world.id(name) return (name .. ("_"):rep(43)):sub(1, 43) end

local function tag_list(map)
  local names, list = {}, {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do list[i] = { name = name, value = tostring(map[name]) } end
  return list
end

local function tag_map(list)
  local map = {}
  for _, tag in ipairs(list) do
    if map[tag.name] == nil then map[tag.name] = tag.value end
  end
  return map
end
world.tags = tag_map

local function next_id(prefix)
  world.count = world.count + 1
  return world.id(prefix .. world.count)
end

-- Evaluates one message in one process, at the next moment. @return the response
local function evaluate(id, msg)
  local process = world.processes[id]
  world.now, world.height = world.now + 1, world.height + (world.count % 10 == 0 and 1 or 0)
  process.slots = process.slots + 1
  msg.Timestamp, msg["Block-Height"], msg.Nonce, msg.Module = world.now, world.height, process.slots - 1, world.module
  local env = {
    Process = { Id = id, Owner = process.owner, Tags = tag_list(process.tags) },
    Module = { Id = world.module, Owner = world.scheduler, Tags = {} },
  }
  local answer = json.decode(native.handle(json.encode(msg), json.encode(env), id))
  local response = answer.ok and answer.response or { Error = "not ok: " .. tostring(answer.response) }
  if response.Error then
    table.insert(world.errors, { process = id, message = msg, error = response.Error })
    return response
  end
  if response.Output and type(response.Output.data) == "string" and response.Output.data ~= "" then
    table.insert(process.printed, response.Output.data)
  end
  for _, sent in ipairs(response.Messages or {}) do
    local tags = sent.Tags
    table.insert(tags, { name = "From-Process", value = id })
    table.insert(world.queue, { Id = next_id("msg"), From = id, Owner = world.authority, Target = sent.Target, Data = sent.Data, Tags = tags,
      ["From-Process"] = id })
  end
  for _, spawn in ipairs(response.Spawns or {}) do
    local tags = tag_map(spawn.Tags)
    local child = world.spawn(next_id("process"), tags, spawn.Data, id)
    table.insert(world.queue, { Id = next_id("msg"), From = id, Owner = world.authority, Target = id, Data = "",
      Tags = tag_list({ Action = "Spawned", Process = child, Reference = tags.Reference, ["From-Process"] = id }) })
  end
  for _, assignment in ipairs(response.Assignments or {}) do
    for _, target in ipairs(assignment.Processes) do
      local item = world.items[assignment.Message]
      if item then table.insert(world.queue, { assigned = target, item = item }) end
    end
  end
  return response
end

-- A process with an id that the test can name. `code` runs at slot 0.
function world.spawn(name, tags, code, owner)
  local id = #name == 43 and name or world.id(name)
  tags = tags or {}
  tags.Type, tags.Authority = "Process", tags.Authority or world.authority
  if code and not tags["On-Boot"] then tags["On-Boot"] = "Data" end
  world.processes[id] = { tags = tags, owner = owner or world.id("owner"), slots = 0, printed = {} }
  local response = evaluate(id, { Id = id, From = world.processes[id].owner, Owner = world.processes[id].owner, Target = "", Data = code or "",
    Tags = tag_list(tags) })
  if response.Error then error("the process " .. name .. " did not start: " .. response.Error, 2) end
  return id
end

-- A wallet's message; what it causes is delivered to the end. Fields: From, Target, Data, everything else a tag.
function world.send(fields)
  local tags = {}
  for name, value in pairs(fields) do
    if name ~= "From" and name ~= "Target" and name ~= "Data" and name ~= "Id" then tags[name] = value end
  end
  local from = fields.From or world.id("owner")
  local msg = { Id = fields.Id or next_id("item"), From = from, Owner = from, Target = fields.Target, Data = fields.Data or "", Tags = tag_list(tags) }
  world.items[msg.Id] = { Id = msg.Id, From = from, Owner = from, Target = msg.Target, Data = msg.Data, Tags = tag_list(tags) }
  local response = evaluate(fields.Target, msg)
  world.deliver()
  return response
end

-- The same with tags as a list, for tags that are named like a field of the message.
function world.send_tags(from, target, tags)
  local response = evaluate(target, { Id = next_id("item"), From = from, Owner = from, Target = target, Data = "", Tags = tags })
  world.deliver()
  return response
end

-- What the owner types. @return the output, or "error: ..."
function world.eval(id, code)
  local response = world.send({ From = world.processes[id].owner, Target = id, Action = "Eval", Data = code })
  return response.Error and "error: " .. response.Error or (response.Output.data:gsub("\27%[%d+m", ""))
end

local function deliver_one(entry)
  if entry.assigned then
    local copy = json.decode(json.encode(entry.item))
    return evaluate(entry.assigned, copy)
  end
  world.items[entry.Id] = json.decode(json.encode(entry))
  if world.processes[entry.Target] then return evaluate(entry.Target, entry) end
  local box = entry.Target or "?"
  world.mail[box] = world.mail[box] or {}
  table.insert(world.mail[box], { From = entry.From, Data = entry.Data, Tags = tag_map(entry.Tags) })
end

-- Until nothing is on its way. `lost(entry)` may drop a message, as a process that hangs would.
function world.deliver()
  local steps = 0
  while #world.queue > 0 do
    local entry = table.remove(world.queue, 1)
    if not (world.lost and world.lost(entry)) then deliver_one(entry) end
    steps = steps + 1
    if steps > 20000 then error("messages do not come to an end", 2) end
  end
end

-- Time passes for everybody.
function world.wait(ms) world.now = world.now + ms end

-- The newest message that an address received.
function world.newest(address)
  local box = world.mail[address] or {}
  return box[#box]
end

function world.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

return world
