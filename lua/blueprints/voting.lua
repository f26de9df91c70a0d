-- Votes of those who stake: load it after staking.lua (the known blueprint's names and wire).
--
--   Vote {Target, Side=yay|nay, Deadline=blocks}   the first vote on a target opens it for so many blocks
--   Votes
-- A stake counts once for each target: voting again moves it to the other side, with what is staked then. At the deadline `OnVote(target,
-- accepted, vote)` is called, if the program defines it, and the result is printed.
local bint = require(".bint")(256)
local json = require("json")

Balances = Balances or {}
Stakers = Stakers or {}
Votes = Votes or {}  -- target -> { yay = text, nay = text, deadline = height, voters = { address -> { side, amount } } }
VOTE_BLOCKS_MAX = VOTE_BLOCKS_MAX or 720 * 30

local function height_of(msg) return math.tointeger(tonumber(msg["Block-Height"])) or 0 end
local function refuse(msg, reason) return msg.reply({ Action = "Vote-Error", ["Message-Id"] = msg.Id, Error = reason, Data = reason }) end

local function add(vote, side, amount) vote[side] = tostring(bint(vote[side]) + bint(amount)) end

Handlers.vote = function(msg)
  local staker, target, side = Stakers[msg.From], msg.Tags.Target, msg.Tags.Side
  if not staker or staker.amount == "0" then return refuse(msg, "No staked tokens to vote") end
  if not target or target == "" then return refuse(msg, "the tag Target says what is voted on") end
  if side ~= "yay" and side ~= "nay" then return refuse(msg, "Side must be yay or nay") end
  local vote = Votes[target]
  if not vote then
    local blocks = tostring(msg.Tags.Deadline or ""):match("^%d+$") and math.tointeger(tonumber(msg.Tags.Deadline))
    if not blocks or blocks < 1 or blocks > VOTE_BLOCKS_MAX then
      return refuse(msg, "Deadline must be a number of blocks from 1 to " .. VOTE_BLOCKS_MAX)
    end
    vote = { yay = "0", nay = "0", deadline = height_of(msg) + blocks, voters = {} }
    Votes[target] = vote
  end
  local before = vote.voters[msg.From]
  if before then vote[before.side] = tostring(bint(vote[before.side]) - bint(before.amount)) end
  vote.voters[msg.From] = { side = side, amount = staker.amount }
  add(vote, side, staker.amount)
  msg.reply({ Action = "Vote-Notice", VoteTarget = target, Yay = vote.yay, Nay = vote.nay, Deadline = tostring(vote.deadline),
    Data = "Voted " .. side .. " with " .. staker.amount })
end

local function finish(msg)
  local height = height_of(msg)
  for _, target in ipairs(Utils.keys(Votes)) do
    local vote = Votes[target]
    if height >= vote.deadline then
      Votes[target] = nil
      local accepted = bint(vote.yay) > bint(vote.nay)
      print("Vote on " .. target .. ": " .. (accepted and "accepted" or "rejected") .. ", " .. vote.yay .. " to " .. vote.nay)
      if type(OnVote) == "function" then
        -- One program's mistake must not keep every later message from being handled.
        local fine, reason = pcall(OnVote, target, accepted, vote)
        if not fine then print("OnVote failed: " .. tostring(reason)) end
      end
    end
  end
end

Handlers.add("vote", Handlers.utils.continue(Handlers.utils.hasMatchingTag("Action", "Vote")), Handlers.vote)
Handlers.add("votes", "Votes", function(msg) msg.reply({ Data = next(Votes) and json.encode(Votes) or "{}" }) end)
Handlers.prepend("finalize", function() return "continue" end, finish)

return "Loaded Voting"
