-- The module `.crypto` of aos (ao-protocol.md 8.3): digests, HMAC, PBKDF2, ciphers, random numbers, hex. The work is done in C
-- (`digest`, `cipher`).
local digest = require("digest")
local cipher = require("cipher")
local isaac = require("isaac")

local crypto = { digest = {}, mac = {}, kdf = {}, cipher = {}, utils = {} }

local block_bytes = { md4 = 64, md5 = 64, sha1 = 64, sha2_256 = 64, sha2_512 = 128, sha3_256 = 136, sha3_512 = 72, keccak256 = 136, keccak512 = 72 }

-- What is made for people to read, hex, is in capitals where aos has it so.
local function answer(bytes, capitals)
  return {
    asBytes = function()
      local list = {}
      for i = 1, #bytes do list[i] = bytes:byte(i) end
      return list
    end,
    asString = function() return bytes end,
    asHex = function() return capitals and digest.to_hex(bytes):upper() or digest.to_hex(bytes) end,
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
function crypto.digest.md2(data) return answer(cipher.md2(text_of(data))) end
function crypto.digest.blake2b(data, bytes, key) return answer(cipher.blake2b(text_of(data), bytes or 64, text_of(key or ""))) end

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
  algorithm = algorithm or "sha1"
  return answer(hmac(text_of(data), text_of(key), names[algorithm] or algorithm))
end

-- RFC 8018. @param length  bytes of the key
function crypto.kdf.pbkdf2(password, salt, iterations, length, algorithm)
  local name = names[algorithm] or algorithm or "sha1"
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
  return answer(table.concat(blocks):sub(1, length), true)
end

---------------------------------------------------------------------------------------------------- ciphers

-- Modes ECB, CBC, CFB, OFB, CTR; keys of 128, 192 or 256 bits. What is too short is filled up with zeros, text too.
local function fit(text, bytes) return #text >= bytes and text:sub(1, bytes) or text .. ("\0"):rep(bytes - #text) end

crypto.cipher.aes = {
  encrypt = function(data, key, iv, mode, bits)
    return answer(cipher.aes(true, mode or "CBC", fit(text_of(key), (bits or 128) // 8), fit(text_of(iv or ""), 16), text_of(data)), true)
  end,
  -- Takes hex, as encrypt(...).asHex() gives it.
  decrypt = function(hex, key, iv, mode, bits)
    return answer(cipher.aes(false, mode or "CBC", fit(text_of(key), (bits or 128) // 8), fit(text_of(iv or ""), 16), digest.from_hex(hex)), true)
  end,
}

-- The answer is the associated data, the cipher text and 16 bytes by which a change is found.
crypto.cipher.morus = {
  encrypt = function(key, iv, message, associated)
    local text, tag = cipher.morus(true, key, iv, message, associated or "")
    return answer((associated or "") .. text .. tag)
  end,
  -- @return the message, or nil and the reason
  decrypt = function(key, iv, crypted, associated_bytes)
    local associated, body = crypted:sub(1, associated_bytes or 0), crypted:sub((associated_bytes or 0) + 1)
    if #body < 16 then return nil, "too short" end
    local text, tag = cipher.morus(false, key, iv, body:sub(1, -17), associated)
    if tag ~= body:sub(-16) then return nil, "auth failed" end
    return text
  end,
}

-- The answer is the cipher text and 32 bytes by which a change is found.
crypto.cipher.norx = {
  encrypt = function(key, nonce, plain, header, trailer)
    local text, tag = cipher.norx(true, key, nonce, plain, header or "", trailer or "")
    return answer(text .. tag)
  end,
  decrypt = function(key, nonce, crypted, header, trailer)
    if #crypted < 32 then return nil, "too short" end
    local text, tag = cipher.norx(false, key, nonce, crypted:sub(1, -33), header or "", trailer or "")
    if tag ~= crypted:sub(-32) then return nil, "auth failure" end
    return text
  end,
}

-- For printable characters only, which it maps to printable ones: that is how aos has it.
local function shift(text, key, way)
  isaac.seed(key)
  return (text:gsub(".", function(one) return string.char((one:byte() - 32 + way * (isaac.next() % 95 + 32)) % 95 + 32) end))
end

local function random(min, max, seed)
  min, max = min or 0, max or 0x7fffffff
  -- Without a seed of its own it follows from the process, as math.random does.
  isaac.seed(seed and tostring(seed) or tostring(require("chance").integer(0, 0x7fffffff)))
  return isaac.next() % (max - min + 1) + min
end

crypto.cipher.issac = {
  encrypt = function(message, key) return answer(shift(message, key, 1)) end,
  decrypt = function(crypted, key) return shift(crypted, key, -1) end,
  random = random, seedIsaac = isaac.seed, generateRandom = isaac.next, getRandomChar = function() return isaac.next() % 95 + 32 end,
}

-- A whole number from `min` to `max`; with a seed the same one each time.
crypto.random = random

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
