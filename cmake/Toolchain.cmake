# Warnings are errors; sanitizers by preset; ccache and mold when they are there.
set(ALTIPLANO_SANITIZE "" CACHE STRING "address,undefined or thread; empty for none")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(altiplano_options INTERFACE)
target_compile_options(altiplano_options INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-align -Woverloaded-virtual
  -Wconversion -Wsign-conversion -Wnull-dereference -Wimplicit-fallthrough
  -fno-strict-aliasing -ffp-contract=off)
target_compile_options(altiplano_options INTERFACE
  # g++ 12 reports these falsely inside std::string and std::expected at -O2 and above.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-null-dereference -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-dangling-pointer>)
target_include_directories(altiplano_options INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)

# For what waits for others or runs once: half to two thirds of the time to compile (a third of a cold build is tests and commands).
set(altiplano_quick_to_compile $<$<CONFIG:Release>:-Og>)

if(ALTIPLANO_SANITIZE)
  target_compile_options(altiplano_options INTERFACE -fsanitize=${ALTIPLANO_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
    $<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>)
  target_link_options(altiplano_options INTERFACE -fsanitize=${ALTIPLANO_SANITIZE})
  if(ALTIPLANO_SANITIZE STREQUAL "thread")
    # Asio has fences, which the thread sanitizer does not follow; g++ says so at every use.
    target_compile_options(altiplano_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
  endif()
endif()

# Fuzzers of tests/fuzz, driven by libFuzzer: clang only, and every room tells it where it has been.
option(ALTIPLANO_FUZZ "build tests/fuzz for libFuzzer" OFF)
if(ALTIPLANO_FUZZ)
  target_compile_options(altiplano_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(MOLD mold)
if(MOLD AND NOT ALTIPLANO_SANITIZE)
  add_link_options(-fuse-ld=mold)
endif()
