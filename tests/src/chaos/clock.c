/* The wall clock of a process, so far away from the machine's as a file says: eight bytes, nanoseconds, read anew at each look.
 *
 * Loaded in front of libc (LD_PRELOAD). Waits until a time of the wall clock last as long as they should: their ends are told to the
 * kernel by its own clock. Monotonic clocks are as they were. (libfaketime has no cnd_timedwait, by which librdkafka waits: each wait
 * would last longer by as much as the clock is ahead.)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static const volatile int64_t none = 0;
static const volatile int64_t *away = &none;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CHAOS_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *found = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED) away = found;
    close(file);
}

static struct timespec moved(struct timespec time, int64_t by) {
    int64_t all = (int64_t)time.tv_sec * SECOND + time.tv_nsec + by;
    struct timespec result = {.tv_sec = all / SECOND, .tv_nsec = all % SECOND};
    return result;
}

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

int clock_gettime(clockid_t clock, struct timespec *out) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = next("clock_gettime");
    int result = real(clock, out);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) *out = moved(*out, *away);
    return result;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *out, int base) { return clock_gettime(CLOCK_REALTIME, out) == 0 ? base : 0; }

int cnd_timedwait(cnd_t *restrict on, mtx_t *restrict with, const struct timespec *restrict until) {
    static int (*real)(cnd_t *, mtx_t *, const struct timespec *);
    if (!real) real = next("cnd_timedwait");
    struct timespec end = moved(*until, -*away);
    return real(on, with, &end);
}

int pthread_cond_timedwait(pthread_cond_t *restrict on, pthread_mutex_t *restrict with, const struct timespec *restrict until) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!real) real = next("pthread_cond_timedwait");
    struct timespec end = moved(*until, -*away);
    return real(on, with, &end);
}
