/* A time zone: how far its clocks are from UTC at a moment, from the system's files (TZif, RFC 8536), without the
 * process's TZ, locale or any state of libc. Never changed once it is loaded, so any thread may ask. */
#ifndef TRACKERS_TIME_ZONE_H
#define TRACKERS_TIME_ZONE_H

#include <stddef.h>
#include <stdint.h>

enum { TIME_ZONE_NAME_MAX = 63 };

struct time_zone;

/* A stretch of time with one distance from UTC. Moments are seconds since 1970 in UTC. */
struct time_zone_span {
    int64_t from, until; /* until: the first moment after it */
    int64_t offset;      /* seconds east of UTC */
};

/* The zone of an IANA name. Errors: UV_EINVAL (no such name can be), UV_ENOENT (no such zone, or no files), UV_EPROTO
 * (its file is none, or counts leap seconds), UV_ENOMEM, or what reading the file said. */
int time_zone_load(const char *name, struct time_zone **ret);

/* The same of a file's bytes. Errors: UV_EPROTO, UV_ENOMEM. */
int time_zone_parse(const unsigned char *bytes, size_t length, struct time_zone **ret);

void time_zone_free(struct time_zone *zone);

/* The span that a moment lies in; a zone of NULL is UTC. */
struct time_zone_span time_zone_at(const struct time_zone *zone, int64_t moment);

#endif
