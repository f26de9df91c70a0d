-- The client of the ao package manager, under both its names: APM (1.x) and apm (2.x) (llama-land.md 4).
--
--   APM.install("@sam/Llama-Herder")   then   Llama = require("@sam/Llama-Herder")
--
-- A package is code that runs here with all our rights. So an answer counts only when it comes from the registry and for a request
-- that is open; what is installed is the message that the registry named, and its bytes must have the hash that it gave.
local json = require("json")
local crypto = require(".crypto")  -- which AO's own module has as well

local function sha256(text) return crypto.digest.sha2_256(crypto.utils.stream.fromString(text)).asHex():lower() end
local function from_hex(text)
  if #text % 2 == 1 or text:find("%X") then error("what the registry sent is no hexadecimal text", 0) end
  return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

local old = type(APM) == "table" and APM or {}
APM = {
  ID = ao.env.Process.Tags["APM-Registry"] or old.ID or "UdPDhw5S7pByV3pVqwyr1qzJ8mR8ktzi9olgsdsyZz4",
  _version = "1.1.0",
  installed = old.installed or {},  -- name -> version
  lock = old.lock or {},  -- name -> {version, id, sha256}: what exactly runs here
}
apm = APM

local requests = old.requests or {}  -- open ones: nonce -> {action, name, way}
local expected = old.expected or {}  -- messages that may bring code: id -> {name, version, sha256}
local parked = old.parked or {}  -- packages that wait for their dependencies, in the order in which they came
setmetatable(APM, { __index = { requests = requests, expected = expected, parked = parked } })
APM_NONCE = APM_NONCE or 0

local function ask(action, fields, about)
  APM_NONCE = APM_NONCE + 1
  local nonce = tostring(APM_NONCE)
  about = about or {}
  about.action = action
  requests[nonce] = about
  fields.Target, fields.Action, fields.Nonce, fields.Version = APM.ID, "APM." .. action, nonce, APM._version
  Send(fields)
end

-- The open request that a message answers; it is closed by this.
local function answered(msg, action)
  if msg.From ~= APM.ID or msg.Action ~= "APM." .. action .. "Response" then return nil end
  local request = requests[msg.Tags.Nonce or ""]
  return request and request.action == action and request or nil
end

local function on(action, fn)
  Handlers.add("APM." .. action .. "Response", function(msg) return answered(msg, action) ~= nil end, function(msg)
    local request = answered(msg, action)
    requests[msg.Tags.Nonce] = nil
    if msg.Tags.Result == "error" then return print("❌ " .. tostring(msg.Tags.Error)) end
    return fn(msg, request)
  end)
end

local function text_of(data) return type(data) == "table" and json.encode(data) or tostring(data or "") end

local function without_version(name) return name:match("^(@?[^@]+)@.+$") or name end

---------------------------------------------------------------------------------------------------- installing

-- `way` are the packages that wait for this one: a package that needs itself is never ready.
local function download(name, way)
  for _, waiting in ipairs(way or {}) do
    if waiting == without_version(name) then return print("❌ the dependencies go round: " .. table.concat(way, " -> ") .. " -> " .. waiting) end
  end
  ask("Download", { Data = name }, { name = name, way = way or {} })
end

-- The message that published it, assigned to us.
local function fetch(package)
  expected[package.id] = package
  ao.addAssignable("APM." .. package.id, function(assigned) return assigned.Id == package.id and expected[package.id] ~= nil end)
  print("📦 Downloading package " .. package.id .. " | " .. package.name .. "@" .. package.version)
  Assign({ Processes = { ao.id }, Message = package.id })  -- which prints "Assignment added to outbox."
end

local function unpark()
  for i = #parked, 1, -1 do
    local ready = true
    for _, dependency in ipairs(parked[i].needs) do ready = ready and APM.installed[dependency] ~= nil end
    if ready then fetch(table.remove(parked, i)) end
  end
end

function APM.install(name)
  if type(name) ~= "string" or name == "" then error('APM.install takes a name: APM.install("@vendor/package")', 2) end
  download(name)
  return "📤 Download request sent"
end

on("Download", function(msg, request)
  -- AO's published modules write the first letter of each part of a tag's name large, and the others small.
  local name, version, id = msg.Tags.Name, msg.Tags["Package-Version"], msg.Tags.PkgID or msg.Tags.Pkgid
  if not name or not version or not id or not msg.Tags.Sha256 then return print("❌ the registry's answer lacks a field") end
  if request.name:find("@", 2, true) and without_version(request.name) ~= name and "@apm/" .. without_version(request.name) ~= name then
    return print("❌ the registry answered with another package: " .. name)
  end
  if msg.Tags.Warnings and msg.Tags.Warnings ~= "" then print("⚠️ " .. msg.Tags.Warnings) end
  local fine, dependencies = pcall(json.decode, msg.Tags.Dependencies or "{}")
  local way = { table.unpack(request.way) }
  way[#way + 1] = name
  local package = { id = id, name = name, version = version, sha256 = msg.Tags.Sha256, needs = {} }
  for _, dependency in ipairs(fine and Utils.keys(dependencies) or {}) do
    if not APM.installed[dependency] then package.needs[#package.needs + 1] = dependency end
  end
  if #package.needs == 0 then return fetch(package) end
  -- Its code may require them as soon as it runs: they come first.
  table.insert(parked, package)
  for _, dependency in ipairs(package.needs) do download(dependency .. "@" .. tostring(dependencies[dependency]), way) end
end)

local function source_of(text)
  local body = json.decode(text)
  if type(body) ~= "table" then error("its data is no JSON object", 0) end
  if body.source then return body.source end
  local content = body.PackageData or {}
  for _, item in ipairs(content.Items or {}) do
    if item.meta and item.meta.name == (content.Main or "main.lua") then return item.data end
  end
  error("it has no main item", 0)
end

-- The publisher's own message, which we assigned to ourselves. Any other of this kind is a stranger's.
Handlers.add("APM.Publish", function(msg) return msg.Action == "APM.Publish" and expected[msg.Id] ~= nil end, function(msg)
  local wanted = expected[msg.Id]
  expected[msg.Id] = nil
  ao.removeAssignable("APM." .. msg.Id)
  local text = text_of(msg.Data)
  if sha256(text) ~= wanted.sha256 then
    return print("❌ " .. wanted.name .. "@" .. wanted.version .. " is not what the registry said: its hash differs. Not installed.")
  end
  local fine, reason = pcall(function()
    local program, why = load(source_of(text), "=" .. wanted.name)
    if not program then error(why, 0) end
    local value = program()
    package.loaded[wanted.name] = value == nil and true or value
    local short = wanted.name:match("^@apm/(.+)$")
    if short then package.loaded[short] = package.loaded[wanted.name] end
  end)
  if not fine then return print("❌ " .. wanted.name .. "@" .. wanted.version .. " could not be loaded: " .. tostring(reason)) end
  APM.installed[wanted.name] = wanted.version
  APM.lock[wanted.name] = { version = wanted.version, id = msg.Id, sha256 = wanted.sha256 }
  unpark()
end)

function APM.uninstall(name)
  name = without_version(name)
  if not APM.installed[name] then return "❌ " .. name .. " is not installed" end
  APM.installed[name], APM.lock[name], package.loaded[name] = nil, nil, nil
  return "🗑️ " .. name .. " has been uninstalled"
end

---------------------------------------------------------------------------------------------------- the client itself

function APM.update()
  ask("UpdateClient", {})
  return "📤 Update request sent"
end

on("UpdateClient", function(msg)
  local fine, reason = pcall(function()
    local row = json.decode(text_of(msg.Data))
    print("ℹ️ Attempting to load client " .. tostring(row.Version))
    local items = json.decode(from_hex(row.Items))
    local source = items[1].data
    if sha256(source) ~= msg.Tags.Sha256 then error("its hash is not what the registry said", 0) end
    local program, why = load(source, "=apm")
    if not program then error(why, 0) end
    local said = program()
    if said ~= nil then print(said) end
    APM._version = row.Version
    print("✨ Client has been updated to " .. row.Version)
  end)
  if not fine then print("❌ the client could not be updated: " .. tostring(reason)) end
end)

---------------------------------------------------------------------------------------------------- publishing and asking

function APM.registerVendor(name)
  ask("RegisterVendor", { Data = name })
  return "📤 Vendor registration request sent"
end

-- 1.x: {Name, Version, Vendor, PackageData = {...}}; 2.x: {name, version, vendor, source, readme, ...}.
function APM.publish(package_data)
  local p = package_data
  if p.source or p.Source then
    ask("Publish", { Name = p.name or p.Name, Vendor = p.vendor or p.Vendor, ["Package-Version"] = p.version or p.Version,
      Description = p.description or p.Description, Dependencies = p.dependencies and json.encode(p.dependencies),
      Data = json.encode({ source = p.source or p.Source, readme = p.readme or p.Readme or "" }) })
  else
    ask("Publish", { Data = json.encode(p) })
  end
  return "📤 Publish request sent"
end

function APM.yank(name) ask("Yank", { Data = name }) return "📤 Yank request sent" end
function APM.info(name) ask("Info", { Data = name }) return "📤 Info request sent" end
function APM.popular() ask("GetPopular", {}) return "📤 Popular packages request sent" end
function APM.search(query) ask("Search", { Data = query }) return "📤 Search request sent" end
function APM.transfer(name, to) ask("Transfer", { Data = name, To = to }) return "📤 Transfer request sent" end
function APM.list() return APM.installed end

for _, action in ipairs({ "RegisterVendor", "Publish", "Yank", "Transfer" }) do
  on(action, function(msg) print("✅ " .. text_of(msg.Data)) end)
end

local function show_packages(msg)
  local fine, list = pcall(json.decode, text_of(msg.Data))
  if not fine then return print(text_of(msg.Data)) end
  local lines = {}
  for _, row in ipairs(list) do lines[#lines + 1] = row.Vendor .. "/" .. row.Name .. "@" .. row.Version .. "  " .. tostring(row.Description) end
  print(#lines == 0 and "no packages" or table.concat(lines, "\n"))
end
on("Search", show_packages)
on("GetPopular", show_packages)

on("Info", function(msg)
  local fine, row = pcall(json.decode, text_of(msg.Data))
  if not fine then return print(text_of(msg.Data)) end
  print("📦 " .. row.Vendor .. "/" .. row.Name .. "@" .. tostring(row.Version) .. "\n" .. tostring(row.Description) .. "\nowner " .. tostring(row.Owner)
    .. "\nsha256 " .. tostring(row.Sha256) .. (row.Readme and row.Readme ~= "" and "\n\n" .. row.Readme or ""))
end)

return "📦 Loaded APM Client"
