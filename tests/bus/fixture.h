/* A bus on a loop that the test runs itself: what has been published is delivered when the test says so, on its own
 * thread. */
#ifndef TESTS_BUS_FIXTURE_H
#define TESTS_BUS_FIXTURE_H

#include <string.h>

#include <tallybus/bus.h>

#include "tests/check.h"

struct hosted {
    uv_loop_t loop;
    tbus_t *bus;
    bool closed;
    tbus_close_report_t report;
};

static inline void hosted_open(struct hosted *hosted, const tbus_options_t *options)
{
    tbus_options_t own = options ? *options : (tbus_options_t){0};
    memset(hosted, 0, sizeof *hosted);
    cr_assert_eq(uv_loop_init(&hosted->loop), 0);
    own.loop = &hosted->loop;
    cr_assert_eq(tbus_open(&own, &hosted->bus), 0);
}

/* Delivers everything published so far. */
static inline void hosted_deliver(struct hosted *hosted)
{
    tbus_stats_t stats;
    do {
        uv_run(&hosted->loop, UV_RUN_NOWAIT);
        cr_assert_eq(tbus_stats(hosted->bus, &stats), 0);
    } while (stats.queued_events > 0);
}

static inline void hosted_on_closed(tbus_t *bus, const tbus_close_report_t *report, void *user)
{
    struct hosted *hosted = user;
    hosted->closed = true;
    hosted->report = *report;
    cr_assert_eq(tbus_free(bus), 0);
}

static inline void hosted_close(struct hosted *hosted)
{
    cr_assert_eq(tbus_close(hosted->bus, 60000, hosted_on_closed, hosted), 0);
    uv_run(&hosted->loop, UV_RUN_DEFAULT);
    cr_assert(hosted->closed);
    cr_assert_eq(uv_loop_close(&hosted->loop), 0);
}

/* What handlers were called with, as text: "a1 b1 a2 ". */
struct journal {
    char text[4096];
    size_t length;
};

static inline void journal_add(struct journal *journal, const char *who, int64_t number)
{
    journal->length += (size_t)snprintf(journal->text + journal->length, sizeof journal->text - journal->length,
                                        "%s%lld ", who, (long long)number);
}

/* An event that carries a number: queue.depth_changed (sheddable), model.selected (vital). */
static inline int publish_number(tbus_t *bus, int64_t number)
{
    return tbus_publish_queue_depth_changed(bus, &(tbus_queue_depth_changed_t){.depth = number});
}

static inline int64_t number_of(const tbus_event_t *event)
{
    const tbus_queue_depth_changed_t *depth = tbus_as_queue_depth_changed(event);
    return depth ? depth->depth : tbus_as_model_selected(event) ? tbus_as_model_selected(event)->context_window : -1;
}

#endif
