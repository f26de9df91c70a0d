-- The packages @rakis/DbAdmin and @rakis/WeaveDrive, as programs use them.
local t = require("testing")
local world = require("world")
local test, equal, contains = t.test, t.equal, t.contains

local function package(name, path)
  return 'package.loaded["' .. name .. '"] = (function()\n' .. world.read(path) .. "\nend)()\n"
end
local process = world.spawn("db", {}, package("@rakis/DbAdmin", "packages/db-admin/main.lua") .. package("@rakis/WeaveDrive", "packages/weavedrive/main.lua")
  .. 'admin = require("@rakis/DbAdmin").new(require("lsqlite3").open_memory())')
local function eval(code) return world.eval(process, code) end

test("DbAdmin: exec runs every statement and gives the rows", function()
  equal(eval([[#admin:exec("CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT, done INTEGER DEFAULT 0);\n INSERT INTO notes (text) VALUES ('a');")]]), "0")
  equal(eval([[local rows = admin:exec("INSERT INTO notes (text) VALUES ('b'); SELECT * FROM notes; -- the end") return #rows, rows[2].id, rows[2].text]]), "2\t2\tb")
  contains(eval([[admin:exec("CREATE TABLE bad (x,);")]]), "SQLite: near \")\": syntax error")
end)

test("DbAdmin: apply and select take values, which are never read as SQL", function()
  equal(eval([[admin:apply("INSERT INTO notes (text, done) VALUES (?, ?)", { "x'); DROP TABLE notes; --", 1 })]]), "0")
  equal(eval([[local rows = admin:select("SELECT text FROM notes WHERE done = ?", { 1 }) return #rows, rows[1].text]]), "1\tx'); DROP TABLE notes; --")
  equal(eval([[admin:select("SELECT id FROM notes WHERE text = :name", { name = "b" })[1].id]]), "2")
  equal(eval([[#admin:select("SELECT * FROM notes")]]), "3")
  contains(eval([[admin:apply("INSERT INTO notes (id) VALUES (?)", { 1 })]]), "SQLite: UNIQUE constraint failed: notes.id")
  contains(eval([[admin:select("SELECT * FROM nowhere")]]), "SQLite: no such table: nowhere")
  contains(eval([[require("@rakis/DbAdmin").new()]]), "takes an open database")
end)

test("DbAdmin: tables and their sizes", function()
  equal(eval([[admin:exec('CREATE TABLE "a ""quoted"" one" (x)') return table.concat(admin:tables(), ","), admin:count("notes"), admin:count('a "quoted" one')]]),
    'a "quoted" one,notes\t3\t0')
end)

test("WeaveDrive: what is not there is nil and a reason", function()
  equal(eval([[local drive = require("@rakis/WeaveDrive") return drive.getData("x"), select(2, drive.getTx("x")), select(2, drive.getBlock(1)), select(2, drive.getDataItem("x"))]]),
    "nil\tFile not found!\tBlock Header not found!\tFile not found!")
  equal(#world.errors, 4)
end)
