-- Errors as text: what happened, and where in the program of the user.
local failure = {}

-- Lines of our own runtime and of C say nothing to whoever wrote the program.
local ours = { "^%[C%]", "^runtime%.lua", "^handlers%.lua", "^eval%.lua", "^failure%.lua", "^utils%.lua", "^ao%.lua",
  "^ai%.lua", "^%(%.%.%.tail calls" }

local function is_ours(line)
  for _, pattern in ipairs(ours) do
    if line:find(pattern) then return true end
  end
  return false
end

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
  local lines = {}
  for line in debug.traceback(thread):gmatch("[^\n]+") do
    line = line:match("^%s+(.*)$")
    if line and not is_ours(line) and #lines < 10 then lines[#lines + 1] = "\n  at " .. line end
  end
  return text .. table.concat(lines)
end

return failure
