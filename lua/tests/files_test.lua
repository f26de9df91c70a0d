local t = require("testing")
local test, equal = t.test, t.equal
local world = require("world")
require("files")

local function file_with(text)
  local file = io.tmpfile()
  file:write(text)
  file:seek("set")
  return file
end

test("a read right after a seek to the end gets the file from its start", function()
  local file = file_with("a weave")
  equal(file:read(file:seek("end")), "a weave")
  equal(file:seek("end"), 7)
  equal(file:read("a"), "a weave")
end)

test("other seeks and reads are as in Lua", function()
  local file = file_with("a weave")
  equal(file:seek("end", -5), 2)
  equal(file:read("a"), "weave")
  equal(file:seek("end"), 7)
  equal(file:seek("set", 2), 2)
  equal(file:read(3), "wea")
  equal(file:seek(), 5)
  equal(file:seek("end"), 7)
  equal(file:seek("cur"), 7)
  equal(file:read(1), nil)
end)

test("the package of the drive reads what the files say", function()
  local text = world.read("packages/weavedrive/WeaveDrive.lua")
  local open = io.open
  io.open = function(path)
    if path == "/data/x" then return file_with("bytes") end
    if path == "/block/7" then return file_with('{"height":7,"txs":["a"]}') end
    return nil
  end
  local drive = load(text)()
  equal(drive.getData("x"), "bytes")
  equal(drive.getBlock(7).txs[1], "a")
  local none, why = drive.getTx("y")
  equal(none, nil)
  equal(why, "File not found!")
  io.open = open
end)
