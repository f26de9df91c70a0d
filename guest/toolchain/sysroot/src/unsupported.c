/* Calls that libc++'s <filesystem>, ggml and Lua refer to and that a guest cannot have: each fails as it would on a
   system without the feature, so that os.execute, io.tmpfile or a plug-in loader report an error and go on. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int refuse(void)
{
    errno = ENOSYS;
    return -1;
}

int chmod(const char *path, mode_t mode) { (void)path, (void)mode; return refuse(); }
int fchmod(int file, mode_t mode) { (void)file, (void)mode; return refuse(); }
int fchmodat(int at, const char *path, mode_t mode, int flags) { (void)at, (void)path, (void)mode, (void)flags; return refuse(); }
int statvfs(const char *restrict path, struct statvfs *restrict found) { (void)path, (void)found; return refuse(); }
int fstatvfs(int file, struct statvfs *found) { (void)file, (void)found; return refuse(); }

int getrlimit(int which, struct rlimit *found) { (void)which, (void)found; return refuse(); }

/* libc++ then copies by reading and writing. */
ssize_t copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t length, unsigned flags)
{
    (void)from, (void)from_at, (void)to, (void)to_at, (void)length, (void)flags;
    return refuse();
}

/* A null command asks whether there is a shell: there is none. */
int system(const char *command) { return command ? refuse() : 0; }
FILE *tmpfile(void) { refuse(); return NULL; }
char *tmpnam(char *name) { (void)name; refuse(); return NULL; }

/* The files of a guest have no links, so every path is its own real path. */
char *realpath(const char *restrict path, char *restrict found)
{
    return found ? strcpy(found, path) : strdup(path);
}

void *dlopen(const char *file, int mode) { (void)file, (void)mode; return NULL; }
int dlclose(void *library) { (void)library; return -1; }
void *dlsym(void *restrict library, const char *restrict name) { (void)library, (void)name; return NULL; }
char *dlerror(void) { return "a guest cannot load libraries"; }
