-- Values as a person reads them, and the same text on every node: keys are sorted, addresses never shown.
local pretty = {}

local levels_max, elements_max = 8, 1000

local function quoted(text)
  return (string.format("%q", text):gsub("\\\n", "\\n"):gsub("\r", "\\r"):gsub("\0", "\\0"))
end

local function key_order(a, b)
  if math.type(a) and math.type(b) then return a < b end
  if math.type(a) ~= math.type(b) then return math.type(a) ~= nil and math.type(b) == nil end
  return tostring(a) < tostring(b)
end

local function sorted_keys(value)
  local keys = {}
  for key in next, value do
    local kind = type(key)
    if kind == "string" or kind == "number" or kind == "boolean" then keys[#keys + 1] = key end
  end
  table.sort(keys, key_order)
  return keys
end
pretty.sorted_keys = sorted_keys

local write

local function write_table(value, indent, above)
  if above[value] then return "<a table that contains itself>" end
  if #indent >= 2 * levels_max then return "{ ... }" end
  local meta = getmetatable(value)
  if meta and rawget(meta, "__tostring") then return tostring(value) end
  above[value] = true
  local inner, parts, length = indent .. "  ", {}, #value
  for i = 1, math.min(length, elements_max) do parts[i] = write(value[i], inner, above) end
  for _, key in ipairs(sorted_keys(value)) do
    if #parts >= elements_max then parts[#parts + 1] = "..." break end
    if not (math.type(key) == "integer" and key >= 1 and key <= length) then
      local name = type(key) == "string" and (key:match("^[%a_][%w_]*$") or "[" .. quoted(key) .. "]")
        or "[" .. tostring(key) .. "]"
      parts[#parts + 1] = name .. " = " .. write(rawget(value, key), inner, above)
    end
  end
  above[value] = nil
  if #parts == 0 then return "{}" end
  local line = "{ " .. table.concat(parts, ", ") .. " }"
  if #line <= 80 and not line:find("\n", 1, true) then return line end
  return "{\n" .. inner .. table.concat(parts, ",\n" .. inner) .. "\n" .. indent .. "}"
end

function write(value, indent, above)
  local kind = type(value)
  if kind == "string" then return quoted(value) end
  if kind == "table" then return write_table(value, indent, above) end
  if kind == "nil" or kind == "boolean" or kind == "number" then return tostring(value) end
  return "<" .. kind .. ">"
end

-- A text stands for itself; everything else is written as Lua would read it.
function pretty.format(value)
  if type(value) == "string" then return value end
  return write(value, "", {})
end

-- A table as lines `key: value`, nested ones further in (the module `.pretty` of aos).
function pretty.tprint(value, indent)
  indent = indent or 0
  local lines = {}
  for _, key in ipairs(sorted_keys(value)) do
    local name, one = ("  "):rep(indent) .. tostring(key) .. ": ", value[key]
    lines[#lines + 1] = type(one) == "table" and name .. "\n" .. pretty.tprint(one, indent + 1) or name .. tostring(one) .. "\n"
  end
  return table.concat(lines)
end

-- The value of a tag, or of data, as text. Whole floats come out without a point, tables as JSON.
function pretty.text(value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then
    return math.type(value) == "integer" and tostring(value) or string.format("%.14g", value)
  end
  if kind == "table" then return require("json").encode(value) end
  return tostring(value)
end

return pretty
