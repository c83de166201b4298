/* Short names for what the streaming tracker's tests do all the time. */
#ifndef TESTS_TRACKERS_STREAMING_FIXTURE_H
#define TESTS_TRACKERS_STREAMING_FIXTURE_H

#include <tallybus/streaming.h>

#include "tests/check.h"

#define MS INT64_C(1000000)
#define SECOND INT64_C(1000000000)
#define HOUR (3600 * SECOND)

static inline tbus_streaming_t *open_with(const tbus_streaming_options_t *options)
{
    tbus_streaming_t *streaming;
    cr_assert_eq(tbus_streaming_open(options, &streaming), 0);
    return streaming;
}

/* Each snapshot works out its own figures: most tests look twice within the cache's time. */
static inline tbus_streaming_t *open_uncached(void)
{
    return open_with(&(tbus_streaming_options_t){.cache_ns = TBUS_STREAMING_NO_CACHE});
}

static inline tbus_streaming_snapshot_t *snapshot_at(tbus_streaming_t *streaming, int64_t now_ns)
{
    tbus_streaming_snapshot_t *snapshot;
    cr_assert_eq(tbus_streaming_snapshot(streaming, now_ns, &snapshot), 0);
    return snapshot;
}

static inline int start(tbus_streaming_t *streaming, const char *id, int64_t time_ns)
{
    return tbus_streaming_record_start(streaming, id, &(tbus_stream_start_t){.model = "m", .time_ns = time_ns});
}

static inline int token(tbus_streaming_t *streaming, const char *id, int64_t time_ns)
{
    return tbus_streaming_record_token(streaming, id, 1, 0, TBUS_TOKEN_CONTENT, time_ns);
}

static inline int complete(tbus_streaming_t *streaming, const char *id, int64_t time_ns)
{
    return tbus_streaming_record_end(streaming, id, &(tbus_stream_end_t){.time_ns = time_ns});
}

static inline tbus_stream_info_t found(tbus_streaming_t *streaming, const char *id)
{
    tbus_stream_info_t info;
    cr_assert_eq(tbus_streaming_find(streaming, id, &info), 0, "%s", id ? id : "(null)");
    return info;
}

#endif
