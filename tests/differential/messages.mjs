// What is asked of every module: a process is spawned, then each of these is a message to it.
export const owner = 'o'.repeat(43)
export const id = 'p'.repeat(43)
export const env = {
  Process: { Id: id, Owner: owner, Tags: [{ name: 'Data-Protocol', value: 'ao' }, { name: 'Variant', value: 'ao.TN.1' }, { name: 'Type', value: 'Process' }] },
  Module: { Id: 'm'.repeat(43), Owner: owner, Tags: [] },
}

/** The message of a slot. The first must be the process itself, or aos has no owner and every Eval lands in the Inbox. */
export function message(nonce, { tags = [{ name: 'Action', value: 'Eval' }], data = '', from = owner } = {}) {
  return {
    Id: nonce === 0 ? id : String(nonce).padStart(43, '0'), Signature: 's'.repeat(86), Data: data, Owner: from, Target: id, Anchor: '', From: from,
    Tags: nonce === 0 ? [{ name: 'Type', value: 'Process' }, { name: 'Module', value: env.Module.Id }] : tags, Epoch: 0, Nonce: nonce, Timestamp: 1700000000000 + nonce * 1000,
    'Block-Height': 1400000 + nonce, 'Hash-Chain': 'h'.repeat(43), Cron: false, 'Read-Only': false,
  }
}

const tagged = (tags, data = '', from = 'f'.repeat(43)) => ({ tags: Object.entries(tags).map(([name, value]) => ({ name, value })), data, from })

export const evals = [
  'return 1 + 1',
  'x = 5; return x * 2^53, 7 // 2, 7 % -3, -7 // 2, 1 << 62, 0xff ~ 0x0f',
  'return x, math.type(x), math.maxinteger + 1 == math.mininteger, 1e308 * 10, -(0/0) ~= 0/0',
  'return string.format("%5.2f|%-8s|%08x|%q|%g", 3.14159, "ab", 255, "a\\n\\0b", 1e100), #string.rep("ab", 1000, ",")',
  'local t = {} for i = 1, 3000 do t[i] = (i * 7919) % 3001 end table.sort(t) return t[1], t[3000], table.concat(t, ",", 10, 20)',
  'local t = {} for w in string.gmatch("one two  three", "%a+") do t[#t + 1] = w:upper():reverse() end return table.concat(t, "|"), ("x"):rep(3):gsub("x", "%0%0")',
  'return utf8.char(8364, 128512), #"äöü", utf8.len("äöü"), ("\\u{1F600}"):byte(1, -1)',
  // Errors keep the state as it was.
  'y = 1; error("boom")',
  'return y',
  'error({ code = 7 })',
  'error()',
  'return nil + 1',
  'return (nil).field',
  'this is no lua',
  'return pcall(error, "a"), pcall(error), select("#", pcall(function () return 1, nil, nil end))',
  'return xpcall(function () error("deep") end, function (m) return "handled " .. m end)',
  'return pcall(function () local ok, e = pcall(error, { 1 }) return ok, type(e), e[1] end)',
  'for i = 1, 2000 do pcall(error, i) end return "threw 2000 times"',
  'local function f(n) if n == 0 then error("bottom") end f(n - 1) end return select(2, pcall(f, 50))',
  // Limits of Lua and of memory.
  'local function f() return f() + 1 end return f()',
  'local function f(n) return pcall(f, n + 1) end return select("#", f(0))',
  'local function f(n) return n == 0 and 0 or f(n - 1) end return f(100000)',
  'return pcall(string.rep, "x", 1 << 40)',
  'local s = "x" while true do s = s .. s end',
  'return "still here", x',
  'local t = setmetatable({}, { __index = function (t, k) return t[k + 1] end }) return pcall(function () return t[1] end)',
  // Coroutines.
  'local c = coroutine.wrap(function (a) local b = coroutine.yield(a + 1) return b * 2 end) return c(1), c(21)',
  'local c = coroutine.create(function () pcall(function () coroutine.yield(1) error("in") end) coroutine.yield(2) error("out") end) local r = {} for i = 1, 4 do r[#r + 1] = tostring(select(2, coroutine.resume(c))) end return table.concat(r, "|"), coroutine.status(c)',
  'local n = 0 local function gen(d) if d > 0 then local c = coroutine.wrap(gen) c(d - 1) end n = n + 1 end gen(100) return n',
  'local function deep(d) local c = coroutine.wrap(deep) return c(d + 1) end return pcall(deep, 0)',
  // Tables, orders, addresses.
  'local t = { b = 1, a = 2, z = 3, [1] = 4, [2.5] = 5, hello = 6 } local r = {} for k in pairs(t) do r[#r + 1] = tostring(k) end return table.concat(r, ",")',
  'local r = {} for k in pairs(_G) do r[#r + 1] = tostring(k) end return table.concat(r, ",")',
  'return { 1, { 2, { 3, k = "v" } }, t = true }',
  'local t = setmetatable({}, { __tostring = function () return "mine" end, __call = function (_, a) return a end, __len = function () return 42 end }) return tostring(t), t(9), #t',
  // The world outside.
  'return os.time(), os.date("!%Y-%m-%d %H:%M:%S %a %b %j"), os.clock() >= 0',
  'return os.time({ year = 2024, month = 14, day = -3, hour = 26 }), os.date("!%c", 1709164799), os.date("!*t", 951782400).yday',
  'return os.getenv("HOME"), os.getenv("PATH"), os.tmpname and pcall(os.tmpname)',
  'return io.open("nothing.txt")',
  'return io.open("/etc/passwd"), io.open("nothing", "w")',
  'return pcall(os.rename, "a", "b"), os.remove("a")',
  'print("hello", 1, nil, { 1 }) io.write("written\\n") return "printed"',
  'math.randomseed(42) return math.random(1000), math.random(1000), math.random()',
  // What aos brings.
  'local json = require("json") return json.encode({ 1, "two", { three = 3.5, nested = { true, false } } }), json.decode(\'{"a":[1,2,{"b":null}],"c":"\\\\u20ac"}\').a[2]',
  'return pcall(require("json").decode, "{broken"), pcall(require("json").encode, { [1] = 1, [3] = 3 })',
  'local ok, c = pcall(require, ".crypto.init") if not ok then return "none" end return c.digest.sha2_256("abc").asHex(), c.digest.sha3_256 and c.digest.sha3_256("abc").asHex(), c.digest.md5("abc").asHex()',
  'local ok, c = pcall(require, ".crypto.init") if not ok then return "none" end return c.utils.hex.stringToHex("hello"), c.mac.createHmac and pcall(c.mac.createHmac, c.utils.array.fromString("data"), c.utils.array.fromString("key"), "sha256")',
  'local ok, b = pcall(require, ".base64") if not ok then return "none" end return b.encode("hello world"), b.decode("aGk=")',
  'Handlers.add("pingpong", Handlers.utils.hasMatchingTag("Action", "Ping"), function (m) Pings = (Pings or 0) + 1 ao.send({ Target = m.From, Data = "pong " .. m.Data, Action = "Pong" }) end) return #Handlers.list',
  tagged({ Action: 'Ping' }, 'one'),
  tagged({ Action: 'Ping', 'X-Extra': 'ü€😀' }, 'zwei: äöü €😀 \u0000 \u001f \\ " end'),
  tagged({ Action: 'Unknown' }, 'x'.repeat(200_000)),
  'return Pings, #Inbox, Inbox[#Inbox] and #(Inbox[#Inbox].Data or "")',
  'Handlers.add("fails", Handlers.utils.hasMatchingTag("Action", "Fail"), function (m) Pings = 100 error("handler failed: " .. m.Data) end) return "added"',
  tagged({ Action: 'Fail' }, 'why'),
  'return Pings',
  'ao.spawn("m", { Data = "child", Tags = { A = "b" } }) ao.assign({ Processes = { ao.id }, Message = "msg" }) Send({ Target = "t", Action = "A", Data = "d", Number = "7" }) return "sent"',
  'local a, b = 0, 1 for i = 1, 80 do a, b = b, a + b end return a',
  'local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end return fib(18)',
  'local s = 0 for i = 1, 100000 do s = s + math.sin(i) * math.floor(i / 3) end return string.format("%.10f", s)',
  'local t = {} for i = 1, 20000 do t[i] = { i, tostring(i) } end t = nil collectgarbage() return collectgarbage("count") > 0',
  'return load("return ...", "chunk", "t", {})(1, 2), load("x ="), string.dump and #string.dump(function () return 1 end)',
  'goto done do return 1 end ::done:: return "went"',
  'return tostring(1e15), tostring(1e16), tostring(-0.0), 2^63, math.tointeger(3.0), 10 // 0.0, tostring(3 % math.huge)',
  'return #debug.traceback("x"), debug.getinfo(1, "l").currentline',
  `return "${'ü'.repeat(3000)}", #"${'y'.repeat(30_000)}"`,
]

export const sqlite_evals = [
  'sqlite = require("lsqlite3") db = sqlite.open_memory() return db ~= nil',
  'return db:exec("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, x REAL)"), db:errmsg()',
  'db:exec("BEGIN") local s = db:prepare("INSERT INTO t (name, x) VALUES (?, ?)") for i = 1, 500 do s:bind_values("name" .. i, i / 7) s:step() s:reset() end s:finalize() db:exec("COMMIT") return db:total_changes()',
  'local r = {} for row in db:nrows("SELECT name, round(x, 3) AS x FROM t WHERE id % 50 = 0 ORDER BY x DESC") do r[#r + 1] = row.name .. "=" .. row.x end return table.concat(r, " ")',
  'local r = {} for c, s, m in db:urows("SELECT count(*), sum(x), max(name) FROM t") do r = { c, string.format("%.6f", s), m } end return table.concat(r, " ")',
  'return db:exec("SELECT * FROM nothing"), db:errmsg()',
  'db:exec("INSERT INTO t (name) VALUES (\'äöü €\')") for n in db:urows("SELECT upper(name) || length(name) FROM t ORDER BY id DESC LIMIT 1") do return n end',
  'for v in db:urows("SELECT sqlite_version()") do return v end',
  'for d in db:urows("SELECT date(0, \'unixepoch\', \'+1 month\') || strftime(\' %H:%M\', 3600, \'unixepoch\')") do return d end',
  'error("after a query")',
  'for c in db:urows("SELECT count(*) FROM t") do return c end',
  'return db:exec("CREATE INDEX i ON t (x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t (name, x) SELECT hex(randomblob(0)) || i, i * 1.5 FROM n"), db:errmsg()',
  'for c, j in db:urows("SELECT count(*), json_extract(json_group_array(id), \'$[3]\') FROM (SELECT id FROM t ORDER BY name, x LIMIT 1000)") do return c, j end',
  'return db:close()',
]
