local pretty = require("pretty")
local t = require("testing")

t.test("a text stands for itself, inside a table in quotes", function()
  t.equal(pretty.format("a\nb"), "a\nb")
  t.equal(pretty.format({ "a\nb\0" }), '{ "a\\nb\\0" }')
end)

t.test("tables are written with sorted names and without addresses", function()
  t.equal(pretty.format({ 1, { x = true, a = "b", ["not a name"] = 1.5 }, [10] = print }),
    '{ 1, { a = "b", ["not a name"] = 1.5, x = true }, [10] = <function> }')
  t.equal(pretty.format({}), "{}")
  t.equal(pretty.format(print), "<function>")
end)

t.test("a long table takes several lines", function()
  t.equal(pretty.format({ ("x"):rep(50), ("y"):rep(50) }),
    '{\n  "' .. ("x"):rep(50) .. '",\n  "' .. ("y"):rep(50) .. '"\n}')
end)

t.test("circles, depth and length have an end", function()
  local circle = {}
  circle.inner = circle
  t.equal(pretty.format(circle), "{ inner = <a table that contains itself> }")
  local deep = {}
  for _ = 1, 100 do deep = { deep } end
  t.contains(pretty.format(deep), "{ ... }")
  local long = {}
  for i = 1, 5000 do long["k" .. i] = i end
  t.contains(pretty.format(long), "...")
end)

t.test("values of tags: whole floats without a point, tables as JSON", function()
  t.equal(pretty.text(5.0), "5")
  t.equal(pretty.text(0.1), "0.1")
  t.equal(pretty.text(true), "true")
  t.equal(pretty.text({ b = 1, a = { 2 } }), '{"a":[2],"b":1}')
end)
