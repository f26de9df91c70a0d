#include "units/types.hpp"

namespace altiplano::units {

std::string_view name_of(SlotResult::Kind kind)
{
    switch (kind) {
    case SlotResult::Kind::result: return "result";
    case SlotResult::Kind::error: return "error";
    case SlotResult::Kind::guest_fault: return "guest_fault";
    }
    return "unknown";
}

}  // namespace altiplano::units
