/* The built-in types, all derived from catalogue.def. */
#include <string.h>

#include <tallybus/events.h>

/* Inside one function for each type, so that the field macros can name the struct at hand as `self`. */
#define FIELD(name, kind) {#name, kind, (uint32_t)offsetof(self, name), 0},
#define TBUS_S(name) FIELD(name, TBUS_KIND_STRING)
#define TBUS_I(name) FIELD(name, TBUS_KIND_INT)
#define TBUS_F(name) FIELD(name, TBUS_KIND_DOUBLE)
#define TBUS_B(name) FIELD(name, TBUS_KIND_BOOL)
#define TBUS_L(name) {#name, TBUS_KIND_LIST, (uint32_t)offsetof(self, name), (uint32_t)offsetof(self, name##_count)},
#define TBUS_EVENT(NUMBER, ident, topic, CLASS, fields)                                                                \
    static const tbus_type_t *type_of_##ident(void)                                                                    \
    {                                                                                                                  \
        typedef tbus_##ident##_t self;                                                                                 \
        static const tbus_field_t list[] = {fields{NULL, TBUS_KIND_INT, sizeof(self), 0}};                             \
        static const tbus_type_t type = {topic, TBUS_CLASS_##CLASS, sizeof(self), sizeof list / sizeof list[0] - 1,    \
                                         list};                                                                        \
        return &type;                                                                                                  \
    }
#include <tallybus/catalogue.def>

#define TBUS_S(name)
#define TBUS_I(name)
#define TBUS_F(name)
#define TBUS_B(name)
#define TBUS_L(name)
#define TBUS_EVENT(NUMBER, ident, topic, CLASS, fields) [TBUS_##NUMBER] = type_of_##ident,
static const tbus_type_t *(*const builtin[TBUS_TYPE_BUILTIN_END])(void) = {
#include <tallybus/catalogue.def>
};

const tbus_type_t *tbus_builtin_type(uint32_t type)
{
    return type > TBUS_TYPE_NONE && type < TBUS_TYPE_BUILTIN_END ? builtin[type]() : NULL;
}

uint32_t tbus_builtin_type_number(const char *topic)
{
    for (uint32_t type = TBUS_TYPE_NONE + 1; topic && type < TBUS_TYPE_BUILTIN_END; type++)
        if (strcmp(builtin[type]()->topic, topic) == 0)
            return type;
    return TBUS_TYPE_NONE;
}

const tbus_field_t *tbus_base_fields(uint32_t *ret_count)
{
    static const tbus_field_t fields[] = {
        {"time_ns", TBUS_KIND_INT, offsetof(tbus_event_t, time_ns), 0},
        {"request_id", TBUS_KIND_STRING, offsetof(tbus_event_t, request_id), 0},
        {"api_key", TBUS_KIND_STRING, offsetof(tbus_event_t, api_key), 0},
        {"user_id", TBUS_KIND_STRING, offsetof(tbus_event_t, user_id), 0},
        {"project_id", TBUS_KIND_STRING, offsetof(tbus_event_t, project_id), 0},
    };
    if (ret_count)
        *ret_count = sizeof fields / sizeof fields[0];
    return fields;
}

#define TBUS_S(name)
#define TBUS_I(name)
#define TBUS_F(name)
#define TBUS_B(name)
#define TBUS_L(name)
#define TBUS_EVENT(NUMBER, ident, topic, CLASS, fields)                                                                \
    const tbus_##ident##_t *tbus_as_##ident(const tbus_event_t *event)                                                 \
    {                                                                                                                  \
        return event && event->type == TBUS_##NUMBER ? (const tbus_##ident##_t *)(const void *)event : NULL;           \
    }
#include <tallybus/catalogue.def>
