/* One line on a terminal that says how far it has come, and is gone at the end. Where stderr is no terminal: nothing.
 */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include <tallybus/bus.h>

struct progress {
    const tbus_t *bus;
    uint64_t expected; /* events; 0 = not known */
    uv_mutex_t mu;
    uv_cond_t wake;
    uv_thread_t thread;
    bool running;
    bool stopping; /* [lock: mu] */
};

/* Shows how many events the bus has delivered, from a thread of its own, until progress_stop(). That it can not be
 * shown is no error. The bus must outlive it. */
void progress_start(struct progress *progress, const tbus_t *bus, uint64_t expected);
void progress_stop(struct progress *progress);

/* Clears the line, so that a message can be written in its place. */
void progress_clear(const struct progress *progress);

#endif
