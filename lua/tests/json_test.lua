local json = require("json")
local t = require("testing")
local test, equal, contains, failure = t.test, t.equal, t.contains, t.failure

test("values come back as they went", function()
  for _, text in ipairs({ "null", "true", "false", "0", "-1", "9223372036854775807", "-9223372036854775808", "1.5",
    '""', '"a"', "[]", "[1,2,[3]]", '{"a":1,"b":{"c":[true,"x"]}}' }) do
    equal(json.encode(json.decode(text)), text)
  end
  equal(math.type(json.decode("7")), "integer")
  equal(math.type(json.decode("7.0")), "float")
  equal(json.decode("18446744073709551616"), 2.0 ^ 64)
  equal(json.decode(" \t\r\n[ 1 , 2 ] "), { 1, 2 })
end)

test("names of objects come out sorted by their bytes", function()
  equal(json.encode({ b = 1, a = 2, B = 3, [""] = 4, aa = 5 }), '{"":4,"B":3,"a":2,"aa":5,"b":1}')
end)

test("every byte survives, and control characters are escaped", function()
  local all = {}
  for byte = 0, 255 do all[#all + 1] = string.char(byte) end
  local text = table.concat(all)
  equal(json.decode(json.encode(text)) == text, true)
  equal(json.encode("\0\31\"\\/\127"), '"\\u0000\\u001f\\"\\\\/\127"')
  equal(json.encode("\200 is no UTF-8"), '"\200 is no UTF-8"')
  equal(json.decode('"\255\254"'), "\255\254")
end)

test("escapes are read, also surrogates in pairs and alone", function()
  equal(json.decode([["\b\f\n\r\t\/\\\"\u0041\u00e9\u20AC"]]), "\b\f\n\r\t/\\\"Aé€")
  equal(json.decode([["\ud83e\udd99"]]), "🦙")
  equal(json.decode([["\ud83ex"]]), "\xed\xa0\xbex")
  equal(json.decode([["\ud83e\u0041"]]), "\xed\xa0\xbeA")
end)

test("a comma before the closing bracket is let through, as AO does", function()
  equal(json.decode('{"a":[1,],}'), { a = { 1 } })
end)

test("what is not JSON is refused with its place", function()
  for text, words in pairs({
    [""] = "the end where a value was expected at byte 1", [" "] = "the end where a value was expected",
    ["[1"] = "a list without ',' or ']' at byte 3", ["["] = "the end where", ['{"a"'] = "a name without ':'",
    ['{"a":'] = "the end where", ["{a:1}"] = "an object without a name in quotes", ["{"] = "an object without a name",
    ['{"a":1'] = "an object without ',' or '}'", ["[1 2]"] = "a list without", ["1 2"] = "something behind the value",
    ["tru"] = "an unknown word", ["nul"] = "an unknown word", ["nan"] = "an unknown word", ["x"] = "a character that begins no value",
    ["-"] = "a number without digits", ["01"] = "a leading zero", ["1."] = "without digits behind its point",
    ["1e"] = "without digits in its exponent", ["1e+"] = "without digits in its exponent", ["0x10"] = "something behind",
    ["+1"] = "begins no value", [".5"] = "begins no value", ['"a'] = "a string without its end", ['"a\\'] = "a string without its end",
    ['"\\"'] = "a string without its end", ['"a\nb"'] = "a control character", ['"\\x"'] = "an unknown escape",
    ['"\\u12"'] = "without four hexadecimal digits", ['"\\u12G4"'] = "without four hexadecimal digits", [","] = "begins no value",
    ["[,]"] = "begins no value", ['{,}'] = "without a name", ["\0"] = "begins no value", ["1\0"] = "something behind",
  }) do
    contains(failure(json.decode, text), words)
  end
end)

test("nesting has an end in both directions, and so do circles", function()
  equal(#json.encode(json.decode(("["):rep(200) .. ("]"):rep(200))), 400)
  contains(failure(json.decode, ("["):rep(201) .. ("]"):rep(201)), "nested deeper than 200 levels at byte 201")
  contains(failure(json.decode, ("["):rep(1000000)), "nested deeper")
  contains(failure(json.decode, ('{"a":'):rep(100000)), "nested deeper")
  local circle = {}
  circle.circle = circle
  contains(failure(json.encode, circle), "in a circle")
end)

test("what has no form in JSON is refused", function()
  contains(failure(json.encode, print), "a function has no form in JSON")
  contains(failure(json.encode, { a = { coroutine.create(print) } }), "a thread has no form in JSON")
  contains(failure(json.encode, 0 / 0), "not a number of JSON")
  contains(failure(json.encode, -1 / 0), "not a number of JSON")
  contains(failure(json.encode, { 1, a = 2 }), "both names and numbers")
  contains(failure(json.encode, { [1] = 1, [3] = 3 }), "a list has holes")
  contains(failure(json.encode, { [1.5] = 1 }), "a key of type number")
  contains(failure(json.encode, { [true] = 1 }), "a key of type boolean")
  contains(failure(json.encode), "bad argument")
end)

-- A generator of our own: the same texts on every machine.
local state = 1
local function draw(below)
  state = (state * 6364136223846793005 + 1442695040888963407)
  return (state >> 33) % below
end

test("no text breaks the reader: each is a value or an error of ours", function()
  local seed = json.encode({ a = { 1, -2.5, "x\n\"é", true }, ["b c"] = { d = {} }, e = "\0\1\2" })
  local alphabet = '{}[]",:\\u0eE+-.1tfn\0\200 '
  local refused, read = 0, 0
  for _ = 1, 20000 do
    local bytes = { seed:byte(1, -1) }
    for _ = 1, 1 + draw(4) do
      local at, what = 1 + draw(math.max(#bytes, 1)), draw(4)
      local other = 1 + draw(#alphabet)
      if what == 0 then bytes[math.min(at, #bytes + 1)] = alphabet:byte(other)
      elseif what == 1 and #bytes > 0 then table.remove(bytes, at)
      elseif what == 2 then table.insert(bytes, math.min(at, #bytes + 1), alphabet:byte(other))
      elseif what == 3 then for i = #bytes, math.max(at, 2), -1 do bytes[i] = nil end end
    end
    local fine, value = pcall(json.decode, string.char(table.unpack(bytes)))
    if fine then
      read = read + 1
    else
      refused = refused + 1
      contains(value, "json: ")
      contains(value, " at byte ")
    end
  end
  equal(read > 1000 and refused > 1000, true)
end)
