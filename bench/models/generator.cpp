// The few functions of llama.cpp's common library that its own generator of models (tests/test-llama-archs.cpp, built from the
// source package beside this) calls. The whole library would take minutes to build.
#include "common.h"
#include "log.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

void common_init() { }
int common_log_get_verbosity_thold()
{
    return LOG_LEVEL_ERROR;
}
void common_log_set_verbosity_thold(int) { }
int common_log_get_verbosity(ggml_log_level level)
{
    return level >= GGML_LOG_LEVEL_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG;
}
common_log* common_log_main()
{
    return nullptr;
}
void common_log_flush(common_log*) { }
void common_log_add(common_log*, ggml_log_level, const char* format, ...)
{
    std::va_list values;
    va_start(values, format);
    std::vfprintf(stderr, format, values);
    va_end(values);
}
// Only its comparison of backends fills batches, which is never run here.
void common_batch_add(llama_batch&, llama_token, llama_pos, const std::vector<llama_seq_id>&, bool)
{
    std::abort();
}
