// What llama.cpp's converter of JSON schemas takes from the part of its common library that does not build for wasm.
#include <common.h>

std::string string_join(const std::vector<std::string>& values, const std::string& separator)
{
    std::string joined;
    for (const auto& value : values) {
        if (&value != &values.front())
            joined += separator;
        joined += value;
    }
    return joined;
}

std::vector<std::string> string_split(const std::string& text, const std::string& delimiter)
{
    std::vector<std::string> parts;
    std::size_t from = 0;
    for (std::size_t at = text.find(delimiter); at != std::string::npos; at = text.find(delimiter, from)) {
        parts.push_back(text.substr(from, at - from));
        from = at + delimiter.size();
    }
    parts.push_back(text.substr(from));
    return parts;
}

std::string string_repeat(const std::string& text, std::size_t times)
{
    std::string repeated;
    repeated.reserve(text.size() * times);
    for (std::size_t i = 0; i < times; i++)
        repeated += text;
    return repeated;
}
