# CMake's view of the guest toolchain. -DW64_BIN is the folder of w64cc and w64c++, -DW64_COMPILER that of ar.
set(CMAKE_SYSTEM_NAME WASI)
set(CMAKE_SYSTEM_PROCESSOR wasm64) # ggml takes its wasm kernels by this name
set(UNIX ON)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES W64_BIN W64_COMPILER)
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})

set(CMAKE_C_COMPILER ${W64_BIN}/w64cc)
set(CMAKE_CXX_COMPILER ${W64_BIN}/w64c++)
set(CMAKE_ASM_COMPILER ${W64_BIN}/w64cc)
set(CMAKE_AR ${W64_COMPILER}/ar)
set(CMAKE_RANLIB ${W64_COMPILER}/ranlib)
set(CMAKE_SYSROOT ${W64_BIN}/../usr)
foreach(what PROGRAM)
  set(CMAKE_FIND_ROOT_PATH_MODE_${what} NEVER)
endforeach()
foreach(what LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${what} ONLY)
endforeach()

# pthreads are in libc, as far as one thread needs them.
set(CMAKE_THREAD_LIBS_INIT "")
set(CMAKE_USE_PTHREADS_INIT 1)
set(CMAKE_HAVE_THREADS_LIBRARY 1)
set(Threads_FOUND TRUE)
