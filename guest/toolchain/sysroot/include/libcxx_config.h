/* How libc++ is configured. In the sources that we take, the macros of __config_site are expected on the command line;
   w64c++ includes this file first instead, for the library and for what uses it alike. */
#ifndef ALTIPLANO_LIBCXX_CONFIG_H
#define ALTIPLANO_LIBCXX_CONFIG_H

#define _LIBCPP_ABI_VERSION 2
#define _LIBCPP_ABI_NAMESPACE __2
#define _LIBCPP_ABI_FORCE_ITANIUM 0
#define _LIBCPP_ABI_FORCE_MICROSOFT 0

/* Threads are there as an interface (src/threads.c): starting one fails. */
#define _LIBCPP_HAS_THREADS 1
#define _LIBCPP_HAS_THREAD_API_PTHREAD 1
#define _LIBCPP_HAS_THREAD_API_EXTERNAL 0
#define _LIBCPP_HAS_THREAD_API_WIN32 0
#define _LIBCPP_HAS_THREAD_API_C11 0
#define _LIBCPP_HAS_MONOTONIC_CLOCK 1

#define _LIBCPP_HAS_MUSL_LIBC 1
#define _LIBCPP_HAS_FILESYSTEM 1
#define _LIBCPP_HAS_LOCALIZATION 1
#define _LIBCPP_HAS_WIDE_CHARACTERS 1
#define _LIBCPP_HAS_UNICODE 1
#define _LIBCPP_HAS_TERMINAL 0
#define _LIBCPP_HAS_RANDOM_DEVICE 1
#define _LIBCPP_HAS_TIME_ZONE_DATABASE 0
#define _LIBCPP_HAS_EXPERIMENTAL_LIBRARY 0
#define _LIBCPP_HAS_VENDOR_AVAILABILITY_ANNOTATIONS 0
#define _LIBCPP_INSTRUMENTED_WITH_ASAN 0

#define _LIBCPP_PSTL_BACKEND_SERIAL
#define _LIBCPP_HARDENING_MODE_DEFAULT 2 /* _LIBCPP_HARDENING_MODE_NONE */
#define _LIBCPP_ASSERTION_SEMANTIC_DEFAULT 2 /* _LIBCPP_ASSERTION_SEMANTIC_HARDENING_DEPENDENT: none here */

#endif
