-- A process through the door that the node calls: messages in, results out.
local json = require("json")
local t = require("testing")
local test, equal, contains, send, eval, tag = t.test, t.equal, t.contains, t.send, t.eval, t.tag

test("slot 0 sets owner and name and runs the data when On-Boot says so", function()
  local response = t.spawn({ Name = "Tester", ["On-Boot"] = "Data", Authority = ("U"):rep(43) .. "," .. ("V"):rep(43) },
    'Booted = (Booted or 0) + 1; print("hello from " .. Name)')
  equal(response.Error, nil)
  equal(response.Output.data, "hello from Tester")
  equal({ response.Messages, response.Spawns, response.Assignments }, { {}, {}, {} })
  equal(eval("Booted"), "1")
  equal(eval("Owner == ao.env.Process.Owner and ao.id == ao.env.Process.Id and #ao.authorities"), "2")
end)

test("the result is exactly the JSON of the contract", function()
  local env = json.encode({ Process = { Id = t.id, Owner = t.owner, Tags = {} } })
  local text = native.handle(json.encode({ Id = "x", From = t.owner, Owner = t.owner, Target = t.id, Data = "1+1",
    Tags = { { name = "Action", value = "Eval" } }, Timestamp = 5 }), env)
  contains(text, '{"ok":true,"response":{"Assignments":[],"Messages":[],"Output":{"data":"2","prompt":"')
  contains(native.handle("{", env), '{"ok":false,"response":"json: ')
  contains(native.handle("{}", "[1]"), '{"ok":false,"response":"env.Process is missing')
  contains(native.handle("7", env), '{"ok":false,"response":"')
  contains(native.handle(("["):rep(100000), env), '{"ok":false,"response":"json: nested deeper')
end)

test("Eval shows values and what was printed", function()
  equal(eval("1+1"), "2")
  equal(eval("print('a', 1) return { x = 2 }"), "a\t1\n{\n   x = 2\n}")
  equal(eval("Counter = (Counter or 0) + 5"), "")
  equal(eval("Counter, nil, 'x'"), "5\tnil\tx")
  local _, response = eval("return 1")
  equal(response.Output.print, nil)
  contains(response.Output.prompt, "Tester")
end)

test("values and messages have the shapes and colours of aos", function()
  local function shown(code) return select(2, eval(code)).Output.coloured end
  equal(shown("{ 1, 'x' }"), '{ \27[34m1\27[0m, \27[32m"x"\27[0m }')
  equal(shown("{}"), "{  }")
  equal(shown("{ b = { true }, a = { k = 'v' } }"), '{\n   \27[31ma\27[0m = {\n     \27[31mk\27[0m = \27[32m"v"\27[0m\n  },\n'
    .. '   \27[31mb\27[0m = {\n    \27[34mtrue\27[0m\n   }\n}')
  equal(shown("print(true) print(nil) print(42) print('text')"), "\27[34mtrue\27[0m\n\27[31mnil\27[0m\n\27[32m42\27[0m\ntext")
  contains(eval("Send({ Target = 'x' })"), 'output = "Message added to outbox"')
  contains(eval("Spawn('x', {})"), 'output = "Spawn process request added to outbox"')
  equal(eval("Assign({ Processes = {}, Message = 'm' })"), "Assignment added to outbox.")
  equal(eval("Version()"), "version: 2.0.4")
  contains(t.plain(select(2, eval("1")).Output.prompt), "Tester@aos-2.0.4[Inbox:1]> ")
  equal(send({ From = t.alice, Tags = { Action = "Hello" } }).Output.coloured,
    "\27[90mNew Message From \27[32mAAA...AAA\27[90m: \27[90mAction = \27[34mHello\27[0m")
end)

test("Eval says what is wrong, with the line", function()
  contains(eval("local x = = 1"), 'error: [string "aos"]:1: unexpected symbol')
  contains(eval("local a = 1\nerror('broken')"), 'error: [string "aos"]:2: broken')
  contains(eval("local a = nil\nlocal function f()\n return a.b\nend\nf()"), '[string "aos"]:3: attempt to index a nil value')
  contains(eval("error({ code = 7 })"), "{ code = 7 }")
  contains(eval("print('before') error('x')"), "printed before:\nbefore")
  contains(eval("os.exit(1)"), "os.exit is not available in a process")
  equal(eval("os.getenv('HOME')"), "nil\tnot available in a process")
  contains(eval("local function f() return f() + 1 end return f()"), "stack overflow")
end)

test("the console of 2023 has its line in a tag, and finds text and prompt where it looks, also beside an error", function()
  local function typed(line, from) return send({ From = from, Data = "4711", Tags = { ["function"] = "eval", expression = line } }) end
  local output = typed("1 + 1").Output
  equal({ t.plain(output.data.output), output.prompt, output.print }, { "2", nil, nil })
  contains(t.plain(output.data.prompt), "@aos-")
  equal(t.plain(output.data.prompt):sub(-1), "]")
  local failed = typed("error('boom')")
  contains(failed.Error, "boom")
  contains(failed.Output.data.output, "boom")
  contains(t.plain(failed.Output.data.prompt), "@aos-")
  equal({ typed("Owner = 'alice'", t.alice).Output.print, (eval("Owner == ao.env.Process.Owner")) }, { true, "true" })
end)

test("only the owner may Eval; from others it is an ordinary message", function()
  local before = eval("#Inbox")
  local response = send({ From = t.alice, Data = "Owner = 'alice'", Tags = { Action = "Eval" } })
  contains(response.Output.data, "New Message From AAA...AAA: Action = Eval")
  equal(eval("#Inbox - " .. before), "1")
  equal(eval("Inbox[#Inbox].Data"), "Owner = 'alice'")
  equal(eval("Owner == ao.env.Process.Owner"), "true")
end)

test("who signs for another must be an authority", function()
  local response = send({ From = t.alice, Owner = ("W"):rep(43), Tags = { Action = "Hi" } })
  contains(response.Output.data, "Message is not trusted! From: AAAA")
  equal(response.Messages, {})
  contains(send({ From = t.alice, Owner = ("V"):rep(43), Tags = { Action = "Hi" } }).Output.data, "New Message From AAA...AAA")
end)

test("what was meant for somebody else is refused unless it is assignable", function()
  local response = send({ From = t.alice, Target = ("T"):rep(43), Tags = { Action = "News" } })
  contains(response.Output.data, "Assignment is not trusted!")
  equal(response.Messages[1].Target, t.alice)
  eval("ao.addAssignable('news', { Action = 'News' })")
  contains(send({ From = t.alice, Target = ("T"):rep(43), Tags = { Action = "News" } }).Output.data, "New Message")
end)

test("a handler answers, and the answer knows its question", function()
  eval([[Handlers.add("Ping", "Ping", function(msg) msg.reply({ Data = "pong " .. msg.Data, Colour = "red", Size = 3.0 }) end)]])
  local response = send({ From = t.alice, Data = "é\0", Tags = { Action = "Ping", Reference = "42", ["X-Origin"] = "me" } })
  local answer = response.Messages[1]
  equal(#response.Messages, 1)
  equal(answer.Target, t.alice)
  equal(answer.Data, "pong é\0")
  equal(#answer.Anchor, 32)
  equal({ tag(answer, "Data-Protocol"), tag(answer, "Type"), tag(answer, "X-Reference"), tag(answer, "X-Origin"),
    tag(answer, "Colour"), tag(answer, "Size") }, { "ao", "Message", "42", "me", "red", "3" })
end)

test("Send: names at the root become sorted tags, a list of tags keeps its order, a table becomes JSON", function()
  local _, response = eval([[Send({ Target = "x", Zebra = 1, Action = "A", Data = { b = 1, a = 2 },
    Tags = { { name = "second", value = "2" }, { name = "first", value = true } } })]])
  local names = {}
  for i, one in ipairs(response.Messages[1].Tags) do names[i] = one.name .. "=" .. one.value end
  names[4] = names[4]:gsub("%d+", "N")
  equal(table.concat(names, " "), "Data-Protocol=ao Variant=ao.TN.1 Type=Message Reference=N Content-Type=application/json "
    .. "Action=A Zebra=1 second=2 first=true")
  equal(response.Messages[1].Data, '{"a":2,"b":1}')
  contains(eval("Send('x')"), "ao.send takes a table")
end)

test("Spawn and Assign go into their lists", function()
  local _, response = eval([[Spawn("module", { Data = "code", Name = "child" }); Assign({ Processes = { "p" }, Message = "m" })]])
  equal({ tag(response.Spawns[1], "Type"), tag(response.Spawns[1], "Module"), tag(response.Spawns[1], "Name"), response.Spawns[1].Data },
    { "Process", "module", "child", "code" })
  equal(response.Assignments, { { Message = "m", Processes = { "p" } } })
end)

test("an error in a handler names file, line and handler, and yields nothing else", function()
  eval('Handlers.add("Boom", "Boom", function(msg)\n  Send({ Target = "x" })\n  error("no " .. msg.Data)\nend)')
  local response = send({ From = t.alice, Data = "way", Tags = { Action = "Boom" } })
  contains(response.Error, '[string "aos"]:3: no way')
  contains(response.Error, "in the handler 'Boom'\n  of the message m")
  contains(response.Error, " from " .. t.alice)
  equal({ response.Messages, response.Output }, {})
  equal(#send({ From = t.alice, Data = "", Tags = { Action = "Ping" } }).Messages, 1)
end)

test("lines of a user's file are shown, whatever it is called; our own are not", function()
  for _, name in ipairs({ "handlers.lua", "runtime.lua", "utils.lua", "mine.lua" }) do
    eval(([==[assert(load("function Deep()\n error('deep')\nend\nfunction Fails()\n Deep()\n return 1\nend", "@%s"))()]==]):format(name))
    local said = eval("Fails() return 1")
    contains(said, name .. ":2: deep\n  at " .. name .. ":2: in ")
    contains(said, "\n  at " .. name .. ":5: in ")
    contains(said, "\n  at [string \"aos\"]:1: in ")
    equal(select(2, said:gsub("\n  at ", "")), 3)
  end
end)

test("who waits with a time-out goes on with nil and the reason, before the message that came too late", function()
  eval([[Said = {} Handlers.add("Ask", "Ask", function(msg)
    local answer, why = Send({ Target = "oracle", Action = "Q" }).receive(1000)
    table.insert(Said, answer and answer.Data or why)
    if msg.Data == "fail" then error("as told") end
  end)]])
  send({ From = t.alice, Tags = { Action = "Ask" } })
  equal(eval("#Said .. #Handlers.waits"), "01")
  local asked = send({ From = t.alice, Tags = { Action = "Ask" } }).Messages[1]
  send({ From = "oracle", Data = "yes", Tags = { ["X-Reference"] = tag(asked, "Reference") } })
  equal(eval("Said[1]"), "yes")
  t.wait(2000)
  equal(eval("Said[2] .. #Handlers.waits"), "timeout0")
  equal(eval("#Handlers.coroutines"), "0")
  -- An error after a time-out is no error of the message that was just at hand.
  send({ From = t.alice, Data = "fail", Tags = { Action = "Ask" } })
  t.wait(2000)
  local text = eval("1 + 1")
  contains(text, "After a time-out: ")
  contains(text, "as told")
  contains(text, "\n2")
  contains(eval([[Receive("x", "soon")]]), "the time-out is a number of milliseconds")
end)

test("payable: what cannot be done is paid back, once, with the reason", function()
  eval([[Sold = {} Handlers.payable({ name = "shop", token = "token", price = "10", refund = true, pattern = { ["X-Item"] = "_" },
    handle = function(msg, payment)
      Send({ Target = payment.sender, Data = "here it is" })
      if msg.Tags["X-Item"] == "fault" then error("out of stock", 0) end
      if msg.Tags["X-Item"] == "no" then return false, "closed" end
      table.insert(Sold, payment.sender .. payment.quantity .. payment.reference)
    end })]])
  local function pay(tags)
    tags.Action, tags.Sender, tags.Quantity = "Credit-Notice", tags.Sender or "buyer", tags.Quantity or "10"
    return send({ From = "token", Tags = tags }).Messages
  end
  local function back(messages) return { #messages, messages[1].Target, tag(messages[1], "Action"), tag(messages[1], "Recipient"),
    tag(messages[1], "Quantity"), tag(messages[1], "X-Reason"), tag(messages[1], "X-Reference") } end
  equal(#pay({ ["X-Item"] = "book", ["X-Reference"] = "r1" }), 1)
  equal(eval("Sold[1]"), "buyer10r1")
  equal(back(pay({ ["X-Item"] = "fault", ["X-Reference"] = "r2" })), { 1, "token", "Transfer", "buyer", "10", "out of stock", "r2" })
  equal(back(pay({ ["X-Item"] = "no", ["X-Reference"] = "r3" })), { 1, "token", "Transfer", "buyer", "10", "closed", "r3" })
  equal(back(pay({ ["X-Item"] = "book", Quantity = "9", ["X-Reference"] = "r4" })), { 1, "token", "Transfer", "buyer", "9", "Insufficient payment", "r4" })
  equal(#pay({ ["X-Item"] = "fault", ["X-Refund"] = "whole" }), 0)
  equal(#pay({ ["X-Reference"] = "no item" }), 0)
  equal(#send({ From = t.alice, Tags = { Action = "Credit-Notice", Sender = "x", Quantity = "99", ["X-Item"] = "book" } }).Messages, 0)
  equal(eval("#Sold"), "1")
end)

test("a handler can wait for an answer, many messages later", function()
  eval([[Handlers.add("Relay", "Relay", function(msg)
    local answer = Send({ Target = "oracle" .. ("x"):rep(37), Action = "Question" }).receive()
    msg.reply({ Data = "it said " .. answer.Data })
  end)]])
  local asked = send({ From = t.alice, Tags = { Action = "Relay", Reference = "9" } }).Messages[1]
  equal(tag(asked, "Action"), "Question")
  equal(#send({ From = t.alice, Tags = { Action = "Ping" }, Data = "" }).Messages, 1)
  local answered = send({ From = asked.Target, Data = "42", Tags = { ["X-Reference"] = tag(asked, "Reference") } }).Messages
  equal({ #answered, answered[1].Target, answered[1].Data, tag(answered[1], "X-Reference") }, { 1, t.alice, "it said 42", "9" })
  equal(#send({ From = asked.Target, Data = "43", Tags = { ["X-Reference"] = tag(asked, "Reference") } }).Messages, 0)
  equal(eval("#Handlers.coroutines"), "0")
end)

test("time and chance come from the message", function()
  equal(eval("math.type(os.time()) == 'integer' and os.time() > 1700000000000 and os.time() < 1700000100000"), "true")
  equal(eval("math.random(1, 1000000) ~= math.random(1, 1000000)"), "true")
end)

test("JSON data becomes a table when its type says so, and stays a text when it is none", function()
  eval([[Handlers.add("Data", "Data", function(msg) print(type(msg.Data)) end)]])
  equal(send({ Data = '{"a":1}', Tags = { Action = "Data", ["Content-Type"] = "application/json" } }).Output.data, "table")
  equal(send({ Data = '{"a":', Tags = { Action = "Data", ["Content-Type"] = "application/json" } }).Output.data, "string")
  equal(send({ Data = '{"a":1}', Tags = { Action = "Data" } }).Output.data, "string")
end)

test("tags reach the root of a message, but not over what the node says", function()
  eval([[Handlers.add("Root", "Root", function(msg) print(msg.Colour, msg["X-Y"], msg.From == Owner, msg.Timestamp > 5, msg.Tags.From) end)]])
  equal(send({ Tags = { Action = "Root", Colour = "red", ["x-y"] = "1", From = "mallory", Timestamp = "5" } }).Output.data,
    "red\t1\ttrue\ttrue\tmallory")
end)

test("OUTPUTS is there for the callbacks of the tutorial", function()
  equal(eval("table.insert(OUTPUTS, 'x') return #OUTPUTS"), "1")
end)

test("aos's names for modules work", function()
  equal(eval("require('.handlers') == Handlers and require('.ao') == ao and require('.utils') == Utils and require('json').encode({})"), "[]")
  contains(eval("require('nowhere')"), "no file 'nowhere.lua' in the module")
end)

test("a thousand messages leave no more memory than a hundred", function()
  local function kilobytes() return tonumber((eval("collectgarbage() collectgarbage() return collectgarbage('count')"))) end
  local function pings(count)
    for _ = 1, count do send({ From = t.alice, Data = ("x"):rep(1000), Tags = { Action = "Ping" } }) end
  end
  pings(100)
  local before = kilobytes()
  pings(1000)
  equal(kilobytes() - before < 20, true)
end)

test("update replaces the runtime and keeps what the process has", function()
  eval('Handlers.add("Kept", "Kept", function(msg) msg.reply({ Data = "kept" }) end) Inbox[#Inbox + 1] = { Data = "old" }')
  local inbox, reference = (eval("#Inbox")), (eval("ao.reference"))
  local texts = {}
  for _, name in ipairs({ "utils", "pretty", "stringify", "dump", "failure", "base64", "crypto", "eval", "handlers", "ao", "runtime" }) do
    local file = io.open("process/" .. name .. ".lua", "rb")
    texts[#texts + 1] = ("[%q] = %q"):format(name, (file:read("a"):gsub('"2%.0%.4"', '"2.0.5"')))
    file:close()
  end
  equal(eval("return require('.process').update({" .. table.concat(texts, ", ") .. "}, '2.0.5')"), "Updated AOS to version 2.0.5")
  equal(eval("Version()"), "version: 2.0.5")
  equal({ (eval("#Inbox")), (eval("ao.reference")) }, { inbox, reference })
  equal(send({ From = t.alice, Tags = { Action = "Kept" } }).Messages[1].Data, "kept")
  equal(eval("ao == require('.ao') and Handlers == require('.handlers')"), "true")
  contains(eval("require('.process').update({ utils = 'x x' })"), "the new utils.lua does not compile")
  equal(eval("Version()"), "version: 2.0.5")
end)
