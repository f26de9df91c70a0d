/* setjmp and longjmp for wasm64; compile with -mllvm -wasm-enable-sjlj (src/setjmp.c has the other half). */
#ifndef _SETJMP_H
#define _SETJMP_H
#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned long jmp_buf[8];
int setjmp(jmp_buf) __attribute__((__returns_twice__));
_Noreturn void longjmp(jmp_buf, int);
#define setjmp setjmp

#ifdef __cplusplus
}
#endif
#endif
