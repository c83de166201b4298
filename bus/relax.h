/* How a thread gets out of the way for a moment. */
#ifndef BUS_RELAX_H
#define BUS_RELAX_H

#include <uv.h>

#if defined(__unix__) || defined(__APPLE__)
#include <sched.h>
static inline void relax_yield(void)
{
    sched_yield();
}
#else
#include <threads.h>
static inline void relax_yield(void)
{
    thrd_yield();
}
#endif

/* Stays away for at least `ns`, giving the core to whoever wants it. */
static inline void relax_for(uint64_t ns)
{
    uint64_t until = uv_hrtime() + ns;
    do
        relax_yield();
    while (uv_hrtime() < until);
}

#endif
