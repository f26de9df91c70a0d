#include "weave/weave.hpp"

namespace altiplano::weave {

Result<ItemId> Weave::real(const ItemId& id)
{
    if (!follows_aliases_ || has(id))
        return id;
    store::Find find;
    find.each_of = {{store::Term::tag(std::string(alias_tag), id.text())}};
    find.limit = 1;
    store::Work work{.left = 1000};
    TRY(const auto found, records_.find(find, work));
    if (!found.ids.empty())
        return found.ids.front();
    return aliases_ ? aliases_(id).value_or(id) : id;
}

}  // namespace altiplano::weave
