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
