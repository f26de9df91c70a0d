-- The actions of the package registry (llama-land.md 4.1, 4.2), each by its name, for clients of both generations; and what 4.4 asks for.
local json = require("json")
local digest = require("digest")
local t = require("testing")
local world = require("world")
local test, equal, contains = t.test, t.equal, t.contains

local registry = world.spawn("registry", { Name = "registry" }, "package.preload.versions = function()\n" .. world.read("packages/apm/versions.lua")
  .. "\nend\n" .. world.read("packages/apm/registry.lua"))
local sam, eve = world.id("sam"), world.id("eve")
local nonce = 0
local function ask(from, action, fields)
  nonce = nonce + 1
  fields.From, fields.Target, fields.Action, fields.Nonce = from, registry, "APM." .. action, tostring(nonce)
  world.send(fields)
  local answer = world.newest(from)
  equal(answer.Tags.Nonce, tostring(nonce))
  return answer
end
local function first(name, version, source, dependencies)
  return json.encode({ Name = name, Version = version, Vendor = "@sam", PackageData = { Readme = "# read me", Description = "about " .. name,
    Main = "main.lua", Dependencies = dependencies, Items = { { meta = { name = "main.lua" }, data = source } } } })
end

test("APM.RegisterVendor: the name in the data, with @ or without", function()
  local answer = ask(sam, "RegisterVendor", { Data = "@sam" })
  equal({ answer.Tags.Action, answer.Data }, { "APM.RegisterVendorResponse", "Registered vendor @sam" })
  equal(ask(eve, "RegisterVendor", { Data = "eve" }).Data, "Registered vendor @eve")
end)

test("APM.Publish: of the first generation, JSON; the message's id is the package's", function()
  local answer = ask(sam, "Publish", { Id = world.id("published"), Data = first("one", "1.0.0", "return 1") })
  equal({ answer.Tags.Action, answer.Tags.PkgID, answer.Data }, { "APM.PublishResponse", world.id("published"), "Successfully published @sam/one@1.0.0" })
end)

test("APM.Publish: of the second generation, tags and source", function()
  equal(ask(sam, "Publish", { Name = "two", Vendor = "@sam", Version = "1.0.0", Description = "second", Keywords = "x,y", License = "MIT",
    Warnings = "changes state", Dependencies = json.encode({ ["@sam/one"] = "^1.0.0" }), Data = json.encode({ source = "return 2", readme = "two" }) }).Data,
    "Successfully published @sam/two@1.0.0")
end)

test("APM.Info: name, versions, readme, hash", function()
  local answer = ask(eve, "Info", { Data = "@sam/one" })
  local info = json.decode(answer.Data)
  equal({ answer.Tags.Action, info.Name, info.Vendor, info.Version, info.Owner, info.Readme, #info.Sha256 }, { "APM.InfoResponse", "one", "@sam", "1.0.0", sam, "# read me", 64 })
end)

test("APM.GetPopular and APM.Popular: packages, the most wanted first", function()
  ask(eve, "Download", { Data = "@sam/two" })
  for _, action in ipairs({ "GetPopular", "Popular" }) do
    local answer = ask(eve, action, {})
    equal({ answer.Tags.Action, json.decode(answer.Data)[1].Name }, { "APM." .. action .. "Response", "two" })
  end
end)

test("APM.Search: by part of the name or description", function()
  equal(#json.decode(ask(eve, "Search", { Data = "SECOND" }).Data), 1)
  equal(ask(eve, "Search", { Data = "nothing like it" }).Data, "[]")
end)

test("APM.VendorOrAddressPackages: what a vendor or an owner has", function()
  equal(#json.decode(ask(eve, "VendorOrAddressPackages", { Data = "@sam" }).Data), 2)
  equal(#json.decode(ask(eve, "VendorOrAddressPackages", { Data = sam }).Data), 2)
end)

test("APM.Download: the first generation gets the id, the second source in hex, dependencies and warnings", function()
  local answer = ask(eve, "Download", { Data = "@sam/one", Version = "1.1.0" })
  equal({ answer.Tags.Action, answer.Data, answer.Tags.AssignableName }, { "APM.DownloadResponse", world.id("published"), "@sam/one@1.0.0" })
  answer = ask(eve, "Download", { Data = "@sam/two", Version = "2.0.6" })
  equal({ digest.from_hex(answer.Data), answer.Tags.Result, answer.Tags.Name, answer.Tags.Version, answer.Tags.Warnings, json.decode(answer.Tags.Dependencies)["@sam/one"] },
    { "return 2", "success", "@sam/two", "1.0.0", "changes state", "^1.0.0" })
end)

test("APM.Transfer: a package gets another owner, from its owner alone", function()
  equal(ask(eve, "Transfer", { Data = "@sam/one", To = eve }).Tags.Result, "error")
  equal(ask(sam, "Transfer", { Data = "@sam/one", To = sam }).Data, "Transferred @sam/one to " .. sam)
end)

test("APM.UpdateClient and APM.Update: the newest client, with its hash", function()
  local text = "return 'client'"
  local owner = world.processes[registry].owner
  ask(owner, "Publish", { Name = "apm", Vendor = "@apm", Version = "2.1.0", Data = json.encode({ source = text }) })
  local answer = ask(eve, "UpdateClient", {})
  equal({ answer.Tags.Action, json.decode(digest.from_hex(json.decode(answer.Data).Items))[1].data }, { "APM.UpdateClientResponse", text })
  answer = ask(eve, "Update", {})
  equal({ answer.Tags.Action, digest.from_hex(answer.Data), answer.Tags.Sha256 }, { "APM.UpdateResponse", text, digest.to_hex(digest.sha2_256(text)) })
end)

test("versions are compared as versions, not as text", function()
  for _, version in ipairs({ "1.9.0", "1.10.0", "1.10.1-beta.1" }) do ask(sam, "Publish", { Data = first("one", version, "return '" .. version .. "'") }) end
  local function newest(range) return ask(eve, "Download", { Data = "@sam/one" .. range, Version = "2.0.6" }).Tags.Version end
  equal({ newest(""), newest("@^1.0.0"), newest("@~1.9.0"), newest("@1.9.0"), newest("@>=1.10.0"), newest("@1.x") }, { "1.10.0", "1.10.0", "1.9.0", "1.9.0", "1.10.0", "1.10.0" })
end)

test("yanking hides a version from ranges, not from who names it, and can be undone", function()
  equal(ask(eve, "Yank", { Data = "@sam/one@1.10.0" }).Tags.Result, "error")
  equal(ask(sam, "Yank", { Data = "@sam/one@1.10.0" }).Data, "Yanked @sam/one@1.10.0")
  local function version(name) return ask(eve, "Download", { Data = name, Version = "2.0.6" }).Tags.Version end
  equal({ version("@sam/one"), version("@sam/one@1.10.0") }, { "1.9.0", "1.10.0" })
  equal(ask(sam, "Yank", { Data = "@sam/one@1.10.0", Undo = "true" }).Data, "Offered again: @sam/one@1.10.0")
  equal(version("@sam/one"), "1.10.0")
end)

test("a package that needs itself, or three in a ring, are refused when the ring closes", function()
  contains(ask(sam, "Publish", { Data = first("self", "1.0.0", "return 1", { ["@sam/self"] = "*" }) }).Data, "go round: @sam/self -> @sam/self")
  ask(sam, "Publish", { Data = first("ring-a", "1.0.0", "return 1", { ["@sam/ring-b"] = "*" }) })
  ask(sam, "Publish", { Data = first("ring-b", "1.0.0", "return 1", { ["@sam/ring-c"] = "*" }) })
  contains(ask(sam, "Publish", { Data = first("ring-c", "1.0.0", "return 1", { ["@sam/ring-a"] = "*" }) }).Data, "go round: @sam/ring-c -> @sam/ring-a -> @sam/ring-b -> @sam/ring-c")
end)

test("the registry's answer is understood in the capitals of AO's published modules", function()
  local user = world.spawn("capitals", { ["APM-Registry"] = sam }, "print((function()\n" .. world.read("blueprints/apm.lua") .. "\nend)())")
  world.eval(user, 'APM.install("@sam/z")')
  world.send({ From = sam, Target = user, Action = "APM.DownloadResponse", Nonce = world.newest(sam).Tags.Nonce, Name = "@sam/z", Pkgid = world.id("z"),
    Sha256 = ("0"):rep(64), ["Package-Version"] = "1.0.0" })
  contains(table.concat(world.processes[user].printed, "\n"), "📦 Downloading package " .. world.id("z") .. " | @sam/z@1.0.0")
end)

test("a client that a registry sends round in a ring stops and says so", function()
  local user = world.spawn("user", { ["APM-Registry"] = sam }, "print((function()\n" .. world.read("blueprints/apm.lua") .. "\nend)())")
  world.eval(user, 'APM.install("@sam/x")')
  for name, needs in pairs({ ["@sam/x"] = "@sam/y" }) do
    world.send({ From = sam, Target = user, Action = "APM.DownloadResponse", Nonce = world.newest(sam).Tags.Nonce, Name = name, PkgID = world.id(name),
      Sha256 = ("0"):rep(64), ["Package-Version"] = "1.0.0", Dependencies = json.encode({ [needs] = "*" }) })
  end
  world.send({ From = sam, Target = user, Action = "APM.DownloadResponse", Nonce = world.newest(sam).Tags.Nonce, Name = "@sam/y", PkgID = world.id("y"),
    Sha256 = ("0"):rep(64), ["Package-Version"] = "1.0.0", Dependencies = json.encode({ ["@sam/x"] = "*" }) })
  contains(table.concat(world.processes[user].printed, "\n"), "❌ the dependencies go round: @sam/x -> @sam/y -> @sam/x")
  equal(world.errors[1], nil)
end)
