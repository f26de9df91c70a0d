-- Lua that comes with a message: Action=Eval from the owner, and On-Boot.
local stringify = require("stringify")

local eval = {}

-- A text is an expression when it can be one, otherwise statements. Lines of errors begin with [string "name"]: consoles look
-- for it.
function eval.compile(text, name)
  local chunk = load("return " .. text, name)
  if chunk then return chunk end
  return load(text, name)
end

-- Runs `text` and shows the values it gives. Raises what it raises.
function eval.run(text, name)
  local program, reason = eval.compile(text, name)
  if not program then error(reason, 0) end
  local values = table.pack(program())
  local shown = {}
  for i = 1, values.n do shown[i] = stringify.format(values[i]) end
  -- A single nil is what every statement gives: not worth showing.
  if values.n == 0 or (values.n == 1 and values[1] == nil) then return end
  eval.show(table.concat(shown, "\t"))
end

-- Set by the runtime: adds a line to the output of the message.
function eval.show() end

function eval.boot(msg)
  local what = msg.Tags["On-Boot"]
  if what == nil then return end
  if what == "Data" then return eval.run(msg.Data or "", "boot") end
  local file = io.open("/data/" .. what, "rb")
  if not file then error("On-Boot: the item " .. what .. " cannot be opened here: it is unknown or not admitted", 0) end
  local text = file:read("a")
  file:close()
  return eval.run(text, "boot")
end

return eval
