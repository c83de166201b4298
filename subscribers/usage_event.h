/* Publishes usage.priced, where somebody asked for it. */
#ifndef SUBSCRIBERS_USAGE_EVENT_H
#define SUBSCRIBERS_USAGE_EVENT_H

#include <tallybus/usage_event.h>

/* Whether a bus knows the type yet. Types are numbered one after the other and stay: so each is looked at once, and
 * the question costs one load when there is no new one. */
struct usage_event {
    tbus_t *bus;
    uint32_t type;      /* TBUS_TYPE_NONE = not known yet */
    uint32_t next_type; /* the first number that has not been looked at */
};

static inline void usage_event_init(struct usage_event *event, tbus_t *bus)
{
    *event = (struct usage_event){.bus = bus, .next_type = TBUS_TYPE_BUILTIN_END};
}

/* [loop thread] */
bool usage_event_is_wanted(struct usage_event *event);

/* Publishes a record; `api_key` is the whole key (may be NULL). Errors: as tbus_publish(). [loop thread] */
int usage_event_publish(const struct usage_event *event, const tbus_usage_record_t *record, const char *api_key);

#endif
