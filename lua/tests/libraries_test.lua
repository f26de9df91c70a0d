-- The libraries that programs for aos require (ao-protocol.md 8.3), inside a process.
local t = require("testing")
local test, equal, contains, eval = t.test, t.equal, t.contains, t.eval
t.spawn({ Name = "libs" })

test(".crypto hashes, signs and stretches, by its names in aos", function()
  equal(eval('local c = require(".crypto.init") return c.digest.sha2_256("abc").asHex()'),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  equal(eval('return require(".crypto").digest.keccak256("").asHex()'), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
  equal(eval('local c = require(".crypto") return c.digest.sha2_256(c.utils.stream.fromString("abc")).asHex() == c.digest.sha2_256("abc").asHex()'), "true")
  equal(eval('return #require(".crypto").digest.md5("x").asBytes(), #require(".crypto").digest.sha1("x").asString()'), "16\t20")
  -- RFC 4231, case 2, and RFC 6070's SHA-256 vector.
  equal(eval('return require(".crypto").mac.createHmac("what do ya want for nothing?", "Jefe", "sha256").asHex()'),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
  equal(eval('return require(".crypto").kdf.pbkdf2("password", "salt", 2, 32, "sha256").asHex()'),
    "AE4D0C95AF6B46D32D0ADFF928F06DD02A303F8EF3C251DFD6E2D85A95474C43")
  equal(eval([[local c = require(".crypto").cipher.aes return c.decrypt(c.encrypt("x", "k").asHex(), "k").asString():sub(1, 1)]]), "x")
end)

test(".base64 and .bint are there", function()
  equal(eval('return require(".base64").encode("hi"), require(".base64").decode("aGk=")'), "aGk=\thi")
  equal(eval('return tostring(require(".bint")(256)(2) ^ 70)'), "1180591620717411303424")
end)

test(".chance is the Mersenne twister and draws the same for the same seed", function()
  eval('C = require(".chance")')
  -- The first word of MT19937 for the seed 5489 is 3499211612; a float uses its upper 27 bits and 26 of the next.
  equal(eval('C.seed(5489) return string.format("%.6f", C.random())'), string.format("%.6f", 0.814724))
  equal(eval('C.seed(7) A = { C.integer(1, 6), C.integer(1, 6), C.integer(1, 1000000) } C.seed(7) return C.integer(1, 6) == A[1] and C.integer(1, 6) == A[2]'), "true")
  equal(eval('for i = 1, 1000 do local n = C.random(3, 5) assert(n >= 3 and n <= 5) local f = C.random() assert(f >= 0 and f < 1) end return "fine"'), "fine")
  equal(eval("math.random == C.random"), "true")
  contains(eval("math.random(0)"), "interval is empty")
end)

test("Dump gives text that loads to an equal value", function()
  equal(eval('return Dump({ 1, "a\\nb", x = { y = true } })'), '{\n    [1] = 1,\n    [2] = "a\\\nb",\n    x = {\n        y = true\n    }\n}')
  equal(eval('return load("return " .. Dump({ 1, { 2 }, z = "q" }))().z'), "q")
end)
