-- A herder: takes paid jobs, has them done by its workers, and answers or refunds each exactly once (llama-land.md 3.3, 3.7).
--
--   Credit-Notice from the token {Sender, Quantity, X-Prompt, X-Tokens, X-Reference?, X-Model?, X-Seed?, X-Temperature?, X-Termination?,
--     X-Chat?, X-Grammar?, X-Max-Fee?, X-Redundancy?, X-Quote?, X-Status?}
--       -> Inference-Response {X-Reference, Model, Seed, Prompt-Tokens, Completion-Tokens, Stop-Reason, Worker, Fee-Charged}
--       or the money back {X-Refund=whole, X-Reason, X-Needed?, X-Reference}
--   Info, Quote {Tokens} Data=prompt, Job-Status {X-Reference}, Cancel {X-Reference}, Withdraw
--   from workers: Worker-Register, Worker-Heartbeat, Worker-Remove, Inference-Response, Inference-Error, Tokenize-Response
--   from the owner: Worker-Allow {Worker}, Worker-Remove {Worker}
--   Every message moves the clock of deadlines on; where none may come for long, a cron of the herder's own or anybody's Tick does
--
-- Money is whole units. At every moment: balance at the token = what is earned and not withdrawn + what open jobs paid.
local tags = ao.env.Process.Tags
local function setting(name, default) return math.tointeger(tonumber(tags[name] or "")) or default end

Herder = Herder or {
  token = tags.Token,
  base_fee = setting("Base-Fee", 1), token_fee = setting("Token-Fee", 1),
  tokens_max = setting("Max-Tokens", 2048), prompt_bytes_max = setting("Max-Prompt", 16384), queue_max = setting("Max-Queue", 500),
  attempts_max = setting("Max-Attempts", 3), redundancy_max = 5,
  deadline_base_ms = setting("Deadline-Base", 60000), deadline_token_ms = setting("Deadline-Token", 2000),
  wait_max_ms = setting("Max-Wait", 3600000),
  worker_share = setting("Worker-Share", 700),  -- of 1000; the rest is the operator's
  age_bonus = 10,  -- per mille of the price that a job gains per second of waiting
  failures_max = 3,
  by_tokens = tags.Pricing == "tokens",  -- whether a job needs a quote, which counts the model's own tokens
  allowed = {},  -- workers that the owner named
  workers = {},  -- by id: model, context, class, payee, job, failures, seen_ms
  worker_order = {},  -- ids in the order of registration
  jobs = {},  -- open jobs by id
  queue = {},  -- ids of jobs that wait
  done = {}, done_order = {},  -- outcome of the last jobs, by id
  quotes = {}, quote_count = 0,
  earned = {},  -- by address
  withdrawals = {}, withdrawal_count = 0,
  multiplier = 1000,  -- per mille: the smoothed price at which jobs were taken on
  multiplier_ms = 0,
  token_ms = 300,  -- how long a token took lately
  count = { answered = 0, refunded = 0, redispatched = 0, late = 0 },
}
local H = Herder
local done_max = 1000

local function words_of(text)
  local count = 0
  for _ in text:gmatch("%w+") do count = count + 1 end
  for _ in text:gmatch("[\xC2-\xF4][\x80-\xBF]+") do count = count + 1 end
  return count
end

local function whole(text, lowest, highest)
  if type(text) ~= "string" or not text:match("^%d+$") or #text > 18 then return nil end
  local number = math.tointeger(tonumber(text))
  return number and number >= lowest and number <= highest and number or nil
end

local function price(words, tokens) return H.base_fee + (words + tokens) * H.token_fee end

---------------------------------------------------------------------------------------------------- money out

-- @param quantity  a number, or the text of one that is too large for us
local function transfer(recipient, quantity, extra)
  if quantity == 0 or quantity == "0" then return end
  local text = type(quantity) == "string" and quantity or string.format("%d", quantity)
  local message = { Target = H.token, Action = "Transfer", Recipient = recipient, Quantity = text }
  for name, value in pairs(extra) do message[name] = value end
  Send(message)
end

local function remember(id, outcome)
  H.done[id] = outcome
  table.insert(H.done_order, id)
  if #H.done_order > done_max then H.done[table.remove(H.done_order, 1)] = nil end
end

local function refund(job, reason, needed)
  H.jobs[job.id] = nil
  H.count.refunded = H.count.refunded + 1
  remember(job.id, "refunded")
  transfer(job.client, job.paid, { ["X-Refund"] = "whole", ["X-Reason"] = reason, ["X-Reference"] = job.reference,
    ["X-Needed"] = needed and tostring(needed) or nil })
end

local function earn(address, quantity)
  if quantity > 0 then H.earned[address] = (H.earned[address] or 0) + quantity end
end

---------------------------------------------------------------------------------------------------- what clients hear

-- About how long until a job at `place` is done: the tokens before it, shared by the workers.
local function eta_ms(place)
  local tokens, workers = 0, 0
  for _, worker in pairs(H.workers) do
    workers = workers + 1
    local running = worker.job and H.jobs[worker.job]
    if running then tokens = tokens + running.tokens end
  end
  for i = 1, math.min(place, #H.queue) do tokens = tokens + H.jobs[H.queue[i]].tokens end
  return tokens * H.token_ms // math.max(workers, 1)
end

local function place_of(job)
  for place, id in ipairs(H.queue) do
    if id == job.id then return place end
  end
end

local function status_of(job, place)
  return {
    Target = job.client, Action = "Job-Status", ["X-Reference"] = job.reference, State = place and "queued" or "running",
    Place = place and tostring(place), ["Eta-Ms"] = tostring(eta_ms(place or 0)), Attempt = tostring(job.attempts),
  }
end

-- Only clients that said so hear of changes: others would find it in their inbox. Far back in the queue a place is news when it
-- fell by a tenth, so that a long queue does not send a message for each job and each place.
local function push_status(job, place)
  if not job.wants_status then return end
  local told = job.told_place
  if told == place and job.told_attempt == job.attempts then return end
  if told and place > 10 and place <= told and told - place < told // 10 then return end
  job.told_place, job.told_attempt = place, job.attempts
  Send(status_of(job, place > 0 and place or nil))
end

---------------------------------------------------------------------------------------------------- workers

local function serves(worker, job)
  return not worker.job and not worker.hanging and (not job.model or worker.model == job.model) and not job.answers[worker.id]
end

local function start(worker, job, now)
  worker.job, job.running[worker.id] = job.id, now + H.deadline_base_ms + job.tokens * H.deadline_token_ms
  job.attempts, job.started_ms = job.attempts + 1, now
  Send({
    Target = worker.id, Action = "Inference", Job = job.id, Tokens = tostring(job.tokens), Termination = job.termination,
    Seed = job.seed, Temperature = job.temperature, Chat = job.chat, Grammar = job.grammar, Data = job.prompt,
  })
end

local function remove_worker(id)
  H.workers[id] = nil
  for i, one in ipairs(H.worker_order) do
    if one == id then return table.remove(H.worker_order, i) end
  end
end

-- @return whether it stays
local function blame(worker)
  worker.failures = worker.failures + 1
  if worker.failures < H.failures_max then return true end
  remove_worker(worker.id)
  return false
end

-- A worker hears one message after the other: its heartbeat after this question says that it has left the job behind.
local function hang(worker)
  worker.job, worker.hanging = nil, true
  if blame(worker) then Send({ Target = worker.id, Action = "Ping" }) end
end

---------------------------------------------------------------------------------------------------- the queue

-- The price that a job offers, per mille, with what it gained by waiting: nobody starves.
local function rank(job, now) return job.multiplier + (now - job.taken_ms) // 1000 * H.age_bonus end

local function missing_answers(job)
  local have = 0
  for _ in pairs(job.answers) do have = have + 1 end
  for _ in pairs(job.running) do have = have + 1 end
  return job.redundancy - have
end

-- How often is tried before the money goes back: each of the wanted answers has its attempts.
local function exhausted(job) return job.attempts >= H.attempts_max * job.redundancy end

local function smooth(multiplier, now)
  -- One huge payment must not set everybody's price, and an old price fades.
  local sample = math.max(1000, math.min(multiplier, 4 * H.multiplier))
  H.multiplier, H.multiplier_ms = (H.multiplier * 3 + sample) // 4, now
end

local function multiplier_now(now)
  local above = H.multiplier - 1000
  for _ = 1, math.min(100, math.max(0, now - H.multiplier_ms) // 60000) do above = above * 9 // 10 end
  return 1000 + above
end

local function requeue(job)
  if place_of(job) == nil then table.insert(H.queue, 1, job.id) end
end

local function dispatch(now)
  table.sort(H.queue, function(a, b)
    local x, y = H.jobs[a], H.jobs[b]
    local rx, ry = rank(x, now), rank(y, now)
    if rx ~= ry then return rx > ry end
    return x.number < y.number
  end)
  local waiting, started = {}, {}
  for _, id in ipairs(H.queue) do
    local job = H.jobs[id]
    for _, worker_id in ipairs(H.worker_order) do
      local worker = H.workers[worker_id]
      if missing_answers(job) > 0 and serves(worker, job) and not job.running[worker_id] and not job.refused[worker_id] then
        start(worker, job, now)
        started[#started + 1] = job
        smooth(job.multiplier, now)
      end
    end
    if missing_answers(job) > 0 then waiting[#waiting + 1] = id end
  end
  H.queue = waiting
  for _, job in ipairs(started) do
    if missing_answers(job) <= 0 then push_status(job, 0) end
  end
  for place, id in ipairs(waiting) do push_status(H.jobs[id], place) end
end

local function give_up_or_retry(job, reason)
  if next(job.running) and missing_answers(job) <= 0 then return end
  if exhausted(job) then
    if next(job.running) then return end
    -- What other workers answered meanwhile is worth nothing alone when more answers were paid for.
    for i, id in ipairs(H.queue) do
      if id == job.id then table.remove(H.queue, i) break end
    end
    return refund(job, reason)
  end
  H.count.redispatched = H.count.redispatched + 1
  requeue(job)
end

-- Deadlines of running and of waiting jobs.
local function keep_deadlines(now)
  local ids = {}
  for id in pairs(H.jobs) do ids[#ids + 1] = id end
  table.sort(ids)
  for _, id in ipairs(ids) do
    local job = H.jobs[id]
    local late = {}
    for worker_id, deadline in pairs(job.running) do
      if now > deadline then late[#late + 1] = worker_id end
    end
    table.sort(late)
    for _, worker_id in ipairs(late) do
      job.running[worker_id] = nil
      -- It is still somewhere in the job: it gets no other until it answers or registers again.
      if H.workers[worker_id] then hang(H.workers[worker_id]) end
    end
    if #late > 0 then give_up_or_retry(job, "no worker answered in time") end
    if H.jobs[id] and not next(job.running) and now - job.taken_ms > H.wait_max_ms then
      for i, waiting in ipairs(H.queue) do
        if waiting == id then table.remove(H.queue, i) break end
      end
      refund(job, "no worker was free in time")
    end
  end
end

local function tick(msg)
  local now = tonumber(msg.Timestamp) or 0
  keep_deadlines(now)
  dispatch(now)
end

---------------------------------------------------------------------------------------------------- jobs in

-- Everything is looked at before anything is kept. @return the job, or nil, the reason and what would be needed
local function admit(msg)
  local t = msg.Tags
  local job = {
    id = msg.Id, client = t.Sender, paid = whole(t.Quantity, 1, math.maxinteger), reference = t["X-Reference"] or msg.Id,
    prompt = t["X-Prompt"], tokens = whole(t["X-Tokens"], 1, H.tokens_max), model = t["X-Model"], termination = t["X-Termination"],
    seed = t["X-Seed"], temperature = t["X-Temperature"], chat = t["X-Chat"], grammar = t["X-Grammar"],
    redundancy = whole(t["X-Redundancy"] or "1", 1, H.redundancy_max), wants_status = t["X-Status"] == "true",
    taken_ms = tonumber(msg.Timestamp) or 0, attempts = 0, running = {}, answers = {}, refused = {},
  }
  if not job.paid then
    job.paid = t.Quantity
    return job, "the payment is larger than a herder counts"
  end
  if not job.prompt or job.prompt == "" then return job, "the tag X-Prompt is missing" end
  if #job.prompt > H.prompt_bytes_max then return job, "the prompt is longer than " .. H.prompt_bytes_max .. " bytes" end
  if not job.tokens then return job, "X-Tokens must be a whole number from 1 to " .. H.tokens_max end
  if not job.redundancy then return job, "X-Redundancy must be a whole number from 1 to " .. H.redundancy_max end
  if job.seed and not whole(job.seed, 0, 0x7fffffff) then return job, "X-Seed must be a whole number from 0 to 2147483647" end
  if job.temperature then
    local value = tonumber(job.temperature)
    if not value or not (value >= 0 and value <= 10) then return job, "X-Temperature must be a number from 0 to 10" end
  end
  if #H.queue >= H.queue_max then return job, "the queue is full: " .. #H.queue .. " jobs wait" end
  if job.model then
    local found = false
    for _, worker in pairs(H.workers) do found = found or worker.model == job.model end
    if not found then return job, "no worker here has the model " .. job.model end
  end
  job.words = words_of(job.prompt)
  local quote = t["X-Quote"] and H.quotes[t["X-Quote"]]
  if quote and quote.count and quote.client == job.client and quote.prompt == job.prompt and quote.tokens == job.tokens
    and quote.model == job.model then
    job.words = quote.count
  elseif H.by_tokens then
    return job, "this herder prices true tokens: ask for a Quote with this prompt first, and name it in X-Quote"
  end
  job.needed = price(job.words, job.tokens) * job.redundancy
  if job.paid < job.needed then return job, "Insufficient payment", job.needed end
  local limit = t["X-Max-Fee"] and whole(t["X-Max-Fee"], 1, math.maxinteger)
  if t["X-Max-Fee"] and not limit then return job, "X-Max-Fee must be a whole number" end
  if limit and limit < job.needed then return job, "the job costs more than X-Max-Fee", job.needed end
  job.offer = limit and math.min(job.paid, limit) or job.paid
  job.multiplier = job.offer < math.maxinteger // 1000 and job.offer * 1000 // job.needed or 1000000
  return job
end

Handlers.add("herder.credit", function(msg) return msg.Action == "Credit-Notice" and msg.From == H.token end, function(msg)
  if msg.Tags.Sender == ao.id or H.jobs[msg.Id] or H.done[msg.Id] then return end
  -- An error here would undo the message and keep the money (H21).
  local fine, job, reason, needed = pcall(admit, msg)
  if not fine then
    job, reason = { id = msg.Id, client = msg.Tags.Sender, paid = msg.Tags.Quantity,
      reference = msg.Tags["X-Reference"] }, "the job could not be read: " .. tostring(job)
  end
  if reason then return refund(job, reason, needed) end
  H.number = (H.number or 0) + 1
  job.number = H.number
  H.jobs[job.id] = job
  table.insert(H.queue, job.id)
  tick(msg)
end)

---------------------------------------------------------------------------------------------------- answers

local function charge(job, stats)
  -- Tokens that were paid for and not generated go back, at the price that was offered.
  local used = math.min(job.tokens, stats.tokens or job.tokens)
  local due = price(job.words, used) * job.redundancy
  if used == job.tokens then return job.offer end
  return math.min(job.offer, math.max(due, job.offer // job.needed * due + job.offer % job.needed * due // job.needed))
end

local function settle(job, text, stats, workers)
  H.jobs[job.id] = nil
  for i, id in ipairs(H.queue) do
    if id == job.id then table.remove(H.queue, i) break end
  end
  H.count.answered = H.count.answered + 1
  remember(job.id, "answered")
  local fee = charge(job, stats)
  local each = fee * H.worker_share // 1000 // #workers
  for _, id in ipairs(workers) do earn(H.workers[id] and H.workers[id].payee or id, each) end
  earn(Owner, fee - each * #workers)
  Send({
    Target = job.client, Action = "Inference-Response", ["X-Reference"] = job.reference, Data = text, Model = stats.model, Seed = stats.seed,
    ["Prompt-Tokens"] = stats.prompt_tokens, ["Completion-Tokens"] = stats.completion_tokens, ["Stop-Reason"] = stats.stop,
    Worker = table.concat(workers, ","), ["Fee-Charged"] = string.format("%d", fee), Redundancy = tostring(job.redundancy),
  })
  transfer(job.client, job.paid - fee, { ["X-Refund"] = "rest", ["X-Reason"] = fee < job.offer and "Unused tokens" or "More than X-Max-Fee",
    ["X-Reference"] = job.reference })
end

-- The text that more than half of the wanted workers gave.
local function majority(job)
  local votes = {}
  for worker_id, answer in pairs(job.answers) do
    votes[answer.text] = votes[answer.text] or {}
    table.insert(votes[answer.text], worker_id)
  end
  for text, workers in pairs(votes) do
    if #workers * 2 > job.redundancy then
      table.sort(workers)
      return text, workers
    end
  end
end

local function job_of(msg)
  local worker = H.workers[msg.From]
  local job = worker and worker.job and H.jobs[worker.job]
  -- Published workers do not repeat the job's name: they have one at a time.
  if worker and msg.Tags.Job and worker.job ~= msg.Tags.Job then job = nil end
  return worker, job
end

Handlers.add("herder.answer", function(msg) return msg.Action == "Inference-Response" and H.workers[msg.From] ~= nil end, function(msg)
  local now = tonumber(msg.Timestamp) or 0
  local worker, job = job_of(msg)
  worker.hanging, worker.seen_ms = nil, now
  if not job then
    H.count.late = H.count.late + 1
    return tick(msg)
  end
  worker.job, worker.failures = nil, 0
  job.running[worker.id] = nil
  local text = type(msg.Data) == "table" and require("json").encode(msg.Data) or tostring(msg.Data or "")
  local generated = whole(msg.Tags["Completion-Tokens"], 0, H.tokens_max)
  if generated and generated > 0 then H.token_ms = (H.token_ms * 3 + (now - job.started_ms) // generated) // 4 end
  job.answers[worker.id] = { text = text, stats = { tokens = generated, model = msg.Tags.Model, seed = msg.Tags.Seed,
    prompt_tokens = msg.Tags["Prompt-Tokens"], completion_tokens = msg.Tags["Completion-Tokens"], stop = msg.Tags["Stop-Reason"] } }

  local agreed, workers = majority(job)
  if agreed then
    for id, answer in pairs(job.answers) do
      if answer.text ~= agreed and H.workers[id] then blame(H.workers[id]) end
    end
    -- Nor could those that refused what others did.
    for id in pairs(job.refused) do
      if H.workers[id] then blame(H.workers[id]) end
    end
    -- Who still works on it gets no other job before it has answered.
    for id in pairs(job.running) do
      if H.workers[id] then H.workers[id].job, H.workers[id].hanging = nil, true end
    end
    settle(job, agreed, job.answers[workers[1]].stats, workers)
  elseif missing_answers(job) <= 0 and not next(job.running) then
    -- All have answered and no text has a majority: the workers do not compute the same.
    refund(job, "the workers' answers differ")
  end
  tick(msg)
end)

Handlers.add("herder.worker-error", function(msg) return msg.Action == "Inference-Error" and H.workers[msg.From] ~= nil end, function(msg)
  local worker, job = job_of(msg)
  worker.hanging, worker.seen_ms = nil, tonumber(msg.Timestamp) or 0
  if job then
    -- The fault may be the job's: three prompts that are too long must not cost a herd its workers. It is the worker's when
    -- another one answers.
    job.running[worker.id], job.refused[worker.id], worker.job = nil, true, nil
    -- A job that every worker refuses is the job's fault.
    local left = false
    for id, other in pairs(H.workers) do left = left or (not job.refused[id] and not other.hanging) end
    if not left then job.attempts = H.attempts_max * job.redundancy end
    give_up_or_retry(job, "Inference Error: " .. tostring(msg.Tags.Error or "unknown"))
  end
  tick(msg)
end)

---------------------------------------------------------------------------------------------------- workers come and go

Handlers.add("herder.register", { Action = "Worker-Register" }, function(msg)
  if not H.allowed[msg.From] and tags["Open-Registration"] ~= "true" then
    return msg.reply({ Action = "Worker-Refused", Error = "the owner of this herder has not allowed this worker (Worker-Allow)" })
  end
  local known = H.workers[msg.From]
  if known and known.job and H.jobs[known.job] then
    -- It started anew in the middle of a job.
    local job = H.jobs[known.job]
    job.running[msg.From] = nil
    known.job = nil
    give_up_or_retry(job, "the worker started anew")
  end
  if not known then table.insert(H.worker_order, msg.From) end
  H.workers[msg.From] = { id = msg.From, model = msg.Tags.Model, context = msg.Tags.Context, class = msg.Tags.Class, failures = 0,
    payee = msg.Tags.Payee or msg.From, seen_ms = tonumber(msg.Timestamp) or 0 }
  msg.reply({ Action = "Worker-Registered", Workers = tostring(#H.worker_order) })
  tick(msg)
end)

Handlers.add("herder.heartbeat", function(msg) return msg.Action == "Worker-Heartbeat" and H.workers[msg.From] ~= nil end, function(msg)
  local worker = H.workers[msg.From]
  worker.seen_ms, worker.hanging = tonumber(msg.Timestamp) or 0, nil
  tick(msg)
end)

Handlers.add("herder.allow", { Action = "Worker-Allow" }, function(msg)
  if msg.From ~= Owner then return msg.reply({ Action = "Herder-Error", Error = "only the owner of the herder allows workers" }) end
  H.allowed[msg.Tags.Worker or error("the tag Worker names the process", 0)] = true
  Send({ Target = msg.Tags.Worker, Action = "Init", ["Model-ID"] = msg.Tags["Model-ID"] or msg.Tags["Model-Id"] })
end)

Handlers.add("herder.remove", { Action = "Worker-Remove" }, function(msg)
  local id = msg.From == Owner and msg.Tags.Worker or msg.From
  local worker = H.workers[id]
  if not worker then return end
  local job = worker.job and H.jobs[worker.job]
  if msg.From == Owner then H.allowed[id] = nil end
  remove_worker(id)
  if job then
    job.running[id] = nil
    give_up_or_retry(job, "its worker left")
  end
  tick(msg)
end)

---------------------------------------------------------------------------------------------------- questions

Handlers.add("herder.info", { Action = "Info" }, function(msg)
  local now = tonumber(msg.Timestamp) or 0
  local multiplier = multiplier_now(now)
  local models, seen = {}, {}
  for _, id in ipairs(H.worker_order) do
    local model = H.workers[id].model
    if model and not seen[model] then
      seen[model] = true
      models[#models + 1] = model
    end
  end
  msg.reply({
    Action = "Info-Response", Name = Name, Version = "1.0", Pricing = H.by_tokens and "tokens" or "words", ["Base-Fee"] = tostring(H.base_fee), ["Token-Fee"] = tostring(H.token_fee),
    ["Last-Multiplier"] = multiplier % 1000 == 0 and string.format("%d", multiplier // 1000) or string.format("%.3f", multiplier / 1000),
    ["Queue-Length"] = tostring(#H.queue), Models = table.concat(models, ","), Workers = tostring(#H.worker_order), Token = H.token,
    ["Max-Tokens"] = tostring(H.tokens_max),
    Data = string.format("A herd of %d workers; a job costs %d + %d for each word and token; %d jobs wait", #H.worker_order, H.base_fee,
      H.token_fee, #H.queue),
  })
end)

-- True tokens are counted by a worker, which has the model's own tokenizer.
Handlers.add("herder.quote", { Action = "Quote" }, function(msg)
  local tokens, model = whole(msg.Tags.Tokens or msg.Tags["X-Tokens"], 1, H.tokens_max), msg.Tags["X-Model"]
  local prompt = type(msg.Data) == "string" and msg.Data or ""
  local function no(reason) return msg.reply({ Action = "Quote-Response", ["X-Reference"] = msg.Tags["X-Reference"], Error = reason }) end
  if not tokens then return no("Tokens must be a whole number from 1 to " .. H.tokens_max) end
  if prompt == "" or #prompt > H.prompt_bytes_max then return no("the prompt goes into the data, at most " .. H.prompt_bytes_max .. " bytes") end
  for _, id in ipairs(H.worker_order) do
    local worker = H.workers[id]
    if not worker.hanging and (not model or worker.model == model) then
      H.quote_count = H.quote_count + 1
      local quote = tostring(H.quote_count)
      H.quotes[quote] = { client = msg.From, reference = msg.Tags["X-Reference"], tokens = tokens, words = words_of(prompt), worker = id,
        prompt = prompt, model = model }
      H.quotes[tostring(H.quote_count - 200)] = nil
      return Send({ Target = id, Action = "Tokenize", Quote = quote, Data = prompt })
    end
  end
  no("no worker is here to count")
end)

Handlers.add("herder.tokenized", function(msg) return msg.Action == "Tokenize-Response" and H.workers[msg.From] ~= nil end, function(msg)
  local quote = H.quotes[msg.Tags.Quote or ""]
  if not quote or quote.count or quote.worker ~= msg.From then return end
  local count = whole(msg.Tags.Count, 0, 1 << 30)
  quote.count = count
  Send({
    Target = quote.client, Action = "Quote-Response", ["X-Reference"] = quote.reference, ["Prompt-Tokens"] = count and tostring(count),
    ["X-Quote"] = count and msg.Tags.Quote, Words = tostring(quote.words), Fee = count and string.format("%d", price(count, quote.tokens)),
    ["Fee-By-Words"] = string.format("%d", price(quote.words, quote.tokens)), Error = not count and tostring(msg.Tags.Error) or nil,
  })
end)

local function job_of_client(msg)
  for _, job in pairs(H.jobs) do
    if job.client == msg.From and job.reference == msg.Tags["X-Reference"] then return job end
  end
end

Handlers.add("herder.status", { Action = "Job-Status" }, function(msg)
  tick(msg)
  local job = job_of_client(msg)
  if job then return msg.reply(status_of(job, place_of(job))) end
  msg.reply({ Action = "Job-Status", ["X-Reference"] = msg.Tags["X-Reference"], State = "unknown" })
end)

Handlers.add("herder.cancel", { Action = "Cancel" }, function(msg)
  local job = job_of_client(msg)
  if not job then return msg.reply({ Action = "Cancel-Error", ["X-Reference"] = msg.Tags["X-Reference"], Error = "no such job of yours is open" }) end
  if next(job.running) or next(job.answers) then
    return msg.reply({ Action = "Cancel-Error", ["X-Reference"] = job.reference, Error = "the job is running" })
  end
  table.remove(H.queue, place_of(job))
  refund(job, "cancelled by its client")
  tick(msg)
end)

---------------------------------------------------------------------------------------------------- earnings

Handlers.add("herder.withdraw", { Action = "Withdraw" }, function(msg)
  local amount = H.earned[msg.From] or 0
  if amount <= 0 then return msg.reply({ Action = "Withdraw-Error", Error = "nothing is earned that is not withdrawn" }) end
  H.earned[msg.From] = nil
  H.withdrawal_count = H.withdrawal_count + 1
  local id = "withdrawal-" .. H.withdrawal_count
  H.withdrawals[id] = { address = msg.From, amount = amount }
  transfer(msg.From, amount, { ["X-Withdrawal"] = id, ["X-Reference"] = id, ["X-Reason"] = "Earnings" })
end)

-- The token's answers to what we sent.
Handlers.add("herder.paid", function(msg)
  return msg.From == H.token and (msg.Action == "Debit-Notice" or msg.Action == "Transfer-Error")
end, function(msg)
  local id = msg.Tags["X-Reference"]
  local withdrawal = id and H.withdrawals[id]
  if not withdrawal then return end
  H.withdrawals[id] = nil
  if msg.Action == "Transfer-Error" then earn(withdrawal.address, withdrawal.amount) end
end)

Handlers.add("herder.cron", function(msg) return msg.Action == "Cron" or msg.Action == "Tick" end, tick)

return "Herder for " .. tostring(H.token)
