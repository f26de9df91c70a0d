# altiplano_room(NAME FLOOR n SOURCES a.cpp ... [USES room ...] [NEEDS lib ...] [SHOWS lib ...] [NO_LIBRARY])
#
# A room is a static library altiplano_NAME. USES are rooms on lower floors, visible in our headers. NEEDS are outside
# libraries that no header of ours shows, SHOWS those that one does. Tests beside the sources (*_test.cpp) are found by
# name and become one program, test_NAME.
function(altiplano_room name)
  cmake_parse_arguments(ROOM "" "FLOOR" "SOURCES;USES;NEEDS;SHOWS;TEST_NEEDS" ${ARGN})
  set_property(GLOBAL PROPERTY altiplano_floor_${name} ${ROOM_FLOOR})
  add_library(altiplano_${name} STATIC ${ROOM_SOURCES})
  target_link_libraries(altiplano_${name} PUBLIC altiplano_options ${ROOM_SHOWS} PRIVATE ${ROOM_NEEDS})
  foreach(used IN LISTS ROOM_USES)
    get_property(floor GLOBAL PROPERTY altiplano_floor_${used})
    if(floor STREQUAL "")
      message(FATAL_ERROR "${name} uses ${used}, which is not configured: order the rooms by floor in CMakeLists.txt")
    endif()
    if(NOT floor LESS ROOM_FLOOR)
      message(FATAL_ERROR "${name} (floor ${ROOM_FLOOR}) may not use ${used} (floor ${floor})")
    endif()
    target_link_libraries(altiplano_${name} PUBLIC altiplano_${used})
  endforeach()

  if(ALTIPLANO_TESTS)
    file(GLOB_RECURSE tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
    if(tests)
      add_executable(test_${name} ${tests})
      target_link_libraries(test_${name} PRIVATE altiplano_${name} ${ROOM_NEEDS} ${ROOM_TEST_NEEDS} GTest::gmock GTest::gtest_main)
      target_compile_definitions(test_${name} PRIVATE ALTIPLANO_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
      # googletest's macros compare int literals with our unsigned sizes; the sources themselves keep the warning.
      target_compile_options(test_${name} PRIVATE -Wno-sign-conversion -Wno-conversion ${altiplano_quick_to_compile})
      include(GoogleTest)
      gtest_discover_tests(test_${name} TEST_PREFIX "${name}: " DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300)
    endif()
  endif()
endfunction()
