// The Lua module `llama`. Lua errors leave C++ without running destructors: functions here that can raise one hold nothing
// that has any. What needs objects is in the helpers, which cannot raise.
#include "engine.hpp"

#include <lua.hpp>

#include <cstdio>
#include <cstring>

extern "C" int luaopen_llama(lua_State* L);

namespace altiplano::guest {
namespace {

// Never destroyed: a process has no end.
Engine& engine()
{
    static auto* one = new Engine;
    return *one;
}

bool streaming = true;
constexpr float temperature_with_seed = 0.8F;

// Text that functions collect while Lua may raise an error between two pieces.
std::string& collected()
{
    static auto* text = new std::string;
    return *text;
}

std::vector<ChatMessage>& conversation()
{
    static auto* messages = new std::vector<ChatMessage>;
    return *messages;
}

int raise(lua_State* L)
{
    lua_pushlstring(L, engine().error().data(), engine().error().size());
    return lua_error(L);
}

// Whoever watches the node reads along; the result of the message is not touched by it.
void stream_piece()
{
    const auto& piece = engine().piece();
    if (piece.empty()) return;
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
}

lua_Number number_field(lua_State* L, int table, const char* name, lua_Number otherwise)
{
    lua_getfield(L, table, name);
    if (!lua_isnil(L, -1) && !lua_isnumber(L, -1)) luaL_error(L, "llama: option %s must be a number", name);
    const auto value = lua_isnil(L, -1) ? otherwise : lua_tonumber(L, -1);
    lua_pop(L, 1);
    return value;
}

std::uint32_t token_field(lua_State* L, int table, const char* name, std::uint32_t otherwise)
{
    const auto value = number_field(L, table, name, otherwise);
    if (!(value >= 1 && value <= 1 << 24)) luaL_error(L, "llama: option %s must be from 1 to 16777216", name);
    return static_cast<std::uint32_t>(value);
}

// ---------------------------------------------------------------------------------------------------- load, info, stop

bool load_path(const char* path, std::size_t length, const LoadOptions& options)
{
    return engine().load(std::string(path, length), options);
}

int l_load(lua_State* L)
{
    std::size_t length = 0;
    const char* path = luaL_checklstring(L, 1, &length);
    LoadOptions options;
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        options.context_tokens = token_field(L, 2, "context", options.context_tokens);
        options.batch_tokens = token_field(L, 2, "batch", options.batch_tokens);
    }
    if (load_path(path, length, options)) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushlstring(L, engine().error().data(), engine().error().size());
    return 2;
}

void set_text(lua_State* L, const char* field, const char* text)
{
    if (!text) return;
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
    if (llama_model_meta_val_str(engine().model(), key, value, sizeof value) >= 0) set_text(L, field, value);
}

int l_info(lua_State* L)
{
    const auto* model = engine().model();
    if (!model) {
        lua_pushnil(L);
        lua_pushliteral(L, "llama.not_loaded: no model is loaded");
        return 2;
    }
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
    set_integer(L, "vocab", llama_vocab_n_tokens(llama_model_get_vocab(model)));
    return 1;
}

int l_stop(lua_State*)
{
    engine().unload();
    return 0;
}

// ---------------------------------------------------------------------------------------------------- sampling

int l_set(lua_State* L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    auto options = engine().sampling();
    options.temperature = static_cast<float>(number_field(L, 1, "temperature", options.temperature));
    options.top_k = static_cast<std::int32_t>(number_field(L, 1, "top_k", options.top_k));
    options.top_p = static_cast<float>(number_field(L, 1, "top_p", options.top_p));
    options.min_p = static_cast<float>(number_field(L, 1, "min_p", options.min_p));
    lua_getfield(L, 1, "seed");
    if (!lua_isnil(L, -1)) options.seed = static_cast<std::uint32_t>(luaL_checkinteger(L, -1));
    lua_getfield(L, 1, "stream");
    if (!lua_isnil(L, -1)) streaming = lua_toboolean(L, -1) != 0;
    engine().set_sampling(options);
    return 0;
}

// Who sets a seed wants chance: without a temperature the seed would change nothing.
int l_set_seed(lua_State* L)
{
    auto options = engine().sampling();
    options.seed = static_cast<std::uint32_t>(luaL_checkinteger(L, 1));
    if (options.temperature <= 0) options.temperature = temperature_with_seed;
    engine().set_sampling(options);
    return 0;
}

int l_set_temperature(lua_State* L)
{
    auto options = engine().sampling();
    options.temperature = static_cast<float>(luaL_checknumber(L, 1));
    engine().set_sampling(options);
    return 0;
}

// ---------------------------------------------------------------------------------------------------- text

bool give_prompt(const char* text, std::size_t length)
{
    return engine().set_prompt(std::string(text, length));
}

bool give_more(const char* text, std::size_t length)
{
    return engine().add(std::string(text, length));
}

int l_set_prompt(lua_State* L)
{
    std::size_t length = 0;
    const char* text = luaL_checklstring(L, 1, &length);
    if (!give_prompt(text, length)) return raise(L);
    lua_pushinteger(L, engine().prompt_tokens());
    return 1;
}

int l_add(lua_State* L)
{
    std::size_t length = 0;
    const char* text = luaL_checklstring(L, 1, &length);
    if (!give_more(text, length)) return raise(L);
    lua_pushinteger(L, engine().prompt_tokens());
    return 1;
}

const char* stop_name()
{
    return engine().stop() == Stop::end ? "end" : "length";
}

// A rest of an unfinished character comes as a last piece, before the nil.
int l_next(lua_State* L)
{
    if (!engine().next()) return raise(L);
    const auto& piece = engine().piece();
    if (engine().stop() != Stop::none && piece.empty()) {
        lua_pushnil(L);
        lua_pushstring(L, stop_name());
        return 2;
    }
    if (streaming) stream_piece();
    lua_pushlstring(L, piece.data(), piece.size());
    return 1;
}

void collect()
{
    collected() += engine().piece();
}

// Generates up to `limit` tokens into collected(). The function at stack index `listener`, if any, gets each piece.
void generate(lua_State* L, lua_Integer limit, bool to_stdout, int listener)
{
    collected().clear();
    for (lua_Integer i = 0; i < limit && engine().stop() == Stop::none; i++) {
        if (!engine().next()) raise(L);
        collect();
        if (to_stdout) stream_piece();
        if (listener && !engine().piece().empty()) {
            lua_pushvalue(L, listener);
            lua_pushlstring(L, engine().piece().data(), engine().piece().size());
            lua_call(L, 1, 0);
        }
    }
}

int l_run(lua_State* L)
{
    const auto limit = luaL_checkinteger(L, 1);
    generate(L, limit, streaming, 0);
    lua_pushlstring(L, collected().data(), collected().size());
    return 1;
}

// ---------------------------------------------------------------------------------------------------- chat

void add_message(const char* role, const char* content, std::size_t length)
{
    conversation().push_back({role, std::string(content, length)});
}

bool start_chat()
{
    return engine().set_chat(conversation());
}

void read_messages(lua_State* L)
{
    conversation().clear();

    std::size_t length = 0;
    if (lua_istable(L, 2)) {
        lua_getfield(L, 2, "system");
        const char* text = lua_tolstring(L, -1, &length);
        if (text && length) add_message("system", text, length);
        lua_pop(L, 1);
    }
    if (lua_type(L, 1) == LUA_TTABLE) {
        for (lua_Integer i = 1; i <= luaL_len(L, 1); i++) {
            lua_geti(L, 1, i);
            if (!lua_istable(L, -1)) luaL_error(L, "llama.chat: message %d is not a table {role=, content=}", static_cast<int>(i));
            lua_getfield(L, -1, "role");
            lua_getfield(L, -2, "content");
            const char* role = lua_tostring(L, -2);
            const char* content = lua_tolstring(L, -1, &length);
            if (!role || !content) luaL_error(L, "llama.chat: message %d needs role and content", static_cast<int>(i));
            add_message(role, content, length);
            lua_pop(L, 3);
        }
    } else {
        const char* text = luaL_checklstring(L, 1, &length);
        add_message("user", text, length);
    }
}

int l_chat(lua_State* L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 2);
    std::uint32_t limit = 256;
    bool to_stdout = streaming;
    int listener = 0;
    if (!lua_isnil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        limit = token_field(L, 2, "tokens", limit);
        lua_getfield(L, 2, "stream");
        if (lua_isfunction(L, -1)) listener = lua_gettop(L);
        else if (!lua_isnil(L, -1)) to_stdout = lua_toboolean(L, -1) != 0;
    }
    read_messages(L);
    if (!start_chat()) return raise(L);

    generate(L, limit, to_stdout, listener);
    lua_pushlstring(L, collected().data(), collected().size());
    lua_newtable(L);
    set_integer(L, "prompt_tokens", engine().prompt_tokens());
    set_integer(L, "generated_tokens", engine().generated_tokens());
    set_text(L, "stop", stop_name());
    return 2;
}

}  // namespace
}  // namespace altiplano::guest

extern "C" int luaopen_llama(lua_State* L)
{
    using namespace altiplano::guest;
    static const luaL_Reg functions[] = {{"load", l_load}, {"info", l_info}, {"stop", l_stop}, {"set", l_set},
        {"setSeed", l_set_seed}, {"setTemp", l_set_temperature}, {"setPrompt", l_set_prompt}, {"add", l_add}, {"next", l_next},
        {"run", l_run}, {"chat", l_chat}, {nullptr, nullptr}};
    luaL_newlib(L, functions);
    return 1;
}
