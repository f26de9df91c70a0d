// The Lua module `llama_engine`, which lua/process/llama.lua makes `llama` of: lists, numbers and texts, no tables of options.
//
// Lua errors leave C++ without running destructors: functions here that can raise one hold nothing that has any. What needs
// objects lies in Workspace, and is filled in helpers that cannot raise.
#include "engine.hpp"
#include "grammar.hpp"
#include "tensor_backend.hpp"

#include <kernels/trigonometry.hpp>

#include <lua.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>

extern "C" int luaopen_llama_engine(lua_State* L);

namespace altiplano::guest {
namespace {

// Never destroyed: a process has no end.
Engine& engine()
{
    static auto* one = new Engine;
    return *one;
}

struct Workspace {
    Tokens tokens;
    std::string text, more;
    std::vector<std::string> texts;
    std::vector<float> numbers;
    std::vector<Candidate> candidates;
    std::span<const float> logits;
};
Workspace& work()
{
    static auto* one = new Workspace;
    return *one;
}

int raise(lua_State* L)
{
    lua_pushlstring(L, engine().error().data(), engine().error().size());
    return lua_error(L);
}

void take_text(lua_State* L, int index, std::string& into)
{
    std::size_t length = 0;
    const char* text = luaL_checklstring(L, index, &length);
    into.assign(text, length);
}

int push_text(lua_State* L, const std::string& text)
{
    lua_pushlstring(L, text.data(), text.size());
    return 1;
}

// A list of token numbers. Others than numbers become -1, which the engine refuses.
void take_tokens(lua_State* L, int index, Tokens& into)
{
    luaL_checktype(L, index, LUA_TTABLE);
    into.clear();
    const auto count = static_cast<lua_Integer>(lua_rawlen(L, index));
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, index, i);
        int whole = 0;
        const auto value = lua_tointegerx(L, -1, &whole);
        into.push_back(whole && value >= 0 && value <= INT32_MAX ? static_cast<llama_token>(value) : -1);
        lua_pop(L, 1);
    }
}

template <class List> int push_list(lua_State* L, const List& list)
{
    lua_createtable(L, static_cast<int>(list.size()), 0);
    lua_Integer i = 0;
    for (const auto value : list) {
        if constexpr (std::is_integral_v<std::remove_cvref_t<decltype(value)>>)
            lua_pushinteger(L, value);
        else
            lua_pushnumber(L, value);
        lua_rawseti(L, -2, ++i);
    }
    return 1;
}

// ---------------------------------------------------------------------------------------------------- load, info

// load(list of paths, context tokens, batch tokens, compat, words only)
int l_load(lua_State* L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    work().texts.clear();
    for (lua_Integer i = 1; i <= static_cast<lua_Integer>(lua_rawlen(L, 1)); i++) {
        lua_rawgeti(L, 1, i);
        take_text(L, -1, work().text);
        work().texts.push_back(work().text);
        lua_pop(L, 1);
    }
    LoadOptions options;
    options.context_tokens = static_cast<std::uint32_t>(luaL_checkinteger(L, 2));
    options.batch_tokens = static_cast<std::uint32_t>(luaL_checkinteger(L, 3));
    options.compat = lua_toboolean(L, 4) != 0;
    options.words_only = lua_toboolean(L, 5) != 0;
    if (engine().load(work().texts, options)) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    push_text(L, engine().error());
    return 2;
}

int l_unload(lua_State*)
{
    engine().unload();
    return 0;
}

void set_text(lua_State* L, const char* field, const char* text)
{
    if (!text)
        return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, field);
}

void set_integer(lua_State* L, const char* field, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, field);
}

void set_metadata(lua_State* L, const char* field, const char* key)
{
    char value[512];
    if (llama_model_meta_val_str(engine().model(), key, value, sizeof value) >= 0)
        set_text(L, field, value);
}

int l_info(lua_State* L)
{
    const auto* model = engine().model();
    if (!model)
        return 0;
    lua_newtable(L);
    char description[256];
    llama_model_desc(model, description, sizeof description);
    set_text(L, "description", description);
    set_text(L, "quantisation", llama_ftype_name(llama_model_ftype(model)));
    set_text(L, "chat_template", llama_model_chat_template(model, nullptr));
    set_metadata(L, "name", "general.name");
    set_metadata(L, "license", "general.license");
    set_metadata(L, "architecture", "general.architecture");
    set_integer(L, "n_params", static_cast<lua_Integer>(llama_model_n_params(model)));
    set_integer(L, "size", static_cast<lua_Integer>(llama_model_size(model)));
    set_integer(L, "context", engine().context_tokens());
    set_integer(L, "context_train", llama_model_n_ctx_train(model));
    set_integer(L, "embedding", llama_model_n_embd(model));
    set_integer(L, "vocab", llama_vocab_n_tokens(llama_model_get_vocab(model)));
    return 1;
}

int l_log(lua_State* L)
{
    work().text = engine().take_log();
    return push_text(L, work().text);
}

// Whoever watches the node reads along; the result of the message is not touched by it.
int l_emit(lua_State* L)
{
    std::size_t length = 0;
    const char* piece = luaL_checklstring(L, 1, &length);
    std::fwrite(piece, 1, length, stdout);
    std::fflush(stdout);
    return 0;
}

// ---------------------------------------------------------------------------------------------------- what is sampled how

// sampling{temperature, top_k, top_p, min_p, repeat_penalty, frequency_penalty, presence_penalty, repeat_last, seed}: by position
int l_sampling(lua_State* L)
{
    SamplingOptions options;
    options.temperature = static_cast<float>(luaL_checknumber(L, 1));
    options.top_k = static_cast<std::int32_t>(luaL_checkinteger(L, 2));
    options.top_p = static_cast<float>(luaL_checknumber(L, 3));
    options.min_p = static_cast<float>(luaL_checknumber(L, 4));
    options.repeat_penalty = static_cast<float>(luaL_checknumber(L, 5));
    options.frequency_penalty = static_cast<float>(luaL_checknumber(L, 6));
    options.presence_penalty = static_cast<float>(luaL_checknumber(L, 7));
    options.repeat_last = static_cast<std::int32_t>(luaL_checkinteger(L, 8));
    options.seed = static_cast<std::uint64_t>(luaL_checkinteger(L, 9));
    engine().set_sampling(options);
    return 0;
}

int l_grammar(lua_State* L)
{
    if (lua_isnoneornil(L, 1))
        work().text.clear();
    else
        take_text(L, 1, work().text);
    return engine().set_grammar(work().text) ? 0 : raise(L);
}

bool convert_schema()
{
    try {
        work().more = grammar_of_schema(work().text);
        return true;
    } catch (const std::exception& thrown) {
        work().more = std::string{"llama.schema_invalid: no grammar can be made of the schema: "} + thrown.what();
        return false;
    }
}

int l_schema(lua_State* L)
{
    take_text(L, 1, work().text);
    const bool fine = convert_schema();
    push_text(L, work().more);
    return fine ? 1 : lua_error(L);
}

// ---------------------------------------------------------------------------------------------------- text and tokens

int l_tokenize(lua_State* L)
{
    take_text(L, 1, work().text);
    if (!engine().tokenize(work().text, lua_toboolean(L, 2) != 0, lua_toboolean(L, 3) != 0, work().tokens))
        return raise(L);
    return push_list(L, work().tokens);
}

void join_texts(bool special)
{
    work().text.clear();
    for (const auto token : work().tokens)
        work().text += engine().text_of(token, special);
}

int l_text(lua_State* L)
{
    if (!engine().model())
        return luaL_error(L, "llama.not_loaded: no model is loaded");
    take_tokens(L, 1, work().tokens);
    join_texts(lua_toboolean(L, 2) != 0);
    return push_text(L, work().text);
}

// template(JSON) -> prompt, whether it has the token of the beginning in it
int l_template(lua_State* L)
{
    take_text(L, 1, work().text);
    bool begins = false;
    if (!engine().apply_template(work().text, work().more, begins))
        return raise(L);
    push_text(L, work().more);
    lua_pushboolean(L, begins);
    return 2;
}

int l_start(lua_State* L)
{
    take_tokens(L, 1, work().tokens);
    if (!engine().start(work().tokens))
        return raise(L);
    lua_pushinteger(L, static_cast<lua_Integer>(engine().held().size()));
    return 1;
}

int l_feed(lua_State* L)
{
    take_tokens(L, 1, work().tokens);
    if (!engine().feed(work().tokens))
        return raise(L);
    lua_pushinteger(L, static_cast<lua_Integer>(engine().held().size()));
    return 1;
}

bool take_trail()
{
    const auto trail = engine().take_trail();
    work().text.clear();
    for (const auto token : trail.tokens)
        work().text += (work().text.empty() ? "" : " ") + std::to_string(token);
    char hex[65];
    std::snprintf(hex, sizeof hex, "%016llx%016llx%016llx%016llx", static_cast<unsigned long long>(trail.fingerprint[0]),
        static_cast<unsigned long long>(trail.fingerprint[1]), static_cast<unsigned long long>(trail.fingerprint[2]),
        static_cast<unsigned long long>(trail.fingerprint[3]));
    work().more = hex;
    return !trail.tokens.empty();
}

// trail() -> the tokens chosen since this was asked last, as a text, and the fingerprint of their logits; nothing when none was
int l_trail(lua_State* L)
{
    if (!take_trail())
        return 0;
    push_text(L, work().text);
    push_text(L, work().more);
    return 2;
}

// rest() -> the bytes of what was computed on the way since this was asked last; they are zero now
int l_rest(lua_State* L)
{
    lua_pushinteger(L, static_cast<lua_Integer>(clear_scratch()));
    return 1;
}

int l_held(lua_State* L)
{
    return push_list(L, engine().held());
}

// next() -> piece, token; at the end nil, "end" or "length". A rest of an unfinished character comes as a last piece before.
int l_next(lua_State* L)
{
    if (!engine().next())
        return raise(L);
    const bool ended = engine().stop() != Stop::none;
    if (ended && engine().piece().empty()) {
        lua_pushnil(L);
        lua_pushstring(L, engine().stop() == Stop::end ? "end" : "length");
        return 2;
    }
    push_text(L, engine().piece());
    if (ended)
        return 1;
    lua_pushinteger(L, engine().token());
    return 2;
}

// ---------------------------------------------------------------------------------------------------- probabilities

// Natural logarithm of the sum of exp(x - largest), and the largest.
struct Scale {
    double log_sum;
    float largest;
};
Scale scale_of(std::span<const float> logits)
{
    float largest = -3.4e38F;
    for (const float x : logits)
        if (kernels::is_finite(x))
            largest = std::max(largest, x);
    double sum = 0;
    for (const float x : logits)
        if (kernels::is_finite(x))
            sum += static_cast<double>(kernels::exp_of(x - largest));
    return {kernels::log_double(sum), largest};
}

bool comes_before(const Candidate& a, const Candidate& b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

void find_likeliest(std::size_t count)
{
    auto& all = work().candidates;
    all.clear();
    for (std::size_t i = 0; i < work().logits.size(); i++)
        if (kernels::is_finite(work().logits[i]))
            all.push_back({static_cast<std::int32_t>(i), work().logits[i]});
    count = std::min(count, all.size());
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end(), comes_before);
    all.resize(count);
}

// logprobs(count, tokens, last) -> the likeliest as {token, logprob, token, logprob...}, the logprobs of `tokens`
// `last`: those that the last token was chosen from, instead of those for what comes next
int l_logprobs(lua_State* L)
{
    const auto count = luaL_checkinteger(L, 1);
    if (count < 0)
        return luaL_argerror(L, 1, "must not be negative");
    take_tokens(L, 2, work().tokens);
    if (lua_toboolean(L, 3))
        work().logits = engine().last_logits();
    else if (!engine().logits(work().logits))
        return raise(L);
    if (work().logits.empty())
        return luaL_error(L, "llama.no_prompt: nothing to go on from; call llama.setPrompt first");
    const auto scale = scale_of(work().logits);
    const auto logprob = [&](float x) { return static_cast<double>(x - scale.largest) - scale.log_sum; };

    find_likeliest(static_cast<std::size_t>(count));
    lua_createtable(L, static_cast<int>(2 * work().candidates.size()), 0);
    lua_Integer i = 0;
    for (const auto& candidate : work().candidates) {
        lua_pushinteger(L, candidate.token);
        lua_rawseti(L, -2, ++i);
        lua_pushnumber(L, logprob(candidate.logit));
        lua_rawseti(L, -2, ++i);
    }
    lua_createtable(L, static_cast<int>(work().tokens.size()), 0);
    i = 0;
    for (const auto token : work().tokens) {
        if (token < 0 || static_cast<std::size_t>(token) >= work().logits.size())
            return luaL_error(L, "llama.bad_token: %d is no token", static_cast<int>(token));
        lua_pushnumber(L, logprob(work().logits[static_cast<std::size_t>(token)]));
        lua_rawseti(L, -2, ++i);
    }
    return 2;
}

// The bytes of the logits for what comes next: one f32 per token of the vocabulary.
int l_logits(lua_State* L)
{
    if (!engine().logits(work().logits))
        return raise(L);
    lua_pushlstring(L, reinterpret_cast<const char*>(work().logits.data()), work().logits.size_bytes());
    return 1;
}

int l_ends(lua_State* L)
{
    if (!engine().model())
        return luaL_error(L, "llama.not_loaded: no model is loaded");
    lua_pushinteger(L, llama_vocab_eos(llama_model_get_vocab(engine().model())));
    return 1;
}

int l_embed(lua_State* L)
{
    take_tokens(L, 1, work().tokens);
    if (!engine().embed(work().tokens, work().numbers))
        return raise(L);
    return push_list(L, work().numbers);
}

int l_save(lua_State* L)
{
    if (!engine().save(work().text))
        return raise(L);
    push_text(L, work().text);
    work().text = {};
    return 1;
}

int l_restore(lua_State* L)
{
    std::size_t length = 0;
    const char* state = luaL_checklstring(L, 1, &length);
    if (!engine().restore({state, length}))
        return raise(L);
    lua_pushinteger(L, static_cast<lua_Integer>(engine().held().size()));
    return 1;
}

}  // namespace
}  // namespace altiplano::guest

extern "C" int luaopen_llama_engine(lua_State* L)
{
    using namespace altiplano::guest;
    static const luaL_Reg functions[] = {{"load", l_load}, {"unload", l_unload}, {"info", l_info}, {"log", l_log},
        {"emit", l_emit}, {"sampling", l_sampling}, {"grammar", l_grammar}, {"schema", l_schema}, {"tokenize", l_tokenize},
        {"text", l_text}, {"template", l_template}, {"start", l_start}, {"feed", l_feed}, {"held", l_held}, {"trail", l_trail},
        {"rest", l_rest}, {"next", l_next}, {"logprobs", l_logprobs}, {"logits", l_logits}, {"ends", l_ends}, {"embed", l_embed},
        {"save", l_save}, {"restore", l_restore}, {nullptr, nullptr}};
    luaL_newlib(L, functions);
    return 1;
}
