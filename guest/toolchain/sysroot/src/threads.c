/* pthreads for one thread: what libc++, ggml and llama.cpp need to link and to run with one thread. Starting a second
   one fails with EAGAIN; what would wait for one that cannot exist stops the guest, since it would wait for ever. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef pthread_equal

#define UNUSED __attribute__((unused))

/* --- threads --- */

pthread_t pthread_self(void) { return (pthread_t)1; }
int pthread_equal(pthread_t a, pthread_t b) { return a == b; }
int pthread_create(pthread_t *restrict t UNUSED, const pthread_attr_t *restrict a UNUSED, void *(*f)(void *) UNUSED,
                   void *restrict x UNUSED) { return EAGAIN; }
int pthread_join(pthread_t t UNUSED, void **result UNUSED) { return ESRCH; }
int pthread_detach(pthread_t t UNUSED) { return ESRCH; }
void pthread_exit(void *result UNUSED) { abort(); }
int pthread_setname_np(pthread_t t UNUSED, const char *name UNUSED) { return 0; }
int pthread_atfork(void (*a)(void) UNUSED, void (*b)(void) UNUSED, void (*c)(void) UNUSED) { return 0; }

int pthread_attr_init(pthread_attr_t *a) { memset(a, 0, sizeof *a); return 0; }
int pthread_attr_destroy(pthread_attr_t *a UNUSED) { return 0; }
int pthread_attr_setstacksize(pthread_attr_t *a UNUSED, size_t bytes UNUSED) { return 0; }
int pthread_attr_setdetachstate(pthread_attr_t *a UNUSED, int state UNUSED) { return 0; }

/* --- mutexes: a type and a count, kept at the front of musl's structure --- */

struct mutex { int type, count; };

static int is_taken(const struct mutex *mutex) { return mutex->count && mutex->type != PTHREAD_MUTEX_RECURSIVE; }

int pthread_mutexattr_init(pthread_mutexattr_t *a) { memset(a, 0, sizeof *a); return 0; }
int pthread_mutexattr_destroy(pthread_mutexattr_t *a UNUSED) { return 0; }
int pthread_mutexattr_settype(pthread_mutexattr_t *a, int type) { memcpy(a, &type, sizeof type); return 0; }

int pthread_mutex_init(pthread_mutex_t *restrict mutex, const pthread_mutexattr_t *restrict a)
{
    memset(mutex, 0, sizeof *mutex);
    if (a) memcpy(&((struct mutex *)mutex)->type, a, sizeof(int));
    return 0;
}

int pthread_mutex_destroy(pthread_mutex_t *mutex UNUSED) { return 0; }

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    if (is_taken((struct mutex *)mutex)) return EBUSY;
    ((struct mutex *)mutex)->count++;
    return 0;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (pthread_mutex_trylock(mutex) != 0) abort();
    return 0;
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until UNUSED)
{
    return pthread_mutex_trylock(mutex) ? ETIMEDOUT : 0;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (((struct mutex *)mutex)->count > 0) ((struct mutex *)mutex)->count--;
    return 0;
}

/* --- condition variables --- */

int pthread_condattr_init(pthread_condattr_t *a UNUSED) { return 0; }
int pthread_condattr_destroy(pthread_condattr_t *a UNUSED) { return 0; }
int pthread_condattr_setclock(pthread_condattr_t *a UNUSED, clockid_t clock UNUSED) { return 0; }
int pthread_cond_init(pthread_cond_t *restrict c, const pthread_condattr_t *restrict a UNUSED) { memset(c, 0, sizeof *c); return 0; }
int pthread_cond_destroy(pthread_cond_t *c UNUSED) { return 0; }
int pthread_cond_signal(pthread_cond_t *c UNUSED) { return 0; }
int pthread_cond_broadcast(pthread_cond_t *c UNUSED) { return 0; }
int pthread_cond_wait(pthread_cond_t *restrict c UNUSED, pthread_mutex_t *restrict m UNUSED) { abort(); }
int pthread_cond_timedwait(pthread_cond_t *restrict c UNUSED, pthread_mutex_t *restrict m UNUSED,
                           const struct timespec *restrict until UNUSED) { return ETIMEDOUT; }

/* --- read-write locks: nobody to exclude --- */

int pthread_rwlock_init(pthread_rwlock_t *restrict l UNUSED, const pthread_rwlockattr_t *restrict a UNUSED) { return 0; }
int pthread_rwlock_destroy(pthread_rwlock_t *l UNUSED) { return 0; }
int pthread_rwlock_rdlock(pthread_rwlock_t *l UNUSED) { return 0; }
int pthread_rwlock_wrlock(pthread_rwlock_t *l UNUSED) { return 0; }
int pthread_rwlock_tryrdlock(pthread_rwlock_t *l UNUSED) { return 0; }
int pthread_rwlock_trywrlock(pthread_rwlock_t *l UNUSED) { return 0; }
int pthread_rwlock_unlock(pthread_rwlock_t *l UNUSED) { return 0; }

/* --- once, and values per thread --- */

int pthread_once(pthread_once_t *once, void (*run)(void))
{
    if (*once) return 0;
    *once = 1;
    run();
    return 0;
}

enum { keys_max = 128 };
static struct key { int used; const void *value; } keys[keys_max];

/* Destructors of values run when a thread ends, and ours never does. */
int pthread_key_create(pthread_key_t *key, void (*destroy)(void *) UNUSED)
{
    for (int i = 0; i < keys_max; i++) {
        if (keys[i].used) continue;
        keys[i] = (struct key){ .used = 1 };
        *key = (pthread_key_t)i;
        return 0;
    }
    return EAGAIN;
}

int pthread_key_delete(pthread_key_t key) { keys[key].used = 0; return 0; }
void *pthread_getspecific(pthread_key_t key) { return (void *)keys[key].value; }
int pthread_setspecific(pthread_key_t key, const void *value) { keys[key].value = value; return 0; }
