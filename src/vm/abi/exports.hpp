#pragma once

#include <string>

namespace altiplano::vm::abi {

/// What a module's exports are called, by what they are for. Empty: it has none.
struct Exports {
    std::string handle;
    std::string allocate;  ///< malloc
    std::string release;  ///< free
    std::string constructors;
    std::string main;
    std::string table;
    std::string stack_init;
    std::string stack_end;
    std::string stack_save;
    std::string stack_restore;
    std::string stack_alloc;
    std::string set_threw;
    std::string set_temporary;
    std::string errno_location;
};

}  // namespace altiplano::vm::abi
