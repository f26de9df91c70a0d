// The outside of `bench models`: llama.cpp as everybody builds it.
//   native list                                  the architectures that the engine knows, one a line
//   native measure MODEL.gguf FOLDER POSITIONS   quantises the model to FOLDER/model.gguf (Q4_0), and runs a fixed text of tokens
//       through it and through the same weights as F32 with F32 keys and values, which is the reference: FOLDER/reference.f32.
//       Prints {"vocab": N, "kl": mean divergence of the quantised one from the reference}.
//   native text MODEL.gguf TEXT FOLDER POSITIONS   the same for a model as it is and the first tokens of a text, which come into
//       FOLDER/tokens.i32; prints {"vocab": N, "kl": ..., "surprise": nats per token of the text, by the quantised one}
#include "lib/divergence.hpp"
#include "llama-arch.h"

#include <ggml.h>
#include <gguf.h>
#include <llama.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench = altiplano::bench;

namespace {

// The last line is what the benchmark reads; whatever the reason holds, it stays one text of JSON.
[[noreturn]] void give_up(std::string why)
{
    for (auto& c : why)
        if (c == '"' || c == '\\' || c == '{' || static_cast<unsigned char>(c) < ' ')
            c = ' ';
    std::printf("{\"error\": \"%s\"}\n", why.c_str());
    std::exit(0);
}

// Weights as they are after quantisation, in F32: what both sides are measured against knows no other weights.
void dequantise(const std::string& from, const std::string& to)
{
    ggml_context* tensors = nullptr;
    auto* source = gguf_init_from_file(from.c_str(), {false, &tensors});
    if (!source)
        give_up("the quantised model cannot be read");
    auto* result = gguf_init_empty();
    gguf_set_kv(result, source);
    gguf_set_val_u32(result, "general.file_type", 0);

    // By the file's list: the context holds one tensor more, all the data.
    const auto count = gguf_get_n_tensors(source);
    const auto tensor = [&](std::int64_t i) { return ggml_get_tensor(tensors, gguf_get_tensor_name(source, i)); };
    std::size_t bytes = 1 << 20;
    for (std::int64_t i = 0; i < count; i++)
        bytes += static_cast<std::size_t>(ggml_nelements(tensor(i))) * 4 + ggml_tensor_overhead() + 64;
    auto* plain = ggml_init({bytes, nullptr, false});
    for (std::int64_t i = 0; i < count; i++) {
        auto* t = tensor(i);
        auto* wide = t;
        if (ggml_is_quantized(t->type)) {
            wide = ggml_new_tensor(plain, GGML_TYPE_F32, ggml_n_dims(t), t->ne);
            ggml_set_name(wide, t->name);
            ggml_get_type_traits(t->type)->to_float(t->data, static_cast<float*>(wide->data), ggml_nelements(t));
        }
        gguf_add_tensor(result, wide);
    }
    if (!gguf_write_to_file(result, to.c_str(), false))
        give_up("the reference model cannot be written");
    gguf_free(result);
    ggml_free(plain);
    gguf_free(source);
    ggml_free(tensors);
}

using Tokens = std::vector<llama_token>;

Tokens made_up(int positions, int vocabulary)
{
    Tokens tokens;
    for (int i = 0; i < positions; i++)
        tokens.push_back(1 + (i * 7919 + i * i * 13) % (vocabulary - 1));
    return tokens;
}

Tokens tokens_of(const std::string& path, const std::string& text, std::size_t positions)
{
    auto parameters = llama_model_default_params();
    parameters.vocab_only = true;
    auto* model = llama_model_load_from_file(path.c_str(), parameters);
    if (!model)
        give_up("native llama.cpp does not load it");
    Tokens tokens(text.size() + 8);
    const auto count = llama_tokenize(llama_model_get_vocab(model), text.data(), static_cast<int>(text.size()), tokens.data(),
        static_cast<int>(tokens.size()), true, false);
    if (count < 2)
        give_up("the text has no tokens");
    tokens.resize(std::min(static_cast<std::size_t>(count), positions));
    llama_model_free(model);
    return tokens;
}

// The logits of every position, row after row. Without tokens: `positions` of made-up ones.
std::vector<float> run(const std::string& path, Tokens tokens, int positions, bool reference, int& vocabulary)
{
    if (!tokens.empty())
        positions = static_cast<int>(tokens.size());
    auto model_parameters = llama_model_default_params();
    model_parameters.n_gpu_layers = 0;
    auto* model = llama_model_load_from_file(path.c_str(), model_parameters);
    if (!model)
        give_up("native llama.cpp does not load it");
    if (llama_model_has_encoder(model))
        give_up("it has an encoder");
    auto parameters = llama_context_default_params();
    parameters.n_ctx = static_cast<unsigned>(positions);
    parameters.n_batch = parameters.n_ubatch = static_cast<unsigned>(positions);
    parameters.n_threads = parameters.n_threads_batch = 1;
    parameters.swa_full = true;
    parameters.type_k = parameters.type_v = reference ? GGML_TYPE_F32 : GGML_TYPE_F16;
    parameters.flash_attn_type = reference ? LLAMA_FLASH_ATTN_TYPE_DISABLED : LLAMA_FLASH_ATTN_TYPE_ENABLED;
    auto* context = llama_init_from_model(model, parameters);
    if (!context)
        give_up("native llama.cpp makes no context for it");
    vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));

    if (tokens.empty())
        tokens = made_up(positions, vocabulary);
    std::vector<std::int8_t> wanted(tokens.size(), 1);
    auto batch = llama_batch_get_one(tokens.data(), positions);
    batch.logits = wanted.data();
    if (llama_decode(context, batch) != 0)
        give_up("native llama.cpp does not run it");
    std::vector<float> logits;
    for (int i = 0; i < positions; i++) {
        const float* row = llama_get_logits_ith(context, i);
        if (!row)
            give_up("native llama.cpp gives no logits");
        logits.insert(logits.end(), row, row + vocabulary);
    }
    llama_free(context);
    llama_model_free(model);
    return logits;
}

// Writes what the reference expects. @return the divergence
double compare(const std::string& quantised, const std::string& folder, const Tokens& tokens, int positions, int& vocabulary,
    std::vector<float>& native)
{
    dequantise(quantised, folder + "/reference.gguf");
    const auto reference = run(folder + "/reference.gguf", tokens, positions, true, vocabulary);
    native = run(quantised, tokens, positions, false, vocabulary);
    std::ofstream(folder + "/reference.f32", std::ios::binary)
        .write(reinterpret_cast<const char*>(reference.data()), static_cast<std::streamsize>(reference.size() * sizeof(float)));
    std::remove((folder + "/reference.gguf").c_str());
    return bench::divergence(reference, native, static_cast<std::size_t>(vocabulary));
}

void measure(const std::string& source, const std::string& folder, int positions)
{
    const auto quantised = folder + "/model.gguf";
    auto parameters = llama_model_quantize_default_params();
    parameters.ftype = LLAMA_FTYPE_MOSTLY_Q4_0;
    parameters.nthread = 1;
    if (llama_model_quantize(source.c_str(), quantised.c_str(), &parameters) != 0)
        give_up("llama.cpp does not quantise it");
    int vocabulary = 0;
    std::vector<float> native;
    const double divergence = compare(quantised, folder, {}, positions, vocabulary, native);
    std::printf("{\"vocab\": %d, \"kl\": %.6e}\n", vocabulary, divergence);
}

void measure_text(const std::string& model, const std::string& file, const std::string& folder, int positions)
{
    std::ifstream stream(file, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(stream)), {});
    const auto tokens = tokens_of(model, text, static_cast<std::size_t>(positions));
    std::ofstream(folder + "/tokens.i32", std::ios::binary)
        .write(reinterpret_cast<const char*>(tokens.data()), static_cast<std::streamsize>(tokens.size() * sizeof(llama_token)));
    int vocabulary = 0;
    std::vector<float> native;
    const double divergence = compare(model, folder, tokens, 0, vocabulary, native);
    std::printf("{\"vocab\": %d, \"kl\": %.6e, \"surprise\": %.9f}\n", vocabulary, divergence,
        bench::surprise(native, tokens, static_cast<std::size_t>(vocabulary)));
}

}  // namespace

int main(int count, char** values)
{
    llama_log_set([](ggml_log_level, const char*, void*) { }, nullptr);
    if (count == 2 && std::strcmp(values[1], "list") == 0) {
        for (const auto& arch : llm_arch_all())
            if (arch != LLM_ARCH_UNKNOWN)
                std::printf("%s\n", llm_arch_name(arch));
        return 0;
    }
    const bool made = count == 5 && std::strcmp(values[1], "measure") == 0;
    if (!made && (count != 6 || std::strcmp(values[1], "text") != 0)) {
        std::fprintf(
            stderr, "usage: %s list | measure MODEL.gguf FOLDER POSITIONS | text MODEL.gguf TEXT FOLDER POSITIONS\n", values[0]);
        return 2;
    }
    try {
        if (made)
            measure(values[2], values[3], std::atoi(values[4]));
        else
            measure_text(values[2], values[3], values[4], std::atoi(values[5]));
    } catch (const std::exception& thrown) {
        give_up(thrown.what());
    }
}
