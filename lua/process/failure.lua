-- Errors as text: what happened, and where in the program of the user.
local failure = {}

-- Lines of our own runtime and of C say nothing to whoever wrote the program. Ours are known by their whole source: a file of a
-- user's is "@handlers.lua" (the console names it so), which looks alike in a trace and is another.
local ours = {}
for _, name in ipairs({ "runtime", "handlers", "eval", "failure", "utils", "ao", "ai" }) do ours["=" .. name .. ".lua"] = true end
local lines_max, levels_max = 10, 100

function failure.text(err)
  if type(err) == "string" then return err end
  local meta = getmetatable(err)
  if type(meta) == "table" and meta.__tostring then return tostring(err) end
  return require("pretty").format(err)
end

-- The error with the lines that led to it. `thread` is the dead coroutine in which it was raised.
function failure.from(err, thread)
  local text = failure.text(err)
  if text:find("\n  at ", 1, true) then return text end
  -- One trace for the first frames: each goes down the whole stack, which after an overflow is deep.
  local first = {}
  for line in debug.traceback(thread, nil, 0):gmatch("\n%s*([^\n]*)") do
    if line:find("^%.%.%.") then break end
    if not line:find("^%(%.%.%.tail calls") then first[#first + 1] = line end
  end
  local lines = {}
  for level = 0, levels_max do
    local frame = debug.getinfo(thread, level, "S")
    if not frame or #lines == lines_max then break end
    if frame.what ~= "C" and not ours[frame.source] then
      lines[#lines + 1] = "\n  at " .. (first[level + 1] or debug.traceback(thread, nil, level):match("\n%s*([^\n]*)"))
    end
  end
  return text .. table.concat(lines)
end

return failure
