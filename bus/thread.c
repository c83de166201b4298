#include "bus/thread.h"

#include <signal.h>

/* The host's signals are not for our thread: it starts with all of them blocked. */
int thread_create(uv_thread_t *thread, void (*entry)(void *argument), void *argument)
{
#if defined(__unix__) || defined(__APPLE__)
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
    int error = uv_thread_create(thread, entry, argument);
#if defined(__unix__) || defined(__APPLE__)
    pthread_sigmask(SIG_SETMASK, &before, NULL);
#endif
    return error;
}
