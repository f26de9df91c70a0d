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
    return found.ids.empty() ? id : found.ids.front();
}

}  // namespace altiplano::weave
