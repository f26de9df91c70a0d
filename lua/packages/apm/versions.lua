-- Semantic versions and ranges: 1.2.3, ^1.2.3, ~1.2.3, >=1.2.3, 1.x, *. Pre-releases count below their release; two of them compare as texts.
local versions = {}

-- @return major, minor, patch, pre-release or nil; nothing when it is no version
function versions.parse(text)
  if type(text) ~= "string" then return nil end
  local a, b, c, rest = text:match("^v?(%d+)%.(%d+)%.(%d+)(.*)$")
  if not a or #a > 9 or #b > 9 or #c > 9 then return nil end
  if rest ~= "" and not rest:match("^%-[%w%.%-]+$") and not rest:match("^%+[%w%.%-]+$") then return nil end
  return math.tointeger(a), math.tointeger(b), math.tointeger(c), rest:match("^%-(.+)$")
end

function versions.less(left, right)
  local a = { versions.parse(left) }
  local b = { versions.parse(right) }
  for i = 1, 3 do
    if a[i] ~= b[i] then return a[i] < b[i] end
  end
  if (a[4] == nil) ~= (b[4] == nil) then return a[4] ~= nil end
  return a[4] ~= nil and a[4] < b[4]
end

local function at_least(version, lowest) return not versions.less(version, lowest) end

-- A pre-release is for those who ask for one: no range without a pre-release of its own gives it.
function versions.matches(version, range)
  if select(4, versions.parse(version)) and not tostring(range or ""):find("-", 1, true) then return false end
  if range == nil or range == "*" or range == "latest" or range == "" then return true end
  local sign, bound = range:match("^([%^~]?)(.+)$")
  if sign == "" and range:match("^[<>=]") then
    local operator, than = range:match("^([<>=]+)%s*(.+)$")
    if not versions.parse(than) then return false end
    if operator == ">=" then return at_least(version, than) end
    if operator == ">" then return versions.less(than, version) end
    if operator == "<=" then return at_least(than, version) end
    if operator == "<" then return versions.less(version, than) end
    return operator == "=" and not versions.less(version, than) and not versions.less(than, version)
  end
  local major, minor = bound:match("^(%d+)%.?(%d*)[%.xX%*]*$")
  if major and not versions.parse(bound) then
    local a, b = versions.parse(version)
    return a == math.tointeger(major) and (minor == "" or b == math.tointeger(minor))
  end
  local a, b, c = versions.parse(bound)
  if not a then return false end
  local x, y = versions.parse(version)
  if sign == "^" then return at_least(version, bound) and x == a and (a > 0 or y == b) and (a > 0 or b > 0 or select(3, versions.parse(version)) == c) end
  if sign == "~" then return at_least(version, bound) and x == a and y == b end
  return version == bound
end

return versions
