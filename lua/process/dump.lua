-- The module `.dump` of aos, global `Dump`: a value as Lua text that gives an equal value when it is loaded.
local pretty = require("pretty")

local function write(value, indent, above)
  local kind = type(value)
  if kind == "string" then return string.format("%q", value) end
  if kind ~= "table" then
    return (kind == "nil" or kind == "boolean" or kind == "number") and tostring(value) or string.format("%q", tostring(value))
  end
  if above[value] then return '"a table that contains itself"' end
  above[value] = true
  local parts = {}
  for _, key in ipairs(pretty.sorted_keys(value)) do
    local name = type(key) == "string" and key:match("^[%a_][%w_]*$") or "[" .. write(key, "", above) .. "]"
    parts[#parts + 1] = indent .. "    " .. name .. " = " .. write(value[key], indent .. "    ", above)
  end
  above[value] = nil
  if #parts == 0 then return "{}" end
  return "{\n" .. table.concat(parts, ",\n") .. "\n" .. indent .. "}"
end

return function(value) return write(value, "", {}) end
