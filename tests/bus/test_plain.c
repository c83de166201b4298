#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>
#include <unistd.h>

#include "bus/bus.h"
#include "bus/record_plain.h"
#include "tests/bus/fixture.h"
#include "tests/oracle.h"

enum { TEXT_ROOM = 160 };

Test(plain, the_length_of_a_string_is_found_whatever_its_place_and_nothing_behind_its_page_is_read)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(pages, MAP_FAILED);
    cr_assert_eq(mprotect(pages + page, page, PROT_NONE), 0);
    memset(pages, 'x', page);
    static const size_t limits[] = {0, 1, 15, 16, 17, 63, 64, 1000};
    for (size_t behind = 0; behind < 40; behind++) { /* bytes between the NUL and the end of the page */
        for (size_t length = 0; length < 100; length++) {
            char *text = pages + page - 1 - behind - length;
            text[length] = '\0';
            for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
                size_t found = text_length(text, limits[i]);
                if (length <= limits[i])
                    cr_assert_eq(found, length, "%zu bytes, %zu behind, at most %zu", length, behind, limits[i]);
                else
                    cr_assert_gt(found, limits[i], "%zu bytes, %zu behind", length, behind);
            }
            text[length] = 'x';
        }
    }
    munmap(pages, 2 * page);
}

Test(plain, a_string_without_end_is_searched_no_further_than_the_limit_and_16_bytes)
{
    for (size_t limit = 1; limit < 100; limit++) {
        char *text = malloc(limit + 16); /* to its last byte: a memory checker would tell */
        cr_assert_not_null(text);
        memset(text, 'x', limit + 16);
        cr_assert_gt(text_length(text, limit), limit);
        free(text);
    }
}

/* The typed publish functions by number. */
#define TBUS_S(name)
#define TBUS_I(name)
#define TBUS_F(name)
#define TBUS_B(name)
#define TBUS_L(name)
#define TBUS_EVENT(NUMBER, ident, topic, CLASS, fields)                                                                \
    static int publish_##ident(tbus_t *bus, const tbus_event_t *event)                                                 \
    {                                                                                                                  \
        return tbus_publish_##ident(bus, (const tbus_##ident##_t *)(const void *)event);                               \
    }
#include <tallybus/catalogue.def>
#define TBUS_S(name)
#define TBUS_I(name)
#define TBUS_F(name)
#define TBUS_B(name)
#define TBUS_L(name)
#define TBUS_EVENT(NUMBER, ident, topic, CLASS, fields) [TBUS_##NUMBER] = publish_##ident,
static int (*const typed[TBUS_TYPE_BUILTIN_END])(tbus_t *bus, const tbus_event_t *event) = {
#include <tallybus/catalogue.def>
};

/* An event with memory of its own for its strings, each at an odd place. */
struct made {
    union {
        tbus_event_t event;
        unsigned char bytes[1024];
    };
    char texts[4 + TBUS_FIELDS_MAX][TEXT_ROOM], key[16], value[32];
    tbus_pair_t pair;
};

static const char *random_text(uint64_t *random, char room[TEXT_ROOM])
{
    uint64_t draw = oracle_random(random);
    if (draw % 4 == 0)
        return NULL;
    size_t start = draw / 4 % 16, length = draw / 64 % (draw / 8192 % 8 ? 40 : 90);
    for (size_t i = 0; i < length; i++)
        room[start + i] = (char)(1 + oracle_random(random) % 255);
    room[start + length] = '\0';
    return room + start;
}

static void set(struct made *made, uint32_t offset, const void *value, size_t bytes)
{
    memcpy(made->bytes + offset, value, bytes);
}

static void make(uint64_t *random, const tbus_type_t *type, uint32_t number, struct made *made)
{
    memset(made->bytes, 0, sizeof made->bytes);
    uint64_t shape = oracle_random(random) % 6; /* nothing in the base, a request's id alone, or what comes */
    const char *base[4] = {0};
    for (int i = 0; i < 4; i++)
        base[i] = shape >= 4 || (shape >= 2 && i == 0) ? random_text(random, made->texts[i]) : NULL;
    snprintf(made->key, sizeof made->key, "key");
    snprintf(made->value, sizeof made->value, "value %llu", (unsigned long long)shape);
    made->pair = (tbus_pair_t){made->key, made->value};
    made->event = (tbus_event_t){.type = number,
                                 .time_ns = (int64_t)(1 + oracle_random(random) % 1000000),
                                 .metadata = shape == 5 ? &made->pair : NULL,
                                 .metadata_count = shape == 5,
                                 .request_id = base[0],
                                 .api_key = base[1],
                                 .user_id = base[2],
                                 .project_id = base[3]};
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const tbus_field_t *field = &type->fields[i];
        if (field->kind == TBUS_KIND_STRING) {
            const char *text = random_text(random, made->texts[4 + i]);
            set(made, field->offset, &text, sizeof text);
        } else if (field->kind == TBUS_KIND_BOOL) {
            set(made, field->offset, &(bool){oracle_random(random) % 2}, sizeof(bool));
        } else if (field->kind != TBUS_KIND_LIST) {
            set(made, field->offset, &(uint64_t){oracle_random(random)}, sizeof(uint64_t));
        }
    }
}

/* What the last event of a type looked like: fields as text, to compare. */
static void describe(const tbus_event_t *event, const tbus_type_t *type, char *text, size_t room)
{
    const tbus_pair_t none = {"", ""}, *pair = event->metadata ? event->metadata : &none;
    const char *base[] = {event->request_id, event->api_key, event->user_id, event->project_id};
    size_t used = (size_t)snprintf(text, room, "%u %u %s=%s %lld", event->type, event->metadata_count, pair->key,
                                   pair->value, (long long)event->time_ns);
    for (int i = 0; i < 4; i++)
        used += (size_t)snprintf(text + used, room - used, "\n%s", base[i] ? base[i] : "(null)");
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const tbus_field_t *field = &type->fields[i];
        const unsigned char *at = (const unsigned char *)event + field->offset;
        if (field->kind == TBUS_KIND_STRING) {
            const char *string = record_string_at(event, field->offset);
            used += (size_t)snprintf(text + used, room - used, "\n%s", string ? string : "(null)");
        } else {
            uint64_t word = 0;
            memcpy(&word, at, field->kind == TBUS_KIND_BOOL ? sizeof(bool) : sizeof word);
            used += (size_t)snprintf(text + used, room - used, "\n%016llx", (unsigned long long)word);
        }
        cr_assert_lt(used, room);
    }
}

struct seen {
    struct hosted *hosted;
    unsigned count;
    char text[2][16384];
};

static int on_event(const tbus_event_t *event, void *user)
{
    struct seen *seen = user;
    describe(event, tbus_type_of(NULL, event->type), seen->text[seen->count % 2], sizeof seen->text[0]);
    seen->count++;
    return 0;
}

enum { RING_GRANULES = (4 << 20) / RING_GRANULE };

static uint64_t position(const struct hosted *hosted)
{
    return ring_position_of(atomic_load(&hosted->bus->ring.tail));
}

Test(plain, every_type_arrives_the_same_by_its_own_function_and_by_number)
{
    enum { ROUNDS = 300 };
    uint64_t random = oracle_seed("plain");
    struct hosted hosted;
    struct seen *seen = calloc(1, sizeof *seen);
    struct made *made = malloc(sizeof *made);
    static char given[sizeof seen->text[0]];
    cr_assert(seen && made);
    hosted_open(&hosted, NULL);
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, on_event, seen), 0);
    for (uint32_t number = TBUS_TYPE_NONE + 1; number < TBUS_TYPE_BUILTIN_END; number++) {
        const tbus_type_t *type = tbus_type_of(NULL, number);
        for (int round = 0; round < ROUNDS; round++) {
            make(&random, type, number, made);
            describe(&made->event, type, given, sizeof given);
            uint64_t before = position(&hosted);
            cr_assert_eq(tbus_publish(hosted.bus, &made->event), 0);
            uint64_t between = position(&hosted);
            made->event.type = 0; /* its own function sets it */
            cr_assert_eq(typed[number](hosted.bus, &made->event), 0);
            if (before / RING_GRANULES == position(&hosted) / RING_GRANULES) /* no padding at the array's end */
                cr_assert_eq(position(&hosted) - between, between - before, "%s, round %d: room", type->topic, round);
            memset(made, 0x5a, sizeof *made); /* the copies are the bus's own */
            hosted_deliver(&hosted);
            cr_assert_str_eq(seen->text[0], given, "%s, round %d: %s\nfor %s", type->topic, round, seen->text[0],
                             given);
            cr_assert_eq(seen->count % 2, 0u);
            cr_assert_str_eq(seen->text[0], seen->text[1], "%s, round %d", type->topic, round);
        }
    }
    cr_assert_eq(seen->count, 2u * ROUNDS * (TBUS_TYPE_BUILTIN_END - 1 - TBUS_TYPE_NONE));
    hosted_close(&hosted);
    free(made);
    free(seen);
}

Test(plain, a_record_takes_what_was_measured_and_not_a_byte_more)
{
    static const uint32_t strings[] = {offsetof(tbus_stream_token_generated_t, stream_id),
                                       offsetof(tbus_stream_token_generated_t, token),
                                       offsetof(tbus_stream_token_generated_t, kind)};
    static const struct plain_shape shape = {sizeof(tbus_stream_token_generated_t), 3, strings};
    for (uint32_t length = 0; length <= PLAIN_LENGTH_MAX + 1; length++) {
        char text[PLAIN_LENGTH_MAX + 2] = {0};
        struct plain_strings measured;
        uint32_t bytes;
        memset(text, 'a', length);
        tbus_stream_token_generated_t token = {.stream_id = text, .kind = text};
        cr_assert_eq(plain_measure(&measured, &shape, &token.base, &bytes), length <= PLAIN_LENGTH_MAX);
        if (length > PLAIN_LENGTH_MAX)
            continue;
        cr_assert_eq(bytes, 2 * (length + 1));
        unsigned char *memory = malloc(sizeof token + bytes); /* the memory checker looks at its end */
        cr_assert_not_null(memory);
        plain_write(&measured, &shape, &token.base, TBUS_STREAM_TOKEN_GENERATED, memory);
        const tbus_stream_token_generated_t *copy = (const void *)memory;
        cr_assert_str_eq(copy->stream_id, text);
        cr_assert_str_eq(copy->kind, text);
        cr_assert_null(copy->token);
        free(memory);
    }
}

Test(plain, strings_are_cut_to_a_limit_below_what_is_short)
{
    static const uint32_t limits[] = {16, 62};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct hosted hosted;
        struct seen *seen = calloc(1, sizeof *seen);
        char text[64] = {0}, expected[66] = "\n";
        tbus_stats_t stats;
        cr_assert_not_null(seen);
        memset(text, 'a', sizeof text - 1);
        memcpy(expected + 1, text, limits[i]);
        expected[1 + limits[i]] = '\n';
        hosted_open(&hosted, &(tbus_options_t){.string_max_bytes = limits[i]});
        cr_assert_gt(tbus_subscribe(hosted.bus, "stream.token_generated", 0, on_event, seen), 0);
        tbus_stream_token_generated_t token = {.base.time_ns = 1, .stream_id = text};
        cr_assert_eq(tbus_publish_stream_token_generated(hosted.bus, &token), 0);
        hosted_deliver(&hosted);
        cr_assert_not_null(strstr(seen->text[0], expected), "%u: %s", limits[i], seen->text[0]);
        cr_assert_eq(tbus_stats(hosted.bus, &stats), 0);
        cr_assert_eq(stats.cut_strings, 1u);
        hosted_close(&hosted);
        free(seen);
    }
}

/* Whether every event whose turn it is carries a stamp from between two moments, over several laps of a small ring
 * whose old bytes are all ones. */
static void look_for_stamps(const tbus_event_t *event, int (*publish)(tbus_t *bus, const tbus_event_t *event))
{
    enum { RING = 64 << 10, EVENTS = 20 * RING_STAMP_EVERY };
    struct hosted hosted;
    unsigned stamped = 0;
    hosted_open(&hosted, &(tbus_options_t){.ring_bytes = RING});
    struct ring *ring = &hosted.bus->ring;
    for (unsigned number = 1; number <= EVENTS; number++) {
        for (uint32_t granule = 0; granule < ring->size; granule++) /* but not the headers, which the ring reads */
            memset(ring->granules + (size_t)granule * RING_GRANULE + 8, 0xff, 8);
        uint64_t begin = uv_hrtime();
        cr_assert_eq(publish(hosted.bus, event), 0);
        uint64_t end = uv_hrtime();
        if (number % RING_STAMP_EVERY == 0) {
            uint64_t tail = ring_position_of(atomic_load(&ring->tail));
            uint32_t granules = (uint32_t)(tail - ring->read);
            unsigned char *record = ring->granules + (ring->read & ring->mask) * RING_GRANULE;
            if (ring_kind_of(atomic_load(ring_header_at(record))) == RING_PADDING)
                record = ring->granules;
            cr_assert_gt(granules, 0u);
            uint64_t stamp = ring_stamp_of(record);
            cr_assert(stamp >= begin && stamp <= end, "event %u", number);
            stamped++;
        }
        hosted_deliver(&hosted);
    }
    cr_assert_eq(stamped, EVENTS / RING_STAMP_EVERY);
    hosted_close(&hosted);
}

Test(plain, every_256th_event_carries_the_time_of_its_publishing_whether_it_is_plain_or_not)
{
    const tbus_stream_token_generated_t given = {.base.time_ns = 1, .stream_id = "s"}, unstamped = {.stream_id = "s"};
    const tbus_stream_token_generated_t named = {.base = {.time_ns = 1, .request_id = "r"}, .stream_id = "s"};
    const tbus_stream_token_generated_t keyed = {.base = {.time_ns = 1, .api_key = "k"}, .stream_id = "s"};
    look_for_stamps(&given.base, typed[TBUS_STREAM_TOKEN_GENERATED]);
    look_for_stamps(&unstamped.base, typed[TBUS_STREAM_TOKEN_GENERATED]);
    look_for_stamps(&named.base, typed[TBUS_STREAM_TOKEN_GENERATED]);
    look_for_stamps(&keyed.base, typed[TBUS_STREAM_TOKEN_GENERATED]);
}
