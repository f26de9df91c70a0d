// GBNF as a constraint of the sampler, and JSON schemas as GBNF.
#pragma once

#include "sampler.hpp"

#include <llama.h>

#include <memory>
#include <string>

namespace altiplano::guest {

class Grammar final : public Constraint {
public:
    /// @return nothing if llama.cpp cannot read it; its log says why
    static std::unique_ptr<Grammar> create(const llama_vocab* vocab, const std::string& gbnf);

    void filter(std::span<Candidate> candidates) override;
    void accept(llama_token token);
    void reset();

private:
    struct Free {
        void operator()(llama_sampler* sampler) const { llama_sampler_free(sampler); }
    };
    explicit Grammar(llama_sampler* sampler)
        : sampler_(sampler)
    {
    }
    std::unique_ptr<llama_sampler, Free> sampler_;
};

/// The grammar of the JSON texts that satisfy a schema. @throws std::exception with what is wrong
std::string grammar_of_schema(const std::string& schema);

}  // namespace altiplano::guest
