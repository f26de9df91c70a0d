-- require("lsqlite3"): databases in the memory of a process, with the calls of LuaSQLite 3.
local t = require("testing")
local test, equal, contains = t.test, t.equal, t.contains

t.spawn({})
t.eval([[sqlite3 = require("lsqlite3") db = sqlite3.open_memory()]])
local function eval(code) return (t.eval(code)) end

test("a table is made, filled by exec, and read row by row", function()
  equal(eval([[db:exec([=[CREATE TABLE people (name TEXT PRIMARY KEY, age INTEGER, height REAL, photo BLOB);
    INSERT INTO people VALUES ('ada', 36, 1.65, x'00ff'), ('bob', NULL, 1.8, NULL);]=])]]), "0")
  equal(eval([[local s = {} for row in db:nrows("SELECT * FROM people ORDER BY name") do
    s[#s + 1] = row.name .. "/" .. tostring(row.age) .. "/" .. row.height .. "/" .. (row.photo and #row.photo or "none") end return table.concat(s, " ")]]),
    "ada/36/1.65/2 bob/nil/1.8/none")
  equal(eval([[local s = {} for row in db:rows("SELECT name, age FROM people ORDER BY name") do s[#s + 1] = row[1] .. #row end return table.concat(s, " ")]]),
    "ada2 bob1")
  equal(eval([[for name, age in db:urows("SELECT name, age FROM people WHERE age > 30") do return name .. age end]]), "ada36")
end)

test("what a database holds is state: later messages find it", function()
  equal(eval([[for n in db:urows("SELECT COUNT(*) FROM people") do return n end]]), "2")
end)

test("an error of the message does not end the database", function()
  contains(eval([[for _ in db:nrows("SELECT * FROM nowhere") do end]]), "no such table: nowhere")
  equal(eval([[return db:exec("INSERT INTO people (name) VALUES ('ada')"), db:errmsg(), db:errcode() == sqlite3.CONSTRAINT]]),
    "19\tUNIQUE constraint failed: people.name\ttrue")
  equal(eval([[return db:isopen(), db:prepare("nonsense")]]), "true\tnil\t1")
end)

test("statements take values by number, by name and as a list, and give them as they were", function()
  equal(eval([[st = db:prepare("INSERT INTO people VALUES (?, ?, ?, ?)")
    st:bind_values("cleo", 69, 2, "x\0y") return st:step() == sqlite3.DONE, st:reset(), db:last_insert_rowid(), db:changes()]]), "true\t0\t3\t1")
  equal(eval([[st:bind(1, "dora") st:bind(2, 9007199254740993) st:bind(3, 0.5) st:bind_blob(4, "b") st:step() st:finalize() return st:isopen()]]), "false")
  equal(eval([[st = db:prepare("SELECT name, age FROM people WHERE name = :name OR age = $age ORDER BY name") st:bind_names({ name = "dora", age = 36 })
    local s = {} while st:step() == sqlite3.ROW do s[#s + 1] = st:get_value(0) .. st:get_value(1) end return table.concat(s, " ")]]), "ada36 dora9007199254740993")
  equal(eval([[st:reset() local s = {} for row in st:nrows() do s[#s + 1] = row.name end return table.concat(s, " "), st:columns(), st:get_name(1)]]), "ada dora\t2\tage")
  contains(eval([[st:bind_values(1)]]), "incorrect number of parameters to bind (1 given, 2 to bind)")
  contains(eval([[st:get_value(0)]]), "there is no row")
  contains(eval([[st:bind(1, {})]]), "SQLite takes no table")
end)

test("exec calls a function for each row, and stops when it says so or fails", function()
  equal(eval([[local s = {} local code = db:exec("SELECT name, age FROM people ORDER BY name", function(data, count, values, names)
    s[#s + 1] = data .. count .. names[1] .. "=" .. values[1] return #s == 2 and 1 or 0 end, "d")
    return table.concat(s, " "), code == sqlite3.ABORT]]), "d2name=ada d2name=bob\ttrue")
  contains(eval([[db:exec("SELECT 1", function() error("on purpose") end)]]), "on purpose")
end)

test("a transaction that is rolled back leaves nothing", function()
  equal(eval([[db:exec("BEGIN; DELETE FROM people; ROLLBACK;") for n in db:urows("SELECT COUNT(*) FROM people") do return n end]]), "4")
end)

test("functions written in Lua serve as functions of SQL, and their errors are errors of SQL", function()
  equal(eval([[db:create_function("twice", 1, function(context, x) context:result(x * 2) end)
    db:create_function("shout", 1, function(_, x) return x:upper() .. "!" end)
    db:create_function("fail", 0, function() error("no luck") end)
    for a, b in db:urows("SELECT twice(21), shout('hey')") do return a, b end]]), "42\tHEY!")
  contains(eval([[for _ in db:urows("SELECT fail()") do end]]), "no luck")
end)

test("JSON, full text and dates are there; the time is that of the message", function()
  equal(eval([[for v in db:urows([=[SELECT json_extract('{"a":[1,2]}', '$.a[1]')]=]) do return v end]]), "2")
  equal(eval([[db:exec("CREATE VIRTUAL TABLE notes USING fts5(body); INSERT INTO notes VALUES ('the llama sings'), ('nobody sings')")
    for v in db:urows("SELECT body FROM notes WHERE notes MATCH 'llama'") do return v end]]), "the llama sings")
end)

test("there are no files, and no other database can be attached to one", function()
  equal(eval([[local d, code, why = sqlite3.open("file.db") return d, code == sqlite3.CANTOPEN, why]]),
    "nil\ttrue\ta process has no files: open_memory() gives a database that is kept with it")
  equal(eval([[sqlite3.open():isopen()]]), "true")
end)

test("closing ends statements and the database; what is closed says so", function()
  equal(eval([[return db:close(), db:isopen(), st:isopen(), tostring(db)]]), "0\tfalse\tfalse\tsqlite database (closed)")
  contains(eval([[db:exec("SELECT 1")]]), "this SQLite database is closed")
  contains(eval([[st:step()]]), "this SQLite statement is finalized")
  equal(eval([[db = nil st = nil collectgarbage() collectgarbage() return "swept"]]), "swept")
end)
