/* An event that is published as a struct, told as JSON, and published again as that text is the same event: every type
 * of the catalogue, with random values in every field. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tallybus.h>

#include "tests/check.h"
#include "tests/exporters/event_fill.h"

enum { ROUNDS = 60, STRING_MAX = 200, LIST_MAX = 5, PAIRS_MAX = 4, STRINGS_MAX = 400 };

/* --- Random values --- */

struct dice {
    uint64_t state;
    char strings[STRINGS_MAX][STRING_MAX * 4 + 1]; /* what an event's pointers point to */
    unsigned used;
    const char *lists[TBUS_FIELDS_MAX][LIST_MAX];
    tbus_pair_t pairs[PAIRS_MAX];
};

static uint64_t roll(struct dice *dice)
{
    dice->state ^= dice->state << 13;
    dice->state ^= dice->state >> 7;
    dice->state ^= dice->state << 17;
    return dice->state * UINT64_C(0x2545F4914F6CDD1D);
}

static uint32_t random_character(struct dice *dice)
{
    static const uint32_t limits[] = {0x20, 0x80, 0x80, 0x800, 0x10000, 0x110000};
    uint32_t limit = limits[roll(dice) % 6], character;
    do
        character = (uint32_t)(roll(dice) % limit);
    while (character == 0 || (character >= 0xD800 && character < 0xE000));
    return character;
}

static char *put_character(char *to, uint32_t character)
{
    if (character < 0x80) {
        *to++ = (char)character;
    } else if (character < 0x800) {
        *to++ = (char)(0xC0 | character >> 6);
        *to++ = (char)(0x80 | (character & 0x3F));
    } else if (character < 0x10000) {
        *to++ = (char)(0xE0 | character >> 12);
        *to++ = (char)(0x80 | (character >> 6 & 0x3F));
        *to++ = (char)(0x80 | (character & 0x3F));
    } else {
        *to++ = (char)(0xF0 | character >> 18);
        *to++ = (char)(0x80 | (character >> 12 & 0x3F));
        *to++ = (char)(0x80 | (character >> 6 & 0x3F));
        *to++ = (char)(0x80 | (character & 0x3F));
    }
    return to;
}

static const char *random_string(struct dice *dice)
{
    cr_assert_lt(dice->used, (unsigned)STRINGS_MAX);
    char *string = dice->strings[dice->used++], *to = string;
    unsigned length = (unsigned)(roll(dice) % 4 ? roll(dice) % 12 : roll(dice) % STRING_MAX);
    for (unsigned i = 0; i < length; i++)
        to = put_character(to, random_character(dice));
    *to = '\0';
    return string;
}

static int64_t random_int(struct dice *dice)
{
    static const int64_t edges[] = {
        0, 1, -1, INT64_MAX, INT64_MIN, (INT64_C(1) << 53) + 1, -(INT64_C(1) << 53) - 1, 1700000000123456789};
    if (roll(dice) % 3 == 0)
        return edges[roll(dice) % (sizeof edges / sizeof *edges)];
    return (int64_t)roll(dice) >> roll(dice) % 64;
}

/* Any bits but infinity, which is absent in JSON as NaN is. */
static double random_double(struct dice *dice)
{
    union {
        uint64_t bits;
        double number;
    } value;
    if (roll(dice) % 8 == 0)
        return NAN;
    if (roll(dice) % 3 == 0)
        return (double)random_int(dice) / 1000;
    do
        value.bits = roll(dice);
    while (!isfinite(value.number));
    return value.number;
}

static struct field_value random_value(const tbus_field_t *field, uint32_t nth, void *user)
{
    struct dice *dice = user;
    struct field_value value = {.string = roll(dice) % 5 ? random_string(dice) : NULL,
                                .number = random_int(dice),
                                .real = random_double(dice),
                                .truth = roll(dice) % 2};
    if (field->kind != TBUS_KIND_LIST)
        return value;
    value.entries = (int64_t)(roll(dice) % (LIST_MAX + 1));
    for (int64_t entry = 0; entry < value.entries; entry++)
        dice->lists[nth][entry] = random_string(dice);
    value.list = value.entries ? dice->lists[nth] : NULL;
    return value;
}

static bool has_key(const tbus_event_t *event, const char *key)
{
    for (uint32_t i = 0; i < event->metadata_count; i++) {
        if (strcmp(event->metadata[i].key, key) == 0)
            return true;
    }
    return false;
}

static void fill_metadata(struct dice *dice, tbus_event_t *event)
{
    event->metadata = dice->pairs;
    for (uint64_t left = roll(dice) % (PAIRS_MAX + 1); left > 0; left--) {
        const tbus_pair_t pair = {random_string(dice), random_string(dice)};
        if (!has_key(event, pair.key))
            dice->pairs[event->metadata_count++] = pair;
    }
}

/* What a type names as the base does is one key in JSON: the struct's value where it is there, for both. */
static void unite_names(tbus_event_t *event, const tbus_type_t *type)
{
    uint32_t base_count;
    const tbus_field_t *base = tbus_base_fields(&base_count);
    for (uint32_t i = 0; i < type->fields_count; i++) {
        for (uint32_t k = 0; k < base_count; k++) {
            if (strcmp(type->fields[i].name, base[k].name) != 0)
                continue;
            cr_assert_eq(type->fields[i].kind, TBUS_KIND_STRING);
            const char **own = (const char **)((char *)event + type->fields[i].offset);
            const char **shared = (const char **)((char *)event + base[k].offset);
            if (*own)
                *shared = *own;
            else
                *own = *shared;
        }
    }
}

static tbus_event_t *random_event(struct dice *dice, uint32_t number)
{
    dice->used = 0;
    tbus_event_t *event = event_filled(number, random_value, dice);
    fill_metadata(dice, event);
    unite_names(event, tbus_builtin_type(number));
    if (event->time_ns == 0)
        event->time_ns = 1; /* 0 would be stamped */
    return event;
}

/* --- Comparing --- */

static bool strings_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool doubles_equal(double a, double b)
{
    return isnan(a) ? isnan(b) : memcmp(&a, &b, sizeof a) == 0; /* -0.0 is not 0.0 */
}

static bool lists_equal(const tbus_event_t *a, const tbus_event_t *b, const tbus_field_t *field)
{
    int64_t count = *(const int64_t *)((const char *)a + field->count_offset);
    if (*(const int64_t *)((const char *)b + field->count_offset) != count)
        return false;
    for (int64_t i = 0; i < count; i++) {
        if (strcmp((*(const char *const *const *)((const char *)a + field->offset))[i],
                   (*(const char *const *const *)((const char *)b + field->offset))[i]) != 0)
            return false;
    }
    return true;
}

static bool fields_equal(const tbus_event_t *a, const tbus_event_t *b, const tbus_field_t *field)
{
    const char *left = (const char *)a + field->offset, *right = (const char *)b + field->offset;
    switch (field->kind) {
    case TBUS_KIND_STRING:
        return strings_equal(*(const char *const *)left, *(const char *const *)right);
    case TBUS_KIND_INT:
        return *(const int64_t *)left == *(const int64_t *)right;
    case TBUS_KIND_DOUBLE:
        return doubles_equal(*(const double *)left, *(const double *)right);
    case TBUS_KIND_BOOL:
        return *(const bool *)left == *(const bool *)right;
    case TBUS_KIND_LIST:
        return lists_equal(a, b, field);
    }
    return false;
}

/* The name of the first field in which they differ, or NULL. */
static const char *difference(const tbus_event_t *a, const tbus_event_t *b)
{
    const tbus_type_t *type = tbus_builtin_type(a->type);
    uint32_t base_count;
    const tbus_field_t *base = tbus_base_fields(&base_count);
    if (a->type != b->type)
        return "type";
    for (uint32_t i = 0; i < base_count; i++) {
        if (!fields_equal(a, b, &base[i]))
            return base[i].name;
    }
    for (uint32_t i = 0; i < type->fields_count; i++) {
        if (!fields_equal(a, b, &type->fields[i]))
            return type->fields[i].name;
    }
    if (a->metadata_count != b->metadata_count)
        return "metadata";
    for (uint32_t i = 0; i < a->metadata_count; i++) {
        if (strcmp(a->metadata[i].key, b->metadata[i].key) != 0 ||
            strcmp(a->metadata[i].value, b->metadata[i].value) != 0)
            return "metadata";
    }
    return NULL;
}

/* --- There and back --- */

struct trip {
    uv_loop_t loop;
    tbus_t *bus;
    const tbus_event_t *expected;
    unsigned seen, told;
    char *text;
    size_t length;
};

static int see(const tbus_event_t *event, void *user)
{
    struct trip *trip = user;
    const char *field = difference(trip->expected, event);
    cr_assert(!field, "%s, event %u: '%s' differs; it was told as %.*s", tbus_builtin_type(event->type)->topic,
              trip->seen, field ? field : "", (int)trip->length, trip->text ? trip->text : "");
    trip->seen++;
    return 0;
}

static int hear(const char *topic, const char *text, size_t length, void *user)
{
    struct trip *trip = user;
    cr_assert_str_eq(topic, tbus_builtin_type(trip->expected->type)->topic);
    cr_assert_eq(strlen(text), length);
    free(trip->text);
    trip->text = malloc(length); /* no NUL: none is needed */
    cr_assert_not_null(trip->text);
    memcpy(trip->text, text, length);
    trip->length = length;
    trip->told++;
    return 0;
}

static void trip_open(struct trip *trip)
{
    *trip = (struct trip){.seen = 0};
    cr_assert_eq(uv_loop_init(&trip->loop), 0);
    const tbus_options_t options = {.loop = &trip->loop};
    cr_assert_eq(tbus_open(&options, &trip->bus), 0);
    cr_assert_gt(tbus_subscribe(trip->bus, ">", 1, see, trip), 0);
    int64_t subscription = tbus_subscribe_json(trip->bus, ">", 0, hear, trip, NULL);
    if (subscription == UV_ENOTSUP)
        cr_skip_test("built without JSON");
    cr_assert_gt(subscription, 0);
}

static void trip_deliver(struct trip *trip, unsigned events)
{
    while (trip->told < events)
        uv_run(&trip->loop, UV_RUN_ONCE);
    cr_assert_eq(trip->seen, events);
}

static void trip_close(struct trip *trip)
{
    cr_assert_eq(tbus_close(trip->bus, 1000, NULL, NULL), 0);
    uv_run(&trip->loop, UV_RUN_DEFAULT);
    cr_assert_eq(tbus_free(trip->bus), 0);
    cr_assert_eq(uv_loop_close(&trip->loop), 0);
    free(trip->text);
}

Test(event_round_trip, every_event_comes_back_as_it_was)
{
    static struct dice dice;
    struct trip trip;
    unsigned events = 0;
    const uint64_t seed = uv_hrtime() | 1;
    printf("seed %" PRIu64 "\n", seed);
    dice.state = seed;
    trip_open(&trip);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (uint32_t number = 1; number < TBUS_TYPE_BUILTIN_END; number++) {
            tbus_event_t *event = random_event(&dice, number);
            char why[256] = "";
            trip.expected = event;
            cr_assert_eq(tbus_publish(trip.bus, event), 0);
            trip_deliver(&trip, ++events);
            int error = tbus_publish_json_strict(trip.bus, trip.text, trip.length, why, sizeof why);
            cr_assert_eq(error, 0, "%.*s: %s", (int)trip.length, trip.text, why);
            trip_deliver(&trip, ++events);
            free(event);
        }
    }
    cr_assert_eq(events, 2 * ROUNDS * (TBUS_TYPE_BUILTIN_END - 1));
    trip_close(&trip);
}
