-- Files as published AO code reads them. All of it writes `file:read(file:seek("end"))` and gets a file from its start, which the
-- original host does by an accident (ao-protocol.md 7.2): so a read right after a seek to the very end begins at the start.
-- Whoever seeks on, as C programs do before they read, sees nothing of it.
local at_end = setmetatable({}, { __mode = "k" })

local methods = getmetatable(io.stdout).__index
local seek, read, lines = methods.seek, methods.read, methods.lines

local function start_again(file)
  if at_end[file] then
    at_end[file] = nil
    seek(file, "set", 0)
  end
end

function methods.seek(file, whence, offset, ...)
  at_end[file] = whence == "end" and (offset == nil or offset == 0) or nil
  return seek(file, whence or "cur", offset or 0, ...)
end

function methods.read(file, ...)
  start_again(file)
  return read(file, ...)
end

function methods.lines(file, ...)
  start_again(file)
  return lines(file, ...)
end
