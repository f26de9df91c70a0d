#include "store/find.hpp"

#include "base/hash.hpp"

#include <algorithm>

namespace altiplano::store {

namespace {

std::array<std::byte, 16> term_of(char kind, std::string_view name, std::string_view value)
{
    Buffer content;
    content.reserve(name.size() + value.size() + 9);
    content.push_back(static_cast<std::byte>(kind));
    // The length keeps ("a", "bc") and ("ab", "c") apart.
    append_u64(content, name.size());
    append(content, as_bytes(name));
    append(content, as_bytes(value));
    std::array<std::byte, 16> front{};
    std::ranges::copy(sha256(content).bytes().first(front.size()), front.begin());
    return front;
}

}  // namespace

Term Term::tag(std::string_view name, std::string_view value)
{
    return Term(term_of('t', name, value));
}
Term Term::owner(std::string_view address)
{
    return Term(term_of('o', {}, address));
}
Term Term::recipient(std::string_view address)
{
    return Term(term_of('r', {}, address));
}
Term Term::bundle(const ItemId& bundle)
{
    return Term(term_of('b', {}, as_text(bundle.bytes())));
}

}  // namespace altiplano::store
