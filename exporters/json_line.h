/* An event as a line of JSON, into memory that is there already: nothing is allocated, and no JSON library is needed.
 * There is no code for a type here: it walks the field descriptors.
 *
 * A few types have a field of the same name as one of the base (user_id of usage.recorded): that is one key, written
 * from the struct's field where that is present. */
#ifndef EXPORTERS_JSON_LINE_H
#define EXPORTERS_JSON_LINE_H

#include <stddef.h>

#include <tallybus/events.h>

#include "exporters/span.h"

enum json_secrets {
    JSON_SECRETS_SHOWN,  /* nothing is hidden */
    JSON_SECRETS_MASKED, /* the API key redacted, keys quoted in errors' texts and metadata masked */
    JSON_SECRETS_KEYS    /* only the API key redacted */
};

/* Writes the event, which is of this type, without a newline and without a NUL. Returns its length; where that is above
 * `room` the text is of no use, and so much room is needed. */
size_t json_line(const tbus_type_t *type, const tbus_event_t *event, enum json_secrets secrets, char *line,
                 size_t room);

/* A string in its quotes; whatever its bytes, JSON in UTF-8 comes out. */
void json_add_string(struct span *to, const char *text);

/* Bytes of a string without quotes, from `text` up to `end`, where a character ends too; at most six for one. */
void json_add_escaped(struct span *to, const char *text, const char *end);

#endif
