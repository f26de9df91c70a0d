-- Hashes and encodings of the guest's C. The expected values were made by Python's hashlib; Keccak's are those of its inventors.
local digest = require("digest")
local t = require("testing")
local test, equal = t.test, t.equal

-- A text of a length, its bytes 0, 1, 2 ... 250, 0, ...: lengths around every border of a block.
local function text(length)
  local bytes = {}
  for i = 1, length do bytes[i] = string.char((i - 1) % 251) end
  return table.concat(bytes)
end

-- One digest over the digests of all lengths.
local function all(name)
  local parts = {}
  for _, length in ipairs({ 0, 1, 3, 55, 56, 57, 63, 64, 65, 111, 112, 119, 120, 127, 128, 129, 135, 136, 137, 143, 144, 200, 1000 }) do parts[#parts + 1] = digest[name](text(length)) end
  return digest.to_hex(digest.sha2_256(table.concat(parts)))
end

test("md5 over lengths around its blocks", function() equal(all("md5"), "795d008a2c04b6175e4e77e07ae8f52b02230f02fa48da10aaf08df1d794f84a") end)
test("sha1 over lengths around its blocks", function() equal(all("sha1"), "3e64f44d85f64016052f3535610a6ea84c5b45ca9f7cf9b4194af58fb971b082") end)
test("sha2_256 over lengths around its blocks", function() equal(all("sha2_256"), "8f392680317d81dfaf67181f35ec01a01ec5af64dd62826bb2e6ed1da3615d75") end)
test("sha2_512 over lengths around its blocks", function() equal(all("sha2_512"), "1eb68e771dcd69b2cad648c1270b14542c363cb839c83456d9b0b92659df9239") end)
test("sha3_256 over lengths around its blocks", function() equal(all("sha3_256"), "28845f41724cd12e03eeaba11ef43850e7d918a909df81931ad819fcc3b68777") end)
test("sha3_512 over lengths around its blocks", function() equal(all("sha3_512"), "31491e92c4ce4b48fcb025fbc959cb99cad1af039597026a846537775f8076ef") end)

test("keccak, which Ethereum uses, pads otherwise than SHA-3", function()
  equal(digest.to_hex(digest.keccak256("")), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
  equal(digest.to_hex(digest.keccak256("abc")), "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45")
  equal(digest.to_hex(digest.keccak512("")),
    "0eab42de4c3ceb9235fc91acffe746b29c29a8c366b7c60e4e67c466f36a4304c00fa9caf9d87976ba469bcbe06713b435f091ef2769fb160cdab33d3670680e")
end)

test("base64 and hex go both ways for every length", function()
  equal(digest.to_base64("hello"), "aGVsbG8=")
  equal(digest.to_base64(""), "")
  for length = 0, 70 do
    equal(digest.from_base64(digest.to_base64(text(length))) == text(length), true)
    equal(digest.from_hex(digest.to_hex(text(length))) == text(length), true)
  end
  equal(digest.from_base64("aGVs\nbG8"), "hello")
  equal(digest.from_base64("_-8"), "\255\239")
  equal(t.failure(digest.from_hex, "abc"):find("pairs", 1, true) ~= nil, true)
end)

local cipher = require("cipher")

test("md2, md4 and blake2b give what their inventors print", function()
  equal(digest.to_hex(cipher.md2("")), "8350e5a3e24c153df2275c9f80692773")
  equal(digest.to_hex(cipher.md2("abcdefghijklmnopqrstuvwxyz")), "4e8ddff3650292ab5a4108c3aa47940b")
  equal(digest.to_hex(digest.md4("")), "31d6cfe0d16ae931b73c59d7e0c089c0")
  equal(digest.to_hex(digest.md4("12345678901234567890123456789012345678901234567890123456789012345678901234567890")), "e33b4ddc9c38f2199c3e7b164fcc0536")
  equal(digest.to_hex(cipher.blake2b("abc", 64, "")):sub(1, 64), "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1")
end)

-- Expected by Python's hashlib, over lengths around the blocks, with and without a key.
test("blake2b over lengths around its blocks", function()
  local parts = {}
  for _, length in ipairs({ 0, 1, 63, 64, 65, 127, 128, 129, 255, 256, 257 }) do
    parts[#parts + 1] = cipher.blake2b(text(length), 32, "") .. cipher.blake2b(text(length), 64, text(64))
  end
  equal(digest.to_hex(digest.sha2_256(table.concat(parts))), "94890906843caebd209e6a5ba69aecdda0a8500f6eb56b8b421976c4cd3e9a05")
end)

-- FIPS 197, appendix C, and SP 800-38A, appendix F.
test("aes encrypts and decrypts the examples of its standard", function()
  local key, plain = digest.from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"), digest.from_hex("00112233445566778899aabbccddeeff")
  for bytes, wanted in pairs({ [16] = "69c4e0d86a7b0430d8cdb78070b4c55a", [24] = "dda97ca4864cdfe06eaf70a0ec0d7191", [32] = "8ea2b7ca516745bfeafc49904b496089" }) do
    equal(digest.to_hex(cipher.aes(true, "ECB", key:sub(1, bytes), "", plain)), wanted)
    equal(cipher.aes(false, "ECB", key:sub(1, bytes), "", digest.from_hex(wanted)), plain)
  end
  local second, block = digest.from_hex("2b7e151628aed2a6abf7158809cf4f3c"), digest.from_hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
  local iv = digest.from_hex("000102030405060708090a0b0c0d0e0f")
  for mode, wanted in pairs({ CBC = "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2", CFB = "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b",
    OFB = "3b3fd92eb72dad20333449f8e83cfb4a7789508d16918f03f53c52dac54ed825" }) do
    equal(digest.to_hex(cipher.aes(true, mode, second, iv, block)), wanted)
    equal(cipher.aes(false, mode, second, iv, digest.from_hex(wanted)), block)
  end
  local counter = digest.from_hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
  equal(digest.to_hex(cipher.aes(true, "CTR", second, counter, block)), "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff")
  equal(select(2, pcall(cipher.aes, true, "CBC", "short", "", "x")):find("16, 24 or 32 bytes", 1, true) ~= nil, true)
end)

test("morus and norx give back what they took, at every length, and find each changed bit", function()
  local crypto = require("crypto")
  for _, length in ipairs({ 0, 1, 31, 32, 33, 63, 95, 96, 97, 200 }) do
    local plain, ad = text(length), text(length // 3)
    local sealed = crypto.cipher.morus.encrypt(("k"):rep(16), ("i"):rep(16), plain, ad).asString()
    equal(crypto.cipher.morus.decrypt(("k"):rep(16), ("i"):rep(16), sealed, #ad), plain)
    equal(crypto.cipher.morus.decrypt(("k"):rep(16), ("i"):rep(16), sealed:sub(1, -2) .. string.char(sealed:byte(-1) ~ 1), #ad), nil)
    local key, nonce = ("k"):rep(32), ("n"):rep(32)
    sealed = crypto.cipher.norx.encrypt(key, nonce, plain, ad, ad).asString()
    equal(crypto.cipher.norx.decrypt(key, nonce, sealed, ad, ad), plain)
    equal(crypto.cipher.norx.decrypt(key, nonce, string.char(sealed:byte(1) ~ 1) .. sealed:sub(2), ad, ad), nil)
    equal(crypto.cipher.norx.decrypt(key, nonce, sealed, ad, ad .. "x"), nil)
  end
end)
