-- The module `.stringify` of aos: tables as its console shows them, with its colours, spaces and brackets. Keys are sorted, so that
-- the same table is the same text. Everything else about text is in `pretty`.
local pretty = require("pretty")

local stringify = {}

local red, green, blue, reset = "\27[31m", "\27[32m", "\27[34m", "\27[0m"
local levels_max, elements_max = 12, 2000

local function is_list(value)
  local length, count = #value, 0
  for _ in next, value do
    count = count + 1
    if count > length then return false end
  end
  return count == length
end

-- A list of texts and numbers, which stands on one line.
function stringify.isSimpleArray(value)
  if not is_list(value) then return false end
  for _, element in ipairs(value) do
    if type(element) ~= "string" and type(element) ~= "number" then return false end
  end
  return true
end

local write

local function write_value(value, indent, above)
  local kind = type(value)
  if kind == "table" then return write(value, indent, above) end
  if kind == "string" then return green .. '"' .. value .. '"' .. reset end
  return blue .. tostring(value) .. reset
end

function write(value, indent, above)
  local meta = getmetatable(value)
  if type(meta) == "table" and rawget(meta, "__tostring") then return tostring(value) end
  if above[value] then return "<circular reference>" end
  if indent > 2 * levels_max then return "{ ... }" end
  if stringify.isSimpleArray(value) then
    local parts = {}
    for i = 1, math.min(#value, elements_max) do parts[i] = write_value(value[i]) end
    if #value > elements_max then parts[#parts + 1] = "... " .. #value - elements_max .. " more" end
    return "{ " .. table.concat(parts, ", ") .. " }"
  end
  above[value] = true
  local outer, inner, parts = (" "):rep(indent), (" "):rep(indent + 2), {}
  local list = is_list(value)
  if list then
    for i = 1, math.min(#value, elements_max) do parts[i] = inner .. write_value(value[i], indent + 2, above) end
  else
    for _, key in ipairs(pretty.sorted_keys(value)) do
      if #parts >= elements_max then break end
      parts[#parts + 1] = inner .. " " .. red .. tostring(key) .. reset .. " = " .. write_value(rawget(value, key), indent + 2, above)
    end
  end
  if #parts >= elements_max then parts[#parts + 1] = inner .. "..." end
  above[value] = nil
  return "{\n" .. table.concat(parts, ",\n") .. "\n" .. outer .. (list and " }" or "}")
end

-- @param indent  how far in the closing bracket stands
function stringify.format(value, indent)
  if type(value) ~= "table" then return tostring(value) end
  return write(value, indent or 0, {})
end

-- What print shows of one value.
function stringify.printed(value)
  if type(value) == "table" then return write(value, 0, {}) end
  if type(value) == "boolean" then return blue .. tostring(value) .. reset end
  if type(value) == "nil" then return red .. "nil" .. reset end
  if type(value) == "number" then return green .. tostring(value) .. reset end
  return tostring(value)
end

return stringify
