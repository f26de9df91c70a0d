-- The table `Utils` of aos: matching of messages, and small functions over lists.
local utils = {}

-- One value against one pattern (ao-protocol.md 8.4): '_' is anything, a function decides, a text with pattern characters
-- is a Lua pattern compared in lower case, another text equals in any case, a list is any of its members.
function utils.matchesPattern(pattern, value, message)
  if pattern == nil then return false end
  if pattern == "_" then return value ~= nil end
  local kind = type(pattern)
  if kind == "function" then return pattern(value, message) and true or false end
  if kind == "table" then
    for _, one in pairs(pattern) do
      if utils.matchesPattern(one, value, message) then return true end
    end
    return false
  end
  if value == nil then return false end
  local left, right = tostring(value):lower(), tostring(pattern):lower()
  if left == right then return true end
  if kind == "string" and pattern:find("[%^%$%(%)%%%.%[%]%*%+%?]") then
    local fine, found = pcall(string.match, left, right)
    return fine and found ~= nil
  end
  return false
end

-- A message against a whole specification; a function's answer is passed on as it is, for it may be "continue".
function utils.matchesSpec(message, spec)
  local kind = type(spec)
  if kind == "function" then return spec(message) end
  if kind == "string" then return message.Action == spec end
  if kind ~= "table" then return false end
  for key, pattern in pairs(spec) do
    local value = message[key]
    if value == nil and message.Tags then value = message.Tags[key] end
    if value == nil or not utils.matchesPattern(pattern, value, message) then return false end
  end
  return true
end

-- The form in which tag names are kept: "x_my-tag" becomes "X-My-Tag".
function utils.normalize(name)
  return (name:gsub("_", "-"):lower():gsub("^%l", string.upper):gsub("%-%l", string.upper))
end

function utils.capitalize(text) return (text:gsub("^%l", string.upper)) end

function utils.curry(fn, arity)
  arity = arity or debug.getinfo(fn, "u").nparams
  if arity < 2 then return fn end
  local function taking(given, count)
    return function(...)
      local all, n = { table.unpack(given, 1, count) }, count
      for i = 1, select("#", ...) do
        n = n + 1
        all[n] = (select(i, ...))
      end
      if n >= arity then return fn(table.unpack(all, 1, n)) end
      return taking(all, n)
    end
  end
  return taking({}, 0)
end

local function list(t, name)
  if type(t) ~= "table" then error(name .. " takes a table, got " .. type(t), 3) end
  return t
end

utils.reduce = utils.curry(function(fn, initial, t)
  local result = initial
  for i, value in ipairs(list(t, "reduce")) do
    if result == nil then result = value else result = fn(result, value, i) end
  end
  return result
end, 3)

utils.map = utils.curry(function(fn, t)
  local result = {}
  for i, value in ipairs(list(t, "map")) do result[i] = fn(value, i) end
  return result
end, 2)

utils.filter = utils.curry(function(fn, t)
  local result = {}
  for _, value in ipairs(list(t, "filter")) do
    if fn(value) then result[#result + 1] = value end
  end
  return result
end, 2)

utils.find = utils.curry(function(fn, t)
  for _, value in ipairs(list(t, "find")) do
    if fn(value) then return value end
  end
end, 2)

utils.concat = utils.curry(function(a, b)
  local result = { table.unpack(list(a, "concat")) }
  for _, value in ipairs(list(b, "concat")) do result[#result + 1] = value end
  return result
end, 2)

utils.includes = utils.curry(function(value, t)
  for _, one in ipairs(list(t, "includes")) do
    if one == value then return true end
  end
  return false
end, 2)

utils.propEq = utils.curry(function(name, value, object) return object[name] == value end, 3)
utils.prop = utils.curry(function(name, object) return object[name] end, 2)

function utils.reverse(t)
  local result = {}
  for i = #list(t, "reverse"), 1, -1 do result[#result + 1] = t[i] end
  return result
end

function utils.compose(...)
  local steps = { ... }
  return function(value)
    for i = #steps, 1, -1 do value = steps[i](value) end
    return value
  end
end

function utils.keys(t)
  return require("pretty").sorted_keys(list(t, "keys"))
end

function utils.values(t)
  local result = {}
  for i, key in ipairs(utils.keys(t)) do result[i] = t[key] end
  return result
end

return utils
