#!/usr/bin/env python3
"""The Lua module `llama` with a real model, as processes use it."""
import json

import harness

PUBLISHED_WORKER = """
  Worker = require(".Llama")
  Worker.logLevel = 4
  Worker.load("/data/" .. ModelID)
  Worker.setPrompt("The capital of France is")
  local response = ""
  for i = 1, 5 do response = response .. Worker.next() end
  return response
"""


class Mind:
    """A process of llama.wasm that may open the small model."""

    def __init__(self, node):
        self.node = node
        module = node.json("put", harness.guest("llama"), "--module", "--name", "llama")["id"]
        self.model = node.json("put", harness.model(), "--attest")["id"]
        me = node.json("key")["address"]
        self.process = node.json("spawn", "--module", module, "--tag", "Extension=WeaveDrive", "--tag", f"Attestor={me}")["process"]
        self.eval(f"ModelID = '{self.model}' json = require('json') llama = require('llama') return 1")
        self.eval("assert(llama.load('/data/' .. ModelID)) llama.set({stream = false}) return 1")

    def eval(self, code):
        return self.node.run("eval", self.process, code)[0].removesuffix("\n")

    def value(self, expression):
        """What Lua gives, through JSON."""
        return json.loads(self.eval(f"return json.encode({{{expression}}})"))

    def failure(self, code):
        out, said = self.node.run("eval", self.process, code, status=1)
        return out + said


def answers_can_be_bent_every_way(mind):
    # Greedy, and what ends an answer.
    whole, stats = mind.value("llama.complete('The capital of France is', {tokens = 8})")
    assert whole and stats["generated_tokens"] == 8 and stats["stop"] == "length", (whole, stats)
    word = whole.split()[2]  # "answer"
    cut, stats = mind.value(f"llama.complete('The capital of France is', {{tokens = 8, stop = ' {word}'}})")
    assert whole.startswith(cut + " " + word) and stats["stop"] == "stop", (whole, cut, stats)

    # What is kept of a prompt, how a prompt is cut, and where a context was saved change nothing.
    again = mind.value("llama.complete('The capital of France was', {tokens = 1}), llama.complete('The capital of France is', {tokens = 8})")[1]
    assert again == whole
    mind.eval("llama.setPrompt('The capital of France is') State = llama.save() Pieces = {} for i = 1, 3 do Pieces[i] = llama.next() end Half = llama.save()")
    resumed = mind.value("llama.restore(State), llama.run(8), llama.restore(Half), table.concat(Pieces) .. llama.run(5)")
    assert resumed[1] == whole and resumed[3] == whole, (whole, resumed)
    assert "llama.state_invalid" in mind.failure("llama.restore(State:sub(1, 5000))")
    assert "llama.state_invalid" in mind.failure("llama.restore('nonsense')")

    # What graphs compute on the way is no part of the state, and nothing that comes later needs it.
    mind.eval("llama.setPrompt('The capital of France was') llama.next()")
    first, later, text = mind.value("(function() local rest, text = llama.engine.rest, '' local before = rest() llama.setPrompt('The capital of France is')"
                                    " for i = 1, 8 do text = text .. llama.next() Cleared = rest() end return before, rest(), text end)()")
    assert first == 0 == later and text == whole and int(mind.eval("return Cleared")) > 100_000, (first, later, text)
    # Not what was freed before the message ended, which belongs to others now.
    freed = mind.eval("llama.setPrompt('The capital of France was') llama.next() assert(llama.load('/data/' .. ModelID)) llama.set({stream = false})"
                      " local taken = ('x'):rep(8 << 20) Taken = taken return llama.engine.rest()")
    assert freed == "0" and mind.eval("local left = Taken:find('[^x]') Taken = nil return tostring(left)") == "nil", freed
    assert mind.value("llama.complete('The capital of France is', {tokens = 8})")[0] == whole

    # Chance: the seed's, and not the greedy answer for ever.
    first, second, third = (mind.value(f"llama.complete('Once upon a time', {{tokens = 12, temperature = 1.5, top_k = 0, top_p = 1, seed = {seed}}})")[0]
                            for seed in (7, 7, 8))
    assert first == second != third, (first, second, third)

    # Grammars and schemas.
    assert mind.value("llama.chat('Is fire hot?', {tokens = 9, grammar = 'root ::= \"yes\" | \"no\"'})")[0] in ("yes", "no")
    schema = '{"type":"object","properties":{"name":{"type":"string","maxLength":8},"age":{"type":"integer","minimum":0,"maximum":99}},"required":["name","age"],"additionalProperties":false}'
    text, stats = mind.value(f"llama.chat('Describe Tom, who is 12.', {{tokens = 60, schema = [[{schema}]]}})")
    assert stats["stop"] == "end", (text, stats)
    described = json.loads(text)
    assert set(described) == {"name", "age"} and 0 <= described["age"] <= 99, text
    assert "llama.grammar_invalid" in mind.failure("llama.chat('x', {grammar = 'root ::= ('})")
    assert "llama.schema_invalid" in mind.failure("llama.chat('x', {schema = '{\"type\":\"nonsense\"}'})")
    assert "llama.schema_invalid" in mind.failure("llama.chat('x', {schema = '{{'})")


def it_says_what_it_expects(mind):
    best, probabilities = mind.value("llama.decide('Is the sky green?', {'Yes', 'No'})")
    assert abs(probabilities["Yes"] + probabilities["No"] - 1) < 1e-9 and probabilities[best] >= 0.5, probabilities
    # Choices that begin alike, and one that begins another.
    _, three = mind.value("llama.decide('The capital of France is', {' Paris', ' Paris, the city', ' London'}, {chat = false})")
    assert abs(sum(three.values()) - 1) < 1e-9 and len(three) == 3, three

    mind.eval("llama.setPrompt('The capital of France is')")
    top = mind.value("llama.logprobs(3)")[0]
    assert [t["logprob"] for t in top] == sorted((t["logprob"] for t in top), reverse=True) and top[0]["logprob"] < 0
    assert mind.eval("return llama.next()") == top[0]["text"]
    _, stats = mind.value("llama.complete('The capital of France is', {tokens = 2, logprobs = 2})")
    assert stats["logprobs"][0]["logprob"] == top[0]["logprob"] and len(stats["logprobs"][1]["top"]) == 2, stats

    likely, unlikely = mind.value("(llama.score('Paris is the capital of France.')), (llama.score('Paris France the of is capital.'))")
    assert unlikely < likely < 0

    near, far = mind.value("(function() local a, b, c = llama.embed('A cat sleeps.'), llama.embed('A kitten is sleeping.'), llama.embed('The stock market fell by two percent.')"
                           " local function dot(x, y) local s = 0 for i = 1, #x do s = s + x[i] * y[i] end return s end"
                           " assert(math.abs(dot(a, a) - 1) < 1e-5) return dot(a, b), dot(a, c) end)()")
    assert near > far, (near, far)


def scripts_for_aos_module_run_as_they_are(mind):
    plain = mind.eval(PUBLISHED_WORKER)
    assert plain.strip(), plain
    # Prompts longer than a batch are cut; longer than the context they are refused, and the engine lives on.
    assert int(mind.eval("return llama.setPrompt(string.rep('word ', 600))")) > 512
    assert "llama.prompt_too_long" in mind.failure("llama.setPrompt(string.rep('word ', 3000))")
    assert mind.eval("llama.setPrompt('The capital of France is') return llama.run(5)") == plain

    # With compat, positions are AO's: another text than without, the same each time, and add at its odd positions works.
    compat = "llama.load('/data/' .. ModelID, {compat = true}) llama.set({temperature = 1, stream = false}) "
    first = mind.eval(compat + "llama.setPrompt('Once upon a time') local text = llama.run(12) llama.add(' Then') return text .. llama.run(4)")
    second = mind.eval("llama.setPrompt('Once upon a time') local text = llama.run(12) llama.add(' Then') return text .. llama.run(4)")
    assert first == second and first.strip(), (first, second)

    # What is missing or broken is an error, never a dead process.
    assert "llama.model_missing" in mind.eval(f"return tostring(select(2, llama.load('/data/{'x' * 43}')))")
    assert "llama.not_loaded" in mind.failure("llama.setPrompt('x')")
    assert mind.eval("assert(llama.load('/data/' .. ModelID)) llama.set({temperature = 0}) llama.setPrompt('The capital of France is') return llama.run(5)") == plain


if __name__ == "__main__":
    with harness.Node() as shared:  # compiling the module takes longer than most of what is asked of it
        process = Mind(shared)
        tests = [answers_can_be_bent_every_way, it_says_what_it_expects, scripts_for_aos_module_run_as_they_are]
        harness.main([harness.named(lambda test=test: test(process), test.__name__) for test in tests])
