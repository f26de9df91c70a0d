-- @rakis/WeaveDrive: the weave as files. Each function answers what it found, or nil and why.
local json = require("json")

local drive = { _version = "0.0.2" }

-- Whole text of a file, or nil when the process may not open it or it is not there at the message's height.
local function text_of(path)
  local file = io.open(path, "r")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

local function table_of(path, missing)
  local text = text_of(path)
  if not text then return nil, missing end
  return json.decode(text)
end

-- { height =, indep_hash =, previous_block =, timestamp =, txs = { id... }, ... }
function drive.getBlock(height)
  return table_of("/block/" .. height, "Block Header not found!")
end

-- The header of a transaction or data item: names and values of tags in base64url, and ownerAddress.
function drive.getTx(id)
  return table_of("/tx/" .. id, "File not found!")
end

-- The same with the fields of GraphQL: owner.address, tags as they are, block.
function drive.getDataItem(id)
  return table_of("/tx2/" .. id, "File not found!")
end

-- The data of an item that the process is admitted to (Extension: WeaveDrive, Availability-Type, Attestor).
function drive.getData(id)
  local text = text_of("/data/" .. id)
  if not text then return nil, "File not found!" end
  return text
end

return drive
