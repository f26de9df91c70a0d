/* What clang's `-mllvm -wasm-enable-sjlj` calls: it turns setjmp and longjmp into a throw and a catch of __c_longjmp.
   A jmp_buf remembers which call of the function that said setjmp it belongs to, and where in it to go on. */
#include <stdint.h>

enum { tag_c_longjmp = 1 };  /* the number that __builtin_wasm_throw knows the tag by */

struct jump {
    void *invocation;
    uint32_t label;
    struct thrown { void *jump; int value; } thrown;
};

void __wasm_setjmp(void *buffer, uint32_t label, void *invocation)
{
    struct jump *jump = buffer;
    if (label == 0 || !invocation) __builtin_trap();
    jump->invocation = invocation;
    jump->label = label;
}

/* Which label to go on at, or 0 when the jump belongs to another call and has to be thrown further. */
uint32_t __wasm_setjmp_test(void *buffer, void *invocation)
{
    struct jump *jump = buffer;
    if (jump->label == 0 || !invocation) __builtin_trap();
    return jump->invocation == invocation ? jump->label : 0;
}

void __wasm_longjmp(void *buffer, int value)
{
    struct jump *jump = buffer;
    jump->thrown.jump = buffer;
    jump->thrown.value = value == 0 ? 1 : value;
    __builtin_wasm_throw(tag_c_longjmp, &jump->thrown);
}
