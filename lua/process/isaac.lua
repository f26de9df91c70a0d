-- ISAAC, Bob Jenkins's generator and cipher of 1996 (rand.c of his site), as `crypto.cipher.issac` of aos has it.
local isaac = {}

local memory, results = {}, {}
local a, b, c, taken = 0, 0, 0, 0

local function word(x) return x & 0xffffffff end

local function generate()
  c = word(c + 1)
  b = word(b + c)
  for i = 0, 255 do
    local x = memory[i]
    local turn = i & 3
    a = word(a ~ (turn == 0 and a << 13 or turn == 1 and a >> 6 or turn == 2 and a << 2 or a >> 16))
    a = word(memory[(i + 128) & 255] + a)
    local y = word(memory[x >> 2 & 255] + a + b)
    memory[i] = y
    b = word(memory[y >> 10 & 255] + x)
    results[i] = b
  end
  taken = 0
end

local function mix(s)
  local shifts = { 11, -2, 8, -16, 10, -4, 8, -9 }
  for i = 0, 7 do
    local by, next_word = shifts[i + 1], s[(i + 1) & 7]
    s[i] = s[i] ~ word(by > 0 and next_word << by or next_word >> -by)
    s[(i + 3) & 7] = word(s[(i + 3) & 7] + s[i])
    s[(i + 1) & 7] = word(next_word + s[(i + 2) & 7])
  end
end

-- Begins the sequence of a text.
function isaac.seed(text)
  for i = 0, 255 do memory[i], results[i] = 0, text:byte(i + 1) or 0 end
  a, b, c = 0, 0, 0
  local s = {}
  for i = 0, 7 do s[i] = 0x9e3779b9 end
  for _ = 1, 4 do mix(s) end
  for _, from in ipairs({ results, memory }) do
    for i = 0, 255, 8 do
      for j = 0, 7 do s[j] = word(s[j] + from[i + j]) end
      mix(s)
      for j = 0, 7 do memory[i + j] = s[j] end
    end
  end
  generate()
end

-- The next 32 bits.
function isaac.next()
  local value = results[taken]
  taken = taken + 1
  if taken > 255 then generate() end
  return value
end

return isaac
