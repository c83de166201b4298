/* Threads of the library's own. */
#ifndef BUS_THREAD_H
#define BUS_THREAD_H

#include <uv.h>

/* Starts a thread that gets none of the host's signals. Errors: libuv's. */
int thread_create(uv_thread_t *thread, void (*entry)(void *argument), void *argument);

#endif
