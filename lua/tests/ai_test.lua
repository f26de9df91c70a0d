-- The AI process with a model that only says what it was asked.
local t = require("testing")
local test, equal, contains, send, eval, tag = t.test, t.equal, t.contains, t.send, t.eval, t.tag

local model = ("L"):rep(43)

local function ask(data, tags)
  tags = tags or {}
  tags.Action = "Ask"
  return send({ From = t.alice, Data = data, Tags = tags })
end

test("without llama in the module a question has a clear error", function()
  equal(t.spawn({ Model = model }).Error, nil)
  equal(eval("require('ai').start()"), "")
  contains(ask("Hello?").Error, "ai.no_llama: ")
end)

test("the first question loads the model of the tag, later ones do not", function()
  eval([[
    Loads, Sets = {}, {}
    package.loaded.llama = {
      load = function(path, options) Loads[#Loads + 1] = path .. " " .. options.context return true end,
      set = function(options) Sets = options end,
      chat = function(text, options)
        return "you said " .. text, { prompt_tokens = 7, generated_tokens = options.tokens, stop = "end" }
      end,
    }]])
  equal(ask("Hello?").Error, nil)
  equal(ask("Hello again?").Error, nil)
  equal(eval("Loads"), '{ "/data/' .. model .. ' 2048" }')
end)

test("the answer is the output and a message to whoever asked", function()
  local response = ask("Hello?", { ["Max-Tokens"] = "12", Reference = "5" })
  equal(response.Output.data, "you said Hello?")
  equal(response.Output.stats, { generated_tokens = 12, model = model, prompt_tokens = 7, stop = "end" })
  local answer = response.Messages[1]
  equal({ #response.Messages, answer.Target, answer.Data }, { 1, t.alice, "you said Hello?" })
  equal({ tag(answer, "Action"), tag(answer, "Prompt-Tokens"), tag(answer, "Generated-Tokens"), tag(answer, "Stop"), tag(answer, "Model"),
    tag(answer, "X-Reference") }, { "Answer", "7", "12", "end", model, "5" })
end)

test("greedy by default, by chance with a seed", function()
  ask("Hello?")
  equal(eval("Sets.seed, Sets.temperature"), "1234\t0")
  ask("Hello?", { Seed = "7" })
  equal(eval("Sets.seed, Sets.temperature"), "7\t0.8")
  ask("Hello?", { Seed = "7", Temperature = "0.5" })
  equal(eval("Sets.seed, Sets.temperature"), "7\t0.5")
end)

test("what cannot be asked is refused by code", function()
  contains(ask("").Error, "ai.no_question: ")
  for _, value in ipairs({ "0", "-1", "x", "nan", "1e9", "2.5", "" }) do
    contains(ask("Hello?", { ["Max-Tokens"] = value }).Error, "ai.bad_tag: Max-Tokens is '" .. value .. "'")
  end
  contains(ask("Hello?", { Temperature = "11" }).Error, "ai.bad_tag: Temperature")
  contains(ask("Hello?", { Seed = "0.5" }).Error, "ai.bad_tag: Seed")
end)

test("what llama says is wrong is the error, and the next question tries to load again", function()
  eval([[
    require("ai").start("other")
    local llama = require("llama")
    Loader = llama.load
    llama.load = function(path) return nil, "llama.model_missing: " .. path .. ": the node has no such item" end]])
  contains(ask("Hello?").Error, "llama.model_missing: /data/other: the node has no such item")
  eval("require('llama').load = Loader")
  equal(ask("Hello?").Error, nil)
end)
