-- The module `.dump` of aos, global `Dump`: a value as Lua text that gives an equal value when it is loaded.
local pretty = require("pretty")

local function write(value, above)
  local kind = type(value)
  if kind == "string" then return (string.format("%q", value):gsub("\\\n", "\\n")) end
  if kind ~= "table" then return kind == "function" and '"function"' or tostring(value) end
  if above[value] then return '"recursive"' end
  above[value] = true
  local parts, length = {}, #value
  for i = 1, length do parts[i] = write(value[i], above) end
  for _, key in ipairs(pretty.sorted_keys(value)) do
    if not (math.type(key) == "integer" and key >= 1 and key <= length) then
      parts[#parts + 1] = "[" .. write(key, above) .. "]=" .. write(value[key], above)
    end
  end
  above[value] = nil
  return "{" .. table.concat(parts, ",") .. "}"
end

return function(value) return write(value, {}) end
