#include <stdio.h>

#include "tools/progress.h"

#define EVERY_NS UINT64_C(200000000)

static void show(const struct progress *progress)
{
    tbus_stats_t stats;
    if (tbus_stats(progress->bus, &stats))
        return;
    if (progress->expected > 0)
        fprintf(stderr, "\r\033[K  %3u %%  %llu of %llu events",
                (unsigned)(100.0 * (double)stats.delivered / (double)progress->expected),
                (unsigned long long)stats.delivered, (unsigned long long)progress->expected);
    else
        fprintf(stderr, "\r\033[K  %llu events", (unsigned long long)stats.delivered);
    fflush(stderr);
}

static void run(void *user)
{
    struct progress *progress = user;
    uv_mutex_lock(&progress->mu);
    while (!progress->stopping) {
        /* Woken early: the line is shown once more, which does no harm. */
        uv_cond_timedwait(&progress->wake, &progress->mu, EVERY_NS);
        if (!progress->stopping)
            show(progress);
    }
    uv_mutex_unlock(&progress->mu);
}

void progress_start(struct progress *progress, const tbus_t *bus, uint64_t expected)
{
    *progress = (struct progress){.bus = bus, .expected = expected};
    if (uv_guess_handle(2) != UV_TTY || uv_mutex_init(&progress->mu))
        return;
    if (uv_cond_init(&progress->wake)) {
        uv_mutex_destroy(&progress->mu);
        return;
    }
    progress->running = uv_thread_create(&progress->thread, run, progress) == 0;
    if (!progress->running) {
        uv_cond_destroy(&progress->wake);
        uv_mutex_destroy(&progress->mu);
    }
}

void progress_clear(const struct progress *progress)
{
    if (progress->running)
        fputs("\r\033[K", stderr);
}

void progress_stop(struct progress *progress)
{
    if (!progress->running)
        return;
    uv_mutex_lock(&progress->mu);
    progress->stopping = true;
    uv_cond_signal(&progress->wake);
    uv_mutex_unlock(&progress->mu);
    uv_thread_join(&progress->thread);
    progress_clear(progress);
    progress->running = false;
    uv_cond_destroy(&progress->wake);
    uv_mutex_destroy(&progress->mu);
}
