/* Time zone files of arbitrary bytes. What is taken must answer for every moment, each in a span of its own. */
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>

#include "trackers/time_zone.h"

#define BEGIN INT64_C(-4700000000) /* somewhat more than the moments that budgets know */
#define END INT64_C(4700000000)

static void demand(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_time_zone: %s\n", what);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { SPANS = 2000, OFFSET_MAX = 26 * 3600 };
    struct time_zone *zone;
    const int error = time_zone_parse(data, size, &zone);
    if (error) {
        demand(error == UV_EPROTO || error == UV_ENOMEM, "an error of another kind");
        return 0;
    }
    int64_t at = BEGIN;
    for (int i = 0; i < SPANS && at < END; i++) {
        const struct time_zone_span span = time_zone_at(zone, at);
        demand(span.from <= at && at < span.until, "a moment outside its span");
        demand(span.offset > -OFFSET_MAX && span.offset < OFFSET_MAX, "an offset of more than 26 hours");
        demand(time_zone_at(zone, span.until - 1).offset == span.offset, "two offsets in one span");
        at = span.until;
    }
    time_zone_free(zone);
    return 0;
}
