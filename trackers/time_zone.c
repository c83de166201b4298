#include "trackers/time_zone.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tallybus/base.h>

#include "trackers/time_zone_rule.h"

enum {
    HEAD_BYTES = 44,
    FILE_BYTES_MAX = 256 * 1024, /* the largest one there is has 4 KiB */
    OFFSET_MAX = 26 * 3600,
    TYPE_BYTES = 6
};

struct turn {
    int64_t from;
    int32_t offset;
};

struct time_zone {
    int64_t first_offset; /* before the first turn */
    struct time_zone_rule rule;
    bool has_rule; /* after the last turn; else that one's offset goes on */
    uint32_t turns_count;
    struct turn turns[];
};

/* One of the two blocks of a file: the same data with times of 4 bytes, which old readers know, and of 8. */
struct block {
    const unsigned char *times, *kinds, *types, *end;
    uint32_t times_count, types_count, leaps;
    unsigned time_bytes;
};

static uint32_t read32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t read_time(const unsigned char *at, unsigned bytes)
{
    if (bytes == 4)
        return (int32_t)read32(at);
    return (int64_t)((uint64_t)read32(at) << 32 | read32(at + 4));
}

/* The block whose head is at `at`. False = it does not fit before `end`. */
static bool find_block(const unsigned char *at, const unsigned char *end, unsigned time_bytes, struct block *ret)
{
    if (end - at < HEAD_BYTES || memcmp(at, "TZif", 4) != 0)
        return false;
    const uint64_t in_utc = read32(at + 20), in_standard = read32(at + 24), leaps = read32(at + 28);
    const uint64_t times = read32(at + 32), types = read32(at + 36), letters = read32(at + 40);
    const uint64_t bytes = times * time_bytes + times + types * TYPE_BYTES + letters +
                           leaps * (time_bytes + UINT64_C(4)) + in_standard + in_utc; /* each below 2^36 */
    at += HEAD_BYTES;
    if (bytes > (uint64_t)(end - at))
        return false;
    *ret = (struct block){.times = at,
                          .kinds = at + times * time_bytes,
                          .types = at + times * time_bytes + times,
                          .end = at + bytes,
                          .times_count = (uint32_t)times,
                          .types_count = (uint32_t)types,
                          .leaps = (uint32_t)leaps,
                          .time_bytes = time_bytes};
    return true;
}

static bool read_offset(const struct block *block, uint32_t kind, int32_t *ret)
{
    if (kind >= block->types_count)
        return false;
    *ret = (int32_t)read32(block->types + (size_t)kind * TYPE_BYTES);
    return *ret > -OFFSET_MAX && *ret < OFFSET_MAX;
}

static bool read_turns(const struct block *block, struct time_zone *zone)
{
    int32_t first;
    if (!read_offset(block, 0, &first))
        return false;
    zone->first_offset = first;
    for (uint32_t i = 0; i < block->times_count; i++) {
        struct turn *turn = &zone->turns[i];
        turn->from = read_time(block->times + (size_t)i * block->time_bytes, block->time_bytes);
        if (!read_offset(block, block->kinds[i], &turn->offset) || (i > 0 && turn->from <= turn[-1].from))
            return false;
    }
    zone->turns_count = block->times_count;
    return true;
}

/* The rule stands between two newlines behind the second block; it may be empty. */
static bool read_rule(const unsigned char *at, const unsigned char *end, struct time_zone *zone)
{
    const unsigned char *newline = at < end && *at == '\n' ? memchr(at + 1, '\n', (size_t)(end - at - 1)) : NULL;
    if (!newline)
        return false;
    zone->has_rule = newline > at + 1;
    return !zone->has_rule || time_zone_rule_parse((const char *)at + 1, (size_t)(newline - at - 1), &zone->rule);
}

int time_zone_parse(const unsigned char *bytes, size_t length, struct time_zone **ret)
{
    const unsigned char *end = bytes + length;
    struct block block;

    if (!find_block(bytes, end, 4, &block))
        return UV_EPROTO;
    const bool has_second = bytes[4] >= '2';
    if (has_second && !find_block(block.end, end, 8, &block))
        return UV_EPROTO;
    if (block.leaps > 0)
        return UV_EPROTO;
    struct time_zone *zone = tbus_mem_alloc(sizeof *zone + block.times_count * sizeof zone->turns[0]);
    if (!zone)
        return UV_ENOMEM;
    if (!read_turns(&block, zone) || (has_second && !read_rule(block.end, end, zone))) {
        time_zone_free(zone);
        return UV_EPROTO;
    }
    *ret = zone;
    return 0;
}

void time_zone_free(struct time_zone *zone)
{
    tbus_mem_free(zone);
}

struct time_zone_span time_zone_at(const struct time_zone *zone, int64_t moment)
{
    if (!zone)
        return (struct time_zone_span){INT64_MIN, INT64_MAX, 0};
    uint32_t low = 0, high = zone->turns_count; /* turns before `low` are at or before the moment */
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (zone->turns[middle].from <= moment)
            low = middle + 1;
        else
            high = middle;
    }
    const int64_t from = low > 0 ? zone->turns[low - 1].from : INT64_MIN;
    if (low == zone->turns_count && zone->has_rule) {
        struct time_zone_span span = time_zone_rule_at(&zone->rule, moment);
        span.from = span.from < from ? from : span.from;
        return span;
    }
    return (struct time_zone_span){.from = from,
                                   .until = low < zone->turns_count ? zone->turns[low].from : INT64_MAX,
                                   .offset = low > 0 ? zone->turns[low - 1].offset : zone->first_offset};
}

/* --- Files --- */

/* A name is put behind a folder, so it must not lead out of it. */
static bool is_name(const char *name)
{
    const size_t length = strlen(name);
    if (length == 0 || length > TIME_ZONE_NAME_MAX || name[0] == '/')
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/") == length;
}

static int read_file(FILE *file, struct time_zone **ret)
{
    unsigned char *bytes = tbus_mem_alloc(FILE_BYTES_MAX);
    if (!bytes)
        return UV_ENOMEM;
    errno = 0;
    const size_t length = fread(bytes, 1, FILE_BYTES_MAX, file);
    int error = length == FILE_BYTES_MAX ? UV_EPROTO : 0;
    if (ferror(file)) /* a folder, for one: Europe */
        error = errno ? uv_translate_sys_error(errno) : UV_EIO;
    if (!error)
        error = time_zone_parse(bytes, length, ret);
    tbus_mem_free(bytes);
    return error;
}

int time_zone_load(const char *name, struct time_zone **ret)
{
    static const char *const folders[] = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo",
                                          "/etc/zoneinfo"};
    if (!is_name(name))
        return UV_EINVAL;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folders[i], name);
        FILE *file = fopen(path, "rbe"); /* e: not for children */
        if (file) {
            const int error = read_file(file, ret);
            (void)fclose(file);
            return error;
        }
        if (errno != ENOENT && errno != ENOTDIR)
            return uv_translate_sys_error(errno);
    }
    return UV_ENOENT;
}
