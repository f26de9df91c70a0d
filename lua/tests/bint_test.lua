-- Integers of a fixed width, `require(".bint")`.
local class = require("bint")
local t = require("testing")
local test, equal, failure = t.test, t.equal, t.failure
local bint = class(256)

local function text(value) return tostring(value) end

test("numbers come from integers, whole floats and text, and print in base 10", function()
  equal(text(bint(0)), "0")
  equal(text(bint(-42)), "-42")
  equal(text(bint(3.0)), "3")
  equal(text(bint("340282366920938463463374607431768211456")), "340282366920938463463374607431768211456")
  equal(text(bint("0xff")), "255")
  equal(text(bint("-0010")), "-10")
  equal(bint.tobint("1e3"), nil)
  equal(bint.tobint("1.5"), nil)
  equal(bint.tobint(""), nil)
  equal(bint.tobint({}), nil)
  equal(failure(bint, "12x"):find("cannot be represented by a bint", 1, true) ~= nil, true)
  equal(text(bint.frombase("zz", 36)), "1295")
  equal(bint.tobase(bint(255), 16), "ff")
  equal(bint.tobase(bint(-1), 2, false), "-1")
end)

test("arithmetic agrees with Lua's integers on what both can hold", function()
  local numbers = { 0, 1, -1, 2, -2, 7, -7, 10, 99, -100, 65535, -65536, 4294967295, 4294967296, -4294967297, 1234567890123, -998877665544 }
  for _, a in ipairs(numbers) do
    for _, b in ipairs(numbers) do
      equal(text(bint(a) + bint(b)), text(a + b))
      equal(text(bint(a) - b), text(a - b))
      if math.abs(a) < 2 ^ 30 or math.abs(b) < 2 ^ 30 then equal(text(a * bint(b)), text(a * b)) end
      if b ~= 0 then
        equal(text(bint(a) // b), text(a // b))
        equal(text(bint(a) % b), text(a % b))
        local quotient, rest = bint.tdivmod(a, b)
        equal(text(quotient * b + rest), text(a))
      end
      equal(bint(a) < bint(b), a < b)
      equal(bint(a) <= bint(b), a <= b)
      equal(bint(a) == bint(b), a == b)
      equal(bint.eq(a, b), a == b)
      equal(text(bint(a) & bint(b)), text(a & b))
      equal(text(bint(a) | bint(b)), text(a | b))
      equal(text(bint(a) ~ bint(b)), text(a ~ b))
    end
    equal(text(-bint(a)), text(-a))
    equal(text(~bint(a)), text(~a))
    equal(text(bint(a):inc()), text(a + 1))
    equal(bint.tointeger(bint(a)), a)
  end
end)

test("products and quotients beyond 64 bits undo each other", function()
  local big = bint("123456789012345678901234567890123456789")
  local other = bint("987654321098765432109876543210")
  equal(text(big * other), "121932631137021795226185032733744855963362292333223746380111126352690")
  equal(text((big * other + 17) // other), text(big))
  equal(text((big * other + 17) % other), "17")
  equal(text(-(big * other + 17) // other), text(-big - 1))
  equal(text(bint(2) ^ 100), "1267650600228229401496703205376")
  equal(text(bint.upowmod(3, 1000, 1000007)), "297623")
  equal(text((bint(1) << 200) >> 199), "2")
  equal(failure(function() return big // 0 end):find("division by zero", 1, true) ~= nil, true)
end)

test("numbers wrap at their width", function()
  equal(text(bint.maxinteger() + 1), text(bint.mininteger()))
  equal(text(bint.mininteger() - 1), text(bint.maxinteger()))
  equal(text(bint.maxinteger()), "57896044618658097711785492504343953926634992332820282019728792003956564819967")
  equal(bint.ult(1, -1), true)
  equal(bint(1) < bint(-1), false)
  equal(text(class(64).maxinteger()), "9223372036854775807")
  equal(failure(class, 63):find("width", 1, true) ~= nil, true)
end)

test("bytes go both ways, with fractions the result is a float", function()
  local big = bint("0x0102030405060708090a0b0c0d0e0f10")
  equal(bint.tobe(big, true), "\1\2\3\4\5\6\7\8\9\10\11\12\13\14\15\16")
  equal(text(bint.fromle(bint.tole(big))), text(big))
  equal(text(bint.frombe(bint.tobe(-big))), text(-big))
  equal(bint(3) / 2, 1.5)
  equal(bint(3) + 0.5, 3.5)
  equal(bint(1) < 1.5, true)
  equal(bint.tonumber(bint(7)), 7)
  equal(bint.isbint(bint(1)), true)
  equal(bint.isbint(1), false)
end)
