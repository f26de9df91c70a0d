// The outside of `bench llama`: llama.cpp as everybody builds it (native instruction set, flash attention).
//   llama-native MODEL.gguf PROMPT_TOKENS DECODE_TOKENS REPETITIONS THREADS
// Prints {"prefill": tokens/s, "decode": tokens/s, "work": tokens} with the medians, in CPU seconds of one thread, or of the
// clock for several.
#include "llama.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace {

int threads = 1;

double seconds()
{
    timespec now{};
    clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double median(std::vector<double> figures)
{
    std::sort(figures.begin(), figures.end());
    return figures[figures.size() / 2];
}

}  // namespace

int main(int count, char** values)
{
    if (count != 6) {
        std::fprintf(stderr, "usage: %s MODEL.gguf PROMPT_TOKENS DECODE_TOKENS REPETITIONS THREADS\n", values[0]);
        return 2;
    }
    const int prompt_tokens = std::atoi(values[2]);
    const int decode_tokens = std::atoi(values[3]);
    const int repetitions = std::atoi(values[4]);
    threads = std::atoi(values[5]);

    llama_log_set([](ggml_log_level, const char*, void*) { }, nullptr);
    auto model_parameters = llama_model_default_params();
    // Built with a backend for graphics cards, everything goes there.
    const bool on_card = llama_supports_gpu_offload();
    model_parameters.n_gpu_layers = on_card ? 999 : 0;
    llama_model* model = llama_model_load_from_file(values[1], model_parameters);
    if (!model)
        return 1;
    auto parameters = llama_context_default_params();
    parameters.n_ctx = 2048;
    parameters.n_batch = static_cast<std::uint32_t>(std::max(512, prompt_tokens));
    parameters.n_threads = parameters.n_threads_batch = threads;
    parameters.no_perf = true;
    parameters.flash_attn_type = on_card ? LLAMA_FLASH_ATTN_TYPE_AUTO : LLAMA_FLASH_ATTN_TYPE_ENABLED;
    llama_context* context = llama_init_from_model(model, parameters);
    if (!context)
        return 1;
    const llama_vocab* vocabulary = llama_model_get_vocab(model);
    const int vocabulary_size = llama_vocab_n_tokens(vocabulary);

    std::vector<llama_token> prompt(static_cast<std::size_t>(prompt_tokens));
    for (int i = 0; i < prompt_tokens; ++i)
        prompt[static_cast<std::size_t>(i)] = 100 + (i * 7919) % 20000;

    std::vector<double> prefill;
    std::vector<double> decode;
    for (int repetition = on_card ? -1 : 0; repetition < repetitions; ++repetition) {  // a card's first run compiles and warms up
        llama_memory_clear(llama_get_memory(context), true);
        const double began = seconds();
        if (llama_decode(context, llama_batch_get_one(prompt.data(), prompt_tokens)) != 0)
            return 1;
        llama_synchronize(context);
        const double prompted = seconds();
        for (int i = 0; i < decode_tokens; ++i) {
            const float* logits = llama_get_logits_ith(context, -1);
            auto token = static_cast<llama_token>(std::max_element(logits, logits + vocabulary_size) - logits);
            if (llama_decode(context, llama_batch_get_one(&token, 1)) != 0)
                return 1;
        }
        llama_synchronize(context);
        const double ended = seconds();
        if (repetition < 0)
            continue;
        prefill.push_back(prompt_tokens / (prompted - began));
        decode.push_back(decode_tokens / (ended - prompted));
    }
    std::printf(
        "{\"prefill\": %.2f, \"decode\": %.2f, \"work\": %d}\n", median(prefill), median(decode), prompt_tokens + decode_tokens);
    llama_free(context);
    llama_model_free(model);
}
