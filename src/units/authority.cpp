#include "units/authority.hpp"

#include <algorithm>

namespace altiplano::units {

bool names_authority(const item::Tags& process, std::string_view address)
{
    for (const auto list : process.all("Authority"))
        for (auto rest = list; !rest.empty();) {
            const auto one = rest.substr(0, rest.find_first_of(", "));
            if (one == address)
                return true;
            rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        }
    return false;
}

}  // namespace altiplano::units
