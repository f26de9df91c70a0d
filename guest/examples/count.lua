-- The same in Lua, for a process of process.wasm: evaluate it, then send it the id of an item.
local asked = 0

Handlers.add("count", { Data = "^[%w_-]+$" }, function(msg)
  local file = io.open("/data/" .. msg.Data, "rb")
  if not file then error("the item is not there, or this process may not read it") end
  local text = file:read("a")
  file:close()
  asked = asked + 1
  local _, lines = text:gsub("\n", "\n")
  print(lines .. " lines, " .. #text .. " bytes, question " .. asked)
end)
