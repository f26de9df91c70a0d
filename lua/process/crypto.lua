-- The module `.crypto` of aos (ao-protocol.md 8.3): digests, HMAC, PBKDF2, random numbers, hex. The work is done in C (`digest`).
--
-- Not here: MD2, MD4, BLAKE2b and the ciphers; asking for them is an error that says so.
local digest = require("digest")

local crypto = { digest = {}, mac = {}, kdf = {}, utils = {} }

local block_bytes = { md5 = 64, sha1 = 64, sha2_256 = 64, sha2_512 = 128, sha3_256 = 136, sha3_512 = 72, keccak256 = 136, keccak512 = 72 }

local function answer(bytes)
  return {
    asBytes = function()
      local list = {}
      for i = 1, #bytes do list[i] = bytes:byte(i) end
      return list
    end,
    asString = function() return bytes end,
    asHex = function() return digest.to_hex(bytes) end,
  }
end

-- Bytes come as text, as a list of numbers, or as a stream of this module.
local function text_of(data)
  if type(data) == "string" then return data end
  if type(data) ~= "table" then error("a text or a list of bytes is needed, got " .. type(data), 3) end
  if data.asString then return data.asString() end
  local parts = {}
  for i, byte in ipairs(data) do parts[i] = string.char(byte) end
  return table.concat(parts)
end

for name in pairs(block_bytes) do
  crypto.digest[name] = function(data) return answer(digest[name](text_of(data))) end
end
setmetatable(crypto.digest, { __index = function(_, name) error("crypto.digest." .. tostring(name) .. " is not part of this runtime", 2) end })
crypto.cipher = setmetatable({}, { __index = function(_, name) error("crypto.cipher." .. tostring(name) .. " is not part of this runtime", 2) end })

local function hmac(data, key, name)
  local hash, size = digest[name], block_bytes[name]
  if not size then error("no digest is called " .. tostring(name), 3) end
  if #key > size then key = hash(key) end
  key = key .. ("\0"):rep(size - #key)
  local function padded(with)
    return (key:gsub(".", function(c) return string.char(c:byte() ~ with) end))
  end
  return hash(padded(0x5c) .. hash(padded(0x36) .. data))
end

local names = { sha256 = "sha2_256", sha512 = "sha2_512" }

function crypto.mac.createHmac(data, key, algorithm)
  algorithm = algorithm or "sha256"
  return answer(hmac(text_of(data), text_of(key), names[algorithm] or algorithm))
end

-- RFC 8018. @param length  bytes of the key
function crypto.kdf.pbkdf2(password, salt, iterations, length, algorithm)
  local name = names[algorithm or "sha256"] or algorithm
  password, salt = text_of(password), text_of(salt)
  local blocks, made, index = {}, 0, 0
  while made < length do
    index = index + 1
    local u = hmac(salt .. string.pack(">I4", index), password, name)
    local sum = { u:byte(1, -1) }
    for _ = 2, iterations do
      u = hmac(u, password, name)
      for i = 1, #sum do sum[i] = sum[i] ~ u:byte(i) end
    end
    blocks[index] = string.char(table.unpack(sum))
    made = made + #u
  end
  return answer(table.concat(blocks):sub(1, length))
end

-- A whole number from `min` to `max`; with a seed the same one each time.
function crypto.random(min, max, seed)
  local chance = require("chance")
  if seed then chance.seed(seed) end
  return chance.integer(min or 0, max or 0x7fffffff)
end

crypto.utils.hex = {
  stringToHex = function(text) return digest.to_hex(text) end,
  hexToString = function(text) return digest.from_hex(text) end,
}
-- Digests take their input as a stream there; here a text does as well.
crypto.utils.stream = {
  fromString = answer,
  fromArray = function(list) return answer(text_of(list)) end,
  fromHex = function(text) return answer(digest.from_hex(text)) end,
}
crypto.utils.array = {
  fromString = function(text) return { text:byte(1, -1) } end,
  toString = text_of,
  fromHex = function(text) return { digest.from_hex(text):byte(1, -1) } end,
  toHex = function(list) return digest.to_hex(text_of(list)) end,
  size = function(list) return #list end,
}

return crypto
