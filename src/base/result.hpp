#pragma once

#include <cstdio>
#include <cstdlib>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace altiplano {

/// What went wrong, as a value: a code for programs, a sentence with the values found and expected, a hint.
struct Error {
    std::string_view code;  ///< static and stable, `room.what`: programs match on it, docs/errors.md lists it
    std::string sentence;  ///< what was found and what was expected, with the values
    std::string hint;  ///< what to do next; may be empty
};

/// A value or an Error. A dropped one is a build error.
template <class T> class [[nodiscard]] Result : public std::expected<T, Error> {
public:
    using std::expected<T, Error>::expected;
};

/// `return fail(errors::bad_length, fmt::format(...), "hint")`.
/// @param code  must have static storage: a literal or a constant of a room's errors.hpp
[[nodiscard]] inline std::unexpected<Error> fail(std::string_view code, std::string sentence, std::string hint = {})
{
    return std::unexpected<Error>(Error{code, std::move(sentence), std::move(hint)});
}

/// The same error one floor up, its sentence led by what the caller knows more ("while reading slot 3: ...").
[[nodiscard]] inline std::unexpected<Error> fail_while(std::string_view doing, Error error)
{
    error.sentence = std::string(doing) + ": " + error.sentence;
    return std::unexpected<Error>(std::move(error));
}

namespace detail {
[[noreturn]] inline void broken_promise(const char* condition, const char* why, const char* file, int line)
{
    std::fprintf(stderr, "%s:%d: broken promise: %s (%s)\n", file, line, why, condition);
    std::abort();
}
}  // namespace detail

}  // namespace altiplano

#define ALTIPLANO_CONCAT_(a, b) a##b
#define ALTIPLANO_CONCAT(a, b) ALTIPLANO_CONCAT_(a, b)
#define ALTIPLANO_TRY_(temporary, declaration, ...)                                                                              \
    auto temporary = (__VA_ARGS__);                                                                                              \
    if (!temporary)                                                                                                              \
        return std::unexpected(std::move(temporary).error());                                                                    \
    declaration = *std::move(temporary)

/// `TRY(const auto header, read_header(wire));` declares `header`, or returns the error.
#define TRY(declaration, ...) ALTIPLANO_TRY_(ALTIPLANO_CONCAT(try_, __COUNTER__), declaration, __VA_ARGS__)

#define ALTIPLANO_TRY_OK_(temporary, ...)                                                                                        \
    do {                                                                                                                         \
        if (auto temporary = (__VA_ARGS__); !temporary)                                                                          \
            return std::unexpected(std::move(temporary).error());                                                                \
    } while (false)

/// `TRY_OK(store.put(row));` goes on, or returns the error. May stand inside a lambda inside another TRY_OK.
#define TRY_OK(...) ALTIPLANO_TRY_OK_(ALTIPLANO_CONCAT(try_ok_, __COUNTER__), __VA_ARGS__)

/// For our own mistakes only; stays on in release: stopping is better than recording a wrong state.
#define ENSURE(condition, why)                                                                                                   \
    do {                                                                                                                         \
        if (!(condition)) [[unlikely]]                                                                                           \
            ::altiplano::detail::broken_promise(#condition, why, __FILE__, __LINE__);                                            \
    } while (false)
