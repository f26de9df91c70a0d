-- The registry of the ao package manager: who published which package in which version (llama-land.md 4).
--
-- A package is the message that published it: the registry keeps its id and the SHA-256 of its data, and a client gets the
-- text from that message alone. Both generations of clients are answered: 1.x (JSON, `APM.Download` gives the id) and 2.x
-- (tags, `APM.Download` gives the source in hex).
local json = require("json")
local digest = require("digest")
local versions = require("versions")

Registry = Registry or {
  vendors = { ["@apm"] = Owner },  -- name -> owner
  packages = {},  -- "@vendor/name" -> { owner, description, downloads, versions = { [version] = {...} }, order = {...} }
  client = nil,  -- "@apm/apm" version that old clients update to
}
local R = Registry

local function answer(msg, reply) return msg.reply(reply) end

-- Every answer carries what the client asked with, so that it can tell its own from a stranger's.
local function respond(msg, action, reply)
  reply.Action = action
  reply.Nonce = msg.Tags.Nonce
  return answer(msg, reply)
end

local function refuse(msg, action, reason) return respond(msg, action, { Result = "error", Error = reason, Data = reason }) end

-- "@vendor/name@range" -> vendor, name, range; without a vendor @apm, without a range nil.
local function parse(text)
  text = tostring(text or ""):match("^%s*(.-)%s*$")
  local full, range = text:match("^(@?[^@]+)@(.+)$")
  full = full or text
  local vendor, name = full:match("^(@[%w%-_]+)/([%w%-_%.]+)$")
  if not vendor then vendor, name = "@apm", full:match("^([%w%-_%.]+)$") end
  if not name then return nil, "'" .. text .. "' is no package name: @vendor/name or @vendor/name@version" end
  return vendor, name, range
end

-- The newest version that a range allows and that is not yanked; a version named exactly is found yanked or not.
local function find(text)
  local vendor, name, range = parse(text)
  if not vendor then return nil, name end
  local package = R.packages[vendor .. "/" .. name]
  if not package then return nil, "there is no package " .. vendor .. "/" .. name end
  if range and package.versions[range] then return package, package.versions[range] end
  local best
  for _, version in ipairs(package.order) do
    local row = package.versions[version]
    if not row.yanked and versions.matches(version, range) and (not best or versions.less(best.version, version)) then best = row end
  end
  if not best then return nil, "no version of " .. vendor .. "/" .. name .. " is " .. tostring(range or "there") end
  return package, best
end

local function text_of(data) return type(data) == "table" and json.encode(data) or tostring(data or "") end

---------------------------------------------------------------------------------------------------- vendors

Handlers.add("apm.register-vendor", { Action = "APM.RegisterVendor" }, function(msg)
  local name = tostring(msg.Tags.Vendor or (type(msg.Data) == "string" and msg.Data) or ""):match("^%s*(.-)%s*$")
  if name:sub(1, 1) ~= "@" then name = "@" .. name end
  if not name:match("^@[%w%-_]+$") or #name < 3 or #name > 50 then
    return refuse(msg, "APM.RegisterVendorResponse", "a vendor is @ and 2 to 49 letters, digits, hyphens or underscores")
  end
  if R.vendors[name] and R.vendors[name] ~= msg.From then
    return refuse(msg, "APM.RegisterVendorResponse", "the vendor " .. name .. " belongs to somebody else")
  end
  R.vendors[name] = msg.From
  respond(msg, "APM.RegisterVendorResponse", { Result = "success", Data = "Registered vendor " .. name })
end)

---------------------------------------------------------------------------------------------------- publishing

-- What a message publishes: by tags (2.x) or by JSON (1.x). @return fields, or nil and the reason
local function read_publication(msg)
  local data = text_of(msg.Data)
  local fine, body = pcall(json.decode, data)
  if not fine or type(body) ~= "table" then return nil, "the data must be JSON" end
  local t, row = msg.Tags, {}
  if body.source then
    row.name, row.vendor, row.version, row.description = t.Name, t.Vendor, t.Version or t["Package-Version"], t.Description
    row.dependencies, row.warnings, row.keywords = t.Dependencies, t.Warnings, t.Keywords
    row.source, row.readme = body.source, body.readme
  else
    local content = type(body.PackageData) == "table" and body.PackageData or {}
    row.name, row.vendor, row.version, row.description = body.Name, body.Vendor, body.Version, content.Description
    row.dependencies, row.readme = content.Dependencies, content.Readme
    for _, item in ipairs(type(content.Items) == "table" and content.Items or {}) do
      if type(item) == "table" and type(item.meta) == "table" and item.meta.name == (content.Main or "main.lua") then row.source = item.data end
    end
    if not row.source then return nil, "PackageData.Items has no item named as PackageData.Main says" end
  end
  row.vendor = row.vendor or "@apm"
  if type(row.name) ~= "string" or not row.name:match("^[%w%-_%.]+$") or #row.name > 80 then return nil, "Name must be letters, digits, '-', '_', '.'" end
  if not versions.parse(row.version) then return nil, "Version must be like 1.2.3, found " .. tostring(row.version) end
  if type(row.source) ~= "string" or row.source == "" then return nil, "the source is missing" end
  if type(row.dependencies) == "string" then
    local read, list = pcall(json.decode, row.dependencies)
    if not read or type(list) ~= "table" then return nil, "Dependencies must be JSON: an object of names and versions" end
    row.dependencies = list
  end
  row.dependencies = type(row.dependencies) == "table" and row.dependencies or {}
  for name, range in pairs(row.dependencies) do
    local vendor, reason = parse(name)
    if not vendor then return nil, "Dependencies: " .. reason end
    if type(range) == "table" then range = range.version end
    row.dependencies[name] = tostring(range or "*")
  end
  row.sha256 = digest.to_hex(digest.sha2_256(data))
  return row
end

-- Follows the dependencies; @return the way of a cycle through `start`, or nil.
local function cycle(start, row, way)
  if #way > 50 then return way end
  for name, range in pairs(row.dependencies) do
    local vendor, bare = parse(name)
    local full = vendor .. "/" .. bare
    local longer = { table.unpack(way) }
    longer[#longer + 1] = full
    if full == start then return longer end
    local package, found = find(full .. "@" .. range)
    if package then
      local way_on = cycle(start, found, longer)
      if way_on then return way_on end
    end
  end
end

Handlers.add("apm.publish", { Action = "APM.Publish" }, function(msg)
  local row, reason = read_publication(msg)
  if not row then return refuse(msg, "APM.PublishResponse", reason) end
  if not R.vendors[row.vendor] then return refuse(msg, "APM.PublishResponse", "nobody has registered the vendor " .. row.vendor) end
  if R.vendors[row.vendor] ~= msg.From then return refuse(msg, "APM.PublishResponse", "the vendor " .. row.vendor .. " belongs to somebody else") end
  local full = row.vendor .. "/" .. row.name
  local package = R.packages[full]
  if package and package.owner ~= msg.From then return refuse(msg, "APM.PublishResponse", full .. " belongs to somebody else") end
  if package and package.versions[row.version] then
    return refuse(msg, "APM.PublishResponse", full .. "@" .. row.version .. " is published already; a version never changes")
  end
  local circle = cycle(full, row, { full })
  if circle then return refuse(msg, "APM.PublishResponse", "the dependencies go round: " .. table.concat(circle, " -> ")) end

  package = package or { vendor = row.vendor, name = row.name, owner = msg.From, downloads = 0, versions = {}, order = {} }
  R.packages[full] = package
  package.description = row.description or package.description or ""
  package.keywords = row.keywords or package.keywords
  package.versions[row.version] = { version = row.version, id = msg.Id, sha256 = row.sha256, source = row.source, readme = row.readme or "",
    dependencies = row.dependencies, warnings = row.warnings, published_ms = msg.Timestamp }
  table.insert(package.order, row.version)
  if full == "@apm/apm" then R.client = row.version end
  respond(msg, "APM.PublishResponse", { Result = "success", PkgID = msg.Id, Data = "Successfully published " .. full .. "@" .. row.version })
end)

Handlers.add("apm.yank", { Action = "APM.Yank" }, function(msg)
  local package, row = find(msg.Tags.Name or msg.Data)
  if not package then return refuse(msg, "APM.YankResponse", row) end
  if package.owner ~= msg.From then return refuse(msg, "APM.YankResponse", "only the owner of a package yanks its versions") end
  row.yanked = msg.Tags.Undo ~= "true"
  respond(msg, "APM.YankResponse", { Result = "success", Data = (row.yanked and "Yanked " or "Offered again: ") .. package.vendor .. "/" .. package.name .. "@" .. row.version })
end)

Handlers.add("apm.transfer", { Action = "APM.Transfer" }, function(msg)
  local package, reason = find(msg.Data)
  if not package then return refuse(msg, "APM.TransferResponse", reason) end
  if package.owner ~= msg.From then return refuse(msg, "APM.TransferResponse", "only the owner of a package gives it away") end
  if not msg.Tags.To then return refuse(msg, "APM.TransferResponse", "the tag To names the new owner") end
  package.owner = msg.Tags.To
  respond(msg, "APM.TransferResponse", { Result = "success", Data = "Transferred " .. package.vendor .. "/" .. package.name .. " to " .. msg.Tags.To })
end)

---------------------------------------------------------------------------------------------------- asking

local function is_second(msg) return tostring(msg.Tags.Version or msg.Tags["Client-Version"] or "1"):match("^[2-9]") ~= nil end

Handlers.add("apm.download", { Action = "APM.Download" }, function(msg)
  local package, row = find(msg.Tags.Name or msg.Data)
  if not package then return refuse(msg, "APM.DownloadResponse", row) end
  package.downloads = package.downloads + 1
  local full = package.vendor .. "/" .. package.name .. "@" .. row.version
  local fields = {
    Result = "success", PkgID = row.id, Sha256 = row.sha256, AssignableName = full, Name = package.vendor .. "/" .. package.name,
    ["Package-Version"] = row.version, Dependencies = next(row.dependencies) and json.encode(row.dependencies) or "{}", Warnings = row.warnings,
    LatestClientVersion = R.client, Yanked = row.yanked and "true" or nil,
  }
  if is_second(msg) then
    fields.Version = row.version
    fields.Data = digest.to_hex(row.source)
  else
    fields.Data = row.id
  end
  respond(msg, "APM.DownloadResponse", fields)
end)

local function summary(package)
  local newest
  for _, version in ipairs(package.order) do
    if not package.versions[version].yanked and (not newest or versions.less(newest, version)) then newest = version end
  end
  return newest and { Name = package.name, Vendor = package.vendor, Version = newest, Description = package.description, Owner = package.owner,
    PkgID = package.versions[newest].id, Downloads = package.downloads }
end

-- The packages that `wanted` chooses, the most downloaded first, then by name. At most 50.
local function list(wanted)
  local found = {}
  for _, package in pairs(R.packages) do
    local row = wanted(package) and summary(package)
    if row then found[#found + 1] = row end
  end
  table.sort(found, function(a, b)
    if a.Downloads ~= b.Downloads then return a.Downloads > b.Downloads end
    return a.Vendor .. a.Name < b.Vendor .. b.Name
  end)
  while #found > 50 do table.remove(found) end
  return json.encode(found)
end

for _, name in ipairs({ "GetPopular", "Popular" }) do
  Handlers.add("apm." .. name, { Action = "APM." .. name }, function(msg)
    respond(msg, "APM." .. name .. "Response", { Result = "success", Data = list(function() return true end) })
  end)
end

Handlers.add("apm.search", { Action = "APM.Search" }, function(msg)
  local wanted = tostring(msg.Data or ""):lower()
  respond(msg, "APM.SearchResponse", { Result = "success", Data = list(function(package)
    return (package.vendor .. "/" .. package.name .. " " .. package.description .. " " .. tostring(package.keywords or "")):lower():find(wanted, 1, true) ~= nil
  end) })
end)

Handlers.add("apm.of", { Action = "APM.VendorOrAddressPackages" }, function(msg)
  local whose = tostring(msg.Data or "")
  respond(msg, "APM.VendorOrAddressPackagesResponse", { Result = "success", Data = list(function(package)
    return package.vendor == whose or package.owner == whose
  end) })
end)

Handlers.add("apm.info", { Action = "APM.Info" }, function(msg)
  local package, row = find(msg.Tags.Name or msg.Data)
  if not package then return refuse(msg, "APM.InfoResponse", row) end
  local info = summary(package) or { Name = package.name, Vendor = package.vendor, Owner = package.owner }
  info.Versions, info.Readme, info.Sha256, info.Version, info.PkgID = package.order, row.readme, row.sha256, row.version, row.id
  info.Dependencies = next(row.dependencies) and row.dependencies or nil
  respond(msg, "APM.InfoResponse", { Result = "success", Data = json.encode(info) })
end)

-- What an update of the client is: the newest @apm/apm.
for _, name in ipairs({ "UpdateClient", "Update" }) do
  Handlers.add("apm." .. name, { Action = "APM." .. name }, function(msg)
    local package, row = find("@apm/apm")
    if not package then return refuse(msg, "APM." .. name .. "Response", row) end
    respond(msg, "APM." .. name .. "Response", { Result = "success", ["Package-Version"] = row.version, Sha256 = digest.to_hex(digest.sha2_256(row.source)),
      PkgID = row.id, Data = name == "Update" and digest.to_hex(row.source) or json.encode({ Name = "apm", Vendor = "@apm", Version = row.version,
        PkgID = row.id, Items = digest.to_hex(json.encode({ { meta = { name = "main.lua" }, data = row.source } })) }) })
  end)
end

return "Package registry"
