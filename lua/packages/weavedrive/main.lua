-- The package @rakis/WeaveDrive: blocks, transactions, data items and their bytes, for a process that was given the extension WeaveDrive.
-- Each function gives the value, or nil and the reason: what is not admitted at the message's height is not found.
local drive = { _version = "0.0.2" }

local function read(path, what)
  local file = io.open(path, "rb")
  if not file then return nil, what end
  local bytes = file:read("a")
  file:close()
  return bytes
end

local function read_json(path, what)
  local text, reason = read(path, what)
  if not text then return nil, reason end
  local fine, value = pcall(require("json").decode, text)
  if not fine then return nil, "what lies at " .. path .. " is no JSON: " .. tostring(value) end
  return value
end

-- The header of a block.
function drive.getBlock(height) return read_json("/block/" .. tostring(height), "Block Header not found!") end
-- The header of a transaction or data item, with the address of its owner.
function drive.getTx(id) return read_json("/tx/" .. tostring(id), "File not found!") end
-- The same for an item of a bundle.
function drive.getDataItem(id) return read_json("/tx2/" .. tostring(id), "File not found!") end
-- The bytes.
function drive.getData(id) return read("/data/" .. tostring(id), "File not found!") end

return drive
