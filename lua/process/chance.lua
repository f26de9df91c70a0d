-- The module `.chance` of aos: the Mersenne twister MT19937, seeded by the process's own beginnings. `math.random` is this.
local chance = {}

local size, shift = 624, 397
local state, at = {}, size + 1

function chance.seed(number)
  state[1] = math.tointeger(math.floor(number)) & 0xffffffff
  for i = 2, size do
    local before = state[i - 1]
    state[i] = (1812433253 * (before ~ (before >> 30)) + i - 1) & 0xffffffff
  end
  at = size + 1
end

local function refill()
  for i = 1, size do
    local y = (state[i] & 0x80000000) | (state[i % size + 1] & 0x7fffffff)
    local mixed = state[(i + shift - 1) % size + 1] ~ (y >> 1)
    if y & 1 == 1 then mixed = mixed ~ 0x9908b0df end
    state[i] = mixed
  end
  at = 1
end

-- 32 bits.
local function next_word()
  if not state[1] then chance.seed(5489) end
  if at > size then refill() end
  local y = state[at]
  at = at + 1
  y = y ~ (y >> 11)
  y = y ~ ((y << 7) & 0x9d2c5680)
  y = y ~ ((y << 15) & 0xefc60000)
  return (y ~ (y >> 18)) & 0xffffffff
end

function chance.integer(min, max)
  if max < min then error("chance.integer: the interval is empty", 2) end
  local span = max - min + 1
  if span <= 0 then return min + ((next_word() << 32 | next_word()) & math.maxinteger) end
  -- 62 bits against the bias of a remainder.
  return min + ((next_word() << 30 ~ next_word()) & 0x3fffffffffffffff) % span
end

-- As math.random: a float in [0, 1), or a whole number of an interval.
function chance.random(m, n)
  if m == nil then return ((next_word() >> 5) * 67108864 + (next_word() >> 6)) / 9007199254740992 end
  local low, high = 1, m
  if n ~= nil then low, high = m, n end
  low, high = math.tointeger(low), math.tointeger(high)
  if not low or not high then error("bad argument to 'random' (number has no integer representation)", 2) end
  if low > high then error("bad argument to 'random' (interval is empty)", 2) end
  return chance.integer(low, high)
end

return chance
