#include "grammar.hpp"

#include <json-schema-to-grammar.h>

#include <vector>

namespace altiplano::guest {

std::unique_ptr<Grammar> Grammar::create(const llama_vocab* vocab, const std::string& gbnf)
{
    auto* sampler = llama_sampler_init_grammar(vocab, gbnf.c_str(), "root");
    return sampler ? std::unique_ptr<Grammar>(new Grammar(sampler)) : nullptr;
}

void Grammar::filter(std::span<Candidate> candidates)
{
    std::vector<llama_token_data> data;
    data.reserve(candidates.size());
    for (const auto& candidate : candidates)
        data.push_back({candidate.token, candidate.logit, 0});
    llama_token_data_array array{data.data(), data.size(), -1, false};
    llama_sampler_apply(sampler_.get(), &array);
    for (std::size_t i = 0; i < candidates.size(); i++)
        if (!(data[i].logit > -std::numeric_limits<float>::infinity()))
            candidates[i].allowed = false;
}

void Grammar::accept(llama_token token)
{
    llama_sampler_accept(sampler_.get(), token);
}

void Grammar::reset()
{
    llama_sampler_reset(sampler_.get());
}

std::string grammar_of_schema(const std::string& schema)
{
    return json_schema_to_grammar(common_json::parse(schema), true);
}

}  // namespace altiplano::guest
