#include "weave/weave.hpp"

namespace altiplano::weave {

Result<ItemId> Weave::real(const ItemId& id)
{
    return !aliases_ || has(id) ? id : aliases_(id).value_or(id);
}

}  // namespace altiplano::weave
