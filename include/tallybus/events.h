/* The events: one struct, one number, one publish function and one accessor for each line of catalogue.def.
 *
 *   tbus_publish_stream_started(bus, &(tbus_stream_started_t){
 *       .base = {.request_id = "req-81f3", .api_key = key},
 *       .stream_id = id, .model = "gpt-4o", .input_tokens = 150});
 *
 * Publishing copies the struct and all its strings into the bus: the caller's memory may go as soon as the call
 * returns. A handler's event and the strings in it are valid until the handler returns.
 *
 * Absent values: a NULL string, an empty list, a NaN double. An integer has no "absent": 0 is 0. So a double that is
 * not known must be set to NaN; left out of an initializer it is the figure 0. */
#ifndef TALLYBUS_EVENTS_H
#define TALLYBUS_EVENTS_H

#include <tallybus/base.h>

TBUS_BEGIN_DECLS

typedef struct tbus tbus_t;

/* One further key and value of an event. Both are strings; a pair whose key is NULL is dropped. */
typedef struct tbus_pair {
    const char *key;
    const char *value;
} tbus_pair_t;

/* What every event starts with. */
typedef struct tbus_event {
    uint32_t type;           /* TBUS_STREAM_STARTED, ...: set by the typed publish functions */
    uint32_t metadata_count; /* pairs in `metadata`; at most TBUS_METADATA_MAX are kept, the rest is counted as cut */
    uint64_t id;             /* unique in the process, rising in the order of delivery: given by the bus */
    int64_t time_ns;         /* nanoseconds since the Unix epoch; 0 = the bus reads its clock */
    const char *request_id;
    const char *api_key;
    const char *user_id;
    const char *project_id;
    const tbus_pair_t *metadata;
} tbus_event_t;

#define TBUS_METADATA_MAX 32 /* pairs of metadata that an event keeps */
#define TBUS_LIST_MAX 1024   /* strings that a list field keeps */

/* Type numbers. 0 is no type; types that a host registers come after TBUS_TYPE_BUILTIN_END. */
enum {
    TBUS_TYPE_NONE = 0,
#define TBUS_S(name)
#define TBUS_I(name)
#define TBUS_F(name)
#define TBUS_B(name)
#define TBUS_L(name)
#define TBUS_EVENT(NUMBER, ident, topic, CLASS, fields) TBUS_##NUMBER,
#include <tallybus/catalogue.def>
    TBUS_TYPE_BUILTIN_END
};

/* The structs: `base`, then the fields of catalogue.def in their order. */
#define TBUS_S(name) const char *name;
#define TBUS_I(name) int64_t name;
#define TBUS_F(name) double name;
#define TBUS_B(name) bool name;
#define TBUS_L(name)                                                                                                   \
    const char *const *name;                                                                                           \
    int64_t name##_count;
#define TBUS_EVENT(NUMBER, ident, topic, CLASS, fields)                                                                \
    typedef struct tbus_##ident {                                                                                      \
        tbus_event_t base;                                                                                             \
        fields                                                                                                         \
    } tbus_##ident##_t;
#include <tallybus/catalogue.def>

/* int tbus_publish_<event>(bus, event): copies the event into the bus; `base.type` and `base.id` of the caller's struct
 * are not looked at. What it returns, and when it waits: see tbus_publish() in bus.h. [any thread]
 *
 * const tbus_<event>_t *tbus_as_<event>(event): the event as its own struct, or NULL when it is NULL or of another
 * type; borrows. [any thread] */
#define TBUS_S(name)
#define TBUS_I(name)
#define TBUS_F(name)
#define TBUS_B(name)
#define TBUS_L(name)
#define TBUS_EVENT(NUMBER, ident, topic, CLASS, fields)                                                                \
    TBUS_API int tbus_publish_##ident(tbus_t *bus, const tbus_##ident##_t *event);                                     \
    TBUS_API const tbus_##ident##_t *tbus_as_##ident(const tbus_event_t *event);
#include <tallybus/catalogue.def>

/* How a type is described: JSON, journals and logs walk these, and need no code for a type of their own. */
typedef enum tbus_kind {
    TBUS_KIND_STRING = 1, /* const char * */
    TBUS_KIND_INT,        /* int64_t */
    TBUS_KIND_DOUBLE,     /* double */
    TBUS_KIND_BOOL,       /* bool */
    TBUS_KIND_LIST        /* const char *const * at `offset`, its length as int64_t at `count_offset` */
} tbus_kind_t;

typedef enum tbus_class { TBUS_CLASS_VITAL = 1, TBUS_CLASS_SHEDDABLE } tbus_class_t;

typedef struct tbus_field {
    const char *name;
    tbus_kind_t kind;
    uint32_t offset;       /* bytes from the start of the event's struct */
    uint32_t count_offset; /* of a list's length; 0 for the other kinds */
} tbus_field_t;

typedef struct tbus_type {
    const char *topic; /* "stream.started" */
    tbus_class_t delivery;
    uint32_t size_bytes; /* of the struct, base included */
    uint32_t fields_count;
    const tbus_field_t *fields; /* without the base's; see tbus_base_fields() */
} tbus_type_t;

/* The description of a built-in type, or NULL for a number that is none; static memory. [any thread] */
TBUS_API const tbus_type_t *tbus_builtin_type(uint32_t type);

/* The number of the built-in type with this topic, or TBUS_TYPE_NONE; NULL is no topic. [any thread] */
TBUS_API uint32_t tbus_builtin_type_number(const char *topic);

/* The fields of the base that have a plain kind (time_ns and the four strings, not type, id and metadata); static
 * memory,
 * `*ret_count` of them. [any thread] */
TBUS_API const tbus_field_t *tbus_base_fields(uint32_t *ret_count);

TBUS_END_DECLS

#endif
