/* Preloaded into a program: between SIGUSR1 and SIGUSR2 one allocation in FAIL_ONE_IN fails, seemingly at random.
 * Each signal is answered on stderr. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);

static _Atomic uint64_t one_in; /* 0 = none fails */
static _Atomic uint64_t calls;
static uint64_t wanted;

static void on_signal(int number)
{
    static const char taken[][16] = {"memory is back\n", "memory is short\n"};
    atomic_store(&one_in, number == SIGUSR1 ? wanted : 0);
    ssize_t written = write(2, taken[number == SIGUSR1], strnlen(taken[number == SIGUSR1], 16));
    (void)written;
}

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("FAIL_ONE_IN");
    wanted = text ? strtoull(text, NULL, 10) : 50;
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, on_signal);
}

static int fails(void)
{
    uint64_t of = atomic_load(&one_in);
    if (of == 0)
        return 0;
    uint64_t mixed = atomic_fetch_add(&calls, 1) * UINT64_C(0x9E3779B97F4A7C15);
    mixed ^= mixed >> 29;
    if ((mixed * UINT64_C(0xBF58476D1CE4E5B9) >> 33) % of != 0)
        return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t bytes)
{
    return fails() ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __libc_realloc(old, bytes);
}
