/* What stands behind the path: percent-escapes, and parameters with their kinds. */
#ifndef EXPORTERS_WEB_QUERY_H
#define EXPORTERS_WEB_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WEB_PARAMETERS_MAX = 8, WEB_MESSAGE_BYTES = 512 };

enum web_kind {
    WEB_INTEGER, /* a decimal number from `min` to `max` */
    WEB_CHOICE,  /* one of `choices` */
    WEB_TEXT     /* UTF-8 of `min` to `max` bytes */
};

struct web_parameter {
    const char *name;
    enum web_kind kind;
    int64_t min, max;
    int64_t absent;             /* the number (of an integer, or of a choice) where the parameter was not given */
    const char *const *choices; /* the last is NULL */
    bool is_required;
};

struct web_value {
    bool is_given;
    int64_t number;   /* the integer, or the choice's place among the choices */
    const char *text; /* in the URL, decoded; NULL where it was not given */
};

/* Why a request is refused: an HTTP status, and a sentence that may quote the client and so hold any bytes. */
struct web_fault {
    int status;
    char message[WEB_MESSAGE_BYTES];
};

/* Notes the fault and gives back its status. A longer message is cut. */
__attribute__((format(printf, 3, 4))) int web_fault_set(struct web_fault *fault, int status, const char *format, ...);

/* Decodes a part of a URL in place, once: what comes out is not looked at again. False where that can not be done: an
 * escape that is none, one of a NUL, a byte that a URL does not have. */
bool web_decode(char *text, bool plus_is_blank);

/* Reads "name=value&..." (in place; may be "") for these parameters, at most WEB_PARAMETERS_MAX, of which the last has
 * the name NULL; `parameters` NULL = none. Returns 0 or the status that it set in the fault. */
int web_query_read(char *query, const struct web_parameter *parameters, struct web_value values[WEB_PARAMETERS_MAX],
                   struct web_fault *ret_fault);

#endif
