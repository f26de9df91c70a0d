-- The package @rakis/DbAdmin: SQLite with less typing.
--
--   local admin = require("@rakis/DbAdmin").new(require("lsqlite3").open_memory())
--   admin:exec("CREATE TABLE notes (id INTEGER PRIMARY KEY, text)")
--   admin:apply("INSERT INTO notes (text) VALUES (?)", { "hello" })
--   admin:select("SELECT * FROM notes WHERE text = ?", { "hello" })   --> { { id = 1, text = "hello" } }
--
-- A mistake in SQL is an error with SQLite's words: the message that made it is undone as a whole.
local sqlite3 = require("lsqlite3")

local DbAdmin = { _version = "0.0.1" }
DbAdmin.__index = DbAdmin

function DbAdmin.new(db)
  if not db or not db.isopen or not db:isopen() then error("DbAdmin.new takes an open database of lsqlite3", 2) end
  return setmetatable({ db = db }, DbAdmin)
end

local function fail(self, level) error("SQLite: " .. self.db:errmsg(), level + 1) end

-- Runs every statement of `sql`. @return the rows of those that have some, as tables by column
function DbAdmin:exec(sql)
  local rows, rest = {}, sql
  while rest and rest:match("%S") do
    local statement, left = self.db:prepare(rest)
    if not statement then
      -- What is left may be a comment: then there is nothing to run.
      if self.db:errcode() == sqlite3.OK then break end
      fail(self, 2)
    end
    if not pcall(statement.columns, statement) then break end
    for row in statement:nrows() do rows[#rows + 1] = row end
    statement:finalize()
    rest = left
  end
  return rows
end

local function bound(self, sql, values)
  local statement = self.db:prepare(sql)
  if not statement then fail(self, 3) end
  local code
  if values and #values > 0 then code = statement:bind_values(table.unpack(values, 1, statement:bind_parameter_count()))
  elseif values and next(values) ~= nil then code = statement:bind_names(values)
  else code = sqlite3.OK end
  if code ~= sqlite3.OK then fail(self, 3) end
  return statement
end

-- One statement with values, a list for `?` or a table for `:name`. @return SQLite's code, 0 when it was done
function DbAdmin:apply(sql, values)
  local statement = bound(self, sql, values)
  local code = statement:step()
  while code == sqlite3.ROW do code = statement:step() end
  statement:finalize()
  if code ~= sqlite3.DONE then fail(self, 2) end
  return sqlite3.OK
end

-- @return the rows, tables by column
function DbAdmin:select(sql, values)
  local statement, rows = bound(self, sql, values), {}
  for row in statement:nrows() do rows[#rows + 1] = row end
  statement:finalize()
  return rows
end

-- Names of tables, sorted.
function DbAdmin:tables()
  local names = {}
  for name in self.db:urows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name") do names[#names + 1] = name end
  return names
end

function DbAdmin:count(name)
  for n in self.db:urows('SELECT COUNT(*) FROM "' .. tostring(name):gsub('"', '""') .. '"') do return n end
end

return DbAdmin
